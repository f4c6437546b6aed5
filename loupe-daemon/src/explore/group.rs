//! Many features at once: group testing.
//!
//! A chain of groups tests features of the same way (all stubbed, or all faked). While the
//! group fails, the likeliest culprit leaves it and is measured alone; when it passes, with all
//! replicas, its members are said to work without replays of their own. A group only ever says
//! that: "does not work" always rests on replays of the feature alone.
//!
//! A pass of the group is a pass of each member unless one member's absence rescues another's.
//! So a member is taken over only if nothing hints at that: its injection answered as many
//! calls as the baseline made (no code that calls it was skipped), and nothing ran that the
//! baseline did not run (no plan B), and the passes do not look wrong. Members that fall short are measured alone. What is left
//! is an interaction that changes no call at all; if the joint policy comes across one, the
//! feature is measured alone too, and its own replays overrule the group's.

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::suspicion;
use super::tally::{Decision, Rule, Vote};

/// The most features in one group: beyond that, one bad guess costs too much.
pub(super) const LARGEST: usize = 32;

/// Wrong guesses at a culprit, and oddities of passing groups, before the group is halved
/// instead.
const PATIENCE: u32 = 3;

/// How much less likely each earlier injection is to be the one that broke the application.
const EARLIER: f64 = 0.35;

/// What came of a chain, as far as it is known; a member that is in neither waits.
#[derive(Default)]
pub(super) struct Settled<'a> {
    /// Works, by the replays of a group.
    pub implied: Vec<(Feature, Ruling<'a>)>,
    /// To be measured alone.
    pub alone: Vec<Feature>,
}

/// One chain of groups.
pub(super) struct Chain<'s, 'a> {
    pub asker: &'s mut Asker<'a>,
    pub baseline: &'s Baseline<'a>,
    pub rule: Rule,
    pub action: Action,
    /// The chance that a feature works this way.
    pub prior: &'s dyn Fn(&Feature) -> f64,
    pub settled: &'s mut Settled<'a>,
    /// Usable replays of groups that may still be spent.
    budget: u32,
}

/// The most usable replays of groups that a chain over so many features spends.
pub(super) fn budget(members: usize, rule: Rule) -> u32 {
    u32::try_from(members).unwrap_or(u32::MAX) + 2 * rule.limit
}

impl<'s, 'a> Chain<'s, 'a> {
    pub fn new(
        asker: &'s mut Asker<'a>,
        baseline: &'s Baseline<'a>,
        rule: Rule,
        action: Action,
        prior: &'s dyn Fn(&Feature) -> f64,
        settled: &'s mut Settled<'a>,
    ) -> Chain<'s, 'a> {
        Chain {
            asker,
            baseline,
            rule,
            action,
            prior,
            settled,
            budget: 0,
        }
    }

    /// Settles every member, or as many as can be so far.
    pub fn run(&mut self, members: Vec<Feature>) -> Result<(), Stop> {
        self.budget = budget(members.len(), self.rule);
        self.settle(members, true)
    }

    fn settle(&mut self, members: Vec<Feature>, second_chance: bool) -> Result<(), Stop> {
        let mut group = members;
        let mut cleared = Vec::new();
        let mut oddities = 0;
        while group.len() > 1 && self.spend(1) {
            let policy = self.policy(&group);
            let run = match self.asker.glance_run(&policy).ok_or(Stop::Pending)? {
                Some(run) => run,
                // Its replays cannot be used.
                None => break,
            };
            if run.vote == Vote::Failure {
                if cleared.len() > PATIENCE as usize {
                    let right = group.split_off(group.len() / 2);
                    self.settle(group, false)?;
                    group = right;
                    cleared = self.second_chance(cleared, second_chance)?;
                    continue;
                }
                let suspect = self.suspect(run, &group, cleared.is_empty());
                group.retain(|member| *member != suspect);
                let alone = self
                    .asker
                    .glance(&Policy::single(suspect.clone(), self.action));
                if group.len() > 1 && self.budget > 0 {
                    // Looked at in the next round; whatever the suspect does, it is needed.
                    let policy = self.policy(&group);
                    self.asker.glance(&policy);
                }
                match alone.ok_or(Stop::Pending)? {
                    false => self.settled.alone.push(suspect),
                    true => cleared.push(suspect),
                }
                continue;
            }
            if let Some(cause) = self.oddity(run, &group) {
                oddities += 1;
                match cause.filter(|_| oddities <= PATIENCE) {
                    Some(cause) => {
                        group.retain(|member| *member != cause);
                        self.settled.alone.push(cause);
                    }
                    None => {
                        let right = group.split_off(group.len() / 2);
                        self.settle(group, false)?;
                        group = right;
                    }
                }
                continue;
            }
            if !self.spend(self.rule.limit - 1) {
                break;
            }
            let ruling = self.asker.ask(&policy, self.rule).ok_or(Stop::Pending)?;
            let odd = ruling.runs.iter().any(|run| !run.suspicions.is_empty());
            if ruling.decision != Decision::Works || odd {
                break;
            }
            for member in std::mem::take(&mut group) {
                if self.covered(&member, &ruling) {
                    self.settled.implied.push((member, ruling.clone()));
                } else {
                    self.settled.alone.push(member);
                }
            }
        }
        self.settled.alone.append(&mut group);
        self.second_chance(cleared, second_chance)?;
        Ok(())
    }

