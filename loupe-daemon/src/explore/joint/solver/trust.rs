//! The conflicts in the way of the search. They are trusted before they are confirmed, which happens
//! beside it; what turns out to be none is forgotten.

use loupe_common::analysis::Conflict;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::{Solver, rules_of};
use crate::explore::conflict::Found;
use crate::explore::ledger::{Stop, all};
use crate::explore::tally::{Decision, Rule};

impl Solver<'_, '_, '_> {
    /// Whether the conflicts that are trusted are some, but for the last ones, so many. One that is
    /// none is forgotten, and not trusted again.
    pub(super) fn are_true(&mut self, but: usize) -> Result<bool, Stop> {
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

    /// Reports those that are some.
    pub(super) fn report_trusted(&mut self) {
        let trusted = std::mem::take(&mut self.trusted).into_iter();
        let found = trusted.filter_map(|(_, found)| found.ok().flatten());
        self.reported
            .extend(found.filter_map(|found| reported(&found)));
    }

    /// What of a conflict can be chosen.
    pub(super) fn free(&self, conflict: &Policy) -> Policy {
        let fixed = &self.scope.fixed;
        let free = rules_of(conflict).filter(|(feature, _)| fixed.get(feature).is_none());
        free.collect()
    }

    /// A minimal conflict in a policy that fails; `None` if that was bad luck.
    pub(super) fn conflict(
        &mut self,
        policy: &Policy,
        rules: &[(Feature, Action)],
    ) -> Result<Option<Policy>, Stop> {
        if self.rule == Rule::once() {
            let run = self.asker.once(policy, self.scope.purpose())?;
            let fails_early = run.is_some_and(|run| !run.tested);
            let begins = fails_early && self.scope.baseline.starts_quickly();
            let candidate = self.searcher(begins).candidate(rules, Rule::once())?;
            if let Some(candidate) = candidate
                && !self.distrusted.contains(&candidate)
            {
                let confirmed = self.searcher(false).confirmed(&candidate);
                self.trusted.push((candidate.clone(), confirmed));
                return Ok(Some(candidate));
            }
        }
        // Where the first replay passed, the others did not.
        let rule = match self.asker.passes_once(policy, self.scope.purpose())? {
            true => self.scope.baseline.rule,
            false => Rule::once(),
        };
        let found = self.searcher(false).first_conflict(rules, rule)?;
        self.reported.extend(found.iter().filter_map(reported));
        Ok(found.map(|found| found.policy))
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
