//! One replay from the application's start to nothing being left: a single loop over the
//! keeper's messages, the trace's events, the outputs and the clock.

mod phases;
mod readiness;
mod stalls;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use loupe_common::replay::{
    Conditions, Control, ExitStatus, Failure, Limited, Outcome, Replay, Timing, Usage,
};
use loupe_common::trace::Trace;
use loupe_common::word::Word;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

use super::facts::TimeLimits;
use super::guard::Guard;
use super::holdings::Holdings;
use super::output::Output;
use super::runner::{Job, Pace, Part, ReplayFailure, Sabotage};
use super::workload::{Mode, StopWith};
use crate::cgroup::ReplayCgroup;
use crate::inject;
use crate::launcher::protocol::{FromKeeper, Role, ToKeeper};
use crate::launcher::{Keeper, LOOK_PAUSE, LauncherError, Supervised};
use crate::tracer::{Event, OpenTrace};

/// How often `/proc` is asked about a server that is silent, or a tree that should be empty.
const QUIET_PROBE: Duration = Duration::from_millis(2);
/// For the keeper to end everything: SIGKILL takes less than a millisecond. Where the host is so
/// busy that it takes longer, nothing is wrong with the keeper, and the replay is run again.
const END_LIMIT: Duration = Duration::from_secs(30);

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> ReplayFailure {
    move |source| ReplayFailure::Io { what, source }
}

pub struct Session<'a> {
    job: &'a Job<'a>,
    limits: TimeLimits,
    cgroup: &'a ReplayCgroup,
    trace: &'a OpenTrace,
    keeper: &'a Keeper,
    application_output: Output,
    test_output: Output,
    /// The writing ends, until their processes have them.
    application_pipe: Option<OwnedFd>,
    test_pipe: Option<OwnedFd>,
    guard: Guard,
    state: State,
}

/// What is known so far.
#[derive(Default)]
struct State {
    target_execs: u64,
    /// Names of what was executed before the target, or instead of it.
    executed: Vec<String>,
    refused: Option<String>,
    /// Times that a `listen` of the target succeeded.
    listens: u64,
    listens_when_ready: u64,
    application_exit: Option<ExitStatus>,
    test_exit: Option<ExitStatus>,
    /// Of the last run of the command of `ready`.
    probe_exit: Option<ExitStatus>,
    /// Of the wait for the test, the time in which nothing happened any more.
    calm: Duration,
    /// Names of what a batch application has left, asleep.
    left: Vec<String>,
    usage: Option<Usage>,
    supervised: Option<Supervised>,
    /// A target was told of its vDSO.
    vdso: bool,
    /// CPU time before the test.
    start_cpu_us: u64,
    /// Calls of the target before the test, by syscall number.
    start_calls: Vec<u64>,
    /// Once the test is over.
    holdings: Option<Holdings>,
    /// Nothing more could be written when it ended: so many MiB are in the sandbox's memory.
    full_mib: Option<u64>,
    /// Everything was told to end.
    ending: bool,
}

/// A replay that is over, without its trace.
pub struct Finished {
    pub replay: Replay,
    pub supervised: Option<Supervised>,
    pub vdso: bool,
    /// Calls of the target before the test, by syscall number.
    pub start_calls: Vec<u64>,
}

