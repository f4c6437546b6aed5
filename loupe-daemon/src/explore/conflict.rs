//! From a failing policy to a minimal conflict in it, by delta debugging.
//!
//! The search looks at one replay of each policy; what it finds is then confirmed with all
//! replicas: the rules fail together, and without any one of them the others pass.

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

    /// A minimal conflict among rules that were seen to fail together by this rule, which is one replay
    /// ([`Rule::once`]) or the usual one; `None` if it was only bad luck, and they work. Of the conflict found, the last rule is as early in their
    /// order as any conflict's last rule can be.
    pub fn first_conflict(
        &mut self,
        failing: &[(Feature, Action)],
        rule: Rule,
    ) -> Result<Option<Found<'a>>, Stop> {
        let passes = |rules: &[(Feature, Action)]| self.passes(&policy_of(rules), rule);
        let mut policy = policy_of(&narrow(failing, passes)?);
        // Delta debugging trusts that more rules fail more; the confirmation trusts nothing.
        loop {
            let ruling = self.asker.ask(&policy, self.rule, "confirms a conflict")?;
            let confirmed = ruling.decision == Decision::Fails;
            if !confirmed && rule != self.rule {
                // Some single replay was unlucky.
                self.good.clear();
                return match self.works(&policy_of(failing))? {
                    true => Ok(None),
                    false => self.first_conflict(failing, self.rule),
                };
            }
            let smaller: Vec<Policy> = leaving_one_out(&policy);
            let smaller = smaller.into_iter().filter(|smaller| !smaller.is_empty());
            let purpose = "conflict without one of its rules";
            let works = smaller.map(|smaller| {
                let ruling = self.asker.ask(&smaller, self.rule, purpose)?;
                Ok((ruling.holds(), smaller))
            });
            let fails = all(works)?.into_iter().find(|(works, _)| !works);
            match fails {
                Some((_, smaller)) => policy = smaller,
                None => return Ok(Some(Found { policy, ruling })),
            }
        }
    }
}

/// A small failing part of a failing list, by delta debugging: the shortest failing prefix ends
/// with an element that the prefix needs to fail; with it fixed, the same again for those before.
pub(super) fn narrow<T: Clone>(
    failing: &[T],
    mut passes: impl FnMut(&[T]) -> Result<bool, Stop>,
) -> Result<Vec<T>, Stop> {
    let mut rest = failing.to_vec();
    let mut fixed: Vec<T> = Vec::new();
    loop {
        // `fixed` and all of `rest` fail together.
        if !fixed.is_empty() && !passes(&fixed)? {
            return Ok(fixed);
        }
        let (mut good, mut bad) = (0, rest.len());
        while bad - good > 1 {
            let middle = usize::midpoint(good, bad);
            match passes(&[&fixed[..], &rest[..middle]].concat())? {
                true => good = middle,
                false => bad = middle,
            }
        }
        rest.truncate(bad);
        match rest.pop() {
            Some(last) => fixed.push(last),
            None => return Ok(fixed),
        }
    }
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
