//! The search for the joint policy of a scope.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use loupe_common::analysis::{Conflict, Fallback};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::choice::{self, Banned, Choices};
use super::scope::Scope;
use super::solved::Solved;
use crate::explore::Effort;
use crate::explore::conflict::{Found, Searcher, contains};
use crate::explore::ledger::{Asker, Ruling, Stop, all, both};
use crate::explore::tally::{Decision, Rule};

/// After this many conflicts the best choice is no longer searched for: one rule of each
/// further conflict is given up for good, so that an application full of conflicts ends too.
const MANY_CONFLICTS: usize = 40;

/// Replays that a search has running, mostly. What came before it had as many as there is room for.
const AT_ONCE: u64 = 2;

/// Conflicts that the search trusts before they are confirmed.
const MOST_TRUSTED: usize = 2;

pub(super) struct Solver<'s, 'a, 'b> {
    asker: &'s mut Asker<'a>,
    scope: &'s Scope<'b, 'a>,
    choices: Choices,
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
    /// What the search may take, of what no search before it took; and what all before it took. In
    /// microseconds of replays.
    budget_us: Option<u64>,
    begin_us: u64,
    /// It took more, and ended with what it had.
    pub gave_up: bool,
    /// The best policy so far.
    best: Option<Solved<'a>>,
    /// How fallbacks could last be left out, if at all: what is tried first under other policies.
    ways: BTreeMap<Feature, Option<Action>>,
}

impl<'s, 'a, 'b> Solver<'s, 'a, 'b> {
    pub fn new(
        asker: &'s mut Asker<'a>,
        scope: &'s Scope<'b, 'a>,
        choices: Choices,
        effort: Effort,
    ) -> Result<Self, Stop> {
        let fixed = scope.fixed.clone();
        let ruling = scope.ruling(asker, &fixed)?;
        let base = scope.solved(fixed.clone(), Banned::new(), ruling);
        let mut settled = scope.open(&base);
        settled.retain(|feature| !fixed.is_empty() && feature.parent().is_none());
        let begin_us = asker.rested_us();
        let (before_us, taken_us) = *asker.searched_us.get_or_insert((begin_us, 0));
        let budget_us = match effort {
            Effort::All => None,
            Effort::AsMuchAgain { jobs } => Some(before_us * AT_ONCE / jobs.max(AT_ONCE)),
            Effort::Natives(natives) => Some(scope.baseline.wall_us() * u64::from(natives)),
        };
        let budget_us = budget_us.map(|budget| budget.saturating_sub(taken_us));
        Ok(Solver {
            budget_us,
            begin_us,
            gave_up: false,
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
            ways: BTreeMap::new(),
        })
    }

