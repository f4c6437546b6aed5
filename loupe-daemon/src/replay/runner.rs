//! Runs replays: sets up what a session needs, and clears it away however the session ends.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loupe_common::policy::Policy;
use loupe_common::replay::{Control, Failure, Outcome, Replay};

use super::facts::{BaselineFacts, TimeLimits};
use super::guard::{Bounds, Guard};
use super::heartbeat::Heartbeat;
use super::never_started::NeverStarted;
use super::prepared::Prepared;
use super::session::{Finished, Session};
use crate::cgroup::CgroupError;
use crate::inject::CompileError;
use crate::launcher::Launcher;
use crate::lock;
use crate::run::{Cancel, Plan, Run, RunError};
use crate::tracer::{TraceOptions, Tracer, TracerError};

/// A replay could not be run, which says nothing about its policy.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the application ended, and {0}")]
    TargetNeverStarted(Box<NeverStarted>),
    #[error(
        "the target {} is a 32-bit program; Loupe's filters know the 64-bit ABI only",
        .0.display()
    )]
    ThirtyTwoBit(PathBuf),
}

impl From<CgroupError> for ReplayFailure {
    fn from(error: CgroupError) -> ReplayFailure {
        ReplayFailure::Run(error.into())
    }
}

impl From<TracerError> for ReplayFailure {
    fn from(error: TracerError) -> ReplayFailure {
        ReplayFailure::Run(error.into())
    }
}

impl From<CompileError> for ReplayFailure {
    fn from(error: CompileError) -> ReplayFailure {
        ReplayFailure::Run(error.into())
    }
}

/// A reason for the test to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sabotage {
    /// The application is never started.
    Absent,
    /// It is killed so long after its test has begun; a batch application, after its start.
    KilledAfter(Duration),
}

/// What of the workload is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    #[default]
    Whole,
    /// A server's start and, where its test is long, how that begins: it passes as soon as nothing
    /// has failed so far. Its trace then has the test's calls alone.
    Start,
    /// All of it, with something done to the application so that the test should fail.
    Sabotaged(Sabotage),
}

/// When a replay goes on and when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As soon as the kernel shows that it can.
    #[default]
    Events,
    /// As the paper's prototype did, to compare with: a fixed sleep at the start, fixed limits.
    Paper,
}

/// One replay to run.
pub struct Job<'a> {
    pub prepared: &'a Prepared,
    pub policy: &'a Policy,
    pub facts: &'a BaselineFacts,
    /// Ticks on the CPUs.
    pub heartbeat: &'a Heartbeat,
    /// The CPU that the replay is pinned to.
    pub cpu: Option<usize>,
    pub cancel: &'a Cancel,
    pub part: Part,
    pub pace: Pace,
    /// Look at what the application holds when its test is over: memory, descriptors.
    pub sample: bool,
    /// Look out for every pseudo-file that is used.
    pub watch: bool,
    /// It is a control, and put under what that says.
    pub control: Option<Control>,
    /// Hide the vDSO from the target.
    pub hide_vdso: bool,
    /// Called, once or more, when the replay is overdue and waits without computing.
    pub on_waiting: &'a (dyn Fn() + Sync),
}

/// A run that is being made, for replays that are pinned to this CPU.
struct Next {
    run: Run,
    cpu: Option<usize>,
}

/// Runs replays one at a time; made for one worker of an analysis. Prepares the next sandbox
/// while a replay runs.
pub struct Runner {
    launcher: Arc<Launcher>,
    tracer: Tracer,
    next: Mutex<Option<Next>>,
    /// Measure the time in each call too.
    pub options: TraceOptions,
}

impl Runner {
    pub fn new(launcher: Arc<Launcher>, tracer: Tracer) -> Runner {
        Runner {
            launcher,
            tracer,
            next: Mutex::default(),
            options: TraceOptions::default(),
        }
    }

    fn prepare(&self, job: &Job<'_>) -> Result<Run, RunError> {
        let bounds = Bounds::of(&job.prepared.workload.limits);
        let plan = Plan {
            cpu: job.cpu,
            sandbox: Some(job.prepared.sandbox.clone()),
            bounds: Some((bounds.processes, bounds.memory_bytes)),
            options: self.options,
        };
        Run::prepare(&self.launcher, &self.tracer, plan)
    }

    /// Runs one replay. Whatever happens, nothing of it is left when this returns.
    pub fn replay(&self, job: &Job<'_>) -> Result<Replay, ReplayFailure> {
        let begin = Instant::now();
        let next = lock(&self.next).take();
        let next = next.filter(|next| next.cpu == job.cpu);
        let (run, sandbox) = Run::ready(
            next.map(|next| next.run),
            || self.prepare(job),
            Some(job.cancel.as_fd()),
        )?;
        let bounds = Bounds::of(&job.prepared.workload.limits);
        let guard = Guard::new(bounds, run.cgroup(), sandbox);
        let sandbox_time = begin.elapsed();
        // The next sandbox is made while this replay runs.
        if job.pace == Pace::Events {
            let next = self.prepare(job).ok();
            *lock(&self.next) = next.map(|run| Next { run, cpu: job.cpu });
        }
        let limits = match job.pace {
            Pace::Paper => TimeLimits::of_the_paper(),
            Pace::Events => TimeLimits::new(
                &job.prepared.workload.limits,
                job.facts,
                run.cgroup().stalled().is_some(),
            ),
        };
        let session = Session::new(job, limits, run, guard)?;
        let mut replay = judged(job, session.run(sandbox_time)?);
        let elapsed_us = begin.elapsed().as_micros() as u64;
        replay.timing.wall_us = elapsed_us.saturating_sub(replay.timing.calm_us);
        Ok(replay)
    }
}

/// A replay with its trace, and what that says about it.
fn judged(job: &Job<'_>, finished: Finished) -> Replay {
    let Finished {
        mut replay,
        measured,
        out_of_memory,
        start_calls,
    } = finished;
    replay.trace = measured.trace;
    let at_limit = matches!(
        replay.outcome,
        Outcome::Failed(Failure::LimitReached { .. })
    );
    if at_limit || matches!(job.part, Part::Sabotaged(_)) {
        // That was us, or a limit of ours.
        replay.trace.disturbed = None;
    } else if out_of_memory {
        let what = "the kernel killed a process for lack of memory meanwhile";
        replay.trace.disturbed.get_or_insert(what.to_owned());
    }
    if job.part == Part::Start && replay.outcome.passed() {
        without_start(&mut replay, &start_calls);
    }
    super::judge::judge_trace(replay, measured.supervised.as_ref())
}

/// Takes the calls before the test out of a trace.
fn without_start(replay: &mut Replay, start_calls: &[u64]) {
    for (feature, counts) in &mut replay.trace.calls {
        let number = feature
            .syscall()
            .and_then(loupe_common::syscalls::Syscall::number);
        let before = number.and_then(|number| start_calls.get(number as usize));
        let before = before.copied().unwrap_or_default();
        counts.calls = counts.calls.saturating_sub(before);
    }
    replay.usage.start_calls = 0;
}
