//! How the trace of one replay differs from the baseline's: where the order of first use
//! parts, what is gone, what is new (fallbacks), whose counts and errors changed.
//!
//! The baseline is several replays, and only what lies outside of all of them is a difference;
//! what the injection itself does (its errno on its own syscall) is none.

use std::cmp::Reverse;
use std::fmt;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::trace::Trace;
use serde::{Deserialize, Serialize};

/// Changes of counts that are shown: the largest.
const SHOWN_CHANGES: usize = 8;

/// A count has changed if it grew or shrank by at least this factor. Chosen, not measured.
const MIN_CHANGE_RATIO: f64 = 1.5;

/// What sets a replay apart from its baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Difference {
    /// The first place where the order of first use differs.
    pub first: Option<Parting>,
    /// Used by every baseline replay and not by this one, in the baseline's order.
    pub vanished: Vec<Feature>,
    /// Used by no baseline replay, in the order of first use.
    pub new: Vec<NewFeature>,
    pub counts: Vec<CountChange>,
    /// Failures of a kind that no baseline replay had, in the order of first use.
    pub errors: Vec<NewError>,
}

/// The traces without what was looked for in only one of them: pseudo-files.
fn comparable(baseline: &[&Trace], trace: &Trace) -> (Vec<Trace>, Trace) {
    let watched = baseline.iter().filter(|model| model.pseudo_files);
    if trace.pseudo_files && watched.clone().next().is_some() {
        return (watched.copied().cloned().collect(), trace.clone());
    }
    let without = |trace: &Trace| {
        let mut trace = trace.clone();
        let looked_for = |feature: &Feature| feature.kind() != "pseudo-file";
        trace.calls.retain(|feature, _| looked_for(feature));
        trace.first_seen.retain(looked_for);
        trace
    };
    (
        baseline.iter().map(|model| without(model)).collect(),
        without(trace),
    )
}

/// The first place in the order of first use where a replay and the baseline part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Parting {
    /// Features before it, the same in both.
    pub same: usize,
    /// The last of them.
    pub after: Option<Feature>,
    /// What the baseline uses next; `None` if it uses nothing new.
    pub baseline: Option<Feature>,
    /// What the replay uses next; `None` if it uses nothing new.
    pub replay: Option<Feature>,
}

/// A feature that the baseline does not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct NewFeature {
    pub feature: Feature,
    pub calls: u64,
}

/// A number of calls outside of what the baseline replays had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct CountChange {
    pub feature: Feature,
    pub baseline_min: u64,
    pub baseline_max: u64,
    pub replay: u64,
}

/// An errno that a syscall never failed with in the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct NewError {
    pub feature: Feature,
    pub errno: Errno,
    pub calls: u64,
}

impl Difference {
    /// Compares a replay's trace with the baseline's; `None` without a baseline.
    pub fn between(baseline: &[&Trace], trace: &Trace, policy: &Policy) -> Option<Difference> {
        let (baseline, trace) = comparable(baseline, trace);
        let (baseline, trace) = (&baseline.iter().collect::<Vec<_>>()[..], &trace);
        let model = *baseline
            .iter()
            .max_by_key(|model| common_order(model, trace))?;
        Some(Difference {
            first: parting(model, trace),
            vanished: in_order(model)
                .filter(|feature| baseline.iter().all(|model| calls(model, feature) > 0))
                .filter(|feature| calls(trace, feature) == 0)
                .cloned()
                .collect(),
            new: in_order(trace)
                .filter(|feature| baseline.iter().all(|model| calls(model, feature) == 0))
                .map(|feature| NewFeature {
                    feature: feature.clone(),
                    calls: calls(trace, feature),
                })
                .collect(),
            counts: count_changes(baseline, trace),
            errors: new_errors(baseline, trace, policy),
        })
    }

    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }

    /// What there is to say, as pairs of a label and a text.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(first) = &self.first {
            lines.push(("first", first.to_string()));
        }
        for (label, texts) in [
            ("gone", texts(&self.vanished)),
            ("new", texts(&self.new)),
            ("calls", texts(&self.counts)),
            ("errors", texts(&self.errors)),
        ] {
            if !texts.is_empty() {
                lines.push((label, texts.join(", ")));
            }
        }
        lines
    }
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

