//! The process `louped`: arguments, log, signals, systemd. The serving is [`Server`]'s.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, ValueHint};
use loupe_common::exit;
use loupe_common::wire::{DEFAULT_SOCKET, Failure};
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Limits, ListenError, Server, listen, log};
use crate::backend::{Here, default_database};
use crate::profile::Settings;

/// The daemon of Loupe: does analyses and runs for its clients.
///
/// Only root and members of the group `loupe` reach its socket; what they have run, runs with
/// their own rights. Under systemd it takes the socket that it is given and tells when it is
/// ready.
#[derive(Debug, Parser)]
#[command(
    name = "louped",
    version = crate::VERSION,
    max_term_width = 100,
    after_help = "\
SIGTERM stops it: nothing of the running analyses is left when it ends, and their finished
replays are kept. Detached jobs go on when it is started again. LOUPE_LOG sets what is logged to standard error (info)."
)]
struct Args {
    /// Listen here
    #[arg(long, value_name = "PATH", env = "LOUPE_SOCKET", default_value = DEFAULT_SOCKET,
          value_hint = ValueHint::FilePath)]
    socket: PathBuf,

    /// The database [default: /var/lib/loupe/loupe.db]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    db: Option<PathBuf>,

    /// Replays at a time, at most, whatever a client asks for [default: four per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Hours that one job may run, all its turns together; then it ends with what it has
    #[arg(long, value_name = "HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u32).range(1..))]
    job_hours: u32,
}

/// The definition of the command line, for its manual.
pub fn command_line() -> clap::Command {
    Args::command()
}

/// Serves until it is told to stop.
pub fn main() -> ExitCode {
    let args = Args::parse();
    log::begin();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&[NotifyState::Status(&status_of(&failure))]);
            log::print_failure(&failure);
            ExitCode::from(failure.exit_code)
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            Failure::internal("louped needs root: it traces, and makes sandboxes")
                .hint("start it with `systemctl start louped`, or as root"),
        );
    }
    let database = args
        .db
        .or_else(default_database)
        .ok_or_else(|| Failure::usage("choose a database with --db PATH"))?;
    let listening = listen(&args.socket).map_err(listen_failure)?;
    for warning in &listening.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(database = %database.display(), "starting");
    // Before anything is started: what is, stays where this process is.
    if let Err(error) = crate::cgroup::enter_leaf() {
        tracing::warn!("cannot use the delegated cgroup: {error}");
    }
    let backend = Arc::new(Here::start(&database)?);
    backend.load()?;
    backend.observe(Settings::default())?;
    let mut limits = Limits::default();
    limits.job.time = Duration::from_secs(u64::from(args.job_hours) * 60 * 60);
    if let Some(jobs) = args.jobs {
        limits.job.parallel = usize::from(jobs);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("cannot start the runtime").because(Some(&error)))?;
    let listener = listening
        .listener
        .try_clone()
        .map_err(|error| Failure::internal("cannot use the socket").because(Some(&error)))?;
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener)
            .map_err(|error| Failure::internal("cannot use the socket").because(Some(&error)))?;
        let stop = stop_on_signals()?;
        let server = Server::new(Arc::clone(&backend), limits)?;
        let status = tokio::spawn(tell_status(server.status()));
        tell(&[NotifyState::Ready]);
        match &listening.path {
            Some(path) => tracing::info!(socket = %path.display(), "ready"),
            None => tracing::info!("ready, at the service manager's socket"),
        }
        let told = stop.clone();
        let stopping = tokio::spawn(async move {
            told.cancelled().await;
            tell(&[NotifyState::Stopping]);
            tracing::info!("stopping");
        });
        server.serve(listener, stop).await;
        status.abort();
        stopping.abort();
        Ok(())
    })?;
    backend.stop_observing();
    drop(listening);
    tracing::info!("stopped");
    Ok(())
}

/// In one line, for `systemctl status`.
fn status_of(failure: &Failure) -> String {
    match &failure.hint {
        Some(hint) => format!("{} ({hint})", failure.message),
        None => failure.message.clone(),
    }
}

fn listen_failure(error: ListenError) -> Failure {
    let hint = error.hint();
    Failure::from_error(exit::LOUPE_FAILED, &error).explained(hint, None)
}

/// A token that the usual signals cancel.
fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        let mut signals = signal(kind)
            .map_err(|error| Failure::internal("cannot catch signals").because(Some(&error)))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.cancel();
            }
        });
    }
    Ok(stop)
}

/// Tells systemd, if it wants to know.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

async fn tell_status(mut status: watch::Receiver<String>) {
    loop {
        let line = status.borrow_and_update().clone();
        tell(&[NotifyState::Status(&line)]);
        if status.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
