//! From a failing policy to a minimal conflict in it, by delta debugging.
//!
//! The search glances at one replica per policy; what it finds is then confirmed with all
//! replicas: the rules fail together, and without any one of them the others pass.

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::ledger::{Asker, Ruling, Stop};
use super::tally::{Decision, Rule};

/// How sure the search is of each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// One replica says.
    Glance,
    /// All replicas must pass.
    Full,
}

/// Whether the policy has all these rules.
pub(super) fn contains(policy: &Policy, rules: &Policy) -> bool {
    rules
        .iter()
        .all(|(feature, action)| policy.get(feature) == Some(action))
}

/// A minimal conflict.
pub(super) struct Found<'a> {
    pub policy: Policy,
    pub ruling: Ruling<'a>,
}

/// Answers about policies in the course of one search.
pub(super) struct Searcher<'s, 'a> {
    pub asker: &'s mut Asker<'a>,
    pub rule: Rule,
    /// Policies that passed: what they contain is not tried again in a search.
    pub good: &'s mut Vec<Policy>,
}

impl<'a> Searcher<'_, 'a> {
    /// Every replica of the policy passes (or it never fires, and it passes anyway).
    pub fn works(&mut self, policy: &Policy) -> Result<bool, Stop> {
        Ok(self.ruling(policy)?.holds())
    }

    fn ruling(&mut self, policy: &Policy) -> Result<Ruling<'a>, Stop> {
        self.asker.ask(policy, self.rule).ok_or(Stop::Pending)
    }

    fn passes(&mut self, policy: &Policy, care: Care) -> Result<bool, Stop> {
        if policy.is_empty() || self.good.iter().any(|good| contains(good, policy)) {
            return Ok(true);
        }
        let passes = match care {
            Care::Glance => self.asker.glance(policy).ok_or(Stop::Pending)?,
            Care::Full => self.works(policy)?,
        };
        if passes {
            self.good.push(policy.clone());
        }
        Ok(passes)
    }

    /// A minimal conflict among rules that were seen to fail together with this care; `None` if it
    /// was only bad luck, and they work. Of the conflict found, the last rule is as early in their
    /// order as any conflict's last rule can be.
    pub fn first_conflict(
        &mut self,
        failing: &[(Feature, Action)],
        care: Care,
    ) -> Result<Option<Found<'a>>, Stop> {
        let mut policy = self.narrow(failing, care)?;
        // Delta debugging trusts that more rules fail more; the confirmation trusts nothing.
        'minimal: loop {
            let ruling = self.ruling(&policy)?;
            let confirmed = ruling.decision == Decision::Fails;
            if !confirmed && care == Care::Glance {
                // Some glance was unlucky.
                self.good.clear();
                return match self.works(&failing.iter().cloned().collect())? {
                    true => Ok(None),
                    false => self.first_conflict(failing, Care::Full),
                };
            }
            let smaller: Vec<Policy> = leaving_one_out(&policy);
            // All are asked for before any is waited for.
            let asked: Vec<_> = smaller
                .iter()
                .filter(|smaller| !smaller.is_empty())
                .map(|smaller| (smaller, self.works(smaller)))
                .collect();
            let mut shrunk = None;
            for (smaller, works) in asked {
                if !works? && shrunk.is_none() {
                    shrunk = Some(smaller.clone());
                }
            }
            match shrunk {
                Some(smaller) => {
                    policy = smaller;
                    continue 'minimal;
                }
                None => return Ok(Some(Found { policy, ruling })),
            }
        }
    }

    /// A small failing part of a failing policy: the shortest failing prefix ends with a rule
    /// that the prefix needs to fail; with it fixed, the same again for the rules before it.
    fn narrow(&mut self, failing: &[(Feature, Action)], care: Care) -> Result<Policy, Stop> {
        let mut rest = failing.to_vec();
        let mut fixed: Vec<(Feature, Action)> = Vec::new();
        let prefix = |fixed: &[(Feature, Action)], rest: &[(Feature, Action)]| -> Policy {
            fixed.iter().chain(rest).cloned().collect()
        };
        loop {
            // `fixed` and all of `rest` fail together.
            if !fixed.is_empty() && !self.passes(&prefix(&fixed, &[]), care)? {
                return Ok(prefix(&fixed, &[]));
            }
            let (mut passing, mut failing) = (0, rest.len());
            while failing - passing > 1 {
                let middle = passing + (failing - passing) / 2;
                if self.passes(&prefix(&fixed, &rest[..middle]), care)? {
                    passing = middle;
                } else {
                    failing = middle;
                }
            }
            rest.truncate(failing);
            match rest.pop() {
                Some(rule) => fixed.push(rule),
                None => return Ok(prefix(&fixed, &[])),
            }
        }
    }
}

fn leaving_one_out(policy: &Policy) -> Vec<Policy> {
    policy
        .iter()
        .map(|(feature, _)| {
            let mut smaller = policy.clone();
            smaller.remove(feature);
            smaller
        })
        .collect()
}
