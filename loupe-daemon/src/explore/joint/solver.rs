//! The search for the joint policy of a scope.

mod closing;
mod trust;

use std::collections::BTreeSet;
use std::fmt::Display;

use loupe_common::analysis::{Conflict, Fallback};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::budget::Budget;
use super::choice::{self, Banned, Choices};
use super::scope::Scope;
use super::solved::Solved;
use crate::explore::conflict::{Found, Searcher, contains};
use crate::explore::ledger::{Asker, Ruling, Stop, both};
use crate::explore::tally::Rule;

/// After this many conflicts the best choice is no longer searched for: one rule of each
/// further conflict is given up for good, so that an application full of conflicts ends too.
const MANY_CONFLICTS: usize = 40;

/// Conflicts that the search trusts before they are confirmed.
const MOST_TRUSTED: usize = 2;

pub(super) struct Solver<'s, 'a, 'b> {
    asker: &'s mut Asker<'a>,
    scope: &'s Scope<'b, 'a>,
    choices: Choices,
    /// The rules with which the workload does next to none of its work, and passes alone.
    barely_working: Banned,
    /// Those of them that policies which failed had. What the host's speed decides is not fought for.
    pub undecided: Banned,
    /// What decides at each step of the search: one replay, or the usual rule.
    rule: Rule,
    /// What of a conflict can be chosen; its other rules are fixed.
    conflicts: Vec<Policy>,
    pub reported: Vec<Conflict>,
    good: Vec<Policy>,
    /// The fixed rules alone.
    base: Solved<'a>,
    /// What they leave open, and nothing could be done about.
    settled: BTreeSet<Feature>,
    /// The conflicts that the search trusts, and whether each is one.
    trusted: Vec<(Policy, Result<Option<Found<'a>>, Stop>)>,
    /// What was trusted to be one, and is none.
    distrusted: BTreeSet<Policy>,
    /// What the search may take. Once that is spent, it ends with what it has.
    pub budget: &'s mut Budget,
    /// The best policy so far.
    best: Option<Solved<'a>>,
}

impl<'s, 'a, 'b> Solver<'s, 'a, 'b> {
    pub fn new(
        asker: &'s mut Asker<'a>,
        scope: &'s Scope<'b, 'a>,
        choices: Choices,
        budget: &'s mut Budget,
    ) -> Result<Self, Stop> {
        let fixed = scope.fixed.clone();
        let ruling = scope.ruling(asker, &fixed)?;
        let base = scope.solved(fixed.clone(), Banned::new(), ruling);
        let mut settled = scope.open(&base);
        settled.retain(|feature| !fixed.is_empty() && feature.parent().is_none());
        budget.begin(asker);
        let barely_working = match budget.is_limited() {
            true => scope.barely_working(asker, &choices),
            false => Banned::new(),
        };
        Ok(Solver {
            barely_working,
            undecided: Banned::new(),
            budget,
            best: None,
            asker,
            scope,
            choices,
            rule: Rule::once(),
            conflicts: Vec::new(),
            reported: Vec::new(),
            good: vec![fixed],
            settled,
            base,
            trusted: Vec::new(),
            distrusted: BTreeSet::new(),
        })
    }

