//! The paper's analysis: each feature stubbed alone and faked alone; or, unless every one is to
//! be measured, in groups where most of them probably work.

use std::collections::BTreeMap;

use loupe_common::analysis::{Basis, FeatureVerdict, Trial};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;

use super::baseline::{Baseline, Seen};
use super::group::{Chain, LARGEST, Settled};
use super::ledger::{Asker, Ruling, Stop};
use super::tally::{Decision, Rule};
use super::{ExploreOptions, priors};

/// Measures every feature of the baseline; unsorted.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    options: &ExploreOptions,
    baseline: &Baseline<'a>,
) -> Result<Vec<FeatureVerdict>, Stop> {
    asker.phase = "single features";
    let mut ways = Ways {
        asker,
        baseline,
        rule: baseline.rule,
        threshold: match options.exhaustive {
            true => f64::INFINITY,
            false => WORTH_GROUPING,
        },
    };
    let stub = ways.measure(Action::STUB, &priors::stub)?;
    let (stub, fake) = match stub {
        Some(stub) => {
            let prior = |feature: &Feature| {
                let works = stub.get(feature).and_then(|found| works(found.decision));
                priors::fake(feature, works)
            };
            let fake = ways.measure(Action::Fake, &prior)?.ok_or(Stop::Pending)?;
            (stub, fake)
        }
        None => {
            ways.start_fakes_that_are_measured_alone_anyway();
            return Err(Stop::Pending);
        }
    };
    let verdict = |(feature, seen): (&Feature, &Seen)| {
        Some(verdict(
            feature,
            *seen,
            stub.get(feature)?,
            fake.get(feature)?,
        ))
    };
    Ok(baseline.features.iter().filter_map(verdict).collect())
}

/// A feature belongs into a group if it works with at least this chance: if it does, the group
/// saves all its replicas; if not, the group fails once more, which is quick where an
/// application gives up at once. On the 125 data sets that the priors come from, each taken for
/// an application that gives up at once, this value makes on average 16 passing and 108 failing
/// replays with three replicas (5 and 61 with one) of what are 126 and 93 (42 and 47) when every
/// feature is measured alone.
const WORTH_GROUPING: f64 = 0.3;

/// What is found about one way to leave a feature out.
struct Found {
    decision: Decision,
    trial: Trial,
}

struct Ways<'s, 'a> {
    asker: &'s mut Asker<'a>,
    baseline: &'s Baseline<'a>,
    rule: Rule,
    /// Features that work with at least this chance are tested in groups.
    threshold: f64,
}

impl<'a> Ways<'_, 'a> {
    /// Every feature left out this way; `None` while replays are missing, which are asked for.
    fn measure(
        &mut self,
        action: Action,
        prior: &dyn Fn(&Feature) -> f64,
    ) -> Result<Option<BTreeMap<Feature, Found>>, Stop> {
        let features = &self.baseline.features;
        let mut found = BTreeMap::new();
        let mut settled = Settled::default();
        let mut waits = false;
        let mut grouped: Vec<Feature> = Vec::new();
        for feature in features.keys() {
            if self.is_steady(feature) && prior(feature) >= self.threshold {
                grouped.push(feature.clone());
            } else {
                settled.alone.push(feature.clone());
            }
        }
        // The safest first, so that the groups differ in how likely they pass.
        grouped.sort_by(|a, b| prior(b).total_cmp(&prior(a)).then(a.cmp(b)));
        let chains = grouped.len().div_ceil(LARGEST).max(1);
        let size = grouped.len().div_ceil(chains).max(1);
        self.asker.urgent = true;
        for members in grouped.chunks(size) {
            let (asker, baseline) = (&mut *self.asker, self.baseline);
            let mut chain = Chain::new(asker, baseline, self.rule, action, prior, &mut settled);
            match chain.run(members.to_vec()) {
                Ok(()) => (),
                Err(Stop::Pending) => waits = true,
                Err(refused) => return Err(refused),
            }
        }
        self.asker.urgent = false;
        for (feature, group) in settled.implied {
            let policy = Policy::single(feature.clone(), action);
            // What was measured alone after all counts more than what a group implies.
            let (ruling, basis) = match self.asker.peek(&policy, self.rule) {
                Some(ruling) => (ruling, Basis::Measured),
                None => {
                    let replay = group.runs.first().map_or(0, |run| run.id);
                    (group, Basis::Implied { replay })
                }
            };
            found.insert(feature.clone(), self.found(&feature, &ruling, basis));
        }
        for feature in settled.alone {
            let rule = self.rule_of(&feature);
            let policy = Policy::single(feature.clone(), action);
            match self.asker.ask(&policy, rule) {
                Some(ruling) => {
                    let alone = self.found(&feature, &ruling, Basis::Measured);
                    found.insert(feature, alone);
                }
                None => waits = true,
            }
        }
        Ok((!waits).then_some(found))
    }

    /// While the stubs are not all known, the fakes that will be measured alone whatever comes
    /// out can keep the other cores busy.
    fn start_fakes_that_are_measured_alone_anyway(&mut self) {
        for feature in self.baseline.features.keys() {
            let unlikely = |stub_works| priors::fake(feature, stub_works) < self.threshold;
            let anyway = [None, Some(true), Some(false)].into_iter().all(unlikely);
            if anyway || !self.is_steady(feature) {
                let rule = self.rule_of(feature);
                let policy = Policy::single(feature.clone(), Action::Fake);
                self.asker.ask(&policy, rule);
            } else {
                self.asker.later += 1;
            }
        }
    }

    fn found(&self, feature: &Feature, ruling: &Ruling<'_>, basis: Basis) -> Found {
        Found {
            decision: ruling.decision,
            trial: trial(feature, ruling, basis, self.baseline),
        }
    }

    /// Every replay of the baseline uses the feature.
    fn is_steady(&self, feature: &Feature) -> bool {
        let seen = self.baseline.features.get(feature);
        seen.is_some_and(|seen| seen.replays as usize == self.baseline.runs.len())
    }

    fn rule_of(&self, feature: &Feature) -> Rule {
        match self.is_steady(feature) {
            true => self.rule,
            false => self.rule.patient(),
        }
    }
}

