//! Waiting for any child, with what it used.

use std::io;

use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use crate::sys::{process, ptrace};

/// The next child that stopped or ended, and its largest resident set in KiB. `None`: no child
/// has changed (or, when blocking, none is left).
pub fn next(block: bool) -> io::Result<Option<(WaitStatus, u64)>> {
    let Some((pid, status, usage)) = process::wait_for_any(block)? else {
        return Ok(None);
    };
    // A stop or end by a signal that nix has no name for (a real-time one).
    let Ok(known) = WaitStatus::from_raw(pid, status) else {
        return Ok(Some((unnamed(pid, status), 0)));
    };
    Ok(Some((known, usage.ru_maxrss.max(0) as u64)))
}

/// The nearest thing to a status with a real-time signal: an end by SIGKILL if it ended; a
/// traced task that stopped for one gets it and goes on.
fn unnamed(task: Pid, status: i32) -> WaitStatus {
    if libc::WIFSIGNALED(status) {
        return WaitStatus::Signaled(task, nix::sys::signal::Signal::SIGKILL, false);
    }
    if libc::WIFSTOPPED(status) {
        // The end of a task that is gone is told.
        let _ = ptrace::continue_with(task, libc::WSTOPSIG(status));
    }
    WaitStatus::StillAlive
}