fn calls(trace: &Trace, feature: &Feature) -> u64 {
    trace.calls.get(feature).map_or(0, |counts| counts.calls)
}

/// Every feature of a trace: in the order of first use, then those that never returned.
fn in_order(trace: &Trace) -> impl Iterator<Item = &Feature> {
    let never_returned = trace
        .calls
        .keys()
        .filter(|feature| !trace.first_seen.contains(feature));
    trace.first_seen.iter().chain(never_returned)
}

fn common_order(one: &Trace, other: &Trace) -> usize {
    let pairs = one.first_seen.iter().zip(&other.first_seen);
    pairs.take_while(|(one, other)| one == other).count()
}

fn parting(model: &Trace, trace: &Trace) -> Option<Parting> {
    let same = common_order(model, trace);
    let at = |trace: &Trace, index: usize| trace.first_seen.get(index).cloned();
    let (baseline, replay) = (at(model, same), at(trace, same));
    (baseline != replay).then(|| Parting {
        same,
        after: same.checked_sub(1).and_then(|last| at(model, last)),
        baseline,
        replay,
    })
}

fn count_changes(baseline: &[&Trace], trace: &Trace) -> Vec<CountChange> {
    let mut changes: Vec<(f64, CountChange)> = trace
        .calls
        .iter()
        .filter_map(|(feature, counts)| {
            let all = || baseline.iter().map(|model| calls(model, feature));
            let (min, max) = (all().min()?, all().max()?);
            // What only one side has is new or gone, not changed.
            if max == 0 || counts.calls == 0 {
                return None;
            }
            let ratio = |more: u64, less: u64| (more as f64 + 1.0) / (less as f64 + 1.0);
            let factor = if counts.calls > max {
                ratio(counts.calls, max)
            } else {
                ratio(min, counts.calls)
            };
            (factor >= MIN_CHANGE_RATIO).then(|| {
                let change = CountChange {
                    feature: feature.clone(),
                    baseline_min: min,
                    baseline_max: max,
                    replay: counts.calls,
                };
                (factor, change)
            })
        })
        .collect();
    // Stable: features of one factor stay in the order of their names.
    changes.sort_by(|one, other| other.0.total_cmp(&one.0));
    changes.truncate(SHOWN_CHANGES);
    changes.into_iter().map(|(_, change)| change).collect()
}

fn new_errors(baseline: &[&Trace], trace: &Trace, policy: &Policy) -> Vec<NewError> {
    let mut errors = Vec::new();
    for feature in in_order(trace) {
        let Some(counts) = trace.calls.get(feature) else {
            continue;
        };
        let first_of_feature = errors.len();
        for (errno, number) in &counts.errors {
            let injected = policy.get(feature) == Some(Action::Stub(*errno));
            let known = baseline.iter().any(|model| {
                let counts = model.calls.get(feature);
                counts.is_some_and(|counts| counts.errors.contains_key(errno))
            });
            if !injected && !known {
                errors.push(NewError {
                    feature: feature.clone(),
                    errno: *errno,
                    calls: *number,
                });
            }
        }
        errors[first_of_feature..].sort_by_key(|error| Reverse(error.calls));
    }
    errors
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            None => write!(f, "from the start ")?,
            Some(after) => write!(f, "the same {} syscalls up to {after}, then ", self.same)?,
        }
        match (&self.baseline, &self.replay) {
            (Some(baseline), Some(replay)) => write!(f, "{replay} instead of {baseline}"),
            (Some(baseline), None) => write!(f, "nothing new instead of {baseline}"),
            (None, Some(replay)) => write!(f, "also {replay}"),
            (None, None) => write!(f, "nothing new"),
        }
    }
}

impl fmt::Display for NewFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ×{}", self.feature, self.calls)
    }
}

impl fmt::Display for CountChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.feature, self.baseline_min)?;
        if self.baseline_max > self.baseline_min {
            write!(f, "–{}", self.baseline_max)?;
        }
        write!(f, "→{}", self.replay)
    }
}

impl fmt::Display for NewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ×{}", self.feature, self.errno, self.calls)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none: the same syscalls in the same order, about as often");
        }
        for (index, (label, text)) in self.lines().into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{label}: {text}")?;
        }
        Ok(())
    }
}
