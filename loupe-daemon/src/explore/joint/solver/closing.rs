//! From a policy that works to one that leaves nothing open: what it makes the application use, or
//! keeps it from using, is left out too as far as that passes and saves something.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::{Solver, rules_of, with};
use crate::explore::joint::solved::Solved;
use crate::explore::ledger::{Stop, all};

impl<'a> Solver<'_, 'a, '_> {
    /// Stubs or fakes, in a policy that works, what it makes the application use and what it
    /// keeps it from using, as far as that works and leaves less to implement. What is `kept` is
    /// left alone.
    pub(super) fn close(
        &mut self,
        mut solved: Solved<'a>,
        mut kept: BTreeSet<Feature>,
    ) -> Result<Solved<'a>, Stop> {
        kept.extend(self.settled.iter().cloned());
        loop {
            let mut open = self.scope.open(&solved);
            open.retain(|feature| !kept.contains(feature));
            let open: Vec<Feature> = open.into_iter().collect();
            if open.is_empty() || self.is_over() {
                return Ok(solved);
            }
            let stubs = open.iter().map(|feature| (feature.clone(), Action::STUB));
            if let Some(better) = self.extended(&solved, &stubs.collect())? {
                solved = better;
                continue;
            }
            let found = self.ways_alone(&solved, &open)?;
            let hopeless = open.iter().filter(|feature| found.get(feature).is_none());
            kept.extend(hopeless.cloned());
            solved = match self.extended(&solved, &found)? {
                Some(better) => better,
                None => self.one_by_one(solved, &found, &mut kept)?,
            };
        }
    }

    /// Of features that a policy leaves open, how each can be left out beside its rules, where it
    /// can. All are asked for before any is waited for.
    fn ways_alone(&mut self, solved: &Solved<'a>, open: &[Feature]) -> Result<Policy, Stop> {
        let tries = open.iter().flat_map(|feature| {
            // Of both that do, the stub: a policy has the last rule that is put into it.
            [Action::Fake, Action::STUB].map(|action| Policy::single(feature.clone(), action))
        });
        let ways = all(tries.map(|rule| {
            let more = self.with_more(solved, &rule)?;
            // It may bring another fallback, which is left out next.
            let more = more.filter(|it| !solved.is_better_than(it));
            Ok(more.map(|_| rule))
        }))?;
        Ok(ways.iter().flatten().flat_map(rules_of).collect())
    }

    /// The policy with as many of these rules as go together, each in its turn.
    fn one_by_one(
        &mut self,
        mut solved: Solved<'a>,
        rules: &Policy,
        kept: &mut BTreeSet<Feature>,
    ) -> Result<Solved<'a>, Stop> {
        for (feature, action) in rules_of(rules) {
            let mut better = None;
            for action in [action, Action::Fake] {
                if better.is_none() {
                    let rule = Policy::single(feature.clone(), action);
                    better = self.closed_with(&solved, &rule, kept)?;
                }
            }
            match better {
                Some(better) => solved = better,
                None => {
                    kept.insert(feature);
                }
            }
        }
        Ok(solved)
    }

    /// The policy with a further rule, and closed if that brings as much as it saves, if in the end it
    /// leaves less to implement.
    fn closed_with(
        &mut self,
        solved: &Solved<'a>,
        rule: &Policy,
        kept: &BTreeSet<Feature>,
    ) -> Result<Option<Solved<'a>>, Stop> {
        let more = match self.with_more(solved, rule)? {
            Some(more) if more.implement.len() == solved.implement.len() => {
                Some(self.close(more, kept.clone())?)
            }
            more => more,
        };
        Ok(more.filter(|it| it.is_better_than(solved)))
    }

    /// Leaves fallbacks out in other ways, or not at all, as long as that leaves less to implement.
    pub(super) fn polish(&mut self, mut best: Solved<'a>) -> Result<Solved<'a>, Stop> {
        while !self.is_over()
            && let Some(better) = self.neighbour(&best)?
        {
            best = better;
        }
        Ok(best)
    }

    fn neighbour(&mut self, solved: &Solved<'a>) -> Result<Option<Solved<'a>>, Stop> {
        if solved.new.is_disjoint(&solved.implement) {
            return Ok(None);
        }
        let scope = self.scope;
        let is_open = |feature: &Feature| {
            !scope.known.contains_key(feature) && scope.fixed.get(feature).is_none()
        };
        let of_fallbacks = rules_of(&solved.policy).filter(|(feature, _)| is_open(feature));
        let others = of_fallbacks.flat_map(|(feature, action)| {
            [Some(Action::STUB), Some(Action::Fake), None]
                .into_iter()
                .filter(move |other| *other != Some(action))
                .map(move |other| (feature.clone(), other))
        });
        let passing = all(others.map(|(feature, other)| {
            let mut policy = solved.policy.clone();
            match other {
                Some(other) => policy.insert(feature.clone(), other),
                None => policy.remove(&feature),
            };
            let purpose = match other {
                Some(_) => format!("joint policy: fallback {feature} another way"),
                None => format!("joint policy: without fallback {feature}"),
            };
            let ruling = self.passing(&policy, purpose)?;
            let solved = ruling.map(|it| scope.solved(policy, solved.banned.clone(), it));
            Ok(solved.map(|solved| (feature, other, solved)))
        }))?;
        for (feature, other, neighbour) in passing.into_iter().flatten() {
            // Left alone: with the rule that it had it would be the same policy again.
            let kept: BTreeSet<Feature> = match other {
                Some(_) => BTreeSet::new(),
                None => BTreeSet::from([feature]),
            };
            let open = scope.open(&neighbour);
            let open = open
                .difference(&self.settled)
                .filter(|it| !kept.contains(*it));
            if neighbour.implement.len() >= solved.implement.len() + open.count() {
                continue;
            }
            let closed = self.close(neighbour, kept)?;
            if closed.is_better_than(solved) {
                return Ok(Some(closed));
            }
        }
        Ok(None)
    }

    /// The policy with further rules, if it works and leaves less to implement.
    fn extended(
        &mut self,
        solved: &Solved<'a>,
        rules: &Policy,
    ) -> Result<Option<Solved<'a>>, Stop> {
        let more = self.with_more(solved, rules)?;
        Ok(more.filter(|it| it.is_better_than(solved)))
    }

    /// The policy with further rules, if it works and these leave out what they are about.
    fn with_more(
        &mut self,
        solved: &Solved<'a>,
        rules: &Policy,
    ) -> Result<Option<Solved<'a>>, Stop> {
        if rules.is_empty() {
            return Ok(None);
        }
        let policy = with(&solved.policy, rules);
        let purpose = match rules.iter().next() {
            Some((feature, _)) if rules.len() == 1 => format!("joint policy: fallback {feature}"),
            _ => "joint policy: its fallbacks".to_owned(),
        };
        let Some(ruling) = self.passing(&policy, purpose)? else {
            return Ok(None);
        };
        let extended = self.scope.solved(policy, solved.banned.clone(), ruling);
        let answers = |(feature, _)| !extended.implement.contains(feature);
        Ok(rules.iter().all(answers).then_some(extended))
    }
}
