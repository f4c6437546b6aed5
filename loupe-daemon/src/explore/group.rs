//! Fewer replicas: what passed alone is confirmed together, for one way to leave features out.
//!
//! Every feature is replayed alone once, the unlikeliest to work first. A failure is then
//! confirmed by a second replay of the feature alone. Passes are confirmed together: all
//! features that passed are left out at once, as often as a pass lacks replicas; where that does
//! not pass, the set is halved.
//!
//! So no verdict rests on a group alone: one member's absence can rescue another's, and only a
//! replay of the feature alone shows that. What the group adds is that the passes were no luck.
//! For that it must pass without looking wrong, and the member's injection must have answered
//! in each of its replays.

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::tally::{Decision, Rule, Vote};

/// What came of a way, as far as it is known; a feature that is in neither waits.
#[derive(Default)]
pub(super) struct Settled<'a> {
    /// Passed alone, and in the replays of this group.
    pub confirmed: Vec<(Feature, &'a Run, Ruling<'a>)>,
    /// All replicas are to be of the feature alone.
    pub alone: Vec<Feature>,
}

/// Features that are left out in the same way.
pub(super) struct Grouping<'s, 'a> {
    pub asker: &'s mut Asker<'a>,
    pub rule: Rule,
    pub action: Action,
    pub settled: Settled<'a>,
}

type Passed<'a> = (Feature, &'a Run);

impl<'a> Grouping<'_, 'a> {
    /// Settles every feature, or as many as can be so far; `prior` is the chance that a feature
    /// works this way.
    pub fn run(
        mut self,
        mut features: Vec<Feature>,
        prior: &dyn Fn(&Feature) -> f64,
    ) -> (Settled<'a>, Result<(), Stop>) {
        // Failures need another replay, and some of them time.
        features.sort_by(|a, b| prior(a).total_cmp(&prior(b)).then(a.cmp(b)));
        let mut passed = Vec::new();
        let mut waits = false;
        for feature in features {
            match self.glance(std::slice::from_ref(&feature)) {
                None => waits = true,
                Some(Some(run)) => passed.push((feature, run)),
                Some(None) => self.settled.alone.push(feature),
            }
        }
        if waits {
            return (self.settled, Err(Stop::Pending));
        }
        passed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let outcome = self.confirm(passed);
        (self.settled, outcome)
    }

    fn confirm(&mut self, group: Vec<Passed<'a>>) -> Result<(), Stop> {
        if group.len() < 2 {
            let alone = group.into_iter().map(|(feature, _)| feature);
            self.settled.alone.extend(alone);
            return Ok(());
        }
        let features: Vec<Feature> = group.iter().map(|(feature, _)| feature.clone()).collect();
        if self.glance(&features).ok_or(Stop::Pending)?.is_none() {
            return self.halve(group);
        }
        let policy = self.policy(&features);
        let rule = self.rule.after_one_pass();
        let ruling = self.asker.ask(&policy, rule).ok_or(Stop::Pending)?;
        let odd = ruling.runs.iter().any(|run| !run.suspicions.is_empty());
        if ruling.decision != Decision::Works || odd {
            return self.halve(group);
        }
        for (feature, run) in group {
            let passing = ruling.runs.iter().filter(|run| run.vote.passes());
            if passing.clone().all(|run| run.fired.contains_key(&feature)) {
                self.settled.confirmed.push((feature, run, ruling.clone()));
            } else {
                self.settled.alone.push(feature);
            }
        }
        Ok(())
    }

    fn halve(&mut self, mut group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let right = group.split_off(group.len() / 2);
        // Both are asked for before either is waited for.
        let (left, right) = (self.confirm(group), self.confirm(right));
        left.and(right)
    }

    /// The first replay of a set, if it passes and looks as it should.
    fn glance(&mut self, set: &[Feature]) -> Option<Option<&'a Run>> {
        let run = self.asker.glance_run(&self.policy(set))?;
        Some(run.filter(|run| run.vote == Vote::Pass && run.suspicions.is_empty()))
    }

    fn policy(&self, set: &[Feature]) -> Policy {
        let rule = |feature: &Feature| (feature.clone(), self.action);
        set.iter().map(rule).collect()
    }
}
