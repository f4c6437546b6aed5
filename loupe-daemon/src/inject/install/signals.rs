//! Signals of a process that is being taken over: none may be lost, and none may come between.
//!
//! They are blocked for that time, so they stay pending with all that their senders gave them,
//! and are delivered after the detach. Decides nothing about stops; tells them.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::sys::ptrace;

/// Why a process that runs in our stead does not run any more.
pub enum Next {
    /// It is about to get this signal.
    Signal(Signal),
    /// It is stopped, as its whole process is.
    GroupStop,
    Ended,
}

/// Blocks what can be blocked, and tells what was.
///
/// SIGTRAP stays open, because the kernel would take its handler away to deliver one that is
/// blocked; and SIGCONT, which is nothing to a process that goes on anyway.
pub fn hold(pid: Pid) -> nix::Result<u64> {
    let open = bit(Signal::SIGTRAP) | bit(Signal::SIGCONT);
    let blocked = ptrace::blocked_signals(pid)?;
    // Its own choice stands, but for the one that we stop by.
    ptrace::block_signals(pid, (!open | blocked) & !bit(Signal::SIGTRAP))?;
    Ok(blocked)
}

/// Waits until it stops or ends. An end is left for others to reap.
pub fn next(pid: Pid) -> nix::Result<Next> {
    let flags =
        WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
    loop {
        return Ok(match waitid(Id::Pid(pid), flags) {
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
            Ok(WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_STOP)) => Next::GroupStop,
            Ok(WaitStatus::PtraceEvent(_, signal, _) | WaitStatus::Stopped(_, signal)) => {
                Next::Signal(signal)
            }
            Ok(_) => Next::Ended,
        });
    }
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}
