//! Runs replays: sets up what a session needs, and clears it away however the session ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loupe_common::policy::Policy;
use loupe_common::replay::{Control, Failure, Outcome, Replay};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::facts::{BaselineFacts, TimeLimits};
use super::guard::{Bounds, Guard};
use super::heartbeat::Heartbeat;
use super::never_started::NeverStarted;
use super::prepared::Prepared;
use super::session::{Finished, Session};
use crate::cgroup::{CgroupError, ReplayCgroup};
use crate::inject::CompileError;
use crate::launcher::protocol::{Preparation, Role};
use crate::launcher::{Keeper, Launcher, LauncherError};
use crate::lock;
use crate::tracer::{OpenTrace, TraceOptions, Tracer, TracerError};

/// A replay could not be run, which says nothing about its policy.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    #[error(transparent)]
    Tracer(#[from] TracerError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the {} `{program}` cannot be executed: {source}", role_name(*.role))]
    Exec {
        role: Role,
        program: String,
        source: io::Error,
    },
    #[error("the application ended, and {0}")]
    TargetNeverStarted(Box<NeverStarted>),
    #[error(
        "the target {} is a 32-bit program; Loupe's filters know the 64-bit ABI only",
        .0.display()
    )]
    ThirtyTwoBit(PathBuf),
    #[error("the engine's own {what} failed: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
    #[error("cancelled")]
    Cancelled,
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Application => "command",
        Role::Test => "test",
        Role::Probe => "command of `ready`",
    }
}

/// Asks running replays to end. All clones are one.
#[derive(Clone)]
pub struct Cancel(Arc<EventFd>);

impl Cancel {
    pub fn new() -> io::Result<Cancel> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Cancel(Arc::new(EventFd::from_flags(flags)?)))
    }

    pub fn cancel(&self) {
        // It can only fail by being as full as it can get, which is cancelled too.
        let _ = self.0.write(1);
    }
}

impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A reason for the test to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The application is never started.
    Absent,
    /// It is killed so long after its test has begun; a batch application, after its start.
    KilledAfter(Duration),
}

/// What of the workload is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// A sandbox that stands ready, with its trace open.
struct Ready {
    cgroup: ReplayCgroup,
    trace: OpenTrace,
    keeper: Keeper,
    cpu: Option<usize>,
}

/// Runs replays one at a time; made for one worker of an analysis. Prepares the next sandbox
/// while a replay runs.
pub struct Runner {
    launcher: Arc<Launcher>,
    tracer: Tracer,
    next: std::sync::Mutex<Option<Ready>>,
    /// Measure the time in each call too.
    pub options: TraceOptions,
}

impl Runner {
    pub fn new(launcher: Arc<Launcher>, tracer: Tracer) -> Runner {
        Runner {
            launcher,
            tracer,
            next: std::sync::Mutex::default(),
            options: TraceOptions::default(),
        }
    }

    fn prepare(&self, job: &Job<'_>) -> Result<Ready, ReplayFailure> {
        let cgroup = ReplayCgroup::create()?;
        let bounds = Bounds::of(&job.prepared.workload.limits);
        let limited = cgroup.limit(bounds.processes, bounds.memory_bytes);
        let opened = limited
            .map_err(ReplayFailure::from)
            .and_then(|()| self.open(&cgroup, job));
        if opened.is_err() {
            clear(&cgroup);
        }
        opened
    }

    fn open(&self, cgroup: &ReplayCgroup, job: &Job<'_>) -> Result<Ready, ReplayFailure> {
        let trace = self.tracer.open(cgroup, self.options)?;
        let keeper = self.launcher.prepare(&Preparation {
            cgroup: cgroup.directory.clone(),
            cpu: job.cpu,
            sandbox: Some(job.prepared.sandbox.clone()),
        })?;
        Ok(Ready {
            cgroup: cgroup.clone(),
            trace,
            keeper,
            cpu: job.cpu,
        })
    }

