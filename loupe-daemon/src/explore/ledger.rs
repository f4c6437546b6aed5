//! What the analysis knows so far, and how it asks for more.
//!
//! The analysis is a plain function of the finished replays: it asks an [`Asker`] about
//! policies and stops with [`Stop::Pending`] where the answer is not there yet; what it asked
//! for is then replayed and the function runs again from its start. Since it sees only decided
//! policies, and no more replicas are started than a decision surely needs, neither the order
//! of completion nor the number of parallel replays can show in its result.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Suspicion;
use loupe_common::policy::Policy;

use super::run::Run;
use super::tally::{Decision, Rule, Tally, UNUSABLE, Vote};
use super::{ExploreError, Request};

/// Every replay that was asked for, by policy and replica; `None` is still running.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    trials: BTreeMap<Policy, Vec<Option<Run>>>,
    /// Of each policy whose cost is measured: its first replica for that. Those before it
    /// decided something, and nothing after it does.
    measured_from: BTreeMap<Policy, usize>,
    /// Running replays of these policies only wait for their end.
    waiting: BTreeSet<Policy>,
    /// Policies under which the application was only started; what came of it, if anything has.
    probes: BTreeMap<Policy, Option<Probe>>,
    /// One replay of each of these policies beside its replicas, watched for pseudo-files.
    looks: BTreeMap<Policy, Option<Run>>,
    pub running: u64,
    pub done: u64,
}

/// What came of starting the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Started,
    /// It failed, or could not be tried: that replay is the first replica of its policy.
    Ended,
}

impl Ledger {
    /// Notes which policies' replays only wait for their end; whether some are new.
    pub fn wait_for(&mut self, policies: Vec<Policy>) -> bool {
        let policies: BTreeSet<Policy> = policies.into_iter().collect();
        let new = !policies.is_subset(&self.waiting);
        self.waiting = policies;
        new
    }

    /// The next replica of this policy, now running.
    pub fn start(&mut self, policy: &Policy, purpose: Purpose) -> Request {
        self.running += 1;
        if purpose == Purpose::Look {
            self.looks.insert(policy.clone(), None);
            return Request {
                watch: true,
                ..Request::new(policy.clone(), LOOK)
            };
        }
        let watch = self.watches_first(policy) && purpose != Purpose::Measure;
        let replicas = self.trials.entry(policy.clone()).or_default();
        if purpose == Purpose::Measure {
            let first = self.measured_from.entry(policy.clone());
            first.or_insert(replicas.len());
        }
        if purpose == Purpose::Probe {
            self.probes.insert(policy.clone(), None);
        }
        let replica = count(replicas.len());
        replicas.push(None);
        Request {
            watch: watch && replica == 0,
            ..Request::new(policy.clone(), replica)
        }
    }

    /// The first replica of a policy shows which pseudo-files it makes the application turn to,
    /// unless that would take long.
    fn watches_first(&self, policy: &Policy) -> bool {
        let baseline = self.replicas(&Policy::baseline()).iter().flatten();
        let cheap = baseline.filter(|run| run.is_cheap_to_watch()).count();
        !policy.is_empty() && 2 * cheap > self.replicas(&Policy::baseline()).len()
    }

    /// Files the answer to a request that [`Ledger::start`] gave out.
    /// Other policies are asked for only when the baseline is known, so that each run is
    /// compared with the same baseline.
    pub fn finish(&mut self, request: &Request, mut run: Run, strict: bool) {
        if !request.policy.is_empty() {
            let baseline = self.replicas(&Policy::baseline()).iter().flatten();
            let passing: Vec<&Run> = baseline.filter(|run| run.vote.passes()).collect();
            run.compare(&passing, strict);
        }
        let place = match request.replica {
            LOOK => self.looks.get_mut(&request.policy),
            replica => {
                let replicas = self.trials.get_mut(&request.policy);
                replicas.and_then(|replicas| replicas.get_mut(replica as usize))
            }
        };
        let place = place
            .filter(|place| place.is_none())
            .expect("every answer belongs to one running request");
        *place = Some(run);
        if let Some(probe @ None) = self.probes.get_mut(&request.policy) {
            *probe = Some(Probe::Ended);
        }
        self.running -= 1;
        self.done += 1;
    }

    /// Files that the application has started, which is no replica.
    pub fn started(&mut self, request: &Request) {
        self.probes
            .insert(request.policy.clone(), Some(Probe::Started));
        self.trials.remove(&request.policy);
        self.running -= 1;
    }

    /// Those that decide.
    fn replicas(&self, policy: &Policy) -> &[Option<Run>] {
        self.split(policy).0
    }

    /// Those that decide, and those that are measured.
    fn split(&self, policy: &Policy) -> (&[Option<Run>], &[Option<Run>]) {
        let all = self.trials.get(policy).map_or(&[][..], Vec::as_slice);
        all.split_at(*self.measured_from.get(policy).unwrap_or(&all.len()))
    }
}

