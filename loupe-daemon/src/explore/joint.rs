//! The joint policy: what can be left out all at once, seen to pass, with nothing open.
//!
//! 1. Every feature takes its best way (stub before fake); while that policy fails, the minimal
//!    conflict in it is found and the best policy without any known conflict is tried next. If
//!    more rules never make a failing policy pass, what comes out implements as little as any
//!    choice among these ways can.
//! 2. What only this policy makes the application use (its fallbacks), and what it keeps the
//!    application from using, is stubbed or faked too where that passes, and implemented where
//!    it does not.
//! 3. Where a rule brings a fallback that must be implemented, the same is done without that
//!    rule; the better result stays. So it is with what the fallbacks themselves bring, of which
//!    the single verdicts know nothing: another way to leave them out is tried, and none.

mod choice;

use std::collections::BTreeSet;

use loupe_common::analysis::{Conflict, Fallback, FeatureVerdict, Joint};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::conflict::{Care, Searcher};
use super::ledger::{Asker, Ruling, Stop};
use super::tally::{Decision, Rule};
use choice::{Banned, Choices};

/// After this many conflicts the best choice is no longer searched for: one rule of each
/// further conflict is given up for good, so that an application full of conflicts ends too.
const MANY_CONFLICTS: usize = 40;

/// Finds the joint policy, and the conflicts on the way.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    baseline: &Baseline<'a>,
    verdicts: &[FeatureVerdict],
    edges: &[Fallback],
) -> Result<(Joint, Vec<Conflict>), Stop> {
    asker.phase = "joint policy";
    let choices: Choices = verdicts
        .iter()
        .map(|row| (row.feature.clone(), ways(row)))
        .filter(|(_, ways)| !ways.is_empty())
        .collect();
    let mut solver = Solver {
        asker,
        rule: baseline.rule,
        baseline,
        choices,
        conflicts: Vec::new(),
        reported: Vec::new(),
        good: Vec::new(),
    };
    let mut best = solver.solve(&Banned::new())?;
    let mut tried: BTreeSet<Banned> = BTreeSet::new();
    loop {
        let untried = best
            .doubtful(edges, &solver.choices)
            .find(|banned| !tried.contains(banned));
        let Some(banned) = untried else {
            break;
        };
        tried.insert(banned.clone());
        let other = solver.solve(&banned)?;
        if other.implement.len() < best.implement.len() {
            best = other;
        }
    }
    let best = solver.polish(best)?;
    let mut conflicts = solver.reported;
    conflicts.sort_by(|a, b| a.policy.cmp(&b.policy));
    Ok((best.joint(baseline), conflicts))
}

/// The ways to leave a feature out alone, best first.
fn ways(row: &FeatureVerdict) -> Vec<Action> {
    [(Action::STUB, &row.stub), (Action::Fake, &row.fake)]
        .into_iter()
        .filter(|(_, trial)| trial.works == Some(true))
        .map(|(action, _)| action)
        .collect()
}

/// A policy that was seen to pass, and what is left to implement then.
#[derive(Clone)]
struct Solved<'a> {
    policy: Policy,
    banned: Banned,
    ruling: Ruling<'a>,
    implement: BTreeSet<Feature>,
    /// Features that the policy makes the application use and the baseline does not.
    new: BTreeSet<Feature>,
}

impl Solved<'_> {
    /// The rules without which less may be left to implement, each with what was banned before:
    /// those that bring more fallbacks to implement than doing without them costs.
    fn doubtful<'e>(
        &'e self,
        edges: &'e [Fallback],
        choices: &'e Choices,
    ) -> impl Iterator<Item = Banned> + 'e {
        self.policy.iter().filter_map(move |(feature, action)| {
            let rule = (feature.clone(), action);
            let brought = self.brought_by(&rule, edges);
            let mut banned = self.banned.clone();
            banned.insert(rule);
            let other = |action: &Action| !banned.contains(&(feature.clone(), *action));
            let cost = match choices.get(feature) {
                Some(actions) if actions.iter().any(other) => 0,
                _ => 1,
            };
            (brought > cost).then_some(banned)
        })
    }

    /// Fallbacks to implement that a rule brings, or that come instead of those.
    fn brought_by(&self, rule: &(Feature, Action), edges: &[Fallback]) -> usize {
        let mut brought: BTreeSet<&Feature> = BTreeSet::new();
        let mut rules = vec![rule.clone()];
        while let Some((feature, action)) = rules.pop() {
            let of_rule = |edge: &&Fallback| (&edge.feature, edge.action) == (&feature, action);
            for edge in edges.iter().filter(of_rule) {
                if self.new.contains(&edge.appears) && brought.insert(&edge.appears) {
                    let action = self.policy.get(&edge.appears);
                    rules.extend(action.map(|action| (edge.appears.clone(), action)));
                }
            }
        }
        let implemented = |feature: &&&Feature| self.implement.contains(**feature);
        brought.iter().filter(implemented).count()
    }

    fn joint(self, baseline: &Baseline<'_>) -> Joint {
        let with = |wanted: Action| -> Vec<Feature> {
            self.policy
                .iter()
                .filter(|(feature, action)| *action == wanted && !self.implement.contains(feature))
                .map(|(feature, _)| feature.clone())
                .collect()
        };
        let called: BTreeSet<&Feature> = self
            .ruling
            .runs
            .iter()
            .flat_map(|r| r.calls.keys())
            .collect();
        Joint {
            stub: with(Action::STUB),
            fake: with(Action::Fake),
            runs: self.ruling.tally.usable(),
            passes: self.ruling.tally.passes + self.ruling.tally.idle,
            unused: self
                .policy
                .iter()
                .map(|(feature, _)| feature)
                .filter(|feature| !called.contains(feature))
                .cloned()
                .collect(),
            fallbacks: self
                .implement
                .iter()
                .chain(self.policy.iter().map(|(feature, _)| feature))
                .filter(|feature| !baseline.features.contains_key(feature))
                .cloned()
                .collect(),
            replays: self.ruling.runs.iter().map(|run| run.id).collect(),
            suspicious: self.ruling.suspicious(),
            implement: self.implement.into_iter().collect(),
        }
    }
}

