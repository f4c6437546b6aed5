//! How the analysis asks the ledger, and notes what it has to wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use loupe_common::policy::Policy;
use loupe_common::replay::Control;

use super::{Hurry, Kind, LOOK, Ledger, REPEATED, Ruling, Stop, Want, count};
use crate::explore::beginning::Beginning;
use crate::explore::counting;
use crate::explore::purpose;
use crate::explore::run::Run;
use crate::explore::tally::{Decision, Rule, Tally, Vote};

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

    /// What the replicas of this policy come to, once as many are there as decide. `purpose` says in
    /// words why they are run; it is made only if any are.
    pub fn ask(
        &mut self,
        policy: &Policy,
        rule: Rule,
        purpose: impl Display,
    ) -> Result<Ruling<'a>, Stop> {
        let replicas = self.ledger.replicas(policy);
        let SoFar {
            tally,
            runs,
            decision,
        } = so_far(replicas, rule);
        let started = replicas.len();
        let Some(decision) = decision else {
            let flying = count(started - runs.len());
            let failing = runs.iter().any(|run| run.vote == Vote::Failure);
            self.want(Want {
                start: tally.surely_needed(rule).saturating_sub(flying),
                left: tally.likely_needed(rule).saturating_sub(flying),
                started: count(started),
                failing,
                wall_us: replicas.iter().flatten().map(|run| run.wall_us).max(),
                ..match failing {
                    false => Want::once(policy, Kind::Decide, purpose),
                    true => Want::once(policy, Kind::Decide, purpose::after_failure(purpose)),
                }
            });
            return Err(Stop::Pending);
        };
        self.rests_on(policy, runs.len());
        let counts = |run: &&Run| !run.too_slow && !counting::is_forgiven(run, &runs, rule);
        Ok(Ruling {
            decision,
            tally,
            runs: runs.iter().copied().filter(counts).collect(),
        })
    }

    /// Asks what is wanted this soon.
    pub fn in_hurry<T>(&mut self, hurry: Hurry, ask: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.hurry, hurry);
        let answer = ask(self);
        self.hurry = before;
        answer
    }

    /// The time of all replays that this pass rested on so far, in microseconds.
    pub fn rested_us(&self) -> u64 {
        let runs = self
            .used
            .keys()
            .flat_map(|policy| self.runs_rested_on(policy));
        runs.map(|run| run.wall_us).sum()
    }

    /// The replica that decides, where one does; none if too many could not be used.
    pub fn once(
        &mut self,
        policy: &Policy,
        purpose: impl Display,
    ) -> Result<Option<&'a Run>, Stop> {
        Ok(self.ask(policy, Rule::once(), purpose)?.usable())
    }

    /// Whether that passes.
    pub fn passes_once(&mut self, policy: &Policy, purpose: impl Display) -> Result<bool, Stop> {
        let run = self.once(policy, purpose)?;
        Ok(run.is_some_and(|run| run.vote.passes()))
    }

    /// What the replicas of this policy come to, if that is known anyway.
    pub fn if_known(&mut self, policy: &Policy, rule: Rule) -> Option<Ruling<'a>> {
        so_far(self.ledger.replicas(policy), rule).decision?;
        self.ask(policy, rule, "").ok()
    }

    /// A replay under this policy that was watched for pseudo-files: one that this pass rests on,
    /// else one more for that alone. `None`: it cannot be used.
    pub fn look(&mut self, policy: &Policy) -> Result<Option<&'a Run>, Stop> {
        let rested_on = self.runs_rested_on(policy);
        let mut watched = rested_on.filter(|run| run.watched && run.vote.is_usable());
        if let Some(run) = watched.next() {
            return Ok(Some(run));
        }
        let run = self.look_number(policy, 0, "look for pseudo-files")?;
        self.looked.insert(policy.clone());
        Ok(Some(run).filter(|run| run.vote.is_usable()))
    }

    /// One more replay under this policy, watched, to see whether what the first showed was by
    /// chance. `None`: it cannot be used.
    pub fn look_again(
        &mut self,
        policy: &Policy,
        purpose: impl Display,
    ) -> Result<Option<&'a Run>, Stop> {
        let run = self.look_number(policy, 1, purpose)?;
        Ok(Some(run).filter(|run| run.vote.speaks()))
    }

    fn look_number(
        &mut self,
        policy: &Policy,
        number: u32,
        purpose: impl Display,
    ) -> Result<&'a Run, Stop> {
        let look = self.ledger.beside.get(&(policy.clone(), LOOK + number));
        if look.is_none() {
            self.want(Want::once(policy, Kind::Look(number), purpose));
        }
        look.and_then(Option::as_ref).ok_or(Stop::Pending)
    }

    /// Has this policy replayed so often, because something will probably ask for it soon. Not
    /// more often, whatever comes of it: it may turn out that nothing asks, and whether it does
    /// must not depend on the order of completion.
    pub fn prefetch(&mut self, policy: &Policy, replays: u32, purpose: impl Display) {
        let started = self.ledger.replicas(policy).len();
        // Where the next ones run in a crowd, the first one says.
        let at_once = match self.ledger.is_crowded {
            true => 1,
            false => replays,
        };
        let missing = replays.min(at_once).saturating_sub(count(started));
        if missing > 0 {
            self.want(Want {
                start: missing,
                left: missing,
                started: count(started),
                ..Want::once(policy, Kind::Decide, purpose)
            });
        }
    }

    /// Whether replays under this policy were asked for, and not only to see how they begin.
    pub fn is_replayed(&self, policy: &Policy) -> bool {
        let is_begun = self.ledger.probes.contains_key(policy);
        !is_begun && !self.ledger.replicas(policy).is_empty()
    }

    /// How a replay begins under this policy, which nothing has been asked about before.
    pub fn begin(&mut self, policy: &Policy, purpose: impl Display) -> Result<Beginning, Stop> {
        match self.ledger.probes.get(policy) {
            Some(known) => known.ok_or(Stop::Pending),
            // Whatever else asks about it will find that replay, or run its own after it.
            None if !self.ledger.replicas(policy).is_empty() => Ok(Beginning::Starts),
            None => {
                self.want(Want::once(policy, Kind::Probe, purpose));
                Err(Stop::Pending)
            }
        }
    }

    fn rests_on(&mut self, policy: &Policy, replicas: usize) {
        let most = self.used.entry(policy.clone()).or_default();
        *most = replicas.max(*most);
    }

    /// So many passing replicas of a policy that works, run for their cost alone and beside
    /// others like them. Fewer come back if too many did not pass, or never called what is left
    /// out.
    pub fn measure(
        &mut self,
        policy: &Policy,
        wanted: u32,
        share: u32,
    ) -> Result<Vec<&'a Run>, Stop> {
        let (_, replicas) = self.ledger.split(policy);
        let finished = replicas.iter().flatten();
        let good: Vec<&Run> = finished.filter(|run| run.vote == Vote::Pass).collect();
        let started = count(replicas.len());
        let flying = count(replicas.iter().filter(|run| run.is_none()).count());
        let missing = wanted.saturating_sub(count(good.len()));
        let room = (wanted + REPEATED).saturating_sub(started);
        let start = missing.saturating_sub(flying).min(room);
        if flying == 0 && start == 0 {
            return Ok(good);
        }
        self.wants.push(Want {
            start,
            left: start,
            started,
            share,
            ..Want::once(policy, Kind::Measure, purpose::IMPACT)
        });
        Err(Stop::Pending)
    }

    /// The controls of a kind that have come back, which may be none.
    pub fn controls(&self, control: Control) -> Vec<&'a Run> {
        self.ledger.controls(control).flatten().collect()
    }

    /// Has one more control of a kind run, unless one is running.
    pub fn control(&mut self, control: Control) {
        if !self.ledger.is_controlling(control) {
            self.wants.push(Want::control(control));
        }
    }

    /// Takes note of a wish. What is wanted twice is wanted as much, and as soon, as either says.
    fn want(&mut self, mut want: Want) {
        want.hurry = self.hurry;
        if want.kind == Kind::Decide {
            want.start = want.start.min(self.ledger.startable(&want.policy));
            // What is being begun is no replica yet.
            if let Some(None) = self.ledger.probes.get(&want.policy) {
                want.start = 0;
            }
            if counting::is_held(self.ledger.replicas(&want.policy), &self.ledger.times) {
                self.holds |= want.start > 0;
                want.start = 0;
            }
        }
        let is_replica = |kind: Kind| matches!(kind, Kind::Decide | Kind::Probe);
        let is_known = |known: &&mut Want| {
            let same = known.kind == want.kind || is_replica(known.kind) && is_replica(want.kind);
            known.policy == want.policy && same
        };
        let Some(known) = self.wants.iter_mut().find(is_known) else {
            self.wants.push(want);
            return;
        };
        known.hurry = known.hurry.min(want.hurry);
        // Else what it needs is asked for when the replay that is begun is back.
        if known.kind == Kind::Decide {
            known.start = known.start.max(want.start);
            known.left = known.left.max(want.left);
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

    /// Those of them that this pass rested on so far. They are the same in whichever order replays
    /// come back.
    pub fn runs_rested_on(&self, policy: &Policy) -> impl Iterator<Item = &'a Run> + use<'a> {
        let used = self.used.get(policy).copied().unwrap_or_default();
        self.ledger.replicas(policy).iter().take(used).flatten()
    }

    /// The policies that this pass rested on, in their order, each with its replays.
    pub fn used_policies(&self) -> impl Iterator<Item = (&'a Policy, Vec<&'a Run>)> {
        let beside = self.ledger.beside.keys().map(|(policy, _)| policy);
        let policies: BTreeSet<&'a Policy> = self.ledger.trials.keys().chain(beside).collect();
        policies.into_iter().filter_map(|policy| {
            let look = self.looked.get(policy);
            let look = look.and_then(|policy| self.ledger.beside.get(&(policy.clone(), LOOK)));
            let runs: Vec<&Run> = self
                .runs_rested_on(policy)
                .chain(look.into_iter().flatten())
                .collect();
            (!runs.is_empty()).then_some((policy, runs))
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

    /// The policies of which a failed replica does not count by this rule, as another one passes.
    pub fn forgiven(&self, rule: Rule) -> impl Iterator<Item = &'a Policy> {
        let ledger = self.ledger;
        ledger.trials.keys().filter(move |policy| {
            let runs: Vec<&Run> = ledger.replicas(policy).iter().flatten().collect();
            let passes = runs.iter().any(|run| run.vote == Vote::Pass);
            let is_forgiven = |run: &&Run| counting::is_forgiven(run, &runs, rule);
            passes && runs.iter().any(is_forgiven)
        })
    }

    /// Every finished replay, whatever came of it.
    pub fn all(&self) -> impl Iterator<Item = &'a Run> {
        let ledger = self.ledger;
        let replicas = ledger.trials.values().flatten();
        replicas.chain(ledger.beside.values()).flatten()
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
