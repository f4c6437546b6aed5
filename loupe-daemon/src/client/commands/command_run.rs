//! A command that is run once, for `trace` and `run`: with the standard input, output and error
//! of `loupe`, here or by the daemon; and the way in which it ended.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use loupe_common::policy::Policy;
use loupe_common::replay::ExitStatus;
use loupe_common::wire::{Failure, Reply, Request, RunOnce};
use loupe_common::word::Word;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::stream::CallWriter;
use crate::backend::{RunControl, own_identity, run_here};
use crate::client::args::{Global, What};
use crate::client::door::{self, Door, Need};
use crate::client::signals::{self, Signals};
use crate::client::talk::{self, Talk};
use crate::client::{Ending, output};
use crate::engine::{RunReport, RunRequest, StreamedCall};

/// Calls that wait for a slow reader of the stream before the tracer has to wait.
const MAX_QUEUED_CALLS: usize = 4096;

/// Calls that one write puts out.
const CALLS_PER_WRITE: usize = 512;

/// Signals that wait to be passed on.
const MAX_QUEUED_SIGNALS: usize = 16;

/// What is looked at beyond the calls themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measure {
    pub latency: bool,
    pub pseudo_files: bool,
}

/// Runs the command to its end.
pub async fn run(
    global: &Global,
    what: What,
    policy: Policy,
    measure: Measure,
    stream: Option<CallWriter>,
) -> Result<RunReport, Failure> {
    let request = RunRequest {
        command: words(&what.command),
        environment: environment(),
        directory: std::env::current_dir().map_err(|error| {
            Failure::usage("cannot tell the working directory").because(Some(&error))
        })?,
        target: what.target,
        policy,
        latency: measure.latency,
        pseudo_files: measure.pseudo_files,
        no_vdso: what.no_vdso,
        identity: own_identity(),
        ignored_signals: signals::ignored()?,
    };
    // Root needs no daemon for this: a command of one's own terminal is best one's own child.
    let door = match nix::unistd::geteuid().is_root() && !global.insists_on_daemon() {
        true => Door::Here,
        false => door::choose(global, Need::Engine).await?,
    };
    let signals = Signals::catch()?;
    match door {
        Door::Here => here(request, stream, signals).await,
        Door::Daemon => by_daemon(global, request, stream, signals).await,
    }
}

