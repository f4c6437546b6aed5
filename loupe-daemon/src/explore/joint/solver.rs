//! The search for the joint policy of a scope.

use std::collections::BTreeSet;

use loupe_common::analysis::{Conflict, Fallback};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::choice::{self, Banned, Choices};
use super::scope::Scope;
use super::solved::Solved;
use crate::explore::conflict::{Care, Searcher};
use crate::explore::ledger::{Asker, Stop};
use crate::explore::tally::Decision;

/// After this many conflicts the best choice is no longer searched for: one rule of each
/// further conflict is given up for good, so that an application full of conflicts ends too.
const MANY_CONFLICTS: usize = 40;

pub(super) struct Solver<'s, 'a, 'b> {
    asker: &'s mut Asker<'a>,
    scope: &'s Scope<'b, 'a>,
    choices: Choices,
    /// What of a conflict can be chosen; its other rules are fixed.
    conflicts: Vec<Policy>,
    pub reported: Vec<Conflict>,
    good: Vec<Policy>,
    /// The fixed rules alone.
    base: Solved<'a>,
    /// What they leave open, and nothing could be done about.
    settled: BTreeSet<Feature>,
}

impl<'s, 'a, 'b> Solver<'s, 'a, 'b> {
    pub fn new(
        asker: &'s mut Asker<'a>,
        scope: &'s Scope<'b, 'a>,
        choices: Choices,
    ) -> Result<Self, Stop> {
        let fixed = scope.fixed.clone();
        let base = scope.look(asker, fixed.clone(), Banned::new())?;
        let mut settled = scope.open(&base);
        settled.retain(|feature| !fixed.is_empty() && feature.parent().is_none());
        Ok(Solver {
            asker,
            scope,
            choices,
            conflicts: Vec::new(),
            reported: Vec::new(),
            good: vec![fixed],
            settled,
            base,
        })
    }

