//! The baseline: is the workload fit to be measured, and what does it use?

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::policy::Policy;

use super::confidence::Test;
use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::tally::{Decision, Rule, Vote};
use super::{ExploreError, ExploreOptions, controls, purpose};

/// The first part of an analysis.
pub const PHASE: &str = "baseline";

/// A workload that can be measured.
pub(super) struct Baseline<'a> {
    pub ruling: Ruling<'a>,
    /// The passing replays.
    pub runs: Vec<&'a Run>,
    /// Every feature that any of them used.
    pub features: BTreeMap<Feature, Seen>,
    /// What its failures say about the chance of wrong decisions.
    pub test: Test,
    /// The rule for everything that is measured against it.
    pub rule: Rule,
}

/// To start the application alone is worth it if its start takes at most one part in so many of
/// a replay.
const QUICK_START: u64 = 4;

impl Baseline<'_> {
    /// Median wall time of its replays, in microseconds.
    pub fn median_us(&self) -> f64 {
        let mut walls: Vec<u64> = self.runs.iter().map(|run| run.wall_us).collect();
        walls.sort_unstable();
        let middle = walls.len() / 2;
        if walls.len() % 2 == 1 {
            walls[middle] as f64
        } else {
            (walls[middle - 1] + walls[middle]) as f64 / 2.0
        }
    }

    /// Every replay of the baseline uses the feature.
    pub fn is_steady(&self, feature: &Feature) -> bool {
        let seen = self.features.get(feature);
        seen.is_some_and(|seen| seen.replays as usize == self.runs.len())
    }

    /// The rule for a feature alone.
    pub fn rule_of(&self, feature: &Feature) -> Rule {
        match self.is_steady(feature) {
            true => self.rule,
            false => self.rule.patient(),
        }
    }

    /// Whether the application's start takes little time, compared with its test.
    pub fn starts_quickly(&self) -> bool {
        let quick = |run: &&Run| run.start_us * QUICK_START <= run.wall_us;
        2 * self.runs.iter().copied().filter(quick).count() > self.runs.len()
    }
}

impl<'a> Baseline<'a> {
    /// Pseudo-files were looked for.
    pub fn is_watched(&self) -> bool {
        self.runs.iter().any(|run| run.watched)
    }

    /// What replays of a policy came to, one of which shows the pseudo-files that are used then.
    pub fn with_look(
        &self,
        asker: &mut Asker<'a>,
        policy: &Policy,
        ruling: Ruling<'a>,
    ) -> Result<Ruling<'a>, Stop> {
        if !self.is_watched() {
            return Ok(ruling);
        }
        Ok(match asker.look(policy)? {
            Some(look) if ruling.runs.iter().all(|run| run.id != look.id) => ruling.and(look),
            _ => ruling,
        })
    }
}

/// How a feature shows up in the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Calls in the first replay.
    pub calls: u64,
    /// Replays that used it.
    pub replays: u32,
}

/// The baseline must pass every time; one failure among passes is a flaky workload, and
/// failures without a pass a failing one. Where decisions have a confidence, flaky workloads
/// can be measured too, and their failure rate is found out.
fn rule(options: &ExploreOptions) -> Rule {
    let replicas = options.baseline_replicas.max(1);
    if options.confidence.is_some() {
        return Rule::of_rate(replicas);
    }
    Rule {
        limit: replicas,
        reach: replicas,
        ..Rule::of_replicas(replicas)
    }
}

/// Runs the baseline, or says why there is none.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    options: &ExploreOptions,
) -> Result<Baseline<'a>, Stop> {
    asker.phase = PHASE;
    let policy = Policy::baseline();
    if let Some(error) = controls::refused(asker.runs_so_far(&policy)) {
        return Err(error.into());
    }
    let ruling = asker
        .ask(&policy, rule(options), purpose::BASELINE)
        .inspect_err(|_| {
            // A first replay already tells how many features wait behind the baseline.
            let used = asker
                .runs_so_far(&policy)
                .map(|run| run.calls.len())
                .max()
                .unwrap_or(0);
            asker.later += 2 * used as u64 * u64::from(options.replicas.max(1));
        })?;
    if ruling.decision != Decision::Works {
        let by_filters = controls::why_watched_fails(asker, options, &ruling)?;
        return Err(by_filters.unwrap_or_else(|| refusal(&ruling)).into());
    }
    let runs: Vec<&Run> = ruling
        .runs
        .iter()
        .filter(|run| run.vote == Vote::Pass)
        .copied()
        .collect();
    let mut features: BTreeMap<Feature, Seen> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        for (feature, calls) in &run.calls {
            let seen = features.entry(feature.clone()).or_default();
            seen.replays += 1;
            if index == 0 || seen.calls == 0 && feature.syscall().is_none() {
                seen.calls = *calls;
            }
        }
    }
    // Nothing is known of the pseudo-files of replays that were not watched: what all others use
    // is taken to be used always.
    let watched = runs.iter().filter(|run| run.watched).count();
    for (feature, seen) in &mut features {
        if feature.syscall().is_none() && seen.replays as usize == watched {
            seen.replays = runs.len() as u32;
        }
    }
    if features.is_empty() {
        let run = runs.first().expect("a baseline that works has replays");
        return Err(ExploreError::NothingTraced {
            id: run.id,
            replay: run.replay(),
        }
        .into());
    }
    let error = 1.0 - options.confidence.unwrap_or(1.0);
    let test = Test {
        baseline_runs: ruling.tally.usable(),
        baseline_failures: ruling.tally.failures,
        error_ppm: (error.clamp(0.0, 1.0) * 1e6).round() as u32,
    };
    let rule = match options.confidence {
        None => Rule::of_replicas(options.replicas),
        Some(_) => Rule::confident(options.replicas, test),
    };
    Ok(Baseline {
        ruling,
        runs,
        features,
        test,
        rule,
    })
}

/// Why this baseline is none.
fn refusal(ruling: &Ruling<'_>) -> ExploreError {
    let tally = ruling.tally;
    match ruling.first(Vote::Failure) {
        Some(run) if tally.passes == 0 => ExploreError::BaselineFails {
            id: run.id,
            replay: run.replay(),
        },
        Some(run) => ExploreError::BaselineFlaps {
            passes: tally.passes,
            runs: tally.usable(),
            id: run.id,
            replay: run.replay(),
        },
        None => {
            let run = ruling
                .first(Vote::Invalid)
                .or_else(|| ruling.first(Vote::Void))
                .expect("without a failure, only unusable replays end a baseline");
            ExploreError::BaselineInvalid {
                id: run.id,
                why: run.why_invalid.clone().unwrap_or_default(),
                replay: run.replay(),
            }
        }
    }
}