    /// A sandbox that stands. If the launcher was lost meanwhile, nothing has happened yet: another
    /// launcher makes another one.
    fn ready(&self, job: &Job<'_>) -> Result<(Ready, OwnedFd), ReplayFailure> {
        let mut again = false;
        loop {
            let waiting = lock(&self.next).take();
            let ready = match waiting {
                Some(ready) if ready.cpu == job.cpu => ready,
                Some(other) => {
                    discard(other);
                    self.prepare(job)?
                }
                None => self.prepare(job)?,
            };
            let error = match ready.keeper.wait_for_sandbox(job.cancel.as_fd()) {
                Ok(Some(sandbox)) => return Ok((ready, sandbox)),
                Ok(None) => ReplayFailure::Cancelled,
                Err(error) => error.into(),
            };
            let is_lost = ready.keeper.has_lost_its_launcher();
            discard(ready);
            if !is_lost || again || matches!(error, ReplayFailure::Cancelled) {
                return Err(error);
            }
            tracing::warn!(%error, "a sandbox is made again");
            again = true;
        }
    }

    /// Runs one replay. Whatever happens, nothing of it is left when this returns.
    pub fn replay(&self, job: &Job<'_>) -> Result<Replay, ReplayFailure> {
        let begin = Instant::now();
        let (ready, sandbox) = self.ready(job)?;
        let Ready {
            cgroup,
            trace,
            keeper,
            ..
        } = ready;
        let run = || {
            let bounds = Bounds::of(&job.prepared.workload.limits);
            let guard = Guard::new(bounds, &cgroup, sandbox);
            let sandbox_time = begin.elapsed();
            // The next sandbox is made while this replay runs.
            if job.pace == Pace::Events {
                *lock(&self.next) = self.prepare(job).ok();
            }
            let limits = match job.pace {
                Pace::Paper => TimeLimits::of_the_paper(),
                Pace::Events => TimeLimits::new(
                    &job.prepared.workload.limits,
                    job.facts,
                    cgroup.stalled().is_some(),
                ),
            };
            let kills = cgroup.out_of_memory_kills();
            let finished = Session::new(job, limits, &cgroup, &trace, &keeper, guard)?;
            let finished = finished.run(sandbox_time)?;
            let memory = finished.replay.outcome.failed() && cgroup.out_of_memory_kills() > kills;
            Ok((finished, memory))
        };
        let result: Result<_, ReplayFailure> = run();
        drop(keeper);
        let result = result.and_then(|(finished, out_of_memory)| {
            let Finished {
                mut replay,
                supervised,
                vdso,
                start_calls,
            } = finished;
            replay.usage.cpu_us = cgroup.target_cpu_us()?;
            replay.usage.total_cpu_us = cgroup.cpu_us()?;
            replay.trace = trace.finish()?;
            replay.trace.vdso = vdso;
            let begun = replay.target_execs + replay.trace.forks;
            replay.trace.escaped = begun.saturating_sub(replay.trace.exits);
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
            Ok(super::judge::judge_trace(replay, supervised.as_ref()))
        });
        clear(&cgroup);
        result.map(|mut replay| {
            replay.timing.wall_us = begin.elapsed().as_micros() as u64;
            replay
        })
    }
}

/// Takes the calls before the test out of a trace.
fn without_start(replay: &mut Replay, start_calls: &[u64]) {
    for (feature, counts) in &mut replay.trace.calls {
        let number = feature.syscall().and_then(|syscall| syscall.number());
        let before = number.and_then(|number| start_calls.get(number as usize));
        let before = before.copied().unwrap_or_default();
        counts.calls = counts.calls.saturating_sub(before);
    }
    replay.usage.start_calls = 0;
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(ready) = lock(&self.next).take() {
            discard(ready);
        }
    }
}

fn discard(ready: Ready) {
    let Ready {
        cgroup,
        trace,
        keeper,
        ..
    } = ready;
    drop(keeper);
    drop(trace);
    clear(&cgroup);
}

/// Removes a run's cgroups, ending what may still be in them.
pub fn clear(cgroup: &ReplayCgroup) {
    // The keeper has ended everything and is about to leave itself; only if something went
    // wrong is there anything to kill.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut killed = false;
    let begin = Instant::now();
    loop {
        match cgroup.remove() {
            Ok(()) => return,
            Err(error) if Instant::now() > deadline => {
                tracing::warn!("a replay's cgroup stays behind for now: {error}");
                return cgroup.remove_later();
            }
            Err(_) => {}
        }
        if !killed && begin.elapsed() > Duration::from_millis(100) {
            killed = true;
            if let Err(error) = cgroup.kill() {
                tracing::warn!("{error}");
            }
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}