/// What a replay is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find out whether its policy works.
    Decide,
    /// To find out what its policy costs, which is known to work.
    Measure,
    /// To find out whether the application starts under its policy, before anything else is
    /// asked about that.
    Probe,
    /// To see which pseudo-files are used under its policy.
    Look,
}

/// The number of the replay that is a look at its policy: of its own, so that what is asked of the
/// policy otherwise, before or after, is numbered as if there were none.
const LOOK: u32 = 1_000_000;

/// Of replicas that are measured, so many are run again because they could not be used.
const REPEATED: u32 = 3;

/// A policy that the analysis waits for.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub policy: Policy,
    /// Replicas that may be started now.
    pub start: u32,
    /// Replicas that will probably be started.
    pub left: u32,
    /// It has failed before: likely to be slow again, so better not left to the end.
    pub failing: bool,
    /// Replicas that have been started, for this purpose.
    pub started: u32,
    pub purpose: Purpose,
    /// So many replicas are run before any other policy gets its next.
    pub share: u32,
}

impl Want {
    fn once(policy: &Policy, purpose: Purpose) -> Want {
        Want {
            policy: policy.clone(),
            start: 1,
            left: 1,
            failing: false,
            started: 0,
            purpose,
            share: 1,
        }
    }
}

/// Why the analysis did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Replays are missing; the asker's wants say which.
    Pending,
    Refused(ExploreError),
}

impl From<ExploreError> for Stop {
    fn from(error: ExploreError) -> Stop {
        Stop::Refused(error)
    }
}

/// What the replicas of a policy came to, with the replicas.
#[derive(Clone, Debug)]
pub(super) struct Ruling<'a> {
    pub decision: Decision,
    pub tally: Tally,
    pub runs: Vec<&'a Run>,
}

/// The analysis' view of the ledger, for one pass over it.
pub(super) struct Asker<'a> {
    ledger: &'a Ledger,
    pub wants: Vec<Want>,
    /// A guess at the replays that nothing has asked for yet.
    pub later: u64,
    pub phase: &'static str,
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
            used: BTreeMap::new(),
            looked: BTreeSet::new(),
        }
    }

    /// What the replicas of this policy come to; `None` when more are needed, and then they
    /// are asked for.
    pub fn ask(&mut self, policy: &Policy, rule: Rule) -> Option<Ruling<'a>> {
        let replicas = self.ledger.replicas(policy);
        let (tally, runs, decision) = so_far(replicas, rule);
        let started = replicas.len();
        match decision {
            Some(decision) => {
                self.rests_on(policy, runs.len());
                Some(Ruling {
                    decision,
                    tally,
                    runs,
                })
            }
            None => {
                let flying = count(started - runs.len());
                let start = tally.surely_needed(rule).saturating_sub(flying);
                let left = tally.likely_needed(rule).saturating_sub(flying);
                self.want(policy, start, left, started, tally.failures > 0);
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

    /// Has this policy replayed once, because something will probably ask for it soon. Not more
    /// than once, whatever comes of it: it may turn out that nothing asks, and whether it does
    /// must not depend on the order of completion.
    pub fn prefetch(&mut self, policy: &Policy) {
        if self.ledger.replicas(policy).is_empty() {
            self.want(policy, 1, 1, 0, false);
        }
    }

    /// Whether the application starts under this policy, which nothing has been asked about
    /// before; `None` while that is not known.
    pub fn probe(&mut self, policy: &Policy) -> Option<bool> {
        match self.ledger.probes.get(policy) {
            Some(Some(Probe::Started)) => Some(true),
            Some(Some(Probe::Ended)) => {
                let first = self
                    .ledger
                    .replicas(policy)
                    .first()
                    .and_then(Option::as_ref);
                Some(first.is_none_or(|run| run.vote != Vote::Failure))
            }
            Some(None) => None,
            // Whatever else asks about it will find that replay, or run its own after it.
            None if !self.ledger.replicas(policy).is_empty() => Some(true),
            None => {
                if !self.wants.iter().any(|want| want.policy == *policy) {
                    self.wants.push(Want::once(policy, Purpose::Probe));
                }
                None
            }
        }
    }

    /// The only replica of a feature alone waits instead of computing, so it will probably fail.
    /// What confirms that may as well wait beside it.
    fn will_need_a_second(&self, policy: &Policy, started: usize) -> u32 {
        let alone = policy.len() == 1 && started == 1;
        u32::from(alone && self.ledger.waiting.contains(policy))
    }

    /// The first usable replica of this policy; none if too many could not be used.
    pub fn glance_run(&mut self, policy: &Policy) -> Option<Option<&'a Run>> {
        let replicas = self.ledger.replicas(policy);
        let mut unusable = 0;
        for (index, run) in replicas.iter().enumerate() {
            let Some(run) = run else {
                let second = self.will_need_a_second(policy, replicas.len());
                self.want(policy, second, second, replicas.len(), false);
                return None;
            };
            match run.vote {
                Vote::Pass | Vote::IdlePass | Vote::Failure => {
                    self.rests_on(policy, index + 1);
                    return Some(Some(run));
                }
                Vote::Stray | Vote::Invalid => unusable += 1,
            }
        }
        if unusable > UNUSABLE {
            self.rests_on(policy, replicas.len());
            return Some(None);
        }
        self.want(policy, 1, 1, replicas.len(), false);
        None
    }

    fn rests_on(&mut self, policy: &Policy, replicas: usize) {
        let most = self.used.entry(policy.clone()).or_default();
        *most = replicas.max(*most);
    }

    /// What the replicas of this policy come to, if that is known anyway.
    pub fn peek(&mut self, policy: &Policy, rule: Rule) -> Option<Ruling<'a>> {
        so_far(self.ledger.replicas(policy), rule).2?;
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
            policy: policy.clone(),
            start,
            left: start,
            failing: false,
            started,
            purpose: Purpose::Measure,
            share,
        });
        None
    }

    fn want(&mut self, policy: &Policy, start: u32, left: u32, started: usize, failing: bool) {
        let known = |want: &&mut Want| want.policy == *policy && want.purpose != Purpose::Look;
        if let Some(want) = self.wants.iter_mut().find(known) {
            if want.purpose == Purpose::Probe {
                // What it needs will be asked for when the probe is back.
                return;
            }
            want.start = want.start.max(start);
            want.left = want.left.max(left);
            return;
        }
        self.wants.push(Want {
            policy: policy.clone(),
            start,
            left,
            failing,
            started: count(started),
            purpose: Purpose::Decide,
            share: 1,
        });
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

    /// Every finished replay, whatever came of it.
    pub fn all(&self) -> impl Iterator<Item = &'a Run> {
        let ledger = self.ledger;
        let replicas = ledger.trials.values().flatten();
        replicas.chain(ledger.looks.values()).flatten()
    }
}

