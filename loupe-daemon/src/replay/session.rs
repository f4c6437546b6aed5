//! One replay from the application's start to nothing being left: a single loop over the
//! keeper's messages, the trace's events, the outputs and the clock.

mod phases;
mod readiness;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use loupe_common::replay::{Conditions, Control, Failure, Limited, Outcome, Replay, Timing};
use loupe_common::trace::Trace;

use super::facts::TimeLimits;
use super::guard::Guard;
use super::heartbeat::Watch;
use super::holdings::Holdings;
use super::output::Output;
use super::runner::{Job, Pace, Part, ReplayFailure, Sabotage};
use super::watch::void::{self, Host};
use super::workload::{Mode, StopWith};
use crate::launcher::protocol::Role;
use crate::run::{Injection, Measured, Run, RunError, Start, io_error};
use crate::tracer::Event;

/// How often `/proc` is asked about a server that is silent, or a tree that should be empty.
const QUIET_PROBE: Duration = Duration::from_millis(2);

pub struct Session<'a> {
    job: &'a Job<'a>,
    limits: TimeLimits,
    run: Run,
    application_output: Output,
    test_output: Output,
    /// The writing ends, until their processes have them.
    application_pipe: Option<OwnedFd>,
    test_pipe: Option<OwnedFd>,
    guard: Guard,
    /// The host, from the replay's begin on.
    host: Watch<'a>,
    state: State,
}

/// What is known so far.
#[derive(Default)]
struct State {
    /// Times that a `listen` of the target succeeded.
    listens: u64,
    listens_when_ready: u64,
    /// Of the wait for the test, the time in which nothing happened any more.
    calm: Duration,
    /// Names of what a batch application has left, asleep.
    left: Vec<String>,
    /// CPU time before the test.
    start_cpu_us: u64,
    /// Calls of the target before the test, by syscall number.
    start_calls: Vec<u64>,
    /// Once the test is over.
    holdings: Option<Holdings>,
    /// How late it was killed, as a sabotage wanted.
    killed_late: Option<Duration>,
}

/// A replay that is over, before its trace is judged.
pub struct Finished {
    pub replay: Replay,
    pub measured: Measured,
    /// The kernel killed a process of it for lack of memory, and it failed.
    pub out_of_memory: bool,
    /// Calls of the target before the test, by syscall number.
    pub start_calls: Vec<u64>,
}

