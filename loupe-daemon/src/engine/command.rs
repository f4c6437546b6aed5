//! One command, run here and once, under a policy and a trace (`loupe run`, `loupe trace`).

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loupe_common::replay::ExitStatus;
use loupe_common::word::Word;
use tokio::sync::mpsc;

use super::{Engine, EngineError, RunControl, RunReport, RunRequest, StreamedCall};
use crate::launcher::protocol::{CommandSpec, Role, SandboxSpec};
use crate::launcher::{Launcher, LauncherError, with_rights_of};
use crate::replay::{find_program, later};
use crate::run::{
    CancelOnDrop, Injection, Orders, Plan, Run, RunError, Start, add_files, injections, io_error,
    is_silent,
};
use crate::tracer::{Event, TraceOptions, Tracer, TracerError, abi_name, syscall_feature};

/// Between the SIGTERM and the SIGKILL of a cancelled command.
const TERM_TIME: Duration = Duration::from_secs(5);
/// For a killed command's end to be told. It is told at once, unless the kernel cannot end it yet.
const KILL_TIME: Duration = Duration::from_secs(30);

impl Engine {
    /// Runs a command once, unsandboxed, with these stdin, stdout and stderr. `calls` gets one
    /// item per finished call.
    pub async fn run(
        &self,
        request: RunRequest,
        stdio: [OwnedFd; 3],
        calls: Option<mpsc::Sender<StreamedCall>>,
        control: RunControl,
    ) -> Result<RunReport, EngineError> {
        self.run_in(None, request, stdio, calls, control).await
    }

    /// Runs a command once, in this sandbox if there is one.
    pub(super) async fn run_in(
        &self,
        sandbox: Option<SandboxSpec>,
        request: RunRequest,
        stdio: [OwnedFd; 3],
        calls: Option<mpsc::Sender<StreamedCall>>,
        mut control: RunControl,
    ) -> Result<RunReport, EngineError> {
        let orders = Arc::new(Orders::new()?);
        // Also when the caller drops this future: the command must not go on unwatched.
        let _cancel_on_drop = CancelOnDrop(Arc::clone(&orders));
        let tracer = tokio::task::block_in_place(|| self.tracer())?;
        let launcher = Arc::clone(&self.launcher);
        let for_worker = Arc::clone(&orders);
        let mut worker = tokio::task::spawn_blocking(move || {
            let order = (request, sandbox);
            run(&launcher, &tracer, order, &stdio, calls, &for_worker)
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
    (request, sandbox): (RunRequest, Option<SandboxSpec>),
    stdio: &[OwnedFd; 3],
    calls: Option<mpsc::Sender<StreamedCall>>,
    orders: &Orders,
) -> Result<RunReport, EngineError> {
    let injection = Injection::of(&request.policy, request.pseudo_files)?;
    let command = CommandSpec {
        argv: request.command.clone(),
        environment: request.environment.clone(),
        directory: request.directory.clone(),
        identity: request.identity.clone(),
        new_session: false,
        ignored_signals: request.ignored_signals,
    };
    let start = Start {
        target: target(&request, &command)?,
        command,
        injection,
        hide_vdso: request.no_vdso,
    };
    let prepare = || {
        let plan = Plan {
            cpu: None,
            sandbox: sandbox.clone(),
            bounds: None,
            options: TraceOptions {
                latency: request.latency,
                stream: calls.is_some(),
            },
        };
        Run::prepare(launcher, tracer, plan)
    };
    // Held: what the sandbox ends with.
    let (mut run, _sandbox) = Run::ready(None, prepare, None)?;
    let begin = Instant::now();
    let [stdin, stdout, stderr] = stdio;
    run.start(start, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
    let mut stream = Stream(calls);
    let exit = until_exit(&mut run, &mut stream, orders)?;
    let wall_us = begin.elapsed().as_micros() as u64;
    run.end()?;
    stream.pass_on(run.trace().events().take());
    let target_execs = run.seen().target_execs;
    let executed = match target_execs {
        0 => run.seen().executed.clone(),
        _ => Vec::new(),
    };
    let cgroup = run.cgroup().target();
    let measured = run.finish()?;
    let (mut trace, supervised) = (measured.trace, measured.supervised);
    // One that was killed before its first call was seen to end.
    if is_silent(&trace, target_execs) && trace.foreign.is_empty() && trace.exits == 0 {
        return Err(RunError::from(TracerError::Blind(cgroup)).into());
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
    found.map_err(|missing| {
        RunError::Exec {
            role: Role::Application,
            program: program.to_string_lossy().into_owned(),
            source: missing.into(),
        }
        .into()
    })
}

/// Waits for the command's end, and carries out what is asked of it meanwhile.
fn until_exit(
    run: &mut Run,
    stream: &mut Stream,
    orders: &Orders,
) -> Result<ExitStatus, EngineError> {
    let mut kill_at: Option<Instant> = None;
    let mut give_up_at: Option<Instant> = None;
    loop {
        let left = kill_at.map(|at| at.saturating_duration_since(Instant::now()));
        // The run itself comes back sooner.
        let events = run.wait(left.unwrap_or(Duration::MAX), &[orders.as_fd()])?;
        stream.pass_on(events);
        if let Some(why) = &run.seen().refused {
            return Err(EngineError::Refused(why.clone()));
        }
        if let Some(exit) = run.seen().exit(Role::Application) {
            return Ok(exit);
        }
        let (cancelled, signals) = orders.take();
        for signal in signals {
            run.signal(signal)?;
        }
        let now = Instant::now();
        if cancelled && kill_at.is_none() {
            run.signal(libc::SIGTERM)?;
            kill_at = Some(now + TERM_TIME);
        }
        if kill_at.is_some_and(|at| at <= now) {
            run.signal(libc::SIGKILL)?;
            kill_at = Some(now + TERM_TIME);
            if *give_up_at.get_or_insert(now + KILL_TIME) <= now {
                return Err(RunError::from(LauncherError::SlowEnd { limit: KILL_TIME }).into());
            }
        }
    }
}

/// Where finished calls are passed on to, as long as somebody reads them.
struct Stream(Option<mpsc::Sender<StreamedCall>>);

impl Stream {
    fn pass_on(&mut self, events: Vec<Event>) {
        for event in events {
            let (Event::Call(call), Some(calls)) = (event, &self.0) else {
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
                path: call.path.map(String::from),
            };
            if calls.blocking_send(streamed).is_err() {
                // Nobody reads any more: the command goes on, its stream does not.
                self.0 = None;
            }
        }
    }
}
