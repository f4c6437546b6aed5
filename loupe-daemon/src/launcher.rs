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
mod init;
mod keeper;
mod keyring;
mod main_process;
pub mod places;
pub mod protocol;
mod ptrace;
mod rights;
mod sandbox;
mod supervisor;
mod target;
mod wait;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use channel::Channel;
pub use child::candidates as search_path;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::{FromKeeper, Preparation, ToKeeper};
pub use rights::with_rights_of;
pub use supervisor::Supervised;
pub use target::is_in_memory;

/// First argument of the binary that is to be the launcher.
const ARGUMENT: &str = "__launcher";
/// The launcher finds its socket here.
const SOCKET_FD: i32 = 3;

/// A sandbox takes a few milliseconds; a minute means that something is stuck.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Why nothing could be started.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    #[error("cannot start the launcher process: {0}")]
    Start(#[source] io::Error),
    #[error("the launcher process is gone: {0}")]
    Gone(#[source] io::Error),
    #[error("the sandbox could not be made: {step}: {source}")]
    Sandbox { step: String, source: io::Error },
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
            LauncherError::KeeperGone | LauncherError::SlowEnd { .. } => true,
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
    if args.next().is_some_and(|first| first == ARGUMENT) {
        let code = main_process::run(SOCKET_FD);
        std::process::exit(code);
    }
}

/// The launcher process.
pub struct Launcher {
    channel: Mutex<Channel>,
    process: Mutex<Child>,
}

impl Launcher {
    /// Starts the launcher from this very binary.
    pub fn start() -> Result<Launcher, LauncherError> {
        let (ours, theirs) = Channel::pair().map_err(LauncherError::Start)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("loupe-launcher").arg(ARGUMENT);
        child::pass_descriptor(&mut command, theirs.as_fd(), SOCKET_FD);
        let process = command.spawn().map_err(LauncherError::Start)?;
        Ok(Launcher {
            channel: Mutex::new(ours),
            process: Mutex::new(process),
        })
    }

    /// Forks a keeper and has it prepare. Returns at once; [`Keeper::wait_ready`] waits.
    pub fn prepare(&self, preparation: &Preparation) -> Result<Keeper, LauncherError> {
        let (ours, theirs) = Channel::pair().map_err(LauncherError::Start)?;
        let channel = crate::lock(&self.channel);
        channel
            .send(preparation, &[theirs.as_fd()])
            .map_err(LauncherError::Gone)?;
        Ok(Keeper { channel: ours })
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Closing our end is the order to end; what it had started ends with it.
        if let Ok((empty, _)) = Channel::pair() {
            *crate::lock(&self.channel) = empty;
        }
        if let Err(error) = crate::lock(&self.process).wait() {
            tracing::warn!("cannot wait for the launcher process: {error}");
        }
    }
}

/// One run's keeper, as the engine sees it. Dropping it ends the run and everything in it.
pub struct Keeper {
    channel: Channel,
}

impl Keeper {
    pub fn send(
        &self,
        message: &ToKeeper,
        descriptors: &[BorrowedFd],
    ) -> Result<(), LauncherError> {
        let sent = self.channel.send(message, descriptors);
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => self.last_words(),
            _ => LauncherError::Keeper {
                step: "send it a message".to_owned(),
                source: error,
            },
        })
    }

    /// Why a keeper is gone, if it said so.
    fn last_words(&self) -> LauncherError {
        loop {
            match self.try_receive() {
                Ok(Some(_)) => {}
                Ok(None) => return LauncherError::KeeperGone,
                Err(error) => return error,
            }
        }
    }

    /// The next message, if one is there.
    pub fn try_receive(&self) -> Result<Option<FromKeeper>, LauncherError> {
        Ok(self.try_receive_all()?.map(|(message, _)| message))
    }

    fn try_receive_all(&self) -> Result<Option<(FromKeeper, Vec<OwnedFd>)>, LauncherError> {
        match self.channel.receive::<FromKeeper>() {
            Ok(Some((FromKeeper::Failed { step, errno }, _))) => Err(LauncherError::Keeper {
                step,
                source: io::Error::from_raw_os_error(errno),
            }),
            Ok(Some(received)) => Ok(Some(received)),
            Ok(None) => Err(LauncherError::KeeperGone),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                Err(LauncherError::KeeperGone)
            }
            Err(error) => Err(LauncherError::Protocol(error.to_string())),
        }
    }

    /// Waits for a message; `None` when the time is over.
    pub fn receive(&self, timeout: Duration) -> Result<Option<FromKeeper>, LauncherError> {
        Ok(self.receive_all(timeout)?.map(|(message, _)| message))
    }

    fn receive_all(
        &self,
        timeout: Duration,
    ) -> Result<Option<(FromKeeper, Vec<OwnedFd>)>, LauncherError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(received) = self.try_receive_all()? {
                return Ok(Some(received));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut descriptor = [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)];
            let left = PollTimeout::try_from(left + Duration::from_millis(1));
            match poll(&mut descriptor, left.unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(LauncherError::Gone(error.into())),
            }
        }
    }

    /// Waits until a command can be started, or `cancel` can be read from: then it cannot.
    pub fn wait_ready(&self, cancel: Option<BorrowedFd<'_>>) -> Result<bool, LauncherError> {
        Ok(self.wait_until_ready(cancel)?.is_some())
    }

    /// Waits until the sandbox stands, or `cancel` can be read from: then it does not. The
    /// descriptor is what [`kill`] ends it by.
    pub fn wait_for_sandbox(
        &self,
        cancel: BorrowedFd<'_>,
    ) -> Result<Option<OwnedFd>, LauncherError> {
        let Some(mut descriptors) = self.wait_until_ready(Some(cancel))? else {
            return Ok(None);
        };
        let process = descriptors.pop();
        let missing = || LauncherError::Protocol("there is no sandbox".to_owned());
        process.ok_or_else(missing).map(Some)
    }

    fn wait_until_ready(
        &self,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Vec<OwnedFd>>, LauncherError> {
        if let Some(cancel) = cancel {
            let mut descriptors =
                [self.as_fd(), cancel].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let limit = PollTimeout::try_from(READY_LIMIT).unwrap_or(PollTimeout::MAX);
            match poll(&mut descriptors, limit) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(LauncherError::Gone(error.into())),
            }
            if descriptors[1].any().unwrap_or(false) {
                return Ok(None);
            }
        }
        let received = self.receive_all(READY_LIMIT).map_err(|error| match error {
            LauncherError::Keeper { step, source } => LauncherError::Sandbox { step, source },
            other => other,
        })?;
        match received {
            Some((FromKeeper::Ready, descriptors)) => Ok(Some(descriptors)),
            Some((other, _)) => Err(LauncherError::Protocol(format!("{other:?}"))),
            None => Err(LauncherError::Sandbox {
                step: "waiting for the sandbox".to_owned(),
                source: io::ErrorKind::TimedOut.into(),
            }),
        }
    }
}

/// Ends everything in a sandbox, without its keeper, which may have no CPU to do it.
pub fn kill(sandbox: &OwnedFd) -> io::Result<()> {
    init::kill(sandbox)
}

impl AsFd for Keeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// Descriptors 0, 1 and 2 of a process to be started.
pub type Stdio = [OwnedFd; 3];

#[cfg(test)]
mod tests {
    use nix::sys::eventfd::EventFd;

    use super::*;

    #[test]
    fn who_waits_for_a_sandbox_can_give_up() {
        let (channel, keeper) = Channel::pair().expect("a pair");
        let waiting = Keeper { channel };
        let cancel = EventFd::new().expect("an eventfd");
        cancel.write(1).expect("written");
        // It says nothing, and lives.
        let ready = waiting.wait_ready(Some(cancel.as_fd()));
        assert!(!ready.expect("cancelled"));
        cancel.read().expect("read");
        keeper.send(&FromKeeper::Ready, &[]).expect("sent");
        let ready = waiting.wait_ready(Some(cancel.as_fd()));
        assert!(ready.expect("ready"));
    }
}
