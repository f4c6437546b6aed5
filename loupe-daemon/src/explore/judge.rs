//! What replays say of features: the only place where a verdict is made. A pure function of
//! [`Evidence`]; it asks for nothing. Whoever asks ([`super::group`]) adds evidence and cannot judge.
//!
//! A feature *works* left out one way
//!
//! * if replays of it alone say so, by the rule that all replays of a policy are decided by;
//! * or if as many passing replays as that rule wants left it out, together with others: its
//!   injection answered in each, and no other feature was left out in all of them, so no other's
//!   absence can have made up for its own. (Two others' together could; `--exhaustive` measures
//!   every feature alone.) Its own first replay is one of these, if there is one.
//!
//! A passing replay of several that is *odd* (it complains, or makes a call that the baseline never
//! makes) counts for a feature only if something else explains what is odd: another member whose own
//! replay shows it, or another replay of the feature that does not. Who has passed alone has answered
//! for itself.
//!
//! A failure counts against a feature only where it was left out alone.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::{Basis, FeatureVerdict, Trial};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;

use super::baseline::{Baseline, Seen};
use super::ledger::Ruling;
use super::run::Run;
use super::tally::Decision;

/// What came of policies that leave features out one way.
pub(super) struct Evidence<'s, 'a> {
    pub baseline: &'s Baseline<'a>,
    pub action: Action,
    /// Of features that were left out alone, once.
    own: BTreeMap<Feature, Option<&'a Run>>,
    sets: BTreeMap<BTreeSet<Feature>, Set<'a>>,
}

/// What came of several features left out together.
struct Set<'a> {
    /// Everything passed, and nothing looks wrong but what is odd.
    passes: bool,
    ruling: Ruling<'a>,
    odd: BTreeSet<Odd>,
}

/// What can be odd about a passing replay and still be another feature's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Odd {
    Complaint(String),
    Call(Feature),
}

impl Odd {
    /// Whether a replay shows it, if it could.
    fn shows_in(&self, run: &Run) -> Option<bool> {
        match self {
            Odd::Complaint(line) => Some(run.complaints.contains(line)),
            Odd::Call(call) => run.shows(call).then(|| run.calls.contains_key(call)),
        }
    }
}

/// What is known of a feature so far.
pub(super) enum Standing<'a> {
    Works(Finding<'a>),
    /// Replays of several that it shares may still say that it works. So many passes count already.
    Open {
        passes: u32,
    },
    /// Only replays of it alone can say whether it works.
    Alone,
}

impl<'s, 'a> Evidence<'s, 'a> {
    pub fn new(baseline: &'s Baseline<'a>, action: Action) -> Evidence<'s, 'a> {
        Evidence {
            baseline,
            action,
            own: BTreeMap::new(),
            sets: BTreeMap::new(),
        }
    }

    /// Adds the first replay of a feature alone; `None` where it could not be used.
    pub fn add_own(&mut self, feature: Feature, run: Option<&'a Run>) {
        self.own.insert(feature, run);
    }

    /// Adds what came of several features left out together.
    pub fn add_set(&mut self, features: BTreeSet<Feature>, ruling: Ruling<'a>) {
        let passing = || ruling.runs.iter().filter(|run| run.vote.passes());
        let odd = passing().flat_map(|run| {
            let complaints = run.complaints.iter().cloned().map(Odd::Complaint);
            let calls = run.new.iter().filter(|call| call.parent().is_none());
            complaints.chain(calls.cloned().map(Odd::Call))
        });
        let set = Set {
            passes: ruling.decision == Decision::Works
                && passing().all(|run| run.passes_but_for_oddities()),
            odd: odd.collect(),
            ruling,
        };
        self.sets.insert(features, set);
    }

    /// Whether these passed together.
    pub fn passed(&self, features: &BTreeSet<Feature>) -> bool {
        self.sets.get(features).is_some_and(|set| set.passes)
    }

    /// Whether it was left out alone.
    pub fn has_own(&self, feature: &Feature) -> bool {
        self.own.contains_key(feature)
    }

    /// Whether the feature was left out with others in a replay that passed.
    pub fn passed_with_others(&self, feature: &Feature) -> bool {
        self.sets_of(feature).next().is_some()
    }

    /// Whether nothing that was seen of the feature speaks against that it works.
    pub fn may_work(&self, feature: &Feature) -> bool {
        !matches!(self.standing(feature), Standing::Alone)
    }

    /// Passing replays that left it out with others, in which its injection answered.
    fn sets_of(
        &self,
        feature: &Feature,
    ) -> impl Iterator<Item = (&BTreeSet<Feature>, &Set<'a>)> + Clone {
        let own = self.sets.iter();
        own.filter(move |(features, set)| {
            let mut passing = set.ruling.runs.iter().filter(|run| run.vote.passes());
            set.passes
                && features.contains(feature)
                && passing.all(|run| run.fired.contains_key(feature))
        })
    }