    /// Features that were suspected wrongly work alone, but only one replica says so: they
    /// make another group. Nothing is left of them.
    fn second_chance(
        &mut self,
        mut cleared: Vec<Feature>,
        allowed: bool,
    ) -> Result<Vec<Feature>, Stop> {
        if allowed && cleared.len() > 1 {
            self.settle(cleared, false)?;
        } else {
            self.settled.alone.append(&mut cleared);
        }
        Ok(Vec::new())
    }

    fn spend(&mut self, replays: u32) -> bool {
        match self.budget.checked_sub(replays) {
            Some(left) => {
                self.budget = left;
                true
            }
            None => false,
        }
    }

    fn policy(&self, group: &[Feature]) -> Policy {
        let rule = |feature: &Feature| (feature.clone(), self.action);
        group.iter().map(rule).collect()
    }

    /// The member that most likely made the group fail: one that answered late, because an
    /// application that gives up does so soon after, and that seldom works in others. What
    /// never answered broke nothing, and what comes last in every run (`exit_group`) says
    /// nothing by coming last, or so it seems until the `first_guess` was wrong.
    fn suspect(&self, run: &Run, group: &[Feature], first_guess: bool) -> Feature {
        let fired = |feature: &&Feature| group.contains(feature) && run.fired.contains_key(feature);
        let latest_first = run.order.iter().rev().filter(fired);
        let end = self.baseline.runs.first().and_then(|run| run.order.last());
        let mut weight = 1.0;
        let mut best: Option<(f64, &Feature)> = None;
        for feature in latest_first {
            let mut score = weight * (1.0 - (self.prior)(feature)).sqrt();
            if first_guess && Some(feature) == end {
                score *= EARLIER;
            } else {
                weight *= EARLIER;
            }
            if best.is_none_or(|(other, _)| score > other) {
                best = Some((score, feature));
            }
        }
        let unordered = || group.iter().find(fired).or(group.first());
        let best = best.map(|(_, feature)| feature).or_else(unordered);
        best.expect("a group has members").clone()
    }

    /// Whether a passing replay of the group looks unlike the baseline (it uses something that
    /// the baseline does not, or its pass looks wrong), and then the member that most likely
    /// did it: the last one that answered before the new feature, or one that a complaint names,
    /// or one that should have sent something.
    fn oddity(&self, run: &Run, group: &[Feature]) -> Option<Option<Feature>> {
        let fired = |feature: &&Feature| group.contains(feature) && run.fired.contains_key(feature);
        let known = &self.baseline.features;
        if run.calls.keys().any(|feature| !known.contains_key(feature)) {
            let before = run
                .order
                .iter()
                .take_while(|feature| known.contains_key(feature));
            return Some(before.filter(fired).last().cloned());
        }
        if run.suspicions.is_empty() {
            return None;
        }
        let named = |member: &&Feature| {
            let name = member.to_string();
            fired(member) && run.suspicions.iter().any(|what| what.contains(&name))
        };
        let sender = |member: &&Feature| fired(member) && suspicion::sends(member);
        let cause = group.iter().find(named).or(group.iter().find(sender));
        Some(cause.cloned())
    }

    /// In every replay of the group, the member's injection answered as many calls as the
    /// baseline makes; where the baseline itself varies, at least half of its fewest.
    fn covered(&self, member: &Feature, ruling: &Ruling<'a>) -> bool {
        let baseline = self.baseline.runs.iter();
        let calls = baseline.map(|run| run.calls.get(member).copied().unwrap_or(0));
        let (fewest, most) = calls.fold((u64::MAX, 0), |(fewest, most), calls| {
            (fewest.min(calls), most.max(calls))
        });
        let enough = if fewest == most {
            fewest
        } else {
            fewest.div_ceil(2)
        };
        let passing = ruling.runs.iter().filter(|run| run.vote.passes());
        let mut fired = passing.map(|run| run.fired.get(member).copied().unwrap_or(0));
        fired.all(|fired| fired > 0 && fired >= enough)
    }
}
