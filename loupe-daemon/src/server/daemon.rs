//! The process `louped`: arguments, log, signals. The serving is [`Server`]'s, what systemd is told is
//! the manager's.

use std::io::Write as _;
use std::num::{NonZeroU16, NonZeroU32};
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

use super::config::{
    Config, DEFAULT_PATH, FleetConfig, InForce, Reloader, Role, WorkerConfig, check_fleet_address,
};
use super::manager::{self, tell};
use super::{Limits, ListenError, Server, fd_store, fleet, listen, log, metrics, worker};
use crate::backend::{Here, default_database};
use crate::engine::usual_at_once;

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
replays are kept. Detached jobs go on when it is started again. LOUPE_LOG sets what is
logged (info): to the journal under systemd, else to standard error."
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
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroU16>,

    /// Hours that one job may run, all its turns together; then it ends with what it has
    /// [default: 24]
    #[arg(long, value_name = "HOURS")]
    job_hours: Option<NonZeroU32>,

    /// The configuration [default: /etc/loupe/louped.toml, if there is one]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Tell the fleet at this NATS server what this host's services use, whatever [fleet] says
    #[arg(long, value_name = "URL", value_parser = check_fleet_address, conflicts_with = "hub")]
    agent: Option<String>,

    /// Take in what the hosts of the fleet at this NATS server tell, whatever [fleet] says
    #[arg(long, value_name = "URL", value_parser = check_fleet_address)]
    hub: Option<String>,

    /// Run replays of the studies at this NATS server, whatever [worker] says
    #[arg(long, value_name = "URL", value_parser = check_fleet_address,
          conflicts_with_all = ["agent", "hub"])]
    worker: Option<String>,

    /// Replays of studies at a time [default: one per core]
    #[arg(long, value_name = "N")]
    slots: Option<NonZeroU16>,

    /// Who this host is to the fleet [default: /etc/loupe/fleet.credentials; with --worker
    /// /etc/loupe/worker.credentials]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    credentials: Option<PathBuf>,

    /// Only say whether the configuration is right; it ends with 2 if it is not
    #[arg(long)]
    check_config: bool,
}

/// The definition of the command line, for its manual.
pub fn command_line() -> clap::Command {
    Args::command()
}

/// Serves until it is told to stop.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if args.check_config {
        return check_config(&args);
    }
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

