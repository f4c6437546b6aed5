//! A process of Loupe's own from which an answer is expected: its state, and its end. A process
//! that somebody has stopped never answers, and only its state tells that from one that is slow.
//!
//! Knows nothing of what is asked of it.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::sys::process;

/// Between two looks at the state of a process that does not answer.
pub const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// A process that was stopped at this many looks in a row will not go on by itself. Looks are
/// counted, not time: the engine itself may have been stopped together with it.
const STOPPED_LOOKS: u32 = 8;

/// One process.
pub struct Peer {
    pub pid: i32,
    /// Stays its own, whatever becomes of its number.
    descriptor: OwnedFd,
}

impl Peer {
    /// # Errors
    /// If there is no such process.
    pub fn open(pid: i32) -> io::Result<Peer> {
        let descriptor = process::open(Pid::from_raw(pid))?;
        Ok(Peer { pid, descriptor })
    }

    /// A process whose descriptor somebody else has opened.
    pub fn from_parts(pid: i32, descriptor: OwnedFd) -> Peer {
        Peer { pid, descriptor }
    }

    /// The letter that `/proc/PID/stat` has; none of a process that is gone, or not to be seen.
    pub fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // The name, in parentheses, may hold anything.
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    }

    /// Ends it, also if it is stopped.
    pub fn kill(&self) {
        if let Err(error) = process::kill(&self.descriptor) {
            tracing::warn!("cannot end process {}: {error}", self.pid);
        }
    }

    /// Waits for its end; says whether it has come.
    pub fn has_ended_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut ended = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ended, left) {
                Ok(0) | Err(Errno::EINTR) if Instant::now() < deadline => {}
                result => return matches!(result, Ok(1..)),
            }
        }
    }
}

/// How often in a row a process was seen to be stopped.
pub struct StopWatch {
    next: Cell<Instant>,
    stopped: Cell<u32>,
}

impl StopWatch {
    pub fn new() -> StopWatch {
        StopWatch {
            next: Cell::new(Instant::now() + LOOK_PAUSE),
            stopped: Cell::new(0),
        }
    }

    /// Whether the process was stopped for so long that it will not go on. Looks if it is time to.
    pub fn is_stopped(&self, peer: &Peer) -> bool {
        let now = Instant::now();
        if now >= self.next.get() {
            self.next.set(now + LOOK_PAUSE);
            self.note(peer.state());
        }
        self.stopped.get() >= STOPPED_LOOKS
    }

    fn note(&self, state: Option<char>) {
        let stopped = match state {
            Some('T') => self.stopped.get() + 1,
            _ => 0,
        };
        self.stopped.set(stopped);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitPidFlag, waitpid};

    use super::*;

    #[test]
    fn only_a_process_that_is_stopped_at_every_look_is_given_up() {
        let watch = StopWatch::new();
        let child = Command::new("sleep")
            .arg("300")
            .stdin(Stdio::null())
            .spawn();
        let mut child = child.expect("it starts");
        let peer = Peer::open(child.id() as i32).expect("it is there");
        for _ in 1..STOPPED_LOOKS {
            watch.note(Some('T'));
        }
        assert!(!watch.is_stopped(&peer));
        watch.note(Some('S'));
        assert_eq!(watch.stopped.get(), 0);
        let pid = Pid::from_raw(peer.pid);
        kill(pid, Signal::SIGSTOP).expect("it is ours");
        waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("it stops");
        for _ in 0..STOPPED_LOOKS {
            watch.note(peer.state());
        }
        assert!(watch.is_stopped(&peer));
        assert!(!peer.has_ended_within(Duration::ZERO));
        peer.kill();
        assert!(peer.has_ended_within(Duration::from_secs(60)));
        child.wait().expect("ours");
        assert_eq!(peer.state(), None);
    }
}
