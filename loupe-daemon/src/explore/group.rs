//! Many features at once: group testing, for one way to leave features out.
//!
//! 1. **Glances.** Features that probably work are put into groups that more likely pass than
//!    not, the others stand alone, and each of these sets is replayed once. The members of a
//!    group that fails, or passes oddly, are replayed alone, once.
//! 2. **Failures** are always a feature's own: each is confirmed by replays of it alone.
//! 3. **Passes** so far are single ones. All features that passed are then left out together,
//!    with as many replicas as a pass needs. Where that fails, the set is halved.
//!
//! A pass of a group is a pass of each member unless one member's absence rescues another's.
//! So a member is taken over only if nothing hints at that: its injection answered as many
//! calls as the baseline made (no code that calls it was skipped), and nothing ran that the
//! baseline did not run (no plan B), and the pass does not look wrong. Members that fall short
//! are measured alone. What is left is an interaction that changes no call at all; if the joint
//! policy comes across one, the feature is measured alone too, and its own replays overrule the
//! group's.

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::tally::{Decision, Rule, Vote};

/// A group passes with at least this chance.
const WORTH_A_GROUP: f64 = 0.5;

/// The most features in a first group: where one of them does not work, all are replayed alone.
const LARGEST: usize = 16;

/// What came of a way, as far as it is known; a feature that is in neither waits.
#[derive(Default)]
pub(super) struct Settled<'a> {
    /// Works, by the replays of a group.
    pub implied: Vec<(Feature, Ruling<'a>)>,
    /// To be measured alone.
    pub alone: Vec<Feature>,
}

/// Features that are left out in the same way.
pub(super) struct Grouping<'s, 'a> {
    pub asker: &'s mut Asker<'a>,
    pub baseline: &'s Baseline<'a>,
    pub rule: Rule,
    pub action: Action,
    pub settled: Settled<'a>,
}

/// What one replay of a set says about it.
enum Glance {
    /// It fails, or its replays cannot be used.
    Fails,
    /// It passes, and looks as the baseline does but for these members.
    Passes { odd: Vec<Feature> },
    /// It passes and looks unlike the baseline.
    Odd,
}

impl<'a> Grouping<'_, 'a> {
    /// Settles every feature, or as many as can be so far; `prior` is the chance that a feature
    /// works this way.
    pub fn run(
        mut self,
        features: Vec<Feature>,
        prior: &dyn Fn(&Feature) -> f64,
    ) -> (Settled<'a>, Result<(), Stop>) {
        let outcome = self.settle(features, prior);
        (self.settled, outcome)
    }

    fn settle(
        &mut self,
        features: Vec<Feature>,
        prior: &dyn Fn(&Feature) -> f64,
    ) -> Result<(), Stop> {
        let mut passed = Vec::new();
        let mut waits = false;
        // The unlikeliest first: they need confirmation, and some of them time.
        for group in groups(features, prior).into_iter().rev() {
            match self.glance(&group) {
                None => waits = true,
                Some(Glance::Passes { odd }) => {
                    passed.extend(group.into_iter().filter(|member| !odd.contains(member)));
                    self.settled.alone.extend(odd);
                }
                Some(_) if group.len() == 1 => self.settled.alone.extend(group),
                Some(_) => {
                    for member in group {
                        match self.glance(std::slice::from_ref(&member)) {
                            None => waits = true,
                            Some(Glance::Passes { odd }) if odd.is_empty() => passed.push(member),
                            Some(_) => self.settled.alone.push(member),
                        }
                    }
                }
            }
        }
        if waits {
            return Err(Stop::Pending);
        }
        passed.sort();
        self.confirm(passed)
    }

    /// Leaves out together what has passed, with all replicas; halves what does not pass.
    fn confirm(&mut self, mut group: Vec<Feature>) -> Result<(), Stop> {
        if group.len() < 2 {
            self.settled.alone.append(&mut group);
            return Ok(());
        }
        match self.glance(&group).ok_or(Stop::Pending)? {
            Glance::Passes { odd } => {
                let policy = self.policy(&group);
                let ruling = self.asker.ask(&policy, self.rule).ok_or(Stop::Pending)?;
                let clean = ruling.runs.iter().all(|run| !self.is_odd(run));
                if ruling.decision != Decision::Works || !clean {
                    return self.halve(group);
                }
                for member in group {
                    if odd.contains(&member) || !self.covered(&member, &ruling.runs) {
                        self.settled.alone.push(member);
                    } else {
                        self.settled.implied.push((member, ruling.clone()));
                    }
                }
                Ok(())
            }
            Glance::Fails | Glance::Odd => self.halve(group),
        }
    }

    fn halve(&mut self, mut group: Vec<Feature>) -> Result<(), Stop> {
        let right = group.split_off(group.len() / 2);
        // Both are asked for before either is waited for.
        let (left, right) = (self.confirm(group), self.confirm(right));
        left.and(right)
    }

    fn glance(&mut self, group: &[Feature]) -> Option<Glance> {
        let run = self.asker.glance_run(&self.policy(group))?;
        Some(match run {
            Some(run) if run.vote == Vote::Pass && self.is_odd(run) => Glance::Odd,
            Some(run) if run.vote == Vote::Pass => Glance::Passes {
                odd: group
                    .iter()
                    .filter(|member| !self.covered(member, &[run]))
                    .cloned()
                    .collect(),
            },
            _ => Glance::Fails,
        })
    }

    fn policy(&self, group: &[Feature]) -> Policy {
        let rule = |feature: &Feature| (feature.clone(), self.action);
        group.iter().map(rule).collect()
    }

    /// It uses something that the baseline does not, or its pass looks wrong.
    fn is_odd(&self, run: &Run) -> bool {
        let known = &self.baseline.features;
        let new = run.calls.keys().any(|feature| !known.contains_key(feature));
        new || !run.suspicions.is_empty()
    }

    /// In every passing replay the member's injection answered as many calls as the baseline
    /// makes; where the baseline itself varies, at least half of its fewest.
    fn covered(&self, member: &Feature, runs: &[&Run]) -> bool {
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
        let passing = runs.iter().filter(|run| run.vote.passes());
        let mut fired = passing.map(|run| run.fired.get(member).copied().unwrap_or(0));
        fired.all(|fired| fired > 0 && fired >= enough)
    }
}

/// Sets of features, the likeliest to work first: as large as passes with a fair chance, by the
/// chances of their members.
fn groups(mut features: Vec<Feature>, prior: &dyn Fn(&Feature) -> f64) -> Vec<Vec<Feature>> {
    features.sort_by(|a, b| prior(b).total_cmp(&prior(a)).then(a.cmp(b)));
    let mut groups: Vec<Vec<Feature>> = Vec::new();
    let mut chance = 0.0;
    for feature in features {
        let with = chance * prior(&feature);
        match groups.last_mut() {
            Some(group) if with >= WORTH_A_GROUP && group.len() < LARGEST => {
                chance = with;
                group.push(feature);
            }
            _ => {
                chance = prior(&feature);
                groups.push(vec![feature]);
            }
        }
    }
    groups
}
