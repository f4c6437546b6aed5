//! The analysis: which replay to ask for next, and what the answers say.
//!
//! Pure: it starts no process, reads no clock and touches no file. It knows
//! the application only through a [`Replayer`], so that it is tested with simulated ones.

mod analysis;
mod baseline;
mod beginning;
mod chance;
mod confidence;
mod conflict;
mod controls;
mod counting;
mod crowd;
mod drill;
mod emulate;
mod error;
mod fallbacks;
mod group;
mod impact;
mod joint;
mod judge;
mod ledger;
mod options;
mod other_ways;
pub mod priors;
#[cfg(test)]
pub(crate) mod properties;
mod purpose;
mod run;
mod scheduler;
#[cfg(test)]
pub(crate) mod simulated;
mod single;
mod statistics;
mod suspicion;
mod tally;

use std::pin::pin;

use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, Stream, StreamExt as _};
use loupe_common::analysis::Analysis;
use loupe_common::policy::Policy;
use loupe_common::progress::Progress;
use loupe_common::replay::{Control, Replay};

use ledger::Kind;
use scheduler::{Question, Scheduler, Step};

pub use baseline::PHASE as BASELINE;
pub use emulate::{Emulated, emulate};
pub use error::ExploreError;
pub use options::{Effort, ExploreOptions, ImpactOptions};

/// One replay that the analysis asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub policy: Policy,
    /// Counts the replays of the same policy in one analysis, from 0. A replayer that
    /// remembers finished replays answers the same request with the same replay.
    pub replica: u32,
    /// Pseudo-files are wanted, whether the policy has a rule for any or not.
    pub watch: bool,
    /// It is no replica of the baseline, but a control: what it is put under.
    pub control: Option<Control>,
    pub room: Room,
    /// Why it is run, in a few words for whoever looks at it later. It changes nothing.
    pub purpose: String,
}

/// Where a replay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Room {
    /// Beside as many others as run at a time.
    Shared,
    /// On a CPU on which nothing else runs.
    OwnCpu,
}

impl Request {
    /// Not watched, and beside others.
    pub fn new(policy: Policy, replica: u32) -> Request {
        Request {
            policy,
            replica,
            watch: false,
            control: None,
            room: Room::Shared,
            purpose: String::new(),
        }
    }

    /// The same, with why it is run.
    pub fn because(self, purpose: impl Into<String>) -> Request {
        Request {
            purpose: purpose.into(),
            ..self
        }
    }

    /// Whether it is to be watched, where so many replicas of the baseline are, and none of
    /// anything if that is 0.
    pub fn is_watched(&self, of_baseline: u32) -> bool {
        match (self.control, self.policy.is_empty()) {
            (Some(control), _) => control == Control::Listener,
            (None, true) => self.replica < of_baseline,
            (None, false) => self.watch && of_baseline > 0,
        }
    }
}

/// A finished replay and where it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub id: i64,
    pub replay: Replay,
    /// It was not run now: an earlier analysis had finished it.
    pub reused: bool,
}

/// What came of beginning a replay.
#[derive(Clone, Debug, PartialEq)]
pub enum Probed {
    /// Nothing has failed so far; this is what was seen of it. It is no replay of the whole
    /// workload.
    Begun(Replay, Reached),
    /// This came of it, and it is the requested replay.
    Ended(Recorded),
}

/// How far a replay came that was only begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// The test could begin.
    Start,
    /// The test has begun, and the application has hardly done anything for it in a time in which
    /// it usually does a good part of it all.
    Standstill,
    /// The test has begun.
    Test,
}

/// The replay could not be run at all, which says nothing about the policy.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nor can any other.
    #[error(transparent)]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// The host may have been too busy for one more: it is to be run again, with fewer beside it.
    #[error(transparent)]
    Lost(Box<dyn std::error::Error + Send + Sync>),
}

impl ReplayError {
    /// What lies behind it.
    pub fn into_cause(self) -> Box<dyn std::error::Error + Send + Sync> {
        match self {
            ReplayError::Broken(cause) | ReplayError::Lost(cause) => cause,
        }
    }
}