    /// The best closed policy. One passing replay is enough on the way to it; only what is found
    /// is replayed as often as the rule asks, and so are the conflicts, beside the search. Where one is
    /// none, the search goes on without it; where the policy fails, chance had a part in all of it,
    /// and it is done again with all replays at each step.
    pub fn best(&mut self, edges: &[Fallback]) -> Result<Solved<'a>, Stop> {
        let best = self.sure(edges)?;
        self.budget.end(self.asker);
        Ok(best)
    }

    fn sure(&mut self, edges: &[Fallback]) -> Result<Solved<'a>, Stop> {
        loop {
            let found = self.search(edges)?;
            let sure = self.confirmed(found);
            let trusted = self.are_true(0);
            let (sure, trusted) = both(sure, trusted)?;
            let Some(sure) = sure else {
                if self.rule != Rule::once() {
                    return Ok(self.base.clone());
                }
                self.best = None;
                self.rule = self.scope.baseline.rule;
                continue;
            };
            if trusted || self.is_over() {
                self.report_trusted();
                return Ok(sure);
            }
            // It works; without what was no conflict, another may be better.
            self.best = Some(sure);
        }
    }

    fn search(&mut self, edges: &[Fallback]) -> Result<Solved<'a>, Stop> {
        let mut best = self.solve(&Banned::new())?;
        let mut tried: BTreeSet<Banned> = BTreeSet::new();
        self.best = Some(best.clone());
        while !self.is_over() {
            let untried = best
                .doubtful(edges, &self.choices, &self.settled)
                .find(|banned| !tried.contains(banned));
            let Some(banned) = untried else {
                break;
            };
            tried.insert(banned.clone());
            let mut other = self.solve(&banned)?;
            // What its fallbacks bring may be all that keeps it from being better.
            if other.implement.len() == best.implement.len() {
                other = self.polish(other)?;
            }
            if other.is_better_than(&best) {
                best = other;
                self.best = Some(best.clone());
            }
        }
        let best = self.polish(best)?;
        // What a rule brings may be more than it saves.
        Ok(match self.base.is_better_than(&best) {
            true => self.base.clone(),
            false => best,
        })
    }

    /// The policy with all the replays that the rule asks for, if they pass, and closed where
    /// these show more than the first one did.
    fn confirmed(&mut self, found: Solved<'a>) -> Result<Option<Solved<'a>>, Stop> {
        let ruling = self.scope.ruling(self.asker, &found.policy)?;
        if !ruling.holds() {
            return Ok(None);
        }
        let open = self.scope.open(&found);
        let sure = self.scope.solved(found.policy, found.banned, ruling);
        if self.scope.open(&sure).is_subset(&open) {
            return Ok(Some(sure));
        }
        self.rule = self.scope.baseline.rule;
        let closed = self.close(sure, BTreeSet::new())?;
        self.polish(closed).map(Some)
    }

    /// Whether the search has taken all that it may.
    fn is_over(&mut self) -> bool {
        self.budget.is_over(self.asker, 1)
    }

    /// The same of a search that has found nothing so far: what it ended with would be poor.
    fn is_far_over(&mut self) -> bool {
        let times = if self.best.is_some() { 1 } else { 2 };
        self.budget.is_over(self.asker, times)
    }

    /// What the search ends with: the best policy so far, or the largest part of one that passed.
    fn fall_back(&mut self) -> Result<Solved<'a>, Stop> {
        if let Some(best) = &self.best {
            return Ok(best.clone());
        }
        let fixed = &self.scope.fixed;
        let whole = self.good.iter().filter(|good| contains(good, fixed));
        let Some(largest) = whole.max_by_key(|good| good.len()).cloned() else {
            return Ok(self.base.clone());
        };
        let passes = self.passing(&largest, self.scope.purpose())?;
        Ok(match passes {
            Some(ruling) => self.scope.solved(largest, Banned::new(), ruling),
            None => self.base.clone(),
        })
    }

    /// `begins`: parts of a policy that fails are begun first.
    fn searcher(&mut self, begins: bool) -> Searcher<'_, 'a> {
        Searcher {
            asker: self.asker,
            rule: self.scope.baseline.rule,
            purpose: self.scope.purpose(),
            ways: &self.choices,
            good: &mut self.good,
            begins,
        }
    }

    /// What replays of a policy came to, as many as the search takes, if they pass.
    fn passing(
        &mut self,
        policy: &Policy,
        purpose: impl Display,
    ) -> Result<Option<Ruling<'a>>, Stop> {
        if policy.is_empty() {
            return Ok(Some(self.scope.baseline.ruling.clone()));
        }
        let is_step = self.rule == Rule::once();
        let run = self.asker.once(policy, purpose)?;
        let Some(run) = run.filter(|run| run.vote.passes()) else {
            return Ok(None);
        };
        if is_step {
            return Ok(Some(Ruling::of_passes(vec![run])));
        }
        let ruling = self.scope.ruling(self.asker, policy)?;
        Ok(ruling.holds().then_some(ruling))
    }

    /// The rules of a failing policy for which the host's speed may have let it fail: with these the
    /// workload does next to none of its work, and so it did here, in its test.
    fn doubted(&mut self, policy: &Policy) -> Result<Banned, Stop> {
        let run = self.asker.once(policy, self.scope.purpose())?;
        if !run.is_some_and(|run| run.tested && run.barely_works) {
            return Ok(Banned::new());
        }
        let rules = self.barely_working.iter();
        let doubted = rules.filter(|(feature, action)| policy.get(feature) == Some(*action));
        Ok(doubted.cloned().collect())
    }

    /// The best closed policy that uses no banned rule.
    fn solve(&mut self, banned: &Banned) -> Result<Solved<'a>, Stop> {
        let mut given_up = banned.clone();
        loop {
            if self.is_far_over() {
                return self.fall_back();
            }
            // A host that makes replays fail at random would otherwise bring one after another.
            self.are_true(MOST_TRUSTED)?;
            given_up.extend(self.undecided.iter().cloned());
            let chosen = choice::best(&self.choices, &self.conflicts, &given_up);
            let policy = with(&self.scope.fixed, &chosen);
            let purpose = self.scope.purpose();
            if let Some(ruling) = self.passing(&policy, purpose)? {
                let solved = self.scope.solved(policy, banned.clone(), ruling);
                return self.close(solved, BTreeSet::new());
            }
            let doubted = self.doubted(&policy)?;
            if !doubted.is_empty() {
                self.undecided.extend(doubted);
                continue;
            }
            // The fixed rules first: the others are what is to be found.
            let rules = rules_of(&self.scope.fixed).chain(rules_of(&chosen));
            let rules: Vec<(Feature, Action)> = rules.collect();
            let Some(conflict) = self.conflict(&policy, &rules)? else {
                // The failure was bad luck.
                let ruling = self.scope.ruling(self.asker, &policy)?;
                let solved = self.scope.solved(policy, banned.clone(), ruling);
                return self.close(solved, BTreeSet::new());
            };
            let free = self.free(&conflict);
            if free.is_empty() {
                // The fixed rules fail now, which they did not before.
                return Ok(self.base.clone());
            }
            if self.conflicts.len() >= MANY_CONFLICTS {
                given_up.extend(rules_of(&free).last());
            }
            self.conflicts.push(free);
        }
    }
}

fn rules_of(policy: &Policy) -> impl Iterator<Item = (Feature, Action)> {
    policy
        .iter()
        .map(|(feature, action)| (feature.clone(), action))
}

fn with(policy: &Policy, more: &Policy) -> Policy {
    rules_of(policy).chain(rules_of(more)).collect()
}