/// What the first replicas come to, as few as decide: others may have asked for more of the same
/// policy by another rule, and what is decided stays so.
fn so_far(replicas: &[Option<Run>], rule: Rule) -> (Tally, Vec<&Run>, Option<Decision>) {
    let mut tally = Tally::default();
    let mut runs = Vec::new();
    for run in replicas.iter().map_while(Option::as_ref) {
        tally.add(run.vote);
        runs.push(run);
        if let Some(decision) = tally.decide(rule) {
            return (tally, runs, Some(decision));
        }
    }
    (tally, runs, None)
}

fn count(replicas: usize) -> u32 {
    u32::try_from(replicas).expect("a policy has few replicas")
}

/// The same words, whatever their numbers.
fn is_like(a: &str, b: &str) -> bool {
    let words =
        |text: &str| text.replace(|letter: char| letter.is_ascii_digit() || letter == '.', "");
    words(a) == words(b)
}

impl<'a> Ruling<'a> {
    /// Of replays that all passed, each under another policy.
    pub fn of_passes(runs: Vec<&'a Run>) -> Ruling<'a> {
        let mut tally = Tally::default();
        runs.iter().for_each(|run| tally.add(run.vote));
        Ruling {
            decision: Decision::Works,
            tally,
            runs,
        }
    }

    /// With another replay that counts as well, as the first.
    pub fn with(mut self, run: &'a Run) -> Ruling<'a> {
        self.tally.add(run.vote);
        self.runs.insert(0, run);
        self
    }

    /// With another replay that counts as well, as the last.
    pub fn and(mut self, run: &'a Run) -> Ruling<'a> {
        self.tally.add(run.vote);
        self.runs.push(run);
        self
    }

    /// What is odd about passing replicas, each thing once: where only numbers differ (a metric
    /// is never the same twice), it is the same thing.
    pub fn suspicious(&self) -> Vec<Suspicion> {
        let mut suspicious: Vec<Suspicion> = Vec::new();
        for run in &self.runs {
            for what in &run.suspicions {
                if !suspicious.iter().any(|known| is_like(&known.what, what)) {
                    suspicious.push(Suspicion {
                        replay: run.id,
                        what: what.clone(),
                    });
                }
            }
        }
        suspicious
    }

    /// The first replica that voted so.
    pub fn first(&self, vote: Vote) -> Option<&Run> {
        self.runs.iter().find(|run| run.vote == vote).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_numbers_only_is_the_same_thing() {
        assert!(is_like("its metric is 2695.42", "its metric is 7"));
        assert!(!is_like("it made 7 calls", "it printed 7 lines"));
    }
}