/// What the replays of a policy say about leaving out this feature.
pub(super) fn trial(
    feature: &Feature,
    ruling: &Ruling<'_>,
    basis: Basis,
    baseline: &Baseline<'_>,
) -> Trial {
    let fired = ruling.runs.iter().filter_map(|run| run.fired.get(feature));
    let tally = ruling.tally;
    let not_working = baseline
        .test
        .chance_of_not_working(tally.passes, tally.failures);
    Trial {
        runs: tally.usable(),
        passes: tally.passes + tally.idle,
        injections: fired.sum(),
        works: works(ruling.decision),
        error_bound: works(ruling.decision).map(|works| match works {
            true => not_working,
            false => 1.0 - not_working,
        }),
        replays: ruling.runs.iter().map(|run| run.id).collect(),
        suspicious: ruling.suspicious(),
        basis,
    }
}

fn verdict(feature: &Feature, seen: Seen, stub: &Found, fake: &Found) -> FeatureVerdict {
    let implied = |basis: &&Basis| matches!(basis, Basis::Implied { .. });
    let mut bases = [&stub.trial.basis, &fake.trial.basis].into_iter();
    FeatureVerdict {
        feature: feature.clone(),
        kind: feature.kind().to_owned(),
        verdict: verdict_of(stub.decision, fake.decision),
        calls: seen.calls,
        seen_in: seen.replays,
        basis: bases.find(implied).cloned().unwrap_or_default(),
        error_bound: match (stub.trial.error_bound, fake.trial.error_bound) {
            (Some(stub), Some(fake)) => Some((stub + fake).min(1.0)),
            _ => None,
        },
        stub: stub.trial.clone(),
        fake: fake.trial.clone(),
        errnos: BTreeMap::new(),
    }
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
mod tests {
    use super::*;

    #[test]
    fn what_never_fired_one_way_is_called_neither_stubbable_nor_required() {
        use Decision::*;
        assert_eq!(verdict_of(NotExercised, Works), Verdict::NotExercised);
        assert_eq!(verdict_of(Fails, NotExercised), Verdict::NotExercised);
        assert_eq!(verdict_of(NotExercised, Undecided), Verdict::NotExercised);
        assert_eq!(verdict_of(Undecided, Works), Verdict::Undecided);
        assert_eq!(verdict_of(Fails, Fails), Verdict::Required);
        assert_eq!(verdict_of(Works, Fails), Verdict::Stub);
        assert_eq!(verdict_of(Fails, Works), Verdict::Fake);
        assert_eq!(verdict_of(Works, Works), Verdict::Any);
    }
}
