//! The launcher process, as the engine sees it: its start, the orders to it, its end.
//!
//! Does not start it anew; [`Launcher`](super::Launcher) does.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::peer::{LOOK_PAUSE, Peer, StopWatch};
use super::protocol::Preparation;
use super::{ARGUMENT, LauncherError, SEND_LIMIT, SOCKET_FD};
use crate::sys::descriptors;
use crate::{cgroup, lock};

/// For the launcher to end all that it has started and itself, after it was told to.
const END_LIMIT: Duration = Duration::from_secs(30);
/// For a process that was killed to be gone. It takes less than a millisecond, unless the process
/// is in the middle of something that the kernel does not interrupt.
const KILL_LIMIT: Duration = Duration::from_secs(5);

pub struct Process {
    /// `None` when it was told to end.
    channel: Mutex<Option<Channel>>,
    child: Mutex<Child>,
    pub peer: Peer,
}

impl Process {
    /// Starts the launcher from this very binary.
    pub fn start() -> Result<Process, LauncherError> {
        let (ours, theirs) = Channel::pair().map_err(LauncherError::Start)?;
        ours.limit_sending(SEND_LIMIT)
            .map_err(LauncherError::Start)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("loupe-launcher").arg(ARGUMENT);
        descriptors::pass(&mut command, theirs.as_fd(), SOCKET_FD);
        let child = command.spawn().map_err(LauncherError::Start)?;
        Process::new(ours, child).map_err(LauncherError::Start)
    }

    pub(super) fn new(channel: Channel, child: Child) -> io::Result<Process> {
        let peer = Peer::open(child.id() as i32)?;
        Ok(Process {
            channel: Mutex::new(Some(channel)),
            child: Mutex::new(child),
            peer,
        })
    }

    /// Sends an order, if the process is there to take it.
    pub fn send(&self, order: &Preparation, socket: BorrowedFd<'_>) -> io::Result<()> {
        match &*lock(&self.channel) {
            Some(channel) => channel.send(order, &[socket]),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Whether it takes no more orders: it has ended, or was told to.
    pub fn is_gone(&self) -> bool {
        lock(&self.channel).is_none() || self.peer.has_ended_within(Duration::ZERO)
    }

    /// Ends it at once, whatever its state. The kernel ends its keepers with it, and with them all
    /// that they started.
    pub fn kill(&self) {
        *lock(&self.channel) = None;
        self.peer.kill();
        self.reap();
    }

    /// Tells it to end what it had started and itself, and waits for that. If it cannot, it is
    /// killed.
    pub fn end(&self) {
        // Closing our end is the order.
        *lock(&self.channel) = None;
        let deadline = Instant::now() + END_LIMIT;
        let watch = StopWatch::new();
        while !self.peer.has_ended_within(LOOK_PAUSE) {
            if watch.is_stopped(&self.peer) || Instant::now() > deadline {
                tracing::warn!("the launcher process does not end, so it is killed");
                self.kill();
                // What it would have done at its own end.
                if let Err(error) = cgroup::remove_runs_of(std::process::id()) {
                    tracing::warn!("cannot clear away what ran: {error}");
                }
                return;
            }
        }
        self.reap();
    }

    fn reap(&self) {
        if !self.peer.has_ended_within(KILL_LIMIT) {
            // It is a zombie as soon as it ends, until the engine does.
            tracing::warn!("the launcher process does not end, although it was killed");
            return;
        }
        if let Err(error) = lock(&self.child).wait() {
            tracing::warn!("cannot wait for the launcher process: {error}");
        }
    }
}
