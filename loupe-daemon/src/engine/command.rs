//! One command, run here and once, under a policy and a trace (`loupe run`, `loupe trace`).

mod orders;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loupe_common::replay::ExitStatus;
use loupe_common::word::Word;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

use orders::{CancelOnDrop, Orders};

use super::{Engine, EngineError, RunControl, RunReport, RunRequest, StreamedCall};
use crate::cgroup::ReplayCgroup;
use crate::inject;
use crate::launcher::protocol::{CommandSpec, FromKeeper, Preparation, Role, ToKeeper};
use crate::launcher::{Keeper, LOOK_PAUSE, Launcher, LauncherError, Supervised, with_rights_of};
use crate::replay::{add_files, clear, find_program, injections, is_silent, later};
use crate::tracer::{
    Event, OpenTrace, TraceOptions, Tracer, TracerError, abi_name, syscall_feature,
};

/// Between the SIGTERM and the SIGKILL of a cancelled command.
const TERM_TIME: Duration = Duration::from_secs(5);
/// What a command leaves running goes on; only its own processes are waited for.
const END_LIMIT: Duration = Duration::from_secs(30);
/// For a task that has ended to be gone.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> EngineError {
    move |source| EngineError::Io { what, source }
}

impl Engine {
    /// Runs a command once, unsandboxed, with these stdin, stdout and stderr. `calls` gets one
    /// item per finished call.
    pub async fn run(
        &self,
        request: RunRequest,
        stdio: [OwnedFd; 3],
        calls: Option<mpsc::Sender<StreamedCall>>,
        mut control: RunControl,
    ) -> Result<RunReport, EngineError> {
        let orders = Arc::new(Orders::new().map_err(io_error("eventfd"))?);
        // Also when the caller drops this future: the command must not go on unwatched.
        let _cancel_on_drop = CancelOnDrop(Arc::clone(&orders));
        let tracer = tokio::task::block_in_place(|| self.tracer())?;
        let launcher = Arc::clone(&self.launcher);
        let for_worker = Arc::clone(&orders);
        let mut worker = tokio::task::spawn_blocking(move || {
            run(&launcher, &tracer, request, stdio, calls, &for_worker)
        });
        let (mut cancelled, mut signals_open) = (false, true);
        let joined = loop {
            tokio::select! {
                joined = &mut worker => break joined,
                () = control.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    orders.cancel();
                }
                signal = control.signals.recv(), if signals_open => match signal {
                    Some(signal) => orders.pass_on(signal),
                    None => signals_open = false,
                },
            }
        };
        joined.unwrap_or_else(|panic| Err(EngineError::Panicked(panic.to_string())))
    }
}

fn run(
    launcher: &Launcher,
    tracer: &Tracer,
    request: RunRequest,
    stdio: [OwnedFd; 3],
    calls: Option<mpsc::Sender<StreamedCall>>,
    orders: &Orders,
) -> Result<RunReport, EngineError> {
    let filter = inject::instructions(&request.policy)?;
    let notified = inject::Notified::of(&request.policy, request.pseudo_files)?;
    let command = CommandSpec {
        argv: request.command.clone(),
        environment: request.environment.clone(),
        directory: request.directory.clone(),
        identity: request.identity.clone(),
        new_session: false,
        ignored_signals: request.ignored_signals,
    };
    let target = target(&request, &command)?;
    let cgroup = ReplayCgroup::create()?;
    let result = (|| {
        let options = TraceOptions {
            latency: request.latency,
            stream: calls.is_some(),
        };
        let trace = tracer.open(&cgroup, options)?;
        let keeper = launcher.prepare(&Preparation {
            cgroup: cgroup.directory.clone(),
            cpu: None,
            sandbox: None,
        })?;
        keeper.wait_ready(None)?;
        let procs = cgroup.target_procs()?;
        let message = ToKeeper::Start {
            command,
            target,
            filter,
            notified,
            hide_vdso: request.no_vdso,
        };
        let begin = Instant::now();
        let [stdin, stdout, stderr] = &stdio;
        keeper.send(
            &message,
            &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), procs.as_fd()],
        )?;
        let mut watch = Watch {
            keeper: &keeper,
            trace: &trace,
            calls,
            orders,
            target_execs: 0,
            executed: Vec::new(),
            vdso: false,
            exit: None,
        };
        let exit = watch.until_exit(&request.command)?;
        let wall_us = begin.elapsed().as_micros() as u64;
        let (supervised, left) = watch.until_finished()?;
        let (target_execs, vdso) = (watch.target_execs, watch.vdso);
        let whole = left == 0 && is_left_soon(&cgroup)?;
        let executed = match target_execs {
            0 => watch.executed,
            _ => Vec::new(),
        };
        let mut trace = trace.finish()?;
        trace.vdso = vdso;
        if whole {
            let begun = target_execs + trace.forks;
            trace.escaped = begun.saturating_sub(trace.exits);
        }
        // One that was killed before its first call was seen to end.
        if is_silent(&trace, target_execs) && trace.foreign.is_empty() && trace.exits == 0 {
            return Err(TracerError::Blind(cgroup.target()).into());
        }
        if let Some(supervised) = &supervised {
            if let Some(why) = &supervised.failed {
                return Err(EngineError::Refused(why.clone()));
            }
            add_files(&mut trace, &request.policy, supervised);
        }
        Ok(RunReport {
            exit,
            injections: injections(&request.policy, &trace, supervised.as_ref()),
            trace,
            target_execs,
            executed,
            wall_us,
        })
    })();
    clear(&cgroup);
    result
}

