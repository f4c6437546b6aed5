//! What passed, but not often enough, is brought to the number that a verdict needs: all of it is
//! left out at once, as often as replicas are lacking; where that does not pass, or complains of
//! what some member has not been seen without, the set is halved.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::policy::Policy;

use super::{Grouping, Passed};
use crate::explore::ledger::{Ruling, Stop, both};
use crate::explore::run::Run;
use crate::explore::tally::{Decision, Rule};

impl<'a> Grouping<'_, 'a> {
    pub(super) fn confirm(&mut self, group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let enough = |(_, runs): &Passed<'a>| runs.len() >= self.rule.passes as usize;
        let enough = |passed: &Passed<'a>| self.rule.counts_replicas() && enough(passed);
        let (done, group): (Vec<_>, Vec<_>) = group.into_iter().partition(enough);
        for (feature, runs) in done {
            self.confirmed(feature, Ruling::of_passes(runs), BTreeSet::new());
        }
        match <[Passed<'a>; 1]>::try_from(group) {
            Ok([(feature, runs)]) => self.confirm_alone(feature, runs),
            Err(group) if group.is_empty() => Ok(()),
            Err(group) => self.confirm_together(group),
        }
    }

    /// Replicas of the feature alone make up for what its passes together with others lack.
    fn confirm_alone(&mut self, feature: Feature, runs: Vec<&'a Run>) -> Result<(), Stop> {
        let (own, others): (Vec<&Run>, Vec<&Run>) =
            runs.into_iter().partition(|run| run.policy.len() == 1);
        let counts = self.rule.counts_replicas() && !others.is_empty();
        if !counts || own.iter().any(|run| !run.suspicions.is_empty()) {
            self.settled.alone.push(feature);
            return Ok(());
        }
        let policy = Policy::single(feature.clone(), self.action);
        let rule = self.rule.after_passes(others.len() as u32);
        let purpose = format_args!("confirms {feature}");
        let ruling = self.asker.ask(&policy, rule, purpose)?;
        let right = ruling.runs.iter().all(|run| run.suspicions.is_empty());
        if ruling.decision == Decision::Works && right {
            let ruling = others.into_iter().fold(ruling, Ruling::and);
            self.confirmed(feature, ruling, BTreeSet::new());
        } else {
            self.settled.alone.push(feature);
        }
        Ok(())
    }

    fn confirm_together(&mut self, mut group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let features: BTreeSet<Feature> =
            group.iter().map(|(feature, _)| feature.clone()).collect();
        let policy = self.policy(&features);
        let purpose = format_args!("confirms {} that passed alone", features.len());
        if self.is_ample && self.rule.counts_replicas() {
            let lacking = self.lacking(&group);
            self.asker.prefetch(&policy, lacking.passes, purpose);
        }
        let run = self.asker.once(&policy, purpose)?;
        let Some(run) = run.filter(|run| is_right(run, &group)) else {
            return self.halve(group);
        };
        // What the others' absence keeps from being called is not tried here.
        let idle = |(feature, _): &mut Passed<'a>| !run.fired.contains_key(feature);
        let idle: Vec<Passed<'a>> = group.extract_if(.., idle).collect();
        if group.is_empty() {
            let features = idle.into_iter().map(|(feature, _)| feature);
            self.settled.alone.extend(features);
            return Ok(());
        }
        both(self.confirm(idle), self.confirm_by(&policy, group)).map(drop)
    }

    fn confirm_by(&mut self, policy: &Policy, group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let lacking = self.lacking(&group);
        let purpose = format_args!("confirms {} that passed alone", group.len());
        let ruling = self.asker.ask(policy, lacking, purpose)?;
        let right = ruling.runs.iter().all(|run| is_right(run, &group));
        if ruling.decision != Decision::Works || !right {
            return self.halve(group);
        }
        for (feature, runs) in group {
            let mut passing = ruling.runs.iter().filter(|run| run.vote.passes());
            if passing.all(|run| run.fired.contains_key(&feature)) {
                let ruling = runs.into_iter().rev().fold(ruling.clone(), Ruling::with);
                self.confirmed(feature, ruling, BTreeSet::new());
            } else {
                self.settled.alone.push(feature);
            }
        }
        Ok(())
    }

    /// The rule for what all of a group still lack.
    fn lacking(&self, group: &[Passed<'a>]) -> Rule {
        let fewest = group.iter().map(|(_, runs)| runs.len()).min();
        self.rule.after_passes(fewest.unwrap_or_default() as u32)
    }

    fn halve(&mut self, mut group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let right = group.split_off(group.len() / 2);
        both(self.confirm(group), self.confirm(right)).map(drop)
    }
}

/// Whether a replay of a group passed, and complains at most of what is known of those members
/// that show it, or does not show without the others.
fn is_right(run: &Run, group: &[Passed<'_>]) -> bool {
    let is_cleared = |runs: &[&Run], complaint: &String| {
        let mut runs = runs.iter();
        runs.any(|run| run.policy.len() == 1 || !run.complaints.contains(complaint))
    };
    let mut complaints = run.complaints.iter();
    run.passes_but_for_complaints()
        && complaints.all(|complaint| group.iter().all(|(_, runs)| is_cleared(runs, complaint)))
}
