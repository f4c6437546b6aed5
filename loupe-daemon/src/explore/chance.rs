//! What is used now and then, whatever is left out: a file that the allocator reads when two
//! threads happen to meet, a call that a timer makes. It appears in replays of many policies that
//! have nothing to do with each other, and is nobody's plan B.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::ledger::Asker;
use super::run::Run;

/// What appears under so many policies that nothing explains appears by chance.
const MANY: usize = 3;

/// The chance of even one wrong plan B, if everything that appears did so by chance.
const LEVEL: f64 = 0.05;

/// Replays that must show a feature before a policy alone explains it.
const CONFIRMED: usize = 2;

/// Every replay that an analysis rested on so far, by policy.
pub(super) struct Sightings<'a> {
    policies: Vec<(&'a Policy, Vec<&'a Run>)>,
}

/// Whether a feature is what an application uses instead of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appears {
    /// It would not appear so often by chance.
    Because,
    /// Too few replays can say.
    Perhaps,
    ByChance,
}

impl<'a> Sightings<'a> {
    pub fn new(asker: &Asker<'a>) -> Sightings<'a> {
        let speaking = |(policy, runs): (&'a Policy, Vec<&'a Run>)| {
            let runs = runs.into_iter().filter(|run| run.vote.speaks()).collect();
            (policy, runs)
        };
        Sightings {
            policies: asker.used_policies().map(speaking).collect(),
        }
    }

    /// Policies with their replays that say something.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Policy, &[&'a Run])> {
        let policies = self.policies.iter();
        policies.map(|(policy, runs)| (*policy, runs.as_slice()))
    }

    /// Whether a feature appears because another is left out this way.
    pub fn judge(&self, cause: &Feature, action: Action, appears: &Feature) -> Appears {
        let own = self.showing_alone(cause, action, appears)
            + self.showing_in_groups(cause, action, appears);
        let unrelated = self
            .iter()
            .filter(|(policy, _)| policy.get(cause).is_none());
        let (mut showing, mut all, mut policies) = (0, 0, Vec::new());
        for (policy, runs) in unrelated.filter(|(policy, _)| !self.explains(policy, appears)) {
            let able = runs.iter().filter(|run| run.shows(appears));
            let shown = able.clone().filter(|run| uses(run, appears)).count();
            all += able.count();
            showing += shown;
            policies.extend((shown > 0).then_some(policy));
        }
        let likely = showing as f64 / all.max(1) as f64;
        let tried = self.policies.len() as f64;
        if own >= CONFIRMED {
            return match likely.powi(own as i32) * tried <= LEVEL {
                true => Appears::Because,
                false => Appears::ByChance,
            };
        }
        match unrelated_policies(policies) >= MANY {
            true => Appears::ByChance,
            false => Appears::Perhaps,
        }
    }

    /// Whether a feature appears by chance, whoever may be blamed for it.
    pub fn is_by_chance(&self, appears: &Feature) -> bool {
        let unexplained = self.iter().filter(|(policy, runs)| {
            runs.iter().any(|run| uses(run, appears)) && !self.explains(policy, appears)
        });
        unrelated_policies(unexplained.map(|(policy, _)| policy).collect()) > MANY
    }

    /// Whether a policy has a rule that alone makes the feature appear in every replay.
    fn explains(&self, policy: &Policy, appears: &Feature) -> bool {
        let mut rules = policy.iter();
        rules.any(|(feature, action)| self.showing_alone(feature, action, appears) >= CONFIRMED)
    }

    /// Replays of a feature alone that show another; 0 unless all do that could.
    fn showing_alone(&self, cause: &Feature, action: Action, appears: &Feature) -> usize {
        let alone = Policy::single(cause.clone(), action);
        let own = self
            .policies
            .binary_search_by(|(policy, _)| (*policy).cmp(&alone));
        let runs = own.map_or(&[][..], |index| &self.policies[index].1);
        let able = runs.iter().filter(|run| run.shows(appears));
        match able.clone().all(|run| uses(run, appears)) {
            true => able.count(),
            false => 0,
        }
    }

    /// Replays of groups with this rule, which answered calls, that show the feature and have no
    /// other rule that does.
    fn showing_in_groups(&self, cause: &Feature, action: Action, appears: &Feature) -> usize {
        let own = self.iter().filter(|(policy, _)| {
            policy.len() > 1 && policy.get(cause) == Some(action) && !self.explains(policy, appears)
        });
        let runs = own.flat_map(|(_, runs)| runs);
        let showing = runs.filter(|run| run.fired.contains_key(cause) && uses(run, appears));
        showing.count()
    }
}

/// How many of these policies have no rule in common, taking the shortest first.
fn unrelated_policies(mut policies: Vec<&Policy>) -> usize {
    policies.sort_by_key(|policy| policy.len());
    let mut known = BTreeSet::new();
    let mut count = 0;
    for policy in policies {
        if policy.iter().all(|rule| !known.contains(&rule)) {
            known.extend(policy.iter());
            count += 1;
        }
    }
    count
}

fn uses(run: &Run, feature: &Feature) -> bool {
    run.calls.contains_key(feature) || run.operations.contains_key(feature)
}