/// Reads the configuration and does nothing about it.
fn check_config(args: &Args) -> ExitCode {
    match Config::load(args.config.as_deref()) {
        Ok(_) => {
            let path = args.config.clone();
            let path = path.unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
            // A reader that has gone away has the exit code.
            drop(writeln!(std::io::stdout(), "{}: right", path.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let failure = error.failure();
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
    let reloader = Reloader::start(args.config.clone()).map_err(|error| error.failure())?;
    let config = reloader.config();
    let in_fleet = in_fleet(&args, &config.fleet);
    let as_worker = as_worker(&args, &config.worker);
    let database = args
        .db
        .or_else(default_database)
        .ok_or_else(|| Failure::usage("choose a database with --db PATH"))?;
    let pinning = fd_store::pinning().map_err(|error| {
        Failure::internal("cannot take what the service manager has kept").because(Some(&error))
    })?;
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
    backend.observe(config.profile.settings(), pinning)?;
    let mut limits = Limits::default();
    limits.job.at_once = usual_at_once();
    if let Some(hours) = args.job_hours.or(config.daemon.job_hours) {
        limits.job.time = Duration::from_secs(u64::from(hours.get()) * 60 * 60);
    }
    if let Some(jobs) = args.jobs.or(config.daemon.jobs) {
        limits.job.parallel = usize::from(jobs.get());
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
        let status = tokio::spawn(manager::tell_status(
            server.status(),
            backend.watching()?,
            reloader.watch(),
        ));
        let applying = tokio::spawn(apply(Arc::clone(&backend), reloader.watch()));
        let watched = tokio::spawn(manager::feed_watchdog(
            Arc::clone(&server),
            Arc::clone(&backend),
        ));
        let membership = fleet::begin(&in_fleet, &backend, &database).await?;
        if let Some(membership) = &membership {
            backend.belong(membership.status.clone());
        }
        let working = worker::begin(&as_worker, &backend).await?;
        let measured = Arc::clone(&backend);
        let source = metrics::Source::new(
            move |with_syscalls| measured.readings(with_syscalls),
            reloader.watch(),
        );
        let measuring = tokio::spawn(metrics::serve(source, stop.clone()));
        let reloading = tokio::spawn(reload_on_signal(reloader)?);
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
        if let Some(working) = working {
            working.finish().await;
        }
        if let Err(error) = measuring.await {
            tracing::error!(%error, "metrics were not served to the end");
        }
        for task in [&status, &applying, &reloading, &watched] {
            task.abort();
        }
        if let Some(membership) = membership {
            membership.stop();
            let backend = Arc::clone(&backend);
            if let Err(error) = tokio::task::spawn_blocking(move || backend.stop_observing()).await
            {
                tracing::error!(%error, "observation was not ended");
            }
            membership.finish().await;
        }
        stopping.abort();
        Ok(())
    })?;
    backend.stop_observing();
    drop(listening);
    tracing::info!("stopped");
    Ok(())
}

/// What the command line says counts.
fn in_fleet(args: &Args, config: &FleetConfig) -> FleetConfig {
    let mut fleet = config.clone();
    for (url, role) in [(&args.agent, Role::Agent), (&args.hub, Role::Hub)] {
        if let Some(url) = url {
            fleet.url = Some(url.clone());
            fleet.role = role;
        }
    }
    if let (Some(credentials), None) = (&args.credentials, &args.worker) {
        fleet.credentials = Some(credentials.clone());
    }
    fleet
}

/// What the command line says counts.
fn as_worker(args: &Args, config: &WorkerConfig) -> WorkerConfig {
    let mut worker = config.clone();
    if let Some(url) = &args.worker {
        worker.url = Some(url.clone());
        worker.credentials = args.credentials.clone().or(worker.credentials);
    }
    worker.slots = args.slots.or(worker.slots);
    worker
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
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
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

/// Reads the configuration again at each SIGHUP.
fn reload_on_signal(reloader: Reloader) -> Result<impl Future<Output = ()>, Failure> {
    let mut signals = signal(SignalKind::hangup())
        .map_err(|error| Failure::internal("cannot catch signals").because(Some(&error)))?;
    Ok(async move {
        while signals.recv().await.is_some() {
            manager::tell_reloading();
            match reloader.reload() {
                Ok(()) => tracing::info!("read the configuration again"),
                Err(error) => tracing::error!("the configuration was not changed: {error}"),
            }
            tell(&[NotifyState::Ready]);
        }
    })
}

/// Does what a changed configuration says.
async fn apply(backend: Arc<Here>, mut config: watch::Receiver<InForce>) {
    let mut before = config.borrow_and_update().config.clone();
    while config.changed().await.is_ok() {
        let now = config.borrow_and_update().config.clone();
        if now.daemon != before.daemon {
            tracing::warn!("what [daemon] says is in force from the next start on");
        }
        if now.fleet != before.fleet {
            tracing::warn!("what [fleet] says is in force from the next start on");
        }
        if now.worker != before.worker {
            tracing::warn!("what [worker] says is in force from the next start on");
        }
        if now.profile != before.profile {
            let (backend, settings) = (Arc::clone(&backend), now.profile.settings());
            // It walks the hierarchy of cgroups.
            let configured = tokio::task::spawn_blocking(move || backend.configure(settings));
            match configured.await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => tracing::error!(
                    "cannot watch what the configuration says: {}",
                    log::line(&failure)
                ),
                Err(error) => tracing::error!(%error, "the configuration was not applied"),
            }
        }
        before = now;
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
