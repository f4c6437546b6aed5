//! One running thing: its cgroup, its trace, and the keeper that starts and ends its processes. A
//! replay is phases over a [`Run`]; `loupe run` and `loupe trace` are signals over one. However a
//! `Run` is let go, everything in it ends and nothing of it is left.
//!
//! It knows no workloads and no outcomes: it says what happened, and not what that means.

mod error;
mod injections;
mod orders;
mod place;
mod seen;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use loupe_common::policy::Policy;
use loupe_common::replay::Usage;
use loupe_common::trace::Trace;
use loupe_common::word::Word;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

use crate::cgroup::ReplayCgroup;
use crate::inject::{self, CompileError, Notified};
use crate::launcher::protocol::{
    CommandSpec, Instruction, Preparation, Role, SandboxSpec, ToKeeper,
};
use crate::launcher::{Keeper, LOOK_PAUSE, Launcher, LauncherError, Supervised};
use crate::tracer::{Event, OpenTrace, TraceOptions, Tracer};
pub use error::{RunError, io_error};
pub use injections::{add_files, injections, is_silent, unanswered};
pub use orders::{Cancel, CancelOnDrop, Orders};
use place::Place;
pub use seen::Seen;

/// For the keeper to end everything: SIGKILL takes less than a millisecond. Where the host is so
/// busy that it takes longer, nothing is wrong with the keeper.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Where a run is made, before anything is started in it.
pub struct Plan {
    /// The CPU that everything in it is pinned to.
    pub cpu: Option<usize>,
    /// `None`: what is started runs right here.
    pub sandbox: Option<SandboxSpec>,
    /// Processes, and bytes of memory, that the kernel is to enforce where it can.
    pub bounds: Option<(u64, u64)>,
    pub options: TraceOptions,
}

/// What the target's calls are answered with, compiled.
pub struct Injection {
    filter: Vec<Instruction>,
    notified: Option<Notified>,
}

impl Injection {
    /// Of a policy; with `watch`, pseudo-files are looked out for, too.
    pub fn of(policy: &Policy, watch: bool) -> Result<Injection, CompileError> {
        Ok(Injection {
            filter: inject::instructions(policy)?,
            notified: Notified::of(policy, watch)?,
        })
    }

    /// The same, with a filter that answers nothing in the place of the policy's.
    pub fn inert(policy: &Policy, watch: bool) -> Result<Injection, CompileError> {
        Ok(Injection {
            filter: inject::inert()?,
            notified: Notified::of(policy, watch)?,
        })
    }
}

/// A command whose target is traced and injected into.
pub struct Start {
    pub command: CommandSpec,
    /// The binary that is the target.
    pub target: PathBuf,
    pub injection: Injection,
    pub hide_vdso: bool,
}

/// What is known of a run when all of it has ended.
pub struct Measured {
    /// With the target's vDSO, and the tasks that were moved away.
    pub trace: Trace,
    /// With the CPU times.
    pub usage: Usage,
    /// What the keeper has answered; none where nothing was notified.
    pub supervised: Option<Supervised>,
}

/// A running thing. Its parts are let go in this order.
pub struct Run {
    keeper: Keeper,
    trace: OpenTrace,
    place: Place,
    is_sandboxed: bool,
    seen: Seen,
}

impl Run {
    /// Has a run made; returns before it is. [`Run::wait_ready`] waits.
    pub fn prepare(launcher: &Launcher, tracer: &Tracer, plan: Plan) -> Result<Run, RunError> {
        let place = Place::make()?;
        if let Some((processes, memory_bytes)) = plan.bounds {
            place.0.limit(processes, memory_bytes)?;
        }
        let trace = tracer.open(&place.0, plan.options)?;
        let is_sandboxed = plan.sandbox.is_some();
        let keeper = launcher.prepare(&Preparation {
            cgroup: place.0.directory.clone(),
            cpu: plan.cpu,
            sandbox: plan.sandbox,
        })?;
        Ok(Run {
            keeper,
            trace,
            place,
            is_sandboxed,
            seen: Seen::default(),
        })
    }