struct Solver<'s, 'a, 'b> {
    asker: &'s mut Asker<'a>,
    rule: Rule,
    baseline: &'b Baseline<'a>,
    choices: Choices,
    conflicts: Vec<Policy>,
    reported: Vec<Conflict>,
    good: Vec<Policy>,
}

impl<'a> Solver<'_, 'a, '_> {
    fn searcher(&mut self) -> Searcher<'_, 'a> {
        Searcher {
            asker: self.asker,
            rule: self.rule,
            good: &mut self.good,
        }
    }

    /// The best closed policy that uses no banned rule.
    fn solve(&mut self, banned: &Banned) -> Result<Solved<'a>, Stop> {
        let mut given_up = banned.clone();
        loop {
            let policy = choice::best(&self.choices, &self.conflicts, &given_up);
            let glanced = policy.is_empty() || self.asker.glance(&policy).ok_or(Stop::Pending)?;
            let care = match glanced {
                true if self.works(&policy)? => return self.close(policy, banned.clone()),
                true => Care::Full,
                false => Care::Glance,
            };
            let Some(found) = self.searcher().conflict(&policy, care)? else {
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
            if self.conflicts.len() >= MANY_CONFLICTS {
                let rule = found.policy.iter().last();
                given_up.extend(rule.map(|(feature, action)| (feature.clone(), action)));
            }
            self.conflicts.push(found.policy);
        }
    }

    fn works(&mut self, policy: &Policy) -> Result<bool, Stop> {
        Ok(policy.is_empty() || self.searcher().works(policy)?)
    }

    /// Stubs or fakes, in a policy that works, what it makes the application use and what it
    /// keeps it from using, as far as that works and leaves less to implement.
    fn close(&mut self, policy: Policy, banned: Banned) -> Result<Solved<'a>, Stop> {
        let mut solved = self.look(policy, banned)?;
        let mut kept: BTreeSet<Feature> = BTreeSet::new();
        loop {
            let open: Vec<Feature> = self.open(&solved).difference(&kept).cloned().collect();
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
                    self.asker.prefetch(&policy);
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
        let known = &self.baseline.features;
        let of_fallbacks: Vec<(Feature, Action)> = rules
            .filter(|(feature, _)| !known.contains_key(*feature))
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
                if !self.asker.glance(&policy).ok_or(Stop::Pending)? || !self.works(&policy)? {
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
        let mut policy = solved.policy.clone();
        for (feature, action) in rules.iter() {
            policy.insert(feature.clone(), action);
        }
        let glanced = self.asker.glance(&policy).ok_or(Stop::Pending)?;
        if !glanced || !self.works(&policy)? {
            return Ok(None);
        }
        let extended = self.look(policy, solved.banned.clone())?;
        let answers = |(feature, _)| !extended.implement.contains(feature);
        let better = extended.implement.len() < solved.implement.len();
        Ok((better && rules.iter().all(answers)).then_some(extended))
    }

    /// What is left to implement under a policy that works.
    fn look(&mut self, policy: Policy, banned: Banned) -> Result<Solved<'a>, Stop> {
        let ruling = if policy.is_empty() {
            self.baseline.ruling.clone()
        } else {
            let ruling = self.asker.ask(&policy, self.rule).ok_or(Stop::Pending)?;
            self.baseline.with_look(self.asker, &policy, ruling)?
        };
        let mut used: BTreeSet<&Feature> = BTreeSet::new();
        let mut unanswered: BTreeSet<&Feature> = BTreeSet::new();
        for run in ruling.runs.iter().filter(|run| run.vote.passes()) {
            used.extend(run.calls.keys());
            let slipped = |feature: &&Feature| !run.fired.contains_key(feature);
            unanswered.extend(run.calls.keys().filter(slipped));
        }
        let known = &self.baseline.features;
        let new: BTreeSet<Feature> = used
            .iter()
            .filter(|feature| !known.contains_key(feature))
            .map(|feature| (*feature).clone())
            .collect();
        // A rule that does not answer the calls that are made leaves nothing out.
        let implement = known
            .keys()
            .chain(&new)
            .filter(|feature| policy.get(feature).is_none() || unanswered.contains(feature))
            .cloned()
            .collect();
        Ok(Solved {
            policy,
            banned,
            ruling,
            implement,
            new,
        })
    }

    /// Features to implement that the single verdicts say nothing about under this policy:
    /// fallbacks, and what the application uses in every run of the baseline and in none under
    /// the policy.
    fn open(&self, solved: &Solved<'a>) -> BTreeSet<Feature> {
        let always = self.baseline.runs.len();
        let watched = solved.ruling.runs.iter().any(|run| run.watched);
        let used: BTreeSet<&Feature> = solved
            .ruling
            .runs
            .iter()
            .flat_map(|run| run.calls.keys())
            .collect();
        let vanished = self
            .baseline
            .features
            .iter()
            .filter(|(feature, seen)| seen.replays as usize == always && !used.contains(feature))
            // What was not looked for has not vanished.
            .filter(|(feature, _)| watched || feature.syscall().is_some())
            .map(|(feature, _)| feature);
        solved
            .new
            .iter()
            .chain(vanished)
            .filter(|feature| solved.implement.contains(*feature))
            .cloned()
            .collect()
    }
}