impl<'a> Session<'a> {
    pub fn new(
        job: &'a Job<'a>,
        limits: TimeLimits,
        cgroup: &'a ReplayCgroup,
        trace: &'a OpenTrace,
        keeper: &'a Keeper,
        guard: Guard,
    ) -> Result<Session<'a>, ReplayFailure> {
        let pipe = || Output::pipe().map_err(io_error("pipe"));
        let (application_output, application_pipe) = pipe()?;
        let (test_output, test_pipe) = pipe()?;
        Ok(Session {
            job,
            limits,
            cgroup,
            trace,
            keeper,
            application_output,
            test_output,
            application_pipe: Some(application_pipe),
            test_pipe: Some(test_pipe),
            guard,
            state: State::default(),
        })
    }

    /// Runs it all. The trace is still open when this returns; see `judge`.
    pub fn run(mut self, sandbox_time: Duration) -> Result<Finished, ReplayFailure> {
        let mut timing = Timing {
            sandbox_us: micros(sandbox_time),
            ..Timing::default()
        };
        let watch = self.job.heartbeat.watch(self.job.cpu);
        let outcome = self.start_and_test(&mut timing)?;
        let (outcome, stood_still_ms) = self.unless_stalled(outcome, &watch);
        let stopping = Instant::now();
        self.stop()?;
        timing.stop_us = micros(stopping.elapsed());
        self.application_output
            .take_rest()
            .map_err(io_error("pipe"))?;
        self.test_output.take_rest().map_err(io_error("pipe"))?;
        let refused = self.state.refused.take();
        let outcome = match &refused {
            Some(why) => Outcome::Invalid {
                why: format!("the filter is not on the target, which was ended: {why}"),
            },
            None => self.at_limits(outcome),
        };
        let serves = self.serves();
        let workload = &self.job.prepared.workload;
        let test_output = self.test_output.into_tail();
        let metric = workload.metric.as_ref();
        let metric = metric.and_then(|metric| metric.find(&test_output.tail));
        let mut usage = self.state.usage.unwrap_or_default();
        usage.start_cpu_us = self.state.start_cpu_us;
        usage.start_calls = self.state.start_calls.iter().sum();
        if let Some(holdings) = self.state.holdings {
            holdings.note(&mut usage, workload.mode);
        }
        let replay = Replay {
            policy: self.job.policy.clone(),
            outcome,
            application_exit: self.state.application_exit,
            test_exit: self.state.test_exit,
            application_output: self.application_output.into_tail(),
            test_output,
            trace: Trace::default(),
            injections: BTreeMap::new(),
            target_execs: self.state.target_execs,
            timing,
            usage,
            metric,
            listened: serves.then_some(self.state.listens > 0),
            listens: self.state.listens_when_ready,
            left: self.state.left,
            conditions: Conditions {
                control: self.job.control,
                refused,
                stood_still_ms,
            },
        };
        Ok(Finished {
            replay,
            supervised: self.state.supervised,
            vdso: self.state.vdso,
            start_calls: self.state.start_calls,
        })
    }

    fn start_and_test(&mut self, timing: &mut Timing) -> Result<Outcome, ReplayFailure> {
        if self.starts() {
            let started = Instant::now();
            self.start()?;
            let paper = self.job.pace == Pace::Paper;
            if paper {
                self.sleep_as_the_paper()?;
            }
            let failure = match self.job.prepared.workload.mode {
                Mode::Server if paper => None,
                Mode::Server => self.wait_until_ready()?,
                Mode::Batch => self.wait_until_over()?,
            };
            timing.ready_us = micros(started.elapsed().saturating_sub(self.state.calm));
            if self.serves() {
                self.state.listens_when_ready = self.state.listens;
            }
            if self.is_over() {
                return Ok(Outcome::Passed);
            }
            if let Some(failure) = failure {
                return Ok(Outcome::Failed(failure));
            }
            if self.job.part == Part::Start && self.job.facts.beginning().is_none() {
                return Ok(Outcome::Passed);
            }
        }
        self.state.start_cpu_us = self.cgroup.cpu_us()?;
        self.state.start_calls = self.trace.counts_so_far()?;
        let testing = Instant::now();
        let outcome = self.test()?;
        timing.test_us = micros(testing.elapsed());
        if self.job.sample && self.starts() {
            // The one moment that every replay has, and at which a server has done the same
            // work as any other time: the test is over, and nobody has asked it to end.
            self.state.holdings = Some(Holdings::of(&self.cgroup.target())?);
        }
        Ok(outcome)
    }

    /// Nothing that happens from now on says anything: the filter was refused, or the replay held
    /// more than it may.
    fn is_over(&self) -> bool {
        self.state.refused.is_some() || self.guard.breach().is_some()
    }

    /// What came of it, where limits may be the reason.
    fn at_limits(&self, outcome: Outcome) -> Outcome {
        if let Some(breach) = self.guard.breach() {
            return breach;
        }
        let full = || {
            let (what, limit) = (Limited::Files, self.state.full_mib?);
            Some(Failure::LimitReached { what, limit })
        };
        let reached = match outcome.failed() {
            true => self.guard.enforced().or_else(full),
            false => None,
        };
        reached.map_or(outcome, Outcome::Failed)
    }

    fn starts(&self) -> bool {
        self.job.part != Part::Sabotaged(Sabotage::Absent)
    }

    /// There is a server to be tested.
    fn serves(&self) -> bool {
        self.starts() && self.job.prepared.workload.mode == Mode::Server
    }

    fn start(&mut self) -> Result<(), ReplayFailure> {
        let procs = self.cgroup.target_procs()?;
        let pipe = self.application_pipe.take();
        let filter = match self.job.control {
            Some(Control::Filter) => inject::inert()?,
            _ => inject::instructions(self.job.policy)?,
        };
        let message = ToKeeper::Start {
            command: self.job.prepared.command.clone(),
            target: self.job.prepared.target.clone(),
            filter,
            notified: inject::Notified::of(self.job.policy, self.job.watch)?,
            hide_vdso: self.job.hide_vdso,
        };
        self.send(&message, pipe, Some(procs.as_fd()))
    }

    /// Sends a message with stdin from `/dev/null`, and `pipe` as stdout and stderr.
    fn send(
        &self,
        message: &ToKeeper,
        pipe: Option<OwnedFd>,
        extra: Option<BorrowedFd<'_>>,
    ) -> Result<(), ReplayFailure> {
        let null = std::fs::File::open("/dev/null").map_err(io_error("/dev/null"))?;
        let mut descriptors = vec![null.as_fd()];
        if let Some(pipe) = &pipe {
            descriptors.extend([pipe.as_fd(), pipe.as_fd()]);
        }
        descriptors.extend(extra);
        Ok(self.keeper.send(message, &descriptors)?)
    }

    /// Ends what is left of the application, and then everything.
    fn stop(&mut self) -> Result<(), ReplayFailure> {
        let asks_first = self.job.prepared.workload.stop == StopWith::Term && self.serves();
        if asks_first && self.state.application_exit.is_none() && !self.is_over() {
            let signal = libc::SIGTERM;
            let role = Role::Application;
            self.keeper.send(&ToKeeper::Signal { role, signal }, &[])?;
            let deadline = Instant::now() + self.limits.stop;
            while self.state.application_exit.is_none() && !left(deadline).is_zero() {
                self.wait(left(deadline))?;
            }
        }
        self.keeper.send(&ToKeeper::Finish, &[])?;
        self.state.ending = true;
        let deadline = Instant::now() + END_LIMIT;
        while self.state.usage.is_none() {
            if left(deadline).is_zero() {
                let limit = END_LIMIT;
                return Err(LauncherError::SlowEnd { limit }.into());
            }
            self.wait(left(deadline))?;
        }
        Ok(())
    }

    /// Waits for something to happen, at most `timeout` or until it is time to look at the keeper
    /// again, and notes what did.
    fn wait(&mut self, timeout: Duration) -> Result<(), ReplayFailure> {
        let events = self.trace.events().as_fd();
        let mut descriptors = vec![
            PollFd::new(self.keeper.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.job.cancel.as_fd(), PollFlags::POLLIN),
            PollFd::new(events, PollFlags::POLLIN),
        ];
        for output in [&self.application_output, &self.test_output] {
            descriptors.extend(
                output
                    .to_poll()
                    .map(|fd| PollFd::new(fd, PollFlags::POLLIN)),
            );
        }
        let ready = ppoll(
            &mut descriptors,
            Some(TimeSpec::from_duration(timeout.min(LOOK_PAUSE))),
            Some(SigSet::thread_get_mask().map_err(|e| io_error("poll")(e.into()))?),
        );
        match ready {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(io_error("poll")(error.into())),
        }
        let cancelled = descriptors[1].any().unwrap_or(false);
        drop(descriptors);
        if cancelled {
            return Err(ReplayFailure::Cancelled);
        }
        self.application_output
            .take_chunk()
            .map_err(io_error("pipe"))?;
        self.test_output.take_chunk().map_err(io_error("pipe"))?;
        for event in self.trace.events().take() {
            if matches!(event, Event::Listen { .. }) {
                self.state.listens += 1;
            }
        }
        while let Some(message) = self.keeper.try_receive()? {
            let last = matches!(message, FromKeeper::Finished { .. });
            self.note(message)?;
            if last {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, message: FromKeeper) -> Result<(), ReplayFailure> {
        match message {
            FromKeeper::TargetStarted { i386: true, .. } => {
                let target = self.job.prepared.target.clone();
                return Err(ReplayFailure::ThirtyTwoBit(target));
            }
            FromKeeper::TargetStarted { vdso, .. } => {
                self.state.target_execs += 1;
                self.state.vdso |= vdso;
            }
            FromKeeper::Executed { programs } => self.state.executed.extend(programs),
            FromKeeper::TargetRefused { why } => self.state.refused = Some(why),
            // Ended by us, which says nothing.
            FromKeeper::Exited { .. } if self.state.ending => {}
            FromKeeper::Exited { role, status } => match role {
                Role::Application => self.state.application_exit = Some(status),
                Role::Test => self.state.test_exit = Some(status),
                Role::Probe => self.state.probe_exit = Some(status),
            },
            FromKeeper::ExecFailed { role, errno } => {
                let prepared = self.job.prepared;
                let words = match role {
                    Role::Application => prepared.command.argv.clone(),
                    Role::Test => prepared.test.argv.clone(),
                    Role::Probe => prepared.workload.probe().unwrap_or_default(),
                };
                return Err(ReplayFailure::Exec {
                    role,
                    program: words.first().map(Word::to_string).unwrap_or_default(),
                    source: io::Error::from_raw_os_error(errno),
                });
            }
            FromKeeper::Finished {
                usage,
                supervised,
                full_mib,
                ..
            } => {
                self.state.usage = Some(usage);
                self.state.full_mib = full_mib;
                self.state.supervised = supervised;
            }
            FromKeeper::Forked { .. } | FromKeeper::Ready | FromKeeper::Failed { .. } => {}
        }
        Ok(())
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}
