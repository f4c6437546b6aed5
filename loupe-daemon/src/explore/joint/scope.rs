//! What a joint policy is about: which features there are to leave out or to implement, and what
//! replays under a policy leave of them. Over syscalls these are the features of the baseline;
//! below them, the parts of opened ones too.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Joint;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::choice::{Banned, Choices};
use super::solved::Solved;
use crate::explore::baseline::{Baseline, Seen};
use crate::explore::drill::Opened;
use crate::explore::ledger::{Asker, Ruling, Stop};
use crate::explore::run::Run;

pub(in crate::explore) struct Scope<'b, 'a> {
    pub baseline: &'b Baseline<'a>,
    /// Syscalls whose parts count beside them.
    opened: Option<&'b Opened<'a>>,
    /// Rules that every policy has, and which were seen to pass.
    pub fixed: Policy,
    /// Features of the baseline.
    pub known: BTreeMap<Feature, Seen>,
}

impl<'b, 'a> Scope<'b, 'a> {
    pub fn of_syscalls(baseline: &'b Baseline<'a>) -> Scope<'b, 'a> {
        Scope {
            baseline,
            opened: None,
            fixed: Policy::baseline(),
            known: baseline.features.clone(),
        }
    }

    /// Of what these rules leave to implement.
    pub fn below(
        baseline: &'b Baseline<'a>,
        opened: &'b Opened<'a>,
        fixed: Policy,
    ) -> Scope<'b, 'a> {
        let parts = opened.baseline.iter().flat_map(|parts| &parts.features);
        let of_implemented = parts.filter(|(part, _)| rule_of(&fixed, part).is_none());
        let known = baseline.features.iter().chain(of_implemented);
        Scope {
            baseline,
            opened: Some(opened),
            known: known
                .map(|(feature, seen)| (feature.clone(), *seen))
                .collect(),
            fixed,
        }
    }