    /// The best closed policy. One passing replay is enough on the way to it; only what is found
    /// is replayed as often as the rule asks, and so are the conflicts, beside the search. Where one is
    /// none, the search goes on without it; where the policy fails, chance had a part in all of it,
    /// and it is done again with all replays at each step.
    pub fn best(&mut self, edges: &[Fallback]) -> Result<Solved<'a>, Stop> {
        let best = self.sure(edges)?;
        self.end();
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
                let conflicts = std::mem::take(&mut self.trusted);
                let found = conflicts
                    .iter()
                    .filter_map(|(_, found)| found.as_ref().ok());
                self.reported.extend(found.flatten().filter_map(reported));
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
                self.best = Some(best.clone());
            }
        }
        let best = self.polish(best)?;
        // What a rule brings may be more than it saves.
        Ok(match best.implement.len() > self.base.implement.len() {
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

    /// Takes note of what the search took.
    fn end(&mut self) {
        let taken = self.asker.rested_us().saturating_sub(self.begin_us);
        if let Some((_, taken_us)) = &mut self.asker.searched_us {
            *taken_us += taken;
        }
    }

    /// Whether the search has taken all that it may.
    fn is_over(&mut self) -> bool {
        self.has_taken(1)
    }

    /// The same of a search that has found nothing so far: what it ended with would be poor.
    fn is_far_over(&mut self) -> bool {
        let times = if self.best.is_some() { 1 } else { 2 };
        self.has_taken(times)
    }

    fn has_taken(&mut self, times: u64) -> bool {
        let taken = self.asker.rested_us().saturating_sub(self.begin_us);
        let is_over = self.budget_us.is_some_and(|budget| taken > budget * times);
        self.gave_up |= is_over;
        is_over
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

    fn searcher(&mut self) -> Searcher<'_, 'a> {
        Searcher {
            asker: self.asker,
            rule: self.scope.baseline.rule,
            purpose: self.scope.purpose(),
            ways: &self.choices,
            good: &mut self.good,
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
        let run = match self.rule == Rule::once() {
            true => self.asker.in_haste(|asker| asker.once(policy, purpose))?,
            false => self.asker.once(policy, purpose)?,
        };
        let Some(run) = run.filter(|run| run.vote.passes()) else {
            return Ok(None);
        };
        if self.rule == Rule::once() {
            return Ok(Some(Ruling::of_passes(vec![run])));
        }
        let ruling = self.scope.ruling(self.asker, policy)?;
        Ok(ruling.holds().then_some(ruling))
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
            let chosen = choice::best(&self.choices, &self.conflicts, &given_up);
            let policy = with(&self.scope.fixed, &chosen);
            let purpose = self.scope.purpose();
            if let Some(ruling) = self.passing(&policy, purpose)? {
                let solved = self.scope.solved(policy, banned.clone(), ruling);
                return self.close(solved, BTreeSet::new());
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

    /// Whether the conflicts that are trusted are some, but for the last ones, so many. One that is
    /// none is forgotten, and not trusted again.
    fn are_true(&mut self, but: usize) -> Result<bool, Stop> {
        let checked = self.trusted.len().saturating_sub(but);
        let rest = self.trusted.split_off(checked);
        let (candidates, found): (Vec<Policy>, Vec<_>) = self.trusted.drain(..).unzip();
        let found = all(found)?;
        let mut all_are = true;
        for (candidate, found) in candidates.into_iter().zip(found) {
            if found.is_some() {
                self.trusted.push((candidate, Ok(found)));
                continue;
            }
            let free = self.free(&candidate);
            self.conflicts.retain(|conflict| *conflict != free);
            self.distrusted.insert(candidate);
            all_are = false;
        }
        self.trusted.extend(rest);
        Ok(all_are)
    }

    /// What of a conflict can be chosen.
    fn free(&self, conflict: &Policy) -> Policy {
        let fixed = &self.scope.fixed;
        let free = rules_of(conflict).filter(|(feature, _)| fixed.get(feature).is_none());
        free.collect()
    }

    /// A minimal conflict in a policy that fails; `None` if that was bad luck.
    fn conflict(
        &mut self,
        policy: &Policy,
        rules: &[(Feature, Action)],
    ) -> Result<Option<Policy>, Stop> {
        if self.rule == Rule::once() {
            let candidate = self.searcher().candidate(rules, Rule::once())?;
            if !self.distrusted.contains(&candidate) {
                let confirmed = self.searcher().confirmed(&candidate);
                self.trusted.push((candidate.clone(), confirmed));
                return Ok(Some(candidate));
            }
        }
        // Where the first replay passed, the others did not.
        let rule = match self.asker.passes_once(policy, self.scope.purpose())? {
            true => self.scope.baseline.rule,
            false => Rule::once(),
        };
        let found = self.searcher().first_conflict(rules, rule)?;
        self.reported.extend(found.iter().filter_map(reported));
        Ok(found.map(|found| found.policy))
    }

    /// Stubs or fakes, in a policy that works, what it makes the application use and what it
    /// keeps it from using, as far as that works and leaves less to implement. What is `kept` is
    /// left alone.
    fn close(
        &mut self,
        mut solved: Solved<'a>,
        mut kept: BTreeSet<Feature>,
    ) -> Result<Solved<'a>, Stop> {
        kept.extend(self.settled.iter().cloned());
        loop {
            let open = self.scope.open(&solved);
            let open: Vec<Feature> = open.difference(&kept).cloned().collect();
            if open.is_empty() || self.is_over() {
                return Ok(solved);
            }
            let likely = open.iter().filter_map(|feature| {
                let way = self.ways.get(feature).copied();
                Some((feature.clone(), way.unwrap_or(Some(Action::STUB))?))
            });
            let likely: Policy = likely.collect();
            if let Some(better) = self.extended(&solved, &likely)? {
                self.ways.extend(rules_of(&likely).map(known_way));
                solved = better;
                continue;
            }
            let found = self.ways_alone(&solved, &open)?;
            let hopeless = open.iter().filter(|feature| found.get(feature).is_none());
            for feature in hopeless {
                kept.insert(feature.clone());
                self.ways.insert(feature.clone(), None);
            }
            self.ways.extend(rules_of(&found).map(known_way));
            solved = match self.extended(&solved, &found)? {
                Some(better) => better,
                None => self.one_by_one(solved, &found, &mut kept)?,
            };
        }
    }

    /// Of features that a policy leaves open, how each can be left out beside its rules, where it
    /// can. All are asked for before any is waited for.
    fn ways_alone(&mut self, solved: &Solved<'a>, open: &[Feature]) -> Result<Policy, Stop> {
        let tried = all(open
            .iter()
            .flat_map(|feature| [Action::STUB, Action::Fake].map(|action| (feature, action)))
            .map(|(feature, action)| {
                let rule = Policy::single(feature.clone(), action);
                let better = self.extended(solved, &rule)?;
                Ok(better.map(|_| (feature.clone(), action)))
            }))?;
        let mut ways = Policy::baseline();
        for (feature, action) in tried.into_iter().flatten() {
            if ways.get(&feature).is_none() {
                ways.insert(feature, action);
            }
        }
        Ok(ways)
    }

    /// The policy with as many of these rules as go together, each in its turn.
    fn one_by_one(
        &mut self,
        mut solved: Solved<'a>,
        rules: &Policy,
        kept: &mut BTreeSet<Feature>,
    ) -> Result<Solved<'a>, Stop> {
        for (feature, action) in rules_of(rules) {
            let other = match action {
                Action::Fake => None,
                _ => Some(Action::Fake),
            };
            let mut better = None;
            for action in [Some(action), other].into_iter().flatten() {
                if better.is_none() {
                    let rule = Policy::single(feature.clone(), action);
                    better = self.extended(&solved, &rule)?;
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

    /// Leaves fallbacks out in other ways, or not at all, as long as that leaves less to implement.
    fn polish(&mut self, mut best: Solved<'a>) -> Result<Solved<'a>, Stop> {
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
            if closed.implement.len() < solved.implement.len() {
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
        let better = extended.implement.len() < solved.implement.len();
        Ok((better && rules.iter().all(answers)).then_some(extended))
    }
}

/// A conflict for the report, if it was found to be one of several rules.
fn reported(found: &Found<'_>) -> Option<Conflict> {
    let is_one = found.ruling.decision == Decision::Fails && found.policy.len() > 1;
    is_one.then(|| Conflict {
        policy: found.policy.clone(),
        runs: found.ruling.tally.usable(),
        passes: found.ruling.tally.passes + found.ruling.tally.idle,
        replays: found.ruling.runs.iter().map(|run| run.id).collect(),
    })
}

fn known_way((feature, action): (Feature, Action)) -> (Feature, Option<Action>) {
    (feature, Some(action))
}

fn rules_of(policy: &Policy) -> impl Iterator<Item = (Feature, Action)> {
    policy
        .iter()
        .map(|(feature, action)| (feature.clone(), action))
}

fn with(policy: &Policy, more: &Policy) -> Policy {
    rules_of(policy).chain(rules_of(more)).collect()
}