/// Whether the last task of the target is gone within a moment: one that has ended for its parent
/// may still be on its way out, and is told of at its end.
fn is_left_soon(cgroup: &ReplayCgroup) -> Result<bool, EngineError> {
    let target = ReplayCgroup::of(cgroup.target());
    let deadline = Instant::now() + EXIT_LIMIT;
    while target.is_populated()? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(true)
}

/// The file whose execution starts trace and injection.
fn target(request: &RunRequest, command: &CommandSpec) -> Result<PathBuf, EngineError> {
    let program = match &request.target {
        Some(target) => target.as_os_str(),
        None => request
            .command
            .first()
            .map_or(OsStr::new(""), Word::as_os_str),
    };
    let find = || {
        let target = request.target.as_ref();
        match target.and_then(|target| later(target, command)) {
            Some(later) => Ok(later),
            None => find_program(program, command, &[]),
        }
    };
    let found = with_rights_of(&request.identity, find).map_err(io_error("change of the user"))?;
    found.map_err(|missing| EngineError::Exec {
        program: program.to_string_lossy().into_owned(),
        source: missing.into(),
    })
}

/// A running command.
struct Watch<'a> {
    keeper: &'a Keeper,
    trace: &'a OpenTrace,
    calls: Option<mpsc::Sender<StreamedCall>>,
    orders: &'a Orders,
    target_execs: u64,
    /// Names of what was executed before the target, or instead of it.
    executed: Vec<String>,
    /// A target was told of its vDSO.
    vdso: bool,
    exit: Option<ExitStatus>,
}

impl Watch<'_> {
    fn until_exit(&mut self, command: &[Word]) -> Result<ExitStatus, EngineError> {
        let mut kill_at: Option<Instant> = None;
        loop {
            self.wait(kill_at.map(|at| at.saturating_duration_since(Instant::now())))?;
            while let Some(message) = self.keeper.try_receive()? {
                self.note(message, command)?;
            }
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            let (cancelled, signals) = self.orders.take();
            for signal in signals {
                self.signal(signal)?;
            }
            if cancelled && kill_at.is_none() {
                self.signal(libc::SIGTERM)?;
                kill_at = Some(Instant::now() + TERM_TIME);
            }
            if kill_at.is_some_and(|at| at <= Instant::now()) {
                self.signal(libc::SIGKILL)?;
                kill_at = Some(Instant::now() + TERM_TIME);
            }
        }
    }

    fn signal(&self, signal: i32) -> Result<(), EngineError> {
        let role = Role::Application;
        Ok(self.keeper.send(&ToKeeper::Signal { role, signal }, &[])?)
    }

    /// What was supervised, and how many processes go on.
    fn until_finished(&mut self) -> Result<(Option<Supervised>, u64), EngineError> {
        self.keeper.send(&ToKeeper::Finish, &[])?;
        let deadline = Instant::now() + END_LIMIT;
        let finished = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.keeper.receive(left)? {
                Some(FromKeeper::Finished {
                    supervised, left, ..
                }) => break (supervised, left),
                Some(_) => {}
                None => return Err(LauncherError::SlowEnd { limit: END_LIMIT }.into()),
            }
        };
        self.trace.flush();
        self.pass_on_calls();
        Ok(finished)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), EngineError> {
        // At the latest it is time to look at the keeper again.
        let timeout = timeout.map_or(LOOK_PAUSE, |timeout| timeout.min(LOOK_PAUSE));
        let millis = i32::try_from(timeout.as_millis() + 1).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [
            PollFd::new(self.keeper.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.trace.events().as_fd(), PollFlags::POLLIN),
            PollFd::new(self.orders.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(io_error("poll")(error.into())),
        }
        self.pass_on_calls();
        Ok(())
    }

    fn pass_on_calls(&mut self) {
        for event in self.trace.events().take() {
            let (Event::Call(call), Some(calls)) = (event, &self.calls) else {
                continue;
            };
            let name = match abi_name(call.abi) {
                "native" => syscall_feature(call.number).to_string(),
                abi => format!("{abi}:{}", call.number),
            };
            let streamed = StreamedCall {
                time_ns: call.time_ns,
                pid: call.pid,
                tid: call.tid,
                name,
                args: call.args,
                result: call.result,
                duration_ns: call.duration_ns,
            };
            if calls.blocking_send(streamed).is_err() {
                // Nobody reads any more: the command goes on, its stream does not.
                self.calls = None;
            }
        }
    }

    fn note(&mut self, message: FromKeeper, command: &[Word]) -> Result<(), EngineError> {
        match message {
            FromKeeper::TargetStarted { vdso, .. } => {
                self.target_execs += 1;
                self.vdso |= vdso;
            }
            FromKeeper::Executed { programs } => self.executed.extend(programs),
            FromKeeper::TargetRefused { why } => return Err(EngineError::Refused(why)),
            FromKeeper::ExecFailed { errno, .. } => {
                return Err(EngineError::Exec {
                    program: command.first().map(Word::to_string).unwrap_or_default(),
                    source: io::Error::from_raw_os_error(errno),
                });
            }
            FromKeeper::Exited {
                role: Role::Application,
                status,
            } => self.exit = Some(status),
            _ => {}
        }
        Ok(())
    }
}
