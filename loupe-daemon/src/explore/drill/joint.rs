//! The joint policy, one level deeper: of the syscalls that it leaves to implement, the
//! operations that can be left out at once with everything else, seen to pass.
//!
//! Greedy: all that work alone are tried together, then halves of them, each on top of what was
//! kept. What fails alone on top of the rest is given up, so the result is a set to which no
//! operation can be added, not always the largest.

use std::collections::BTreeSet;

use loupe_common::analysis::{FeatureVerdict, Joint};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::Opened;
use crate::explore::baseline::Baseline;
use crate::explore::ledger::{Asker, Ruling, Stop};
use crate::explore::run::Run;
use crate::explore::tally::Decision;

/// The joint policy with the operations of what it implements.
pub(in crate::explore) fn refine<'a>(
    asker: &mut Asker<'a>,
    baseline: &Baseline<'a>,
    opened: &Opened<'a>,
    parts: &[FeatureVerdict],
    joint: Joint,
) -> Result<Joint, Stop> {
    let implements = |part: &FeatureVerdict| {
        let parent = part.feature.parent();
        parent.is_some_and(|parent| joint.implement.contains(&parent))
    };
    let own: Vec<&FeatureVerdict> = parts.iter().filter(|part| implements(part)).collect();
    if own.is_empty() {
        return Ok(joint);
    }
    asker.phase = "joint policy, operations";
    let rules = |features: &[Feature], action: Action| -> Vec<(Feature, Action)> {
        let rule = |feature: &Feature| (feature.clone(), action);
        features.iter().map(rule).collect()
    };
    let mut policy = rules(&joint.stub, Action::STUB);
    policy.extend(rules(&joint.fake, Action::Fake));
    let mut solver = Solver {
        asker,
        baseline,
        opened,
        joint: &joint,
    };
    let solved = solver.look(policy.into_iter().collect())?;
    let ways = own.iter().map(|part| ways(part));
    let ways: Vec<Vec<(Feature, Action)>> = ways.filter(|ways| !ways.is_empty()).collect();
    let solved = solver.extend(solved, &ways)?;
    let solved = solver.close(solved)?;
    Ok(solver.result(solved))
}

/// The ways to leave a part out alone, best first.
fn ways(row: &FeatureVerdict) -> Vec<(Feature, Action)> {
    [(Action::STUB, &row.stub), (Action::Fake, &row.fake)]
        .into_iter()
        .filter(|(_, trial)| trial.works == Some(true))
        .map(|(action, _)| (row.feature.clone(), action))
        .collect()
}

/// A policy that passes.
struct Solved<'a> {
    policy: Policy,
    ruling: Ruling<'a>,
    /// What is left to implement, parents and parts.
    implement: BTreeSet<Feature>,
}

struct Solver<'s, 'a> {
    asker: &'s mut Asker<'a>,
    baseline: &'s Baseline<'a>,
    opened: &'s Opened<'a>,
    joint: &'s Joint,
}