    /// Why its replays are run.
    pub(super) fn purpose(&self) -> &'static str {
        match self.opened {
            None => "joint policy",
            Some(_) => "joint policy, operations",
        }
    }

    /// Whether the fixed rules work.
    pub fn holds(&self, asker: &mut Asker<'a>) -> Result<bool, Stop> {
        Ok(self.ruling(asker, &self.fixed)?.holds())
    }

    /// The choices with which the application passes alone, and the workload does next to none of its
    /// work, by its metric.
    pub(super) fn barely_working(&self, asker: &Asker<'a>, choices: &Choices) -> Banned {
        let ways = choices.iter();
        let ways = ways.flat_map(|(feature, ways)| ways.iter().map(|way| (feature.clone(), *way)));
        ways.filter(|(feature, way)| {
            let alone = Policy::single(feature.clone(), *way);
            let first = asker.runs_rested_on(&alone).find(|run| run.vote.passes());
            first.is_some_and(|run| run.barely_works)
        })
        .collect()
    }

    /// What a replay used.
    fn used<'r>(&'r self, run: &'r Run) -> impl Iterator<Item = &'r Feature> {
        let opened = self.opened.into_iter();
        run.calls
            .keys()
            .chain(opened.flat_map(|opened| opened.used(run)))
    }

    /// What is left to implement under a policy that works, by these replays of it.
    pub(super) fn solved(&self, policy: Policy, banned: Banned, ruling: Ruling<'a>) -> Solved<'a> {
        let mut used: BTreeSet<&Feature> = BTreeSet::new();
        let mut unanswered: BTreeSet<&Feature> = BTreeSet::new();
        for run in ruling.runs.iter().filter(|run| run.vote.passes()) {
            // What is answered as a whole has no parts that are anything to implement.
            let inside = |feature: &Feature| {
                let parent = feature.parent();
                parent.is_some_and(|parent| is_answered(run, &policy, &parent))
            };
            let seen = self.used(run).filter(|feature| !inside(feature));
            for feature in seen {
                used.insert(feature);
                if !is_answered(run, &policy, feature) {
                    unanswered.insert(feature);
                }
            }
        }
        let new = used.iter().filter(|it| !self.known.contains_key(**it));
        let new: BTreeSet<Feature> = new.map(|feature| (*feature).clone()).collect();
        // A rule that does not answer the calls that are made leaves nothing out.
        let open = |feature: &&Feature| {
            rule_of(&policy, feature).is_none() || unanswered.contains(*feature)
        };
        let implement = self.known.keys().chain(&new).filter(open);
        let implement = implement.cloned().collect();
        Solved {
            policy,
            banned,
            ruling,
            implement,
            new,
        }
    }

    /// What as many replays of a policy come to as the rule asks for.
    pub(super) fn ruling(
        &self,
        asker: &mut Asker<'a>,
        policy: &Policy,
    ) -> Result<Ruling<'a>, Stop> {
        if policy.is_empty() {
            return Ok(self.baseline.ruling.clone());
        }
        let ruling = asker.ask(policy, self.baseline.rule, self.purpose())?;
        self.baseline.with_look(asker, policy, ruling)
    }

    /// Features to implement that the single verdicts say nothing about under this policy:
    /// fallbacks, and what the application uses in every run of the baseline and in none under
    /// the policy.
    pub(super) fn open(&self, solved: &Solved<'a>) -> BTreeSet<Feature> {
        let always = self.baseline.runs.len();
        let runs = &solved.ruling.runs;
        let watched = runs.iter().any(|run| run.watched);
        let used: BTreeSet<&Feature> = runs.iter().flat_map(|run| self.used(run)).collect();
        let vanished = self
            .known
            .iter()
            .filter(|(feature, seen)| seen.replays as usize == always && !used.contains(feature))
            // What was not looked for has not vanished.
            .filter(|(feature, _)| watched || feature.syscall().is_some())
            .map(|(feature, _)| feature);
        let open = solved.new.iter().chain(vanished);
        let open = open.filter(|feature| solved.implement.contains(*feature));
        open.cloned().collect()
    }

    /// What a solved policy says to whoever implements an OS.
    pub(super) fn joint(&self, solved: Solved<'a>) -> Joint {
        let with = |wanted: Action| -> Vec<Feature> {
            let rules = solved.policy.iter().filter(|(_, action)| *action == wanted);
            let left_out = rules.filter(|(feature, _)| !solved.implement.contains(feature));
            left_out.map(|(feature, _)| feature.clone()).collect()
        };
        let runs = solved.ruling.runs.iter();
        let called: BTreeSet<&Feature> = runs
            .flat_map(|run| run.calls.keys().chain(run.operations.keys()))
            .collect();
        let ruled = || solved.policy.iter().map(|(feature, _)| feature);
        let told = |feature: &&Feature| !self.is_told_by_parts(feature, &solved.implement);
        let implement: Vec<Feature> = solved.implement.iter().filter(told).cloned().collect();
        let unused = ruled().filter(|feature| !called.contains(feature));
        let fallbacks = implement.iter().chain(ruled());
        let fallbacks = fallbacks.filter(|feature| !self.known.contains_key(*feature));
        Joint {
            stub: with(Action::STUB),
            fake: with(Action::Fake),
            runs: solved.ruling.tally.usable(),
            passes: solved.ruling.tally.passes + solved.ruling.tally.idle,
            unused: unused.cloned().collect(),
            fallbacks: fallbacks.cloned().collect(),
            replays: solved.ruling.runs.iter().map(|run| run.id).collect(),
            suspicious: solved.ruling.suspicious(),
            implement,
            is_least: None,
            undecided: Policy::baseline(),
        }
    }

    /// Instead of a syscall whose every call is of one operation, these are named.
    fn is_told_by_parts(&self, parent: &Feature, implement: &BTreeSet<Feature>) -> bool {
        let is_own = |part: &&Feature| part.parent().as_ref() == Some(parent);
        let mut own = implement.iter().filter(is_own);
        let opened = self.opened.is_some_and(|opened| opened.selects(parent));
        opened && own.any(is_operation)
    }
}

fn is_operation(part: &Feature) -> bool {
    matches!(part, Feature::Operation(part) if !part.is_flag())
}

/// What a policy does with a feature: with a part, what it does with the whole.
fn rule_of(policy: &Policy, feature: &Feature) -> Option<Action> {
    let of_parent = || policy.get(&feature.parent()?);
    policy.get(feature).or_else(of_parent)
}

/// Whether a rule of its own answered it.
fn is_answered(run: &Run, policy: &Policy, feature: &Feature) -> bool {
    policy.get(feature).is_some() && run.fired.contains_key(feature)
}