    pub fn standing(&self, feature: &Feature) -> Standing<'a> {
        let own = match self.own.get(feature) {
            None => None,
            Some(Some(run)) if run.passes_but_for_oddities() => Some(*run),
            // Its own replay says something else than that it simply works.
            Some(_) => return Standing::Alone,
        };
        let counts = |(features, set): &(&BTreeSet<Feature>, &Set<'a>)| {
            own.is_some()
                || set
                    .odd
                    .iter()
                    .all(|odd| self.is_others(odd, feature, features))
        };
        let mut ruling = Ruling::of_passes(own.into_iter().collect());
        let mut shared: Option<BTreeSet<&Feature>> = None;
        for (features, set) in self.sets_of(feature).filter(counts) {
            ruling.add(&set.ruling);
            let mut in_all = shared.take().unwrap_or_else(|| features.iter().collect());
            in_all.retain(|other| features.contains(*other));
            shared = Some(in_all);
        }
        let is_told_apart = own.is_some() || shared.is_some_and(|in_all| in_all.len() == 1);
        match ruling.tally.decide(self.baseline.rule) {
            Some(Decision::Works) if is_told_apart => {
                let mut runs = ruling.runs.iter().filter(|run| run.policy.len() > 1);
                let basis = runs.next().map(|run| Basis::Implied { replay: run.id });
                let basis = basis.unwrap_or_default();
                Standing::Works(Finding { ruling, basis })
            }
            _ => Standing::Open {
                passes: ruling.tally.passes,
            },
        }
    }

    /// Whether what is odd where these are left out is not this feature's.
    fn is_others(&self, odd: &Odd, feature: &Feature, features: &BTreeSet<Feature>) -> bool {
        let is_known_for = |member: &Feature| {
            let own = self.own.get(member).copied().flatten();
            own.is_some_and(|run| odd.shows_in(run) == Some(true))
        };
        let mut others = self.sets_of(feature);
        features.iter().any(is_known_for)
            || others.any(|(_, set)| {
                let mut runs = set.ruling.runs.iter().filter(|run| run.vote.passes());
                runs.any(|run| odd.shows_in(run) == Some(false))
            })
    }
}

/// What is found about one way to leave a feature out.
pub(super) struct Finding<'a> {
    ruling: Ruling<'a>,
    basis: Basis,
}

impl<'a> Finding<'a> {
    /// Of replays of the feature alone.
    pub fn alone(ruling: Ruling<'a>) -> Finding<'a> {
        Finding {
            ruling,
            basis: Basis::Measured,
        }
    }

    pub fn trial(&self, feature: &Feature, baseline: &Baseline<'_>) -> Trial {
        let Finding { ruling, basis } = self;
        let fired = ruling.runs.iter().filter_map(|run| run.fired.get(feature));
        let tally = ruling.tally;
        let not_working = baseline
            .test
            .chance_of_not_working(tally.passes, tally.failures);
        // What replays of several complain of, and its own does not, is another member's.
        let mut suspicious = ruling.suspicious();
        let of_several = |replay| {
            ruling
                .runs
                .iter()
                .any(|run| run.id == replay && run.policy.len() > 1)
        };
        suspicious.retain(|odd| !of_several(odd.replay));
        Trial {
            runs: tally.exercised(),
            passes: tally.passes,
            idle: tally.idle,
            injections: fired.sum(),
            works: works(ruling.decision),
            error_bound: works(ruling.decision).map(|works| match works {
                true => not_working,
                false => 1.0 - not_working,
            }),
            replays: ruling.runs.iter().map(|run| run.id).collect(),
            suspicious,
            basis: basis.clone(),
            impact: None,
        }
    }
}

/// What both ways to leave a feature out say of it.
pub(super) fn row(
    feature: &Feature,
    seen: Seen,
    (stub, fake): (&Finding<'_>, &Finding<'_>),
    baseline: &Baseline<'_>,
) -> FeatureVerdict {
    let verdict = verdict_of(stub.ruling.decision, fake.ruling.decision);
    let (stub, fake) = (stub.trial(feature, baseline), fake.trial(feature, baseline));
    FeatureVerdict {
        feature: feature.clone(),
        kind: feature.kind().to_owned(),
        verdict,
        calls: seen.calls,
        seen_in: seen.replays,
        harness: false,
        basis: basis_of(&stub, &fake),
        error_bound: match (stub.error_bound, fake.error_bound) {
            (Some(stub), Some(fake)) => Some((stub + fake).min(1.0)),
            _ => None,
        },
        stub,
        fake,
        plausible: None,
        errnos: BTreeMap::new(),
    }
}

/// Judges a row again by what `alone` says of replays of its feature alone, which count more than
/// those of several.
pub(super) fn again<'a>(
    row: &mut FeatureVerdict,
    baseline: &Baseline<'_>,
    mut alone: impl FnMut(&Policy) -> Option<Ruling<'a>>,
) {
    for (action, trial) in [(Action::STUB, &mut row.stub), (Action::Fake, &mut row.fake)] {
        let policy = Policy::single(row.feature.clone(), action);
        let is_implied = matches!(trial.basis, Basis::Implied { .. });
        if let Some(ruling) = Some(policy)
            .filter(|_| is_implied)
            .and_then(|policy| alone(&policy))
        {
            *trial = Finding::alone(ruling).trial(&row.feature, baseline);
        }
    }
    // Nothing is implied of what is undecided or was not exercised.
    if let (Some(stub), Some(fake)) = (row.stub.works, row.fake.works) {
        row.verdict = Verdict::from_works(stub, fake);
    }
    row.basis = basis_of(&row.stub, &row.fake);
}

fn basis_of(stub: &Trial, fake: &Trial) -> Basis {
    let mut bases = [&stub.basis, &fake.basis].into_iter();
    let implied = bases.find(|basis| matches!(basis, Basis::Implied { .. }));
    implied.cloned().unwrap_or_default()
}

/// What both ways together say. What was not exercised one way is not judged at all: its
/// verdict would claim something about that way.
fn verdict_of(stub: Decision, fake: Decision) -> Verdict {
    match (works(stub), works(fake)) {
        (Some(stub), Some(fake)) => Verdict::from_works(stub, fake),
        _ if stub == Decision::NotExercised || fake == Decision::NotExercised => {
            Verdict::NotExercised
        }
        _ => Verdict::Undecided,
    }
}

fn works(decision: Decision) -> Option<bool> {
    match decision {
        Decision::Works => Some(true),
        Decision::Fails => Some(false),
        Decision::NotExercised | Decision::Undecided => None,
    }
}

#[cfg(test)]
mod tests;
