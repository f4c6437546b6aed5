//! How the analysis asks the ledger, and notes what it has to wait for.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::policy::Policy;
use loupe_common::replay::Control;

use super::{Hurry, Ledger, Purpose, REPEATED, Ruling, Want, count};
use crate::explore::beginning::Beginning;
use crate::explore::counting;
use crate::explore::run::Run;
use crate::explore::tally::{Decision, Rule, Tally, UNUSABLE, VOID, Vote};

/// The analysis' view of the ledger, for one pass over it.
pub(in crate::explore) struct Asker<'a> {
    ledger: &'a Ledger,
    pub wants: Vec<Want>,
    /// A guess at the replays that nothing has asked for yet.
    pub later: u64,
    pub phase: &'static str,
    /// How soon what is asked now is wanted.
    pub hurry: Hurry,
    /// Some of what is wanted waits until another replay has passed.
    pub holds: bool,
    /// The policies that this pass rested on so far, and on how many of their replicas. What
    /// others asked for besides must not show.
    used: BTreeMap<Policy, usize>,
    /// The policies of which this pass has seen the look.
    looked: BTreeSet<Policy>,
}

impl<'a> Asker<'a> {
    pub fn new(ledger: &'a Ledger) -> Asker<'a> {
        Asker {
            ledger,
            wants: Vec::new(),
            later: 0,
            phase: "",
            hurry: Hurry::Urgent,
            holds: false,
            used: BTreeMap::new(),
            looked: BTreeSet::new(),
        }
    }

    /// What the replicas of this policy come to; `None` when more are needed, and then they
    /// are asked for.
    pub fn ask(&mut self, policy: &Policy, rule: Rule) -> Option<Ruling<'a>> {
        let replicas = self.ledger.replicas(policy);
        let SoFar {
            tally,
            runs,
            decision,
        } = so_far(replicas, rule);
        let started = replicas.len();
        match decision {
            Some(decision) => {
                self.rests_on(policy, runs.len());
                let counts = |run: &&Run| !run.too_slow && !counting::is_forgiven(run, &runs, rule);
                Some(Ruling {
                    decision,
                    tally,
                    runs: runs.iter().copied().filter(counts).collect(),
                })
            }
            None => {
                let flying = count(started - runs.len());
                self.want(Want {
                    start: tally.surely_needed(rule).saturating_sub(flying),
                    left: tally.likely_needed(rule).saturating_sub(flying),
                    started: count(started),
                    failing: tally.failures > 0,
                    wall_us: replicas.iter().flatten().map(|run| run.wall_us).max(),
                    ..Want::once(policy, Purpose::Decide)
                });
                None
            }
        }
    }

    /// Whether the first usable replica of this policy passes: quick to ask, and for a search
    /// only, never for a claim. Only that replica counts, even when there are more. A policy
    /// whose replicas cannot be used does not pass.
    pub fn glance(&mut self, policy: &Policy) -> Option<bool> {
        let run = self.glance_run(policy)?;
        Some(run.is_some_and(|run| run.vote.passes()))
    }