    /// A run that is ready, and what its sandbox ends with; the one that was prepared, or else a new
    /// one. If the launcher was lost meanwhile nothing has happened yet, and another is made.
    ///
    /// # Errors
    /// [`RunError::Cancelled`] if `cancel` can be read from before it is.
    pub fn ready(
        prepared: Option<Run>,
        prepare: impl Fn() -> Result<Run, RunError>,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<(Run, Option<OwnedFd>), RunError> {
        let run = match prepared {
            Some(run) => run,
            None => prepare()?,
        };
        match run.wait_ready(cancel) {
            Ok(sandbox) => Ok((run, sandbox)),
            Err(RunError::Launcher(error)) if run.keeper.has_lost_its_launcher() => {
                tracing::warn!(%error, "a run is made again");
                drop(run);
                let run = prepare()?;
                let sandbox = run.wait_ready(cancel)?;
                Ok((run, sandbox))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until a command can be started. Returns what the sandbox ends with, if there is one.
    fn wait_ready(&self, cancel: Option<BorrowedFd<'_>>) -> Result<Option<OwnedFd>, RunError> {
        let ready = self.keeper.wait_ready(cancel)?;
        let sandbox = ready.ok_or(RunError::Cancelled)?;
        if self.is_sandboxed && sandbox.is_none() {
            return Err(LauncherError::Protocol("there is no sandbox".to_owned()).into());
        }
        Ok(sandbox)
    }

    pub fn cgroup(&self) -> &ReplayCgroup {
        &self.place.0
    }

    pub fn trace(&self) -> &OpenTrace {
        &self.trace
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Starts the application.
    pub fn start(&mut self, start: Start, stdio: [BorrowedFd<'_>; 3]) -> Result<(), RunError> {
        let Start {
            command,
            target,
            injection: Injection { filter, notified },
            hide_vdso,
        } = start;
        let procs = self.cgroup().target_procs()?;
        self.note_start(Role::Application, &command);
        let message = ToKeeper::Start {
            command,
            target,
            filter,
            notified,
            hide_vdso,
        };
        let [stdin, stdout, stderr] = stdio;
        let descriptors = [stdin, stdout, stderr, procs.as_fd()];
        Ok(self.keeper.send(&message, &descriptors)?)
    }

    /// Starts the test or a probe, unfiltered and uncounted.
    pub fn start_beside(
        &mut self,
        role: Role,
        command: CommandSpec,
        stdio: [BorrowedFd<'_>; 3],
    ) -> Result<(), RunError> {
        self.note_start(role, &command);
        Ok(self.keeper.send(&ToKeeper::Run { role, command }, &stdio)?)
    }

    fn note_start(&mut self, role: Role, command: &CommandSpec) {
        let program = command.argv.first().map(Word::to_string);
        self.seen.start(role, program.unwrap_or_default());
    }

    /// Sends a signal to the application's first process.
    pub fn signal(&self, signal: i32) -> Result<(), RunError> {
        let role = Role::Application;
        Ok(self.keeper.send(&ToKeeper::Signal { role, signal }, &[])?)
    }

    /// Waits until something happens in it, or one of the others can be read from: at most this
    /// long, and no longer than until it is time to look at the keeper again. Returns the events.
    pub fn wait(
        &mut self,
        timeout: Duration,
        others: &[BorrowedFd<'_>],
    ) -> Result<Vec<Event>, RunError> {
        let mut descriptors = vec![
            PollFd::new(self.keeper.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.trace.events().as_fd(), PollFlags::POLLIN),
        ];
        descriptors.extend(others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        let mask = SigSet::thread_get_mask().map_err(|errno| io_error("poll")(errno.into()))?;
        let timeout = TimeSpec::from_duration(timeout.min(LOOK_PAUSE));
        match ppoll(&mut descriptors, Some(timeout), Some(mask)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(io_error("poll")(error.into())),
        }
        let events = self.trace.events().take();
        while self.seen.ended.is_none()
            && let Some(message) = self.keeper.try_receive()?
        {
            self.seen.note(message)?;
        }
        Ok(events)
    }

    /// Ends everything in the sandbox, and what was started right here, and waits for that. Its
    /// events are left to be taken.
    pub fn end(&mut self) -> Result<(), RunError> {
        self.keeper.send(&ToKeeper::Finish, &[])?;
        self.seen.is_ending = true;
        let deadline = Instant::now() + END_LIMIT;
        while self.seen.ended.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.keeper.receive(left)? {
                Some(message) => self.seen.note(message)?,
                None => return Err(LauncherError::SlowEnd { limit: END_LIMIT }.into()),
            }
        }
        self.trace.flush();
        Ok(())
    }

    /// MiB of the sandbox's memory for files, if it was full when it ended.
    pub fn full_mib(&self) -> Option<u64> {
        self.seen.ended.as_ref().and_then(|ended| ended.full_mib)
    }

    /// What is known of it now that it has ended. Nothing is left of it afterwards.
    ///
    /// # Errors
    /// If [`Run::end`] was not there before.
    pub fn finish(self) -> Result<Measured, RunError> {
        let Run {
            keeper,
            trace,
            place,
            is_sandboxed,
            seen,
        } = self;
        let Some(ended) = seen.ended else {
            return Err(LauncherError::KeeperGone.into());
        };
        drop(keeper);
        // What was left running on purpose has not ended, and what is about to end has not yet.
        let is_whole = is_sandboxed || (ended.left == 0 && place.is_left_soon()?);
        let usage = Usage {
            cpu_us: place.0.target_cpu_us()?,
            total_cpu_us: place.0.cpu_us()?,
            ..ended.usage
        };
        let mut trace = trace.finish()?;
        trace.vdso = seen.vdso;
        if is_whole {
            let begun = seen.target_execs + trace.forks;
            trace.escaped = begun.saturating_sub(trace.exits);
        }
        Ok(Measured {
            trace,
            usage,
            supervised: ended.supervised,
        })
    }
}