impl<'a> Solver<'_, 'a> {
    /// With as many of these parts left out as pass at once, each by the first of its ways that
    /// does.
    fn extend(
        &mut self,
        solved: Solved<'a>,
        parts: &[Vec<(Feature, Action)>],
    ) -> Result<Solved<'a>, Stop> {
        match parts {
            [] => Ok(solved),
            [ways] => {
                for rule in ways {
                    if let Some(better) = self.with(&solved, std::slice::from_ref(rule))? {
                        return Ok(better);
                    }
                }
                Ok(solved)
            }
            parts => {
                let best: Vec<(Feature, Action)> =
                    parts.iter().map(|ways| ways[0].clone()).collect();
                if let Some(better) = self.with(&solved, &best)? {
                    return Ok(better);
                }
                let (left, right) = parts.split_at(parts.len() / 2);
                let solved = self.extend(solved, left)?;
                self.extend(solved, right)
            }
        }
    }

    /// With what only the policy makes the application use left out too, as far as that passes.
    fn close(&mut self, mut solved: Solved<'a>) -> Result<Solved<'a>, Stop> {
        let mut tried: BTreeSet<Feature> = self.parts().cloned().collect();
        loop {
            let is_new = |part: &&Feature| part.parent().is_some() && !tried.contains(*part);
            let new: Vec<Feature> = solved.implement.iter().filter(is_new).cloned().collect();
            if new.is_empty() {
                return Ok(solved);
            }
            let ways: Vec<Vec<(Feature, Action)>> = new
                .iter()
                .map(|part| [Action::STUB, Action::Fake].map(|action| (part.clone(), action)))
                .map(Vec::from)
                .collect();
            tried.extend(new);
            solved = self.extend(solved, &ways)?;
        }
    }

    /// With these rules too, if that passes, every one of them holds, and less is left to
    /// implement.
    fn with(
        &mut self,
        solved: &Solved<'a>,
        rules: &[(Feature, Action)],
    ) -> Result<Option<Solved<'a>>, Stop> {
        let mut policy = solved.policy.clone();
        for (feature, action) in rules {
            policy.insert(feature.clone(), *action);
        }
        if !self.asker.glance(&policy).ok_or(Stop::Pending)? {
            return Ok(None);
        }
        let better = self.look(policy)?;
        let decision = better.ruling.decision;
        let idle = decision == Decision::NotExercised && better.ruling.tally.strays == 0;
        let holds = |(feature, _): &(Feature, Action)| !better.implement.contains(feature);
        let works = decision == Decision::Works || idle;
        let less = better.implement.len() < solved.implement.len();
        Ok((works && less && rules.iter().all(holds)).then_some(better))
    }

    /// What is left to implement under a policy, as far as its replays pass.
    fn look(&mut self, policy: Policy) -> Result<Solved<'a>, Stop> {
        let ruling = match policy.is_empty() {
            true => self.baseline.ruling.clone(),
            false => {
                let ruling = self.asker.ask(&policy, self.baseline.rule);
                let ruling = ruling.ok_or(Stop::Pending)?;
                self.baseline.with_look(self.asker, &policy, ruling)?
            }
        };
        let mut implement: BTreeSet<Feature> = BTreeSet::new();
        // What is used is to be implemented unless every call of it is answered.
        for run in ruling.runs.iter().filter(|run| run.vote.passes()) {
            let used = run.calls.keys().chain(self.opened.used(run));
            let open = used.filter(|feature| !self.is_answered(run, &policy, feature));
            implement.extend(open.cloned());
        }
        // So is what the policy says nothing about, even if it is not used under it.
        let known = self.joint.implement.iter().chain(self.parts());
        let unruled = known.filter(|feature| policy.get(feature).is_none());
        implement.extend(unruled.cloned());
        Ok(Solved {
            policy,
            ruling,
            implement,
        })
    }

    fn is_answered(&self, run: &Run, policy: &Policy, feature: &Feature) -> bool {
        let by =
            |feature: &Feature| policy.get(feature).is_some() && run.fired.contains_key(feature);
        by(feature) || feature.parent().is_some_and(|parent| by(&parent))
    }

    /// The parts of what the joint policy implements.
    fn parts(&self) -> impl Iterator<Item = &Feature> {
        let baseline = self.opened.baseline.as_ref();
        let parts = baseline.into_iter().flat_map(|it| it.features.keys());
        let joint = self.joint;
        parts.filter(|part| {
            let parent = part.parent();
            parent.is_some_and(|parent| joint.implement.contains(&parent))
        })
    }

    fn result(&self, solved: Solved<'a>) -> Joint {
        let with = |wanted: Action| -> Vec<Feature> {
            let rules = solved.policy.iter().filter(|(_, action)| *action == wanted);
            let left_out = rules.filter(|(feature, _)| !solved.implement.contains(feature));
            left_out.map(|(feature, _)| feature.clone()).collect()
        };
        let runs = &solved.ruling.runs;
        let called = |feature: &Feature| {
            runs.iter()
                .any(|run| run.calls.contains_key(feature) || run.operations.contains_key(feature))
        };
        let parts = self.opened.baseline.as_ref();
        let is_known = |feature: &Feature| {
            self.baseline.features.contains_key(feature)
                || parts.is_some_and(|parts| parts.features.contains_key(feature))
        };
        let ruled = || solved.policy.iter().map(|(feature, _)| feature);
        let implement: Vec<Feature> = solved
            .implement
            .iter()
            .filter(|feature| !self.is_told_by_parts(feature, &solved.implement))
            .cloned()
            .collect();
        Joint {
            stub: with(Action::STUB),
            fake: with(Action::Fake),
            runs: solved.ruling.tally.usable(),
            passes: solved.ruling.tally.passes + solved.ruling.tally.idle,
            unused: ruled()
                .filter(|feature| !called(feature))
                .cloned()
                .collect(),
            fallbacks: implement
                .iter()
                .chain(ruled())
                .filter(|feature| !is_known(feature))
                .cloned()
                .collect(),
            replays: runs.iter().map(|run| run.id).collect(),
            suspicious: solved.ruling.suspicious(),
            implement,
        }
    }

    /// Instead of a syscall whose every call is of one operation, these are named.
    fn is_told_by_parts(&self, parent: &Feature, implement: &BTreeSet<Feature>) -> bool {
        let is_own = |part: &&Feature| part.parent().as_ref() == Some(parent);
        let mut own = implement.iter().filter(is_own);
        let is_operation =
            |part: &Feature| matches!(part, Feature::Operation(part) if !part.is_flag());
        super::selects(parent) && self.opened.has(parent) && own.any(is_operation)
    }
}