    /// The best closed policy.
    pub fn best(&mut self, edges: &[Fallback]) -> Result<Solved<'a>, Stop> {
        let mut best = self.solve(&Banned::new())?;
        let mut tried: BTreeSet<Banned> = BTreeSet::new();
        loop {
            let untried = best
                .doubtful(edges, &self.choices)
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
            if other.implement.len() < best.implement.len() {
                best = other;
            }
        }
        let best = self.polish(best)?;
        // What a rule brings may be more than it saves.
        Ok(match best.implement.len() > self.base.implement.len() {
            true => self.base.clone(),
            false => best,
        })
    }

    fn searcher(&mut self) -> Searcher<'_, 'a> {
        Searcher {
            asker: self.asker,
            rule: self.scope.baseline.rule,
            purpose: self.scope.purpose(),
            good: &mut self.good,
        }
    }

    /// The best closed policy that uses no banned rule.
    fn solve(&mut self, banned: &Banned) -> Result<Solved<'a>, Stop> {
        let mut given_up = banned.clone();
        loop {
            let chosen = choice::best(&self.choices, &self.conflicts, &given_up);
            let policy = with(&self.scope.fixed, &chosen);
            let purpose = self.scope.purpose();
            let glanced = policy.is_empty() || self.asker.passes_once(&policy, purpose)?;
            let care = match glanced {
                true if self.works(&policy)? => return self.close(policy, banned.clone()),
                true => Care::Full,
                false => Care::Glance,
            };
            // The fixed rules first: the others are what is to be found.
            let rules = rules_of(&self.scope.fixed).chain(rules_of(&chosen));
            let rules: Vec<(Feature, Action)> = rules.collect();
            let Some(found) = self.searcher().first_conflict(&rules, care)? else {
                return self.close(policy, banned.clone());
            };
            if found.ruling.decision == Decision::Fails && found.policy.len() > 1 {
                self.reported.push(Conflict {
                    policy: found.policy.clone(),
                    runs: found.ruling.tally.usable(),
                    passes: found.ruling.tally.passes + found.ruling.tally.idle,
                    replays: found.ruling.runs.iter().map(|run| run.id).collect(),
                });
            }
            let fixed = &self.scope.fixed;
            let free = rules_of(&found.policy).filter(|(feature, _)| fixed.get(feature).is_none());
            let free: Policy = free.collect();
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

    fn works(&mut self, policy: &Policy) -> Result<bool, Stop> {
        Ok(policy.is_empty() || self.searcher().works(policy)?)
    }

    /// Stubs or fakes, in a policy that works, what it makes the application use and what it
    /// keeps it from using, as far as that works and leaves less to implement.
    fn close(&mut self, policy: Policy, banned: Banned) -> Result<Solved<'a>, Stop> {
        let mut solved = self.look(policy, banned)?;
        let mut kept = self.settled.clone();
        loop {
            let open: Vec<Feature> = self
                .scope
                .open(&solved)
                .difference(&kept)
                .cloned()
                .collect();
            if open.is_empty() {
                return Ok(solved);
            }
            let all = open.iter().map(|feature| (feature.clone(), Action::STUB));
            if let Some(better) = self.extended(&solved, all.collect())? {
                solved = better;
                continue;
            }
            // All are asked for before any is waited for.
            for feature in &open {
                for action in [Action::STUB, Action::Fake] {
                    let mut policy = solved.policy.clone();
                    policy.insert(feature.clone(), action);
                    let purpose = format_args!("joint policy: fallback {feature}");
                    self.asker.prefetch(&policy, 1, purpose);
                }
            }
            for feature in open {
                let mut better = None;
                for action in [Action::STUB, Action::Fake] {
                    if better.is_none() {
                        let rule = Policy::single(feature.clone(), action);
                        better = self.extended(&solved, rule)?;
                    }
                }
                match better {
                    Some(better) => solved = better,
                    None => {
                        kept.insert(feature);
                    }
                }
            }
        }
    }

    /// Leaves fallbacks out in other ways, or not at all, as long as that leaves less to implement.
    fn polish(&mut self, mut best: Solved<'a>) -> Result<Solved<'a>, Stop> {
        while let Some(better) = self.neighbour(&best)? {
            best = better;
        }
        Ok(best)
    }

    fn neighbour(&mut self, solved: &Solved<'a>) -> Result<Option<Solved<'a>>, Stop> {
        if solved.new.is_disjoint(&solved.implement) {
            return Ok(None);
        }
        let rules = solved.policy.iter();
        let scope = self.scope;
        let is_open = |feature: &Feature| {
            !scope.known.contains_key(feature) && scope.fixed.get(feature).is_none()
        };
        let of_fallbacks: Vec<(Feature, Action)> = rules
            .filter(|(feature, _)| is_open(feature))
            .map(|(feature, action)| (feature.clone(), action))
            .collect();
        for (feature, action) in of_fallbacks {
            for other in [Some(Action::STUB), Some(Action::Fake), None] {
                let mut policy = solved.policy.clone();
                match other {
                    Some(same) if same == action => continue,
                    Some(other) => policy.insert(feature.clone(), other),
                    None => policy.remove(&feature),
                };
                let purpose = format_args!("joint policy: fallback {feature} another way");
                if !self.asker.passes_once(&policy, purpose)? || !self.works(&policy)? {
                    continue;
                }
                let closed = self.close(policy, solved.banned.clone())?;
                if closed.implement.len() < solved.implement.len() {
                    return Ok(Some(closed));
                }
            }
        }
        Ok(None)
    }

    /// The policy with further rules, if it works and leaves less to implement.
    fn extended(&mut self, solved: &Solved<'a>, rules: Policy) -> Result<Option<Solved<'a>>, Stop> {
        let policy = with(&solved.policy, &rules);
        let purpose = "joint policy: its fallbacks";
        if !self.asker.passes_once(&policy, purpose)? || !self.works(&policy)? {
            return Ok(None);
        }
        let extended = self.look(policy, solved.banned.clone())?;
        let answers = |(feature, _)| !extended.implement.contains(feature);
        let better = extended.implement.len() < solved.implement.len();
        Ok((better && rules.iter().all(answers)).then_some(extended))
    }

    fn look(&mut self, policy: Policy, banned: Banned) -> Result<Solved<'a>, Stop> {
        self.scope.look(self.asker, policy, banned)
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
