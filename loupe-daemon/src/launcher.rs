//! Starts processes for Loupe: sandboxed replays, and commands that run right here.
//!
//! Forking with namespaces, ptrace and filters wants a single-threaded process, which the
//! engine is not. So the engine re-executes its binary once as the *launcher*, which forks one
//! *keeper* per run. A keeper makes the sandbox, starts and traces the application, runs the
//! test in the same sandbox, and in the end leaves nothing. When the engine goes away, however
//! that happens, the launcher ends every keeper and with it everything they started.
//!
//! This module is the engine's side. It decides nothing about outcomes.

mod channel;
mod child;
mod copy;
pub mod filtered;
mod handle;
mod init;
mod keeper;
mod keyring;
mod main_process;
mod peer;
pub mod places;
mod process;
pub mod protocol;
mod ptrace;
mod rights;
mod sandbox;
mod supervisor;
mod target;
mod wait;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use child::candidates as search_path;
pub use handle::Keeper;
pub use peer::LOOK_PAUSE;
use process::Process;
use protocol::Preparation;
pub use rights::with_rights_of;
pub use supervisor::Supervised;
pub use target::is_in_memory;

/// First argument of the binary that is to be the launcher.
const ARGUMENT: &str = "__launcher";
/// The launcher finds its socket here.
const SOCKET_FD: i32 = 3;

/// A sandbox takes a few milliseconds; a minute means that something is stuck.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// For a process of Loupe's own to take a message.
const SEND_LIMIT: Duration = Duration::from_secs(20);

/// Why nothing could be started.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    #[error("cannot start the launcher process: {0}")]
    Start(#[source] io::Error),
    #[error("the launcher process is gone: {0}")]
    Gone(#[source] io::Error),
    #[error("the sandbox could not be made: {step}: {source}")]
    Sandbox { step: String, source: io::Error },
    #[error("{who} (process {pid}, {state}) did not {asked}, and was ended")]
    NoAnswer {
        who: &'static str,
        pid: i32,
        state: String,
        asked: &'static str,
    },
    #[error("the process that keeps the sandbox ended unexpectedly")]
    KeeperGone,
    #[error("the process that keeps the sandbox failed: {step}: {source}")]
    Keeper { step: String, source: io::Error },
    #[error(
        "the processes of the sandbox did not end within {} s of being killed", limit.as_secs()
    )]
    SlowEnd { limit: Duration },
    #[error("the process that keeps the sandbox sent something unexpected: {0}")]
    Protocol(String),
}

impl LauncherError {
    /// Whether it may be the host that was too busy, or too full, for one more sandbox: nothing is
    /// known of the run then, and the next may go well.
    pub fn may_be_overload(&self) -> bool {
        match self {
            LauncherError::KeeperGone
            | LauncherError::NoAnswer { .. }
            | LauncherError::SlowEnd { .. } => true,
            LauncherError::Sandbox { source, .. } | LauncherError::Keeper { source, .. } => {
                source.kind() == io::ErrorKind::TimedOut
                    || matches!(
                        source.raw_os_error(),
                        Some(
                            libc::EAGAIN | libc::ENOMEM | libc::ENFILE | libc::EMFILE | libc::EINTR
                        )
                    )
            }
            LauncherError::Start(_) | LauncherError::Gone(_) | LauncherError::Protocol(_) => false,
        }
    }
}

/// If this process was started to be the launcher, be it and never return. Must be the first
/// thing in `main`, before any thread exists.
pub fn main_if_asked() {
    let mut args = std::env::args_os();
    args.next();
    let Some(first) = args.next() else { return };
    if first == ARGUMENT {
        let code = main_process::run(SOCKET_FD);
        std::process::exit(code);
    }
    if first == filtered::ARGUMENT {
        let error = filtered::run(args);
        eprintln!("loupe: the program could not be put under its filter: {error}");
        std::process::exit(125);
    }
}

/// Starts keepers, by a launcher process that is made anew where it is lost.
pub struct Launcher(Mutex<Arc<Process>>);

impl Launcher {
    /// Starts the launcher process.
    pub fn start() -> Result<Launcher, LauncherError> {
        Ok(Launcher(Mutex::new(Arc::new(Process::start()?))))
    }

    /// Forks a keeper and has it prepare. Returns at once; [`Keeper::wait_ready`] waits.
    pub fn prepare(&self, preparation: &Preparation) -> Result<Keeper, LauncherError> {
        let mut process = crate::lock(&self.0);
        if !process.is_gone() {
            match Keeper::order(&process, preparation) {
                Err(LauncherError::Gone(error)) => {
                    tracing::warn!("the launcher process takes no order: {error}");
                }
                result => return result,
            }
            process.kill();
        }
        tracing::warn!("the launcher process is gone, and is started anew");
        *process = Arc::new(Process::start()?);
        Keeper::order(&process, preparation)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        crate::lock(&self.0).end();
    }
}

/// Ends everything in a sandbox, without its keeper, which may have no CPU to do it.
pub fn kill(sandbox: &OwnedFd) -> io::Result<()> {
    init::kill(sandbox)
}