    /// A replay under this policy that was watched for pseudo-files: one that this pass rests on,
    /// else one more for that alone, which is asked for. `Some(None)`: it cannot be used.
    pub fn look(&mut self, policy: &Policy) -> Option<Option<&'a Run>> {
        let used = self.used.get(policy).copied().unwrap_or_default();
        let replicas = self.ledger.replicas(policy).iter().take(used).flatten();
        let mut watched = replicas.filter(|run| run.watched && run.vote.is_usable());
        if let Some(run) = watched.next() {
            return Some(Some(run));
        }
        match self.ledger.looks.get(policy) {
            Some(Some(run)) => {
                self.looked.insert(policy.clone());
                Some(Some(run).filter(|run| run.vote.is_usable()))
            }
            Some(None) => None,
            None => {
                let known = |want: &Want| want.policy == *policy && want.purpose == Purpose::Look;
                if !self.wants.iter().any(known) {
                    self.wants.push(Want::once(policy, Purpose::Look));
                }
                None
            }
        }
    }

    /// One more replay under this policy, watched, to see whether what the first showed was by
    /// chance. `Some(None)`: it cannot be used.
    pub fn look_again(&mut self, policy: &Policy) -> Option<Option<&'a Run>> {
        match self.ledger.second_looks.get(policy) {
            Some(Some(run)) => Some(Some(run).filter(|run| run.vote.speaks())),
            Some(None) => None,
            None => {
                let purpose = Purpose::LookAgain;
                let known = |want: &Want| want.policy == *policy && want.purpose == purpose;
                if !self.wants.iter().any(known) {
                    self.wants.push(Want::once(policy, purpose));
                }
                None
            }
        }
    }

    /// Has this policy replayed so often, because something will probably ask for it soon. Not
    /// more often, whatever comes of it: it may turn out that nothing asks, and whether it does
    /// must not depend on the order of completion.
    pub fn prefetch(&mut self, policy: &Policy, replays: u32) {
        let started = self.ledger.replicas(policy).len();
        let at_once = match self.ledger.is_crowded {
            true => count(counting::AT_ONCE),
            false => replays,
        };
        let missing = replays.min(at_once).saturating_sub(count(started));
        if missing > 0 {
            self.want(Want::more(policy, missing, started));
        }
    }

    /// How a replay begins under this policy, which nothing has been asked about before; `None`
    /// while that is not known.
    pub fn probe(&mut self, policy: &Policy) -> Option<Beginning> {
        match self.ledger.probes.get(policy) {
            Some(known) => *known,
            // Whatever else asks about it will find that replay, or run its own after it.
            None if !self.ledger.replicas(policy).is_empty() => Some(Beginning::Starts),
            None => {
                if !self.wants.iter().any(|want| want.policy == *policy) {
                    self.wants.push(Want {
                        hurry: self.hurry,
                        ..Want::once(policy, Purpose::Probe)
                    });
                }
                None
            }
        }
    }

    /// The first usable replica of this policy; none if too many could not be used.
    pub fn glance_run(&mut self, policy: &Policy) -> Option<Option<&'a Run>> {
        let replicas = self.ledger.replicas(policy);
        let (mut unusable, mut void) = (0, 0);
        for (index, run) in replicas.iter().enumerate() {
            let Some(run) = run else {
                self.want(Want::more(policy, 0, replicas.len()));
                return None;
            };
            match run.vote {
                Vote::Pass | Vote::IdlePass | Vote::Failure => {
                    self.rests_on(policy, index + 1);
                    return Some(Some(run));
                }
                Vote::Void => void += 1,
                Vote::Stray | Vote::Invalid => unusable += 1,
            }
        }
        if unusable > UNUSABLE || void > VOID {
            self.rests_on(policy, replicas.len());
            return Some(None);
        }
        self.want(Want::more(policy, 1, replicas.len()));
        None
    }

    fn rests_on(&mut self, policy: &Policy, replicas: usize) {
        let most = self.used.entry(policy.clone()).or_default();
        *most = replicas.max(*most);
    }

    /// What the replicas of this policy come to, if that is known anyway.
    pub fn peek(&mut self, policy: &Policy, rule: Rule) -> Option<Ruling<'a>> {
        so_far(self.ledger.replicas(policy), rule).decision?;
        self.ask(policy, rule)
    }

    /// So many passing replicas of a policy that works, run for their cost alone and beside
    /// others like them; `None` when more are needed, and then they are asked for. Fewer come
    /// back if too many did not pass, or never called what is left out.
    pub fn measure(&mut self, policy: &Policy, wanted: u32, share: u32) -> Option<Vec<&'a Run>> {
        let (_, replicas) = self.ledger.split(policy);
        let finished = replicas.iter().flatten();
        let good: Vec<&Run> = finished.filter(|run| run.vote == Vote::Pass).collect();
        let started = count(replicas.len());
        let flying = count(replicas.iter().filter(|run| run.is_none()).count());
        let missing = wanted.saturating_sub(count(good.len()));
        let room = (wanted + REPEATED).saturating_sub(started);
        let start = missing.saturating_sub(flying).min(room);
        if flying == 0 && start == 0 {
            return Some(good);
        }
        self.wants.push(Want {
            start,
            left: start,
            started,
            share,
            ..Want::once(policy, Purpose::Measure)
        });
        None
    }

    /// The controls of a kind that have come back, which may be none.
    pub fn controls(&self, control: Control) -> Vec<&'a Run> {
        let known = self.ledger.controls.get(&control);
        known.into_iter().flatten().flatten().collect()
    }

    /// Has one more control of a kind run, unless one is running.
    pub fn control(&mut self, control: Control) {
        let known = self.ledger.controls.get(&control);
        let runs = known.map_or(&[][..], Vec::as_slice);
        if runs.iter().all(Option::is_some) {
            // Before all others: what it says may end the analysis.
            self.wants.push(Want {
                failing: true,
                ..Want::once(&Policy::baseline(), Purpose::Control(control))
            });
        }
    }

    fn want(&mut self, mut want: Want) {
        want.hurry = self.hurry;
        want.start = want.start.min(self.ledger.startable(&want.policy));
        if self.ledger.is_held(&want.policy) {
            self.holds |= want.start > 0;
            want.start = 0;
        }
        let known = |known: &&mut Want| {
            known.policy == want.policy
                && !matches!(
                    known.purpose,
                    Purpose::Look | Purpose::LookAgain | Purpose::Control(_)
                )
        };
        match self.wants.iter_mut().find(known) {
            None => self.wants.push(want),
            // What it needs will be asked for when the probe is back.
            Some(known) if known.purpose == Purpose::Probe => {
                known.hurry = known.hurry.min(want.hurry);
            }
            Some(known) => {
                known.start = known.start.max(want.start);
                known.left = known.left.max(want.left);
                known.hurry = known.hurry.min(want.hurry);
            }
        }
    }

    /// Replays left, as far as it can be foreseen.
    pub fn left(&self) -> u64 {
        let wanted: u64 = self.wants.iter().map(|want| u64::from(want.left)).sum();
        wanted + self.later
    }

    /// The replicas of this policy that have come back.
    pub fn runs_so_far(&self, policy: &Policy) -> impl Iterator<Item = &'a Run> {
        self.ledger.replicas(policy).iter().flatten()
    }

    /// The policies that this pass rested on, in their order, each with its replays.
    pub fn used_policies(&self) -> impl Iterator<Item = (&Policy, Vec<&'a Run>)> {
        let policies: BTreeSet<&Policy> = self.used.keys().chain(&self.looked).collect();
        policies.into_iter().map(|policy| {
            let used = self.used.get(policy).copied().unwrap_or_default();
            let replicas = self.ledger.replicas(policy).iter().take(used);
            let look = self
                .looked
                .get(policy)
                .and_then(|policy| self.ledger.looks.get(policy));
            (policy, replicas.chain(look).flatten().collect())
        })
    }

    /// Replicas that were to be measured and failed, by policy.
    pub fn failed_measuring(&self) -> BTreeMap<&'a Policy, usize> {
        let ledger = self.ledger;
        let failed = ledger.measured_from.keys().map(|policy| {
            let (_, measured) = ledger.split(policy);
            let failures = measured.iter().flatten();
            let failures = failures.filter(|run| run.vote == Vote::Failure);
            (policy, failures.count())
        });
        failed.filter(|(_, failures)| *failures > 0).collect()
    }

    /// The policies of which a failed replica does not count by this rule.
    pub fn forgiven(&self, rule: Rule) -> impl Iterator<Item = &'a Policy> {
        let ledger = self.ledger;
        ledger.trials.keys().filter(move |policy| {
            let runs: Vec<&Run> = ledger.replicas(policy).iter().flatten().collect();
            runs.iter()
                .any(|run| counting::is_forgiven(run, &runs, rule))
        })
    }

    /// Every finished replay, whatever came of it.
    pub fn all(&self) -> impl Iterator<Item = &'a Run> {
        let ledger = self.ledger;
        let replicas = ledger.trials.values().flatten();
        let controls = ledger.controls.values().flatten();
        let looks = ledger.looks.values().chain(ledger.second_looks.values());
        let others = looks.chain(controls);
        replicas.chain(others).flatten()
    }
}

/// What the first replicas of a policy come to.
struct SoFar<'a> {
    tally: Tally,
    runs: Vec<&'a Run>,
    /// `None`: more are needed.
    decision: Option<Decision>,
}

/// What the first replicas come to, as few as decide: others may have asked for more of the same
/// policy by another rule, and what is decided stays so.
fn so_far(replicas: &[Option<Run>], rule: Rule) -> SoFar<'_> {
    let mut so_far = SoFar {
        tally: Tally::default(),
        runs: Vec::new(),
        decision: None,
    };
    for run in replicas.iter().map_while(Option::as_ref) {
        so_far.runs.push(run);
        so_far.tally = counting::tally(&so_far.runs, rule);
        so_far.decision = so_far.tally.decide(rule);
        if so_far.decision.is_some() {
            break;
        }
    }
    so_far
}