impl<'a> Session<'a> {
    pub fn new(
        job: &'a Job<'a>,
        limits: TimeLimits,
        run: Run,
        guard: Guard,
    ) -> Result<Session<'a>, ReplayFailure> {
        let pipe = || Output::pipe().map_err(io_error("pipe"));
        let (application_output, application_pipe) = pipe()?;
        let (test_output, test_pipe) = pipe()?;
        Ok(Session {
            job,
            limits,
            run,
            application_output,
            test_output,
            application_pipe: Some(application_pipe),
            test_pipe: Some(test_pipe),
            guard,
            host: job.heartbeat.watch(job.cpu),
            state: State::default(),
        })
    }

    /// Runs it all. Nothing of it is left when this returns.
    pub fn run(mut self, sandbox_time: Duration) -> Result<Finished, ReplayFailure> {
        let mut timing = Timing {
            sandbox_us: micros(sandbox_time),
            ..Timing::default()
        };
        let kills = self.run.cgroup().out_of_memory_kills();
        let outcome = self.start_and_test(&mut timing)?;
        let (outcome, stood_still_ms) = self.unless_void(self.unless_spared(outcome));
        let stopping = Instant::now();
        self.stop()?;
        timing.stop_us = micros(stopping.elapsed());
        self.application_output
            .take_rest()
            .map_err(io_error("pipe"))?;
        self.test_output.take_rest().map_err(io_error("pipe"))?;
        let refused = self.run.seen().refused.clone();
        let outcome = match &refused {
            Some(why) => Outcome::Invalid {
                why: format!("the filter is not on the target, which was ended: {why}"),
            },
            None => self.at_limits(outcome),
        };
        let killed = self.run.cgroup().out_of_memory_kills() > kills;
        let out_of_memory = outcome.failed() && killed;
        let serves = self.serves();
        let workload = &self.job.prepared.workload;
        let test_output = self.test_output.into_tail();
        let metric = workload.metric.as_ref();
        let metric = metric.and_then(|metric| metric.find(&test_output.tail));
        let seen = self.run.seen();
        let (application_exit, test_exit) = (seen.exit(Role::Application), seen.exit(Role::Test));
        let target_execs = seen.target_execs;
        drop(self.guard);
        let measured = self.run.finish()?;
        let mut usage = measured.usage;
        usage.start_cpu_us = self.state.start_cpu_us;
        usage.start_calls = self.state.start_calls.iter().sum();
        if let Some(holdings) = self.state.holdings {
            holdings.note(&mut usage, workload.mode);
        }
        let replay = Replay {
            policy: self.job.policy.clone(),
            outcome,
            application_exit,
            test_exit,
            application_output: self.application_output.into_tail(),
            test_output,
            trace: Trace::default(),
            injections: BTreeMap::new(),
            target_execs,
            timing,
            usage,
            metric,
            listened: serves.then_some(self.state.listens > 0),
            listens: self.state.listens_when_ready,
            left: self.state.left,
            conditions: Conditions {
                on: None,
                control: self.job.control,
                refused,
                stood_still_ms,
            },
        };
        Ok(Finished {
            replay,
            measured,
            out_of_memory,
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
            timing.calm_us = micros(self.state.calm);
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
        self.state.start_cpu_us = self.run.cgroup().cpu_us()?;
        self.state.start_calls = self.run.trace().counts_so_far()?;
        let testing = Instant::now();
        let outcome = self.test()?;
        timing.test_us = micros(testing.elapsed());
        if self.job.sample && self.starts() {
            // The one moment that every replay has, and at which a server has done the same
            // work as any other time: the test is over, and nobody has asked it to end.
            self.state.holdings = Some(Holdings::of(&self.run.cgroup().target())?);
        }
        Ok(outcome)
    }

    /// The outcome, unless the test passed although the application was to be killed, and that was
    /// not done in time.
    fn unless_spared(&self, outcome: Outcome) -> Outcome {
        let Part::Sabotaged(Sabotage::KilledAfter(time)) = self.job.part else {
            return outcome;
        };
        let in_time = self.state.killed_late.is_some_and(|late| late <= time / 2);
        match outcome {
            Outcome::Passed if !in_time => Outcome::Invalid {
                why: "the application was to be killed, and that came too late".to_owned(),
            },
            outcome => outcome,
        }
    }

    /// The outcome, unless it is a failure that the host may be to blame for; and for how many ms
    /// the host then stood still.
    fn unless_void(&self, outcome: Outcome) -> (Outcome, u64) {
        let Outcome::Failed(failure) = &outcome else {
            return (outcome, 0);
        };
        let host = Host {
            all: self.host.elapsed(),
            stood_still: self.host.stood_still(),
            starved: self.run.cgroup().stalled().unwrap_or_default(),
        };
        match void::void(failure, host) {
            Some((why, still)) => (Outcome::Invalid { why }, still.as_millis() as u64),
            None => (outcome, 0),
        }
    }

    /// Nothing that happens from now on says anything: the filter was refused, or the replay held
    /// more than it may.
    fn is_over(&self) -> bool {
        self.run.seen().refused.is_some() || self.guard.breach().is_some()
    }

    /// What came of it, where limits may be the reason.
    fn at_limits(&self, outcome: Outcome) -> Outcome {
        if let Some(breach) = self.guard.breach() {
            return breach;
        }
        let full = || {
            let (what, limit) = (Limited::Files, self.run.full_mib()?);
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
        let (policy, watch) = (self.job.policy, self.job.watch);
        let injection = match self.job.control {
            Some(Control::Filter) => Injection::inert(policy, watch)?,
            _ => Injection::of(policy, watch)?,
        };
        let start = Start {
            command: self.job.prepared.command.clone(),
            target: self.job.prepared.target.clone(),
            injection,
            hide_vdso: self.job.hide_vdso,
        };
        let pipe = self.application_pipe.take();
        with_stdio(pipe, |stdio| self.run.start(start, stdio))
    }

    fn start_test(&mut self) -> Result<(), ReplayFailure> {
        let command = self.job.prepared.test.clone();
        let pipe = self.test_pipe.take();
        with_stdio(pipe, |stdio| {
            self.run.start_beside(Role::Test, command, stdio)
        })
    }

    /// Ends what is left of the application, and then everything.
    fn stop(&mut self) -> Result<(), ReplayFailure> {
        let asks_first = self.job.prepared.workload.stop == StopWith::Term && self.serves();
        if asks_first && !self.application_has_ended() && !self.is_over() {
            self.run.signal(libc::SIGTERM)?;
            let deadline = Instant::now() + self.limits.stop;
            while !self.application_has_ended() && !left(deadline).is_zero() {
                self.wait(left(deadline))?;
            }
        }
        Ok(self.run.end()?)
    }

    fn application_has_ended(&self) -> bool {
        self.run.seen().exit(Role::Application).is_some()
    }

    /// Waits for something to happen, at most this long, and notes what did.
    fn wait(&mut self, timeout: Duration) -> Result<(), ReplayFailure> {
        let mut others = vec![self.job.cancel.as_fd()];
        let outputs = [&self.application_output, &self.test_output];
        others.extend(outputs.into_iter().filter_map(Output::to_poll));
        let events = self.run.wait(timeout, &others)?;
        if self.job.cancel.is_cancelled() {
            return Err(RunError::Cancelled.into());
        }
        self.application_output
            .take_chunk()
            .map_err(io_error("pipe"))?;
        self.test_output.take_chunk().map_err(io_error("pipe"))?;
        let listens = events
            .iter()
            .filter(|event| matches!(event, Event::Listen { .. }));
        self.state.listens += listens.count() as u64;
        if self.run.seen().i386 {
            let target = self.job.prepared.target.clone();
            return Err(ReplayFailure::ThirtyTwoBit(target));
        }
        Ok(())
    }
}

/// Starts something whose stdin is `/dev/null`, and stdout and stderr are this pipe; each is started
/// once, so the pipe is there.
fn with_stdio(
    pipe: Option<OwnedFd>,
    start: impl FnOnce([BorrowedFd<'_>; 3]) -> Result<(), RunError>,
) -> Result<(), ReplayFailure> {
    let null = File::open("/dev/null").map_err(io_error("/dev/null"))?;
    let output = pipe.as_ref().map_or(null.as_fd(), OwnedFd::as_fd);
    Ok(start([null.as_fd(), output, output])?)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}