fn environment() -> Vec<(Word, Word)> {
    std::env::vars_os()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// A command line as it is passed on.
pub fn words(command: &[OsString]) -> Vec<Word> {
    command.iter().map(Word::from).collect()
}

pub fn own_stdio() -> Result<[OwnedFd; 3], Failure> {
    let clone = |descriptor: &dyn AsFd| {
        descriptor.as_fd().try_clone_to_owned().map_err(|error| {
            Failure::internal("cannot duplicate a descriptor").because(Some(&error))
        })
    };
    Ok([
        clone(&io::stdin())?,
        clone(&io::stdout())?,
        clone(&io::stderr())?,
    ])
}

async fn here(
    request: RunRequest,
    stream: Option<CallWriter>,
    mut signals: Signals,
) -> Result<RunReport, Failure> {
    let (calls, receiver) = match stream.is_some() {
        true => {
            let (sender, receiver) = mpsc::channel(MAX_QUEUED_CALLS);
            (Some(sender), Some(receiver))
        }
        false => (None, None),
    };
    let writing = tokio::task::spawn_blocking(move || write_calls(stream, receiver));
    let (pass_on, passed_on) = mpsc::channel(MAX_QUEUED_SIGNALS);
    let control = RunControl {
        cancel: CancellationToken::new(),
        signals: passed_on,
    };
    let running = run_here(request, own_stdio()?, calls, control);
    tokio::pin!(running);
    let report = loop {
        tokio::select! {
            report = &mut running => break report,
            signal = signals.next() => match signal {
                // The terminal has sent it to the command too, whose business it is.
                libc::SIGINT | libc::SIGQUIT => {}
                other => if pass_on.try_send(other).is_err() {
                    tracing::warn!(signal = other, "a signal could not be passed on");
                },
            },
        }
    };
    let written = writing.await.unwrap_or_else(|error| {
        Err(Failure::internal("writing the calls ended unexpectedly").because(Some(&error)))
    });
    let report = report?;
    written.map(|()| report)
}

fn write_calls(
    writer: Option<CallWriter>,
    receiver: Option<mpsc::Receiver<StreamedCall>>,
) -> Result<(), Failure> {
    let (Some(mut writer), Some(mut receiver)) = (writer, receiver) else {
        return Ok(());
    };
    let mut batch = Vec::with_capacity(CALLS_PER_WRITE);
    while receiver.blocking_recv_many(&mut batch, CALLS_PER_WRITE) > 0 {
        writer.write(&batch)?;
        batch.clear();
    }
    Ok(())
}

async fn by_daemon(
    global: &Global,
    request: RunRequest,
    mut stream: Option<CallWriter>,
    mut signals: Signals,
) -> Result<RunReport, Failure> {
    let once = Request::Run(RunOnce {
        command: request.command,
        environment: request.environment,
        directory: Word::from(&request.directory),
        target: request.target.map(Word::from),
        policy: request.policy,
        latency: request.latency,
        pseudo_files: request.pseudo_files,
        no_vdso: request.no_vdso,
        stream: stream.is_some(),
        ignored_signals: request.ignored_signals,
    });
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let stdio = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut talk = Talk::open(global.socket(), &once, &stdio).await?;
    loop {
        let reply = tokio::select! {
            reply = talk.next() => reply?,
            // The command is no child of this terminal's: it gets every signal from here.
            signal = signals.next() => {
                talk.say(&Request::Signal { signal }).await?;
                continue;
            }
        };
        match (reply, &mut stream) {
            (Reply::Calls { calls }, Some(writer)) => {
                let calls: Result<Vec<StreamedCall>, Failure> =
                    calls.into_iter().map(talk::value).collect();
                writer.write(&calls?)?;
            }
            (Reply::Ran { report }, _) => return talk::value(report),
            (other, _) => return Err(talk::unexpected(&other)),
        }
    }
}

/// Ends `loupe` as the command ended.
pub fn ending(exit: ExitStatus) -> Ending {
    match exit {
        // What `wait` reports is one byte.
        ExitStatus::Code(code) => Ending::Code((code & 0xff) as u8),
        ExitStatus::Signal(signal) => Ending::Signal(signal),
    }
}

/// What makes a report of little worth.
pub fn warn(report: &RunReport) {
    if report.target_execs == 0 {
        let executed = match report.executed.as_slice() {
            [] => String::new(),
            executed => format!(" (executed were {})", executed.join(", ")),
        };
        output::note(&format!(
            "warning: the target was never executed, so nothing was traced or injected; --target \
             names the binary that counts{executed}"
        ));
    }
    if report.trace.escaped > 0 {
        output::note(&format!(
            "warning: {} of the target's processes and threads left its cgroup, or began outside \
             of it; what they called was not counted",
            report.trace.escaped
        ));
    }
    let lost = report.trace.lost.total();
    if lost > 0 {
        output::note(&format!(
            "warning: {lost} events were lost, so the counts are too low"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tokio::net::UnixListener;

    use super::*;
    use crate::server::fake::Fake;
    use crate::server::{Limits, Server};

    fn global(socket: &Path) -> Global {
        Global {
            chosen_socket: Some(socket.to_owned()),
            ..Global::default()
        }
    }

    fn request(command: &str) -> RunRequest {
        RunRequest {
            command: vec![Word::from(command)],
            environment: vec![("A".into(), "b".into())],
            directory: "/".into(),
            target: None,
            policy: Policy::baseline(),
            latency: true,
            pseudo_files: false,
            no_vdso: false,
            identity: own_identity(),
            ignored_signals: 0,
        }
    }

    /// A daemon with a scripted backend.
    struct Daemon {
        directory: tempfile::TempDir,
        backend: Arc<Fake>,
        _steps: Arc<crate::server::fake::Steps>,
    }

    impl Daemon {
        fn start() -> Daemon {
            let directory = tempfile::tempdir().expect("a directory");
            let listener = UnixListener::bind(directory.path().join("s")).expect("bound");
            let (fake, steps) = Fake::scripted();
            let backend = Arc::new(fake);
            let server = Server::new(Arc::clone(&backend), Limits::default());
            let server = server.expect("a server");
            tokio::spawn(server.serve(listener, CancellationToken::new()));
            Daemon {
                directory,
                backend,
                _steps: steps,
            }
        }

        async fn run(&self, command: &str) -> Result<RunReport, Failure> {
            let signals = Signals::catch().expect("catchable");
            let global = global(&self.directory.path().join("s"));
            by_daemon(&global, request(command), None, signals).await
        }
    }

    #[tokio::test]
    async fn the_daemon_runs_a_command_and_the_report_comes_back() {
        let daemon = Daemon::start();
        // Not "copy", which would read the standard input of the test.
        let report = daemon.run("nothing").await.expect("it ran");
        assert_eq!(report.exit, ExitStatus::Code(7));
        assert_eq!(report.wall_us, 10);
    }

    #[tokio::test]
    async fn a_signal_to_loupe_reaches_the_command_of_the_daemon() {
        // However the tests were started: what is raised must arrive.
        crate::sys::signals::set_default(nix::sys::signal::Signal::SIGHUP).expect("changed");
        let daemon = Daemon::start();
        let running = daemon.run("wait");
        let kill = async {
            while daemon.backend.identity.lock().expect("no panic").is_none() {
                tokio::task::yield_now().await;
            }
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).expect("raised");
        };
        let (report, ()) = tokio::join!(running, kill);
        assert_eq!(
            report.expect("it ran").exit,
            ExitStatus::Signal(libc::SIGHUP)
        );
    }

    #[test]
    fn loupe_ends_as_the_command_did() {
        assert_eq!(ending(ExitStatus::Code(0)), Ending::OK);
        assert_eq!(ending(ExitStatus::Code(255)), Ending::Code(255));
        assert_eq!(ending(ExitStatus::Signal(9)), Ending::Signal(9));
    }
}
