//! What the analysis knows so far, and how it asks for more.
//!
//! The analysis is a plain function of the finished replays: it asks an [`Asker`] about
//! policies and stops with [`Stop::Pending`] where the answer is not there yet; what it asked
//! for is then replayed and the function runs again from its start. Since it sees only decided
//! policies, and no more replicas are started than a decision surely needs, neither the order
//! of completion nor the number of parallel replays can show in its result.

mod asker;
mod ruling;
pub(super) mod times;

use std::collections::BTreeMap;
use std::fmt::Display;

use loupe_common::impact::Quantity;
use loupe_common::policy::Policy;
use loupe_common::replay::{Control, Replay};

use super::beginning::Beginning;
use super::run::Run;
use super::tally::Vote;
use super::{ExploreError, ExploreOptions, Reached, Request, Room, counting, purpose};
pub(super) use asker::Asker;
pub(super) use ruling::Ruling;
use times::Times;

/// Every replay that was asked for, by policy and replica; `None` is still running.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    trials: BTreeMap<Policy, Vec<Option<Run>>>,
    /// Of each policy whose cost is measured: its first replica for that. Those before it
    /// decided something, and nothing after it does.
    measured_from: BTreeMap<Policy, usize>,
    /// Policies under which a replay was only begun; what came of it, if anything has.
    probes: BTreeMap<Policy, Option<Beginning>>,
    /// Replays of a policy that are none of its replicas, by their numbers: looks and controls.
    beside: BTreeMap<(Policy, u32), Option<Run>>,
    times: Times,
    /// Replays outnumber the CPUs.
    is_crowded: bool,
    pub running: u64,
    pub done: u64,
}

impl Ledger {
    pub fn new(options: &ExploreOptions) -> Ledger {
        Ledger {
            is_crowded: options.is_crowded(),
            ..Ledger::default()
        }
    }

    /// The next replay that is wanted, now running.
    pub fn start(&mut self, want: &Want) -> Request {
        let request = match want.kind {
            Kind::Look(number) => Request {
                watch: true,
                ..Request::new(want.policy.clone(), LOOK + number)
            },
            Kind::Control(control) => self.next_control(control),
            Kind::Decide | Kind::Measure | Kind::Probe => {
                self.next_replica(&want.policy, want.kind)
            }
        };
        let request = request.because(&want.purpose);
        if request.replica >= LOOK {
            let place = (request.policy.clone(), request.replica);
            self.beside.insert(place, None);
        }
        self.start_again(&request);
        request
    }

    /// Starts what was lost once more.
    pub fn start_again(&mut self, request: &Request) {
        self.running += 1;
        self.times.begin(request);
    }

    fn next_control(&self, control: Control) -> Request {
        let known = self.controls(control).count();
        let room = match self.is_crowded {
            true => counting::room_of_control(control, known),
            false => Room::Shared,
        };
        let replica = first_control(control) + count(known);
        Request {
            control: Some(control),
            room,
            ..Request::new(Policy::baseline(), replica)
        }
    }

    fn next_replica(&mut self, policy: &Policy, kind: Kind) -> Request {
        let watch = self.watches_first(policy) && kind != Kind::Measure;
        let replicas = self.trials.entry(policy.clone()).or_default();
        if kind == Kind::Measure {
            let first = self.measured_from.entry(policy.clone());
            first.or_insert(replicas.len());
        }
        if kind == Kind::Probe {
            self.probes.insert(policy.clone(), None);
        }
        let replica = count(replicas.len());
        let room = match (self.is_crowded && !policy.is_empty(), kind) {
            (false, _) => Room::Shared,
            (true, Kind::Measure) => Room::OwnCpu,
            (true, _) => counting::room(replicas),
        };
        replicas.push(None);
        Request {
            watch: watch && replica == 0,
            room,
            ..Request::new(policy.clone(), replica)
        }
    }

    /// The first replica of a policy shows which pseudo-files it makes the application turn to,
    /// unless that would take long: the baseline makes too many calls for a listener to look at each.
    fn watches_first(&self, policy: &Policy) -> bool {
        let baseline = self.replicas(&Policy::baseline());
        let cheap = baseline.iter().flatten();
        let cheap = cheap.filter(|run| run.is_cheap_to_watch()).count();
        !policy.is_empty() && 2 * cheap > baseline.len()
    }

    /// Files the answer to a request that [`Ledger::start`] gave out.
    /// Other policies are asked for only when the baseline is known, so that each run is
    /// compared with the same baseline.
    pub fn finish(&mut self, request: &Request, mut run: Run, options: &ExploreOptions) {
        if !request.policy.is_empty() {
            run.compare(&self.passing_baseline(), options);
            let first = self.replicas(&Policy::baseline()).first();
            let alone = first.and_then(Option::as_ref);
            let alone = alone.and_then(|run| run.amount(Quantity::Metric));
            counting::file(&mut run, alone, options);
        }
        run.span = self.times.end(request, run.vote.passes());
        run.echo = counting::is_echo(&run, self.replicas(&request.policy), &self.times);
        if request.control == Some(Control::Host) && run.late {
            let others = self.trials.values_mut().flatten().flatten();
            others.for_each(|other| counting::void_if_late(other, &self.times));
        }
        let place = match request.replica {
            LOOK.. => {
                let place = (request.policy.clone(), request.replica);
                self.beside.get_mut(&place)
            }
            replica => {
                let replicas = self.trials.get_mut(&request.policy);
                replicas.and_then(|replicas| replicas.get_mut(replica as usize))
            }
        };
        let place = place
            .filter(|place| place.is_none())
            .expect("every answer belongs to one running request");
        let fails = run.vote == Vote::Failure && !run.starved;
        *place = Some(run);
        if let Some(probe @ None) = self.probes.get_mut(&request.policy) {
            // It could not be tried, or it failed: that replay is the first of its policy.
            *probe = Some(match fails {
                true => Beginning::Fails,
                false => Beginning::Starts,
            });
        }
        self.running -= 1;
        self.done += 1;
    }

