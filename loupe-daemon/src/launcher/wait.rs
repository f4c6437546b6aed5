//! `wait4` for any child, with what it used. A thin wrapper: nix has no call that gives both.

use std::io;

use nix::errno::Errno;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

/// The next child that stopped or ended, and its largest resident set in KiB. `None`: no child
/// has changed (or, when blocking, none is left).
pub fn next(block: bool) -> io::Result<Option<(WaitStatus, u64)>> {
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    loop {
        let mut status = 0;
        // SAFETY: all-zero is a valid `rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one integer and one `rusage`, both of which outlive the call.
        let pid = unsafe { libc::wait4(-1, &mut status, flags, &mut usage) };
        return match Errno::result(pid) {
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(0) => Ok(None),
            Ok(pid) => {
                // A stop or end by a signal that nix has no name for (a real-time one).
                let Ok(status) = WaitStatus::from_raw(Pid::from_raw(pid), status) else {
                    return Ok(Some((unnamed(pid, status), 0)));
                };
                Ok(Some((status, usage.ru_maxrss.max(0) as u64)))
            }
        };
    }
}

/// The nearest thing to a status with a real-time signal: an end by SIGKILL if it ended; a
/// traced task that stopped for one gets it and goes on.
fn unnamed(pid: i32, status: i32) -> WaitStatus {
    let task = Pid::from_raw(pid);
    if libc::WIFSIGNALED(status) {
        return WaitStatus::Signaled(task, nix::sys::signal::Signal::SIGKILL, false);
    }
    if libc::WIFSTOPPED(status) {
        // SAFETY: takes no memory; a task that is gone gives an error, and its end is told.
        unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, libc::WSTOPSIG(status)) };
    }
    WaitStatus::StillAlive
}