/// Runs the workload once under a policy.
pub trait Replayer: Sync {
    fn replay(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Recorded, ReplayError>> + Send;

    /// Starts the application under a policy and ends it where its test begins, or soon after.
    fn probe(&self, request: &Request) -> impl Future<Output = Result<Probed, ReplayError>> + Send {
        async { self.replay(request).await.map(Probed::Ended) }
    }

    /// Running replays that only wait for their end: as many more may run beside them.
    fn waiting(&self) -> usize {
        0
    }

    /// Comes back when another replay waits.
    fn more_waiting(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// What is analysed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub application: String,
    pub workload: String,
}

/// Analyses an application. Every replay that is started is also waited for, whatever happens
/// to the others, so that a replayer can clean up after each.
pub async fn analyze<R: Replayer>(
    replayer: &R,
    subject: &Subject,
    options: &ExploreOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Analysis, ExploreError> {
    find_out(replayer, subject, options, progress).await
}

/// Has the replays run that a question needs, until it is answered.
async fn find_out<R: Replayer, Q: Question>(
    replayer: &R,
    question: &Q,
    options: &ExploreOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Q::Answer, ExploreError> {
    let mut scheduler = Scheduler::new(question, options);
    let mut running = FuturesUnordered::new();
    let mut phase = "";
    let mut broken: Option<ReplayError> = None;
    loop {
        let step = match broken {
            None => scheduler.next(replayer.waiting()),
            Some(_) => Step::Wait,
        };
        if scheduler.phase() != phase {
            phase = scheduler.phase();
            progress(Progress::phase(phase));
        }
        match step {
            Step::Run(request, kind) => running.push(async move {
                let answer = match kind {
                    Kind::Probe => replayer.probe(&request).await,
                    Kind::Decide | Kind::Measure | Kind::Look(_) | Kind::Control(_) => {
                        replayer.replay(&request).await.map(Probed::Ended)
                    }
                };
                (request, kind, answer)
            }),
            Step::Done(outcome) => return *outcome,
            Step::Wait => match (answer(replayer, &mut running).await, &broken) {
                (Answer::MoreRoom, _) => {}
                (Answer::Replay(Some((request, _, Ok(Probed::Ended(recorded))))), _) => {
                    scheduler.record(&request, &recorded);
                    progress(replayed(&request, &recorded));
                }
                (Answer::Replay(Some((request, _, Ok(Probed::Begun(replay, reached))))), _) => {
                    scheduler.begun(&request, &replay, reached);
                    progress(begun(&request, &replay));
                }
                (Answer::Replay(Some((request, kind, Err(ReplayError::Lost(why))))), None) => {
                    match scheduler.lose(request, kind) {
                        Some(jobs) => progress(lost(jobs, &*why)),
                        None => broken = Some(ReplayError::Lost(why)),
                    }
                }
                (Answer::Replay(Some((_, _, Err(error)))), None) => broken = Some(error),
                // One reason is enough; those that follow are mostly its consequences.
                (Answer::Replay(Some((_, _, Err(error)))), Some(_)) => {
                    tracing::debug!(%error, "another replay broke too");
                }
                (Answer::Replay(None), _) => {
                    let error = broken.expect("the scheduler waits only for running replays");
                    return Err(error.into());
                }
            },
        }
        let (done, running, left) = scheduler.counts();
        progress(Progress::Counts {
            done,
            running,
            left,
        });
    }
}

enum Answer<T> {
    /// `None`: nothing runs any more.
    Replay(Option<T>),
    /// A running replay only waits, so another may be started.
    MoreRoom,
}

async fn answer<R: Replayer, S: Stream + Unpin>(replayer: &R, running: &mut S) -> Answer<S::Item> {
    let more_room = pin!(replayer.more_waiting());
    match select(running.next(), more_room).await {
        Either::Left((answer, _)) => Answer::Replay(answer),
        Either::Right(_) => Answer::MoreRoom,
    }
}

fn lost(jobs: usize, why: &(dyn std::error::Error + Send + Sync)) -> Progress {
    let text = format!("a replay is run again, from now on with {jobs} at a time at most: {why}");
    Progress::Notice { text }
}

fn replayed(request: &Request, recorded: &Recorded) -> Progress {
    Progress::Replayed {
        id: recorded.id,
        purpose: request.purpose.clone(),
        policy: recorded.replay.policy.clone(),
        outcome: recorded.replay.outcome.clone(),
        wall_us: recorded.replay.timing.wall_us,
        cpu_us: recorded.replay.usage.total_cpu_us,
        reused: recorded.reused,
    }
}

fn begun(request: &Request, replay: &Replay) -> Progress {
    Progress::Begun {
        purpose: request.purpose.clone(),
        policy: request.policy.clone(),
        wall_us: replay.timing.wall_us,
        cpu_us: replay.usage.total_cpu_us,
    }
}
