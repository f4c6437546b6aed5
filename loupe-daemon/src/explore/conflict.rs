//! From a failing policy to a minimal conflict in it, by delta debugging.
//!
//! The search looks at one replay of each policy; what it finds is then confirmed with all
//! replicas: the rules fail together, and without any one of them the others pass.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::ledger::{Asker, Ruling, Stop, all};
use super::tally::{Decision, Rule};

/// Why parts of a failing policy are replayed.
const NARROWS: &str = "narrows a conflict";

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
    /// Why the whole policy is replayed.
    pub purpose: &'static str,
    /// The ways to leave a feature out alone that are known to work.
    pub ways: &'s BTreeMap<Feature, Vec<Action>>,
    /// Policies that passed: what they contain is not tried again in a search.
    pub good: &'s mut Vec<Policy>,
}

impl<'a> Searcher<'_, 'a> {
    /// Every replica of the policy passes (or it never fires, and it passes anyway).
    pub fn works(&mut self, policy: &Policy) -> Result<bool, Stop> {
        Ok(self.asker.ask(policy, self.rule, self.purpose)?.holds())
    }

    fn passes(&mut self, policy: &Policy, rule: Rule) -> Result<bool, Stop> {
        if policy.is_empty() || self.good.iter().any(|good| contains(good, policy)) {
            return Ok(true);
        }
        let passes = self.asker.ask(policy, rule, NARROWS)?.holds();
        if passes {
            self.good.push(policy.clone());
        }
        Ok(passes)
    }

    /// A minimal conflict among rules that were seen to fail together by this rule, which is one
    /// replay ([`Rule::once`]) or the usual one; `None` if it was only bad luck, and they work. Of
    /// the conflict found, the last rule is as early in their order as any conflict's last rule
    /// can be.
    pub fn first_conflict(
        &mut self,
        failing: &[(Feature, Action)],
        rule: Rule,
    ) -> Result<Option<Found<'a>>, Stop> {
        let passes = |rules: &[(Feature, Action)]| self.passes(&policy_of(rules), rule);
        let mut policy = policy_of(&narrow(failing, passes)?);
        // Delta debugging trusts that more rules fail more; the confirmation trusts nothing.
        loop {
            let ruling = self.asker.ask(&policy, self.rule, "confirms a conflict");
            let works = self.without_one(&policy);
            // Both are waited for, whatever one of them says: else how many replays there are would
            // depend on which comes back first.
            let (ruling, works) = (ruling?, works?);
            let confirmed = ruling.decision == Decision::Fails;
            if !confirmed && rule != self.rule {
                // Some single replay was unlucky.
                self.good.clear();
                return match self.works(&policy_of(failing))? {
                    true => Ok(None),
                    false => self.first_conflict(failing, self.rule),
                };
            }
            let fails = works.into_iter().find(|(works, _)| !works);
            match fails {
                Some((_, smaller)) => policy = smaller,
                None => return Ok(Some(Found { policy, ruling })),
            }
        }
    }

    /// Whether what is left of a conflict works, without each one of its rules.
    fn without_one(&mut self, conflict: &Policy) -> Result<Vec<(bool, Policy)>, Stop> {
        let smaller = leaving_one_out(conflict).into_iter();
        all(smaller
            .filter(|smaller| !smaller.is_empty())
            .map(|smaller| {
                let purpose = "conflict without one of its rules";
                let works = self.works_alone(&smaller)
                    || self.asker.ask(&smaller, self.rule, purpose)?.holds();
                Ok((works, smaller))
            }))
    }

    /// One rule, which is known to work.
    fn works_alone(&self, policy: &Policy) -> bool {
        let works = |(feature, action): (&Feature, Action)| {
            let known = self.ways.get(feature);
            known.is_some_and(|ways| ways.contains(&action))
        };
        policy.len() == 1 && policy.iter().all(works)
    }
}

/// A small failing part of a failing list, by delta debugging: the shortest failing prefix ends
/// with an element that the prefix needs to fail; with it fixed, the same again for those before.
fn narrow(
    failing: &[(Feature, Action)],
    mut passes: impl FnMut(&[(Feature, Action)]) -> Result<bool, Stop>,
) -> Result<Vec<(Feature, Action)>, Stop> {
    let mut rest = failing.to_vec();
    let mut fixed = Vec::new();
    loop {
        // `fixed` and all of `rest` fail together.
        if !fixed.is_empty() && !passes(&fixed)? {
            return Ok(fixed);
        }
        let (mut good, mut bad) = (0, rest.len());
        while bad - good > 1 {
            let points = between(good, bad);
            let asked = points.map(|point| passes(&[&fixed[..], &rest[..point]].concat()));
            for (point, passes) in points.into_iter().zip(all(asked)?) {
                if !passes {
                    bad = point;
                    break;
                }
                good = point;
            }
        }
        rest.truncate(bad);
        match rest.pop() {
            Some(last) => fixed.push(last),
            None => return Ok(fixed),
        }
    }
}

/// The two points of a range (or the one) at which a search asks at once: with one alone a second CPU
/// would have nothing to do.
fn between(good: usize, bad: usize) -> [usize; 2] {
    let width = bad - good;
    [width, 2 * width].map(|thirds| (good + thirds.div_ceil(3)).min(bad - 1))
}

fn policy_of(rules: &[(Feature, Action)]) -> Policy {
    rules.iter().cloned().collect()
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