    /// Whether a control of this kind is running.
    pub fn is_controlling(&self, control: Control) -> bool {
        self.controls(control).any(Option::is_none)
    }

    /// The controls of a kind, in their order.
    fn controls(&self, control: Control) -> impl DoubleEndedIterator<Item = &Option<Run>> + Clone {
        let first = first_control(control);
        let [first, end] = [first, first + CONTROLS_OF_A_KIND].map(|at| (Policy::baseline(), at));
        self.beside.range(first..end).map(|(_, run)| run)
    }

    /// So many last controls that see whether the host still lets the workload pass did not; and
    /// the last of them.
    pub fn host_fails(&self) -> Option<(u32, &Run)> {
        let finished = self.controls(Control::Host).flatten();
        let last = finished.clone().next_back()?;
        let failing = finished.rev().take_while(|run| !run.vote.passes());
        Some((count(failing.count()), last))
    }

    /// Files what a replay was like that was only begun, which is no replica.
    pub fn begun(&mut self, request: &Request, replay: &Replay, reached: Reached) {
        let beginning = Beginning::of(replay, reached, &self.passing_baseline());
        self.probes.insert(request.policy.clone(), Some(beginning));
        self.trials.remove(&request.policy);
        self.times.end(request, false);
        self.running -= 1;
    }

    /// How many more replicas of a policy may be started before others of it have come back.
    fn startable(&self, policy: &Policy) -> u32 {
        match self.is_crowded && !policy.is_empty() {
            true => counting::startable(self.replicas(policy)),
            false => u32::MAX,
        }
    }

    /// What other policies are compared with.
    fn passing_baseline(&self) -> Vec<&Run> {
        let baseline = self.replicas(&Policy::baseline()).iter().flatten();
        baseline.filter(|run| run.vote.passes()).collect()
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

/// How a replay is asked for, and with that where it is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To find out whether its policy works.
    Decide,
    /// To find out what its policy costs, which is known to work.
    Measure,
    /// To find out how a replay begins under its policy, before anything else is asked about
    /// that.
    Probe,
    /// To see which pseudo-files are used under its policy; with number 1, whether what showed in
    /// another replay shows again.
    Look(u32),
    /// To see whether the measuring changes the workload.
    Control(Control),
}

/// The number of the replay that is a look at its policy: of its own, so that what is asked of the
/// policy otherwise, before or after, is numbered as if there were none.
const LOOK: u32 = 1_000_000;

/// The number of the first control of the first kind; each kind has numbers of its own.
const CONTROL: u32 = 2_000_000;
const CONTROLS_OF_A_KIND: u32 = 100_000;

fn first_control(kind: Control) -> u32 {
    CONTROL + CONTROLS_OF_A_KIND * kind as u32
}

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
    /// Replicas that have been started, for this kind.
    pub started: u32,
    pub kind: Kind,
    /// Why it is wanted, in words.
    pub purpose: String,
    /// So many replicas are run before any other policy gets its next.
    pub share: u32,
    pub hurry: Hurry,
    /// How long the slowest of its replicas took, where some have finished.
    pub wall_us: Option<u64>,
}

/// Whether more may have to be asked for when an answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hurry {
    Urgent,
    AtLeisure,
}

impl Want {
    fn once(policy: &Policy, kind: Kind, purpose: impl Display) -> Want {
        Want {
            policy: policy.clone(),
            start: 1,
            left: 1,
            failing: false,
            started: 0,
            kind,
            purpose: purpose.to_string(),
            share: 1,
            hurry: Hurry::Urgent,
            wall_us: None,
        }
    }

    /// One more control, before all others: what it says may end the analysis.
    pub fn control(control: Control) -> Want {
        Want {
            failing: true,
            ..Want::once(
                &Policy::baseline(),
                Kind::Control(control),
                purpose::control(control),
            )
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

/// All answers, or what keeps some from being there. It goes through all of them first, so that
/// everything is asked for before anything is waited for.
pub(super) fn all<T>(answers: impl IntoIterator<Item = Result<T, Stop>>) -> Result<Vec<T>, Stop> {
    let mut known = Vec::new();
    let mut rest = Ok(());
    for answer in answers {
        match answer {
            Ok(answer) => known.push(answer),
            Err(stop) => rest = rest.and(Err(stop)),
        }
    }
    rest.and(Ok(known))
}

/// Two answers that were asked for both.
pub(super) fn both<A, B>(one: Result<A, Stop>, other: Result<B, Stop>) -> Result<(A, B), Stop> {
    Ok((one?, other?))
}

fn count(replicas: usize) -> u32 {
    u32::try_from(replicas).expect("a policy has few replicas")
}
