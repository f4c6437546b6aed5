//! A policy that was seen to pass, and which of its rules may cost more than they save.

use std::collections::BTreeSet;

use loupe_common::analysis::Fallback;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::choice::{Banned, Choices};
use crate::explore::ledger::Ruling;

/// A policy that was seen to pass, and what is left to implement then.
#[derive(Clone)]
pub(super) struct Solved<'a> {
    pub policy: Policy,
    pub banned: Banned,
    pub ruling: Ruling<'a>,
    pub implement: BTreeSet<Feature>,
    /// Features that the policy makes the application use and the baseline does not.
    pub new: BTreeSet<Feature>,
}

impl Solved<'_> {
    /// Whether this leaves less to implement.
    pub fn is_better_than(&self, other: &Solved<'_>) -> bool {
        self.implement.len() < other.implement.len()
    }

    /// The rules without which less may be left to implement, each with what was banned before:
    /// those that bring more fallbacks to implement than doing without them costs.
    pub fn doubtful<'e>(
        &'e self,
        edges: &'e [Fallback],
        choices: &'e Choices,
        settled: &BTreeSet<Feature>,
    ) -> impl Iterator<Item = Banned> + 'e {
        let unexplained = self.unexplained(edges, settled);
        let chosen = self.policy.iter();
        let chosen = chosen.filter(|(feature, _)| choices.contains_key(*feature));
        chosen.filter_map(move |(feature, action)| {
            let rule = (feature.clone(), action);
            let brought = self.brought_by((feature, action), edges, &unexplained);
            let mut banned = self.banned.clone();
            banned.insert(rule);
            let other = |action: &Action| !banned.contains(&(feature.clone(), *action));
            let cost = match choices.get(feature) {
                Some(actions) if actions.iter().any(other) => 0,
                _ => 1,
            };
            (brought > cost).then_some(banned)
        })
    }

    /// Fallbacks to implement that a rule brings, or that come instead of those. What comes instead of a
    /// fallback is seen under this policy alone: it may come from each that is left out.
    fn brought_by(
        &self,
        rule: (&Feature, Action),
        edges: &[Fallback],
        unexplained: &BTreeSet<&Feature>,
    ) -> usize {
        let brought = self.fallbacks_of(rule, edges);
        let mut implemented: BTreeSet<&Feature> = brought
            .iter()
            .copied()
            .filter(|feature| self.implement.contains(*feature))
            .collect();
        if brought.iter().any(|it| self.policy.get(it).is_some()) {
            implemented.extend(unexplained);
        }
        implemented.len()
    }

    /// What appears because of a rule alone.
    fn fallbacks_of<'e>(
        &self,
        (feature, action): (&Feature, Action),
        edges: &'e [Fallback],
    ) -> BTreeSet<&'e Feature> {
        let of_rule = |edge: &&Fallback| (&edge.feature, edge.action) == (feature, action);
        let appears = edges.iter().filter(of_rule).map(|edge| &edge.appears);
        appears.filter(|it| self.new.contains(*it)).collect()
    }

    /// Fallbacks to implement that none of the rules brings alone. What is `settled` no choice avoids.
    fn unexplained(&self, edges: &[Fallback], settled: &BTreeSet<Feature>) -> BTreeSet<&Feature> {
        let rules = self.policy.iter();
        let explained: BTreeSet<&Feature> = rules
            .flat_map(|rule| self.fallbacks_of(rule, edges))
            .collect();
        let open = self.new.intersection(&self.implement);
        let open = open.filter(|it| !explained.contains(*it) && !settled.contains(*it));
        open.collect()
    }
}
