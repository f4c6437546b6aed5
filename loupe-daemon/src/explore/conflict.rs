//! From a failing policy to a minimal conflict in it, by delta debugging.
//!
//! The search looks at one replay of each policy; what it finds is then confirmed with all
//! replicas: the rules fail together, and without any one of them the others pass.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::beginning::Beginning;
use super::ledger::{Asker, Ruling, Stop, all, both};
use super::tally::{Decision, Rule};

/// Questions that a search asks at once: with one alone a second CPU would have nothing to do.
pub(super) const AT_ONCE: usize = 2;

/// Rules at the end of a failing list that are found to be needed one after the other while no part of
/// it fails. So many of a true conflict would hardly be neighbours there: it failed by chance.
const MOST_AT_THE_END: usize = 3;

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
    /// What is searched in failed before its test, and the start takes little time beside that: parts of
    /// it are only begun.
    pub begins: bool,
}

impl<'a> Searcher<'_, 'a> {
    /// Every replica of the policy passes (or it never fires, and it passes anyway).
    pub fn works(&mut self, policy: &Policy) -> Result<bool, Stop> {
        Ok(self.asker.ask(policy, self.rule, self.purpose)?.holds())
    }

    /// Whether a part of a failing policy passes.
    fn passes(&mut self, policy: &Policy, rule: Rule) -> Result<bool, Stop> {
        if policy.is_empty() || self.good.iter().any(|good| contains(good, policy)) {
            return Ok(true);
        }
        if rule != self.rule && self.begins {
            return self.begins_well(policy);
        }
        let passes = self.asker.ask(policy, rule, NARROWS)?.holds();
        if passes {
            self.good.push(policy.clone());
        }
        Ok(passes)
    }

    /// Whether a replay without these does not fail at once. It is taken to pass then: what is found by
    /// that is confirmed anyway.
    fn begins_well(&mut self, policy: &Policy) -> Result<bool, Stop> {
        if self.asker.is_replayed(policy) {
            return self.asker.passes_once(policy, NARROWS);
        }
        Ok(self.asker.begin(policy, NARROWS)? != Beginning::Fails)
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
        let Some(mut policy) = self.candidate(failing, rule)? else {
            // No part of it failed.
            return match self.works(&policy_of(failing))? {
                true => Ok(None),
                false => self.first_conflict(failing, self.rule),
            };
        };
        // Delta debugging trusts that more rules fail more; the confirmation trusts nothing.
        loop {
            let (ruling, works) = self.evidence(&policy)?;
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

    /// A part of failing rules that seems to be a minimal conflict: it fails by this rule. `None`: one
    /// replay of each part found none that fails.
    pub fn candidate(
        &mut self,
        failing: &[(Feature, Action)],
        rule: Rule,
    ) -> Result<Option<Policy>, Stop> {
        let gives_up = rule != self.rule;
        let tries = |rules: &[(Feature, Action)]| self.passes(&policy_of(rules), rule);
        Ok(narrow(failing, gives_up, tries)?.map(|rules| policy_of(&rules)))
    }

    /// Whether it is one, by all replicas.
    pub fn confirmed(&mut self, candidate: &Policy) -> Result<Option<Found<'a>>, Stop> {
        let (ruling, works) = self.evidence(candidate)?;
        let is_minimal = works.iter().all(|(works, _)| *works);
        let policy = candidate.clone();
        let confirmed = ruling.decision == Decision::Fails && is_minimal;
        Ok(confirmed.then_some(Found { policy, ruling }))
    }

    /// What all replicas of a conflict come to, and without each one of its rules. Both are waited
    /// for, whatever one of them says: else how many replays there are would depend on which comes
    /// back first.
    fn evidence(&mut self, conflict: &Policy) -> Result<(Ruling<'a>, Vec<(bool, Policy)>), Stop> {
        let ruling = self.asker.ask(conflict, self.rule, "confirms a conflict");
        both(ruling, self.without_one(conflict))
    }

    /// Whether what is left of a conflict works, without each one of its rules.
    fn without_one(&mut self, conflict: &Policy) -> Result<Vec<(bool, Policy)>, Stop> {
        let smaller = conflict.iter().map(|(feature, _)| {
            let mut smaller = conflict.clone();
            smaller.remove(feature);
            smaller
        });
        all(smaller.filter(|it| !it.is_empty()).map(|smaller| {
            let purpose = "conflict without one of its rules";
            let works =
                self.works_alone(&smaller) || self.asker.ask(&smaller, self.rule, purpose)?.holds();
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
/// `gives_up`: `None` where no part fails, again and again.
fn narrow(
    failing: &[(Feature, Action)],
    gives_up: bool,
    mut passes: impl FnMut(&[(Feature, Action)]) -> Result<bool, Stop>,
) -> Result<Option<Vec<(Feature, Action)>>, Stop> {
    let mut rest = failing.to_vec();
    let mut fixed = Vec::new();
    loop {
        // `fixed` and all of `rest` fail together.
        if !fixed.is_empty() && !passes(&fixed)? {
            return Ok(Some(fixed));
        }
        let is_whole = fixed.len() + rest.len() == failing.len();
        if gives_up && is_whole && fixed.len() >= MOST_AT_THE_END {
            return Ok(None);
        }
        let (mut good, mut bad) = (0, rest.len());
        while bad - good > 1 {
            let points = between(good, bad);
            let asked = points
                .iter()
                .map(|point| passes(&[&fixed[..], &rest[..*point]].concat()));
            for (point, passes) in points.iter().zip(all(asked)?) {
                if !passes {
                    bad = *point;
                    break;
                }
                good = *point;
            }
        }
        rest.truncate(bad);
        match rest.pop() {
            Some(last) => fixed.push(last),
            None => return Ok(Some(fixed)),
        }
    }
}

/// The points of a range at which a search asks at once, in their order, each once.
fn between(good: usize, bad: usize) -> Vec<usize> {
    let width = bad - good;
    let points = (1..=AT_ONCE).map(|part| good + (part * width).div_ceil(AT_ONCE + 1));
    let mut points: Vec<usize> = points.map(|point| point.min(bad - 1)).collect();
    points.dedup();
    points
}

fn policy_of(rules: &[(Feature, Action)]) -> Policy {
    rules.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(count: usize) -> Vec<(Feature, Action)> {
        let rule = |number| {
            let file = format!("/proc/{number}x").parse();
            (file.expect("a pseudo-file"), Action::STUB)
        };
        (0..count).map(rule).collect()
    }

    #[test]
    fn what_no_part_of_fails_is_not_taken_apart() {
        let rules = rules(40);
        let found = |gives_up| {
            let mut asked = 0;
            let found = narrow(&rules, gives_up, |_| {
                asked += 1;
                Ok(true)
            });
            (found.expect("nothing is missing"), asked)
        };
        // Three elements are looked for, by two questions at a time, and each is tried alone.
        let (none, asked) = found(true);
        assert_eq!(none, None);
        assert!(asked <= 3 * (2 * 4 + 1), "{asked}");
        // By the usual rule the whole has failed for sure: as many of it as are left.
        let (all, asked) = found(false);
        assert_eq!(all.map(|rules| rules.len()), Some(40));
        assert!(asked >= 40, "{asked}");
    }

    #[test]
    fn a_search_asks_two_questions_at_once() {
        let rules = rules(100);
        let mut asked = Vec::new();
        let found = narrow(&rules, true, |part| {
            asked.push(part.len());
            Ok(!(part.contains(&rules[30]) && part.contains(&rules[71])))
        });
        let found = found.expect("nothing is missing");
        let found = found.expect("a conflict");
        assert_eq!(found, [rules[71].clone(), rules[30].clone()]);
        assert_eq!(asked[..6], [34, 67, 78, 89, 71, 75]);
    }
}
