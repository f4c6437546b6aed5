//! Processes: forked, ended, waited for, held by a descriptor, given a priority.
#![expect(unsafe_code, reason = "forks, and calls that have no wrapper")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};

use libc::c_int;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, Pid, fork};

use super::descriptors::made;

/// Nice value of the highest priority that is not real time.
const HIGHEST: c_int = -20;

/// Forks a process that has one thread; `EINVAL` if it has more.
///
/// With one thread there is nobody who could hold a lock at the moment of the fork, so the child
/// may run any code.
pub fn fork_alone() -> nix::Result<ForkResult> {
    // Does nothing to a process with one thread, and is refused to any other (`man 2 unshare`).
    unshare(CloneFlags::CLONE_THREAD)?;
    // SAFETY: this process has one thread, as the call above has shown.
    unsafe { fork() }
}

/// Has a child write these bytes to a descriptor and end with 0, or the errno of a failure. May
/// be called whatever threads there are.
pub fn fork_to_write(descriptor: impl AsFd, bytes: &[u8]) -> nix::Result<Pid> {
    let raw = descriptor.as_fd().as_raw_fd();
    // SAFETY: the child makes two system calls, which is all that it may do where other threads
    // exist: it writes, and ends.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            // SAFETY: the descriptor is open, and the bytes outlive the call.
            let written = unsafe { libc::write(raw, bytes.as_ptr().cast(), bytes.len()) };
            match usize::try_from(written) == Ok(bytes.len()) {
                true => end(0),
                false => end(Errno::last_raw()),
            }
        }
    }
}

/// Ends this process at once, without what was registered for its end.
pub fn end(code: i32) -> ! {
    // SAFETY: ends the process, which is always sound.
    unsafe { libc::_exit(code) }
}

/// Waits for any child or traced task; `None`: there is none, or (without `block`) nothing to
/// tell. With the raw status comes the child's usage, which means nothing of a stop.
pub fn wait_for_any(block: bool) -> nix::Result<Option<(Pid, c_int, libc::rusage)>> {
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    loop {
        let mut status = 0;
        // SAFETY: all-zero is a valid `rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one integer and one `rusage`, both of which outlive the call.
        let pid = unsafe { libc::wait4(-1, &raw mut status, flags, &raw mut usage) };
        return match Errno::result(pid) {
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) | Ok(0) => Ok(None),
            Err(error) => Err(error),
            Ok(pid) => Ok(Some((Pid::from_raw(pid), status, usage))),
        };
    }
}

/// A descriptor of a process, which stays its own whatever becomes of its number.
pub fn open(process: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: takes plain numbers; makes a descriptor of our own, or fails.
    made(unsafe { libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0) })
}

/// A copy of another process' descriptor; it is closed at an exec.
pub fn take_descriptor(process: impl AsFd, number: RawFd) -> nix::Result<OwnedFd> {
    let process = process.as_fd().as_raw_fd();
    // SAFETY: takes plain numbers; makes a descriptor of our own, or fails.
    made(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, number, 0) })
}

/// Kills the process of a descriptor. One that is gone already is as good.
pub fn kill(process: impl AsFd) -> io::Result<()> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and without a `siginfo_t` the kernel reads no memory.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_fd().as_raw_fd(),
            libc::SIGKILL,
            nothing,
            0,
        )
    };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives the calling thread the highest priority that is not real time.
pub fn go_first() -> nix::Result<()> {
    // SAFETY: takes plain numbers; 0 is the thread that calls.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, HIGHEST) }).map(drop)
}

/// Has the calling thread, but none of its children, run before all that are not real time, and before all
/// whose priority (from 1) is lower.
pub fn go_before_all(priority: i32) -> nix::Result<()> {
    schedule(libc::SCHED_FIFO, priority)
}

/// Has the calling thread run as others do again. Nobody who could go first lacks the right to this.
pub fn go_with_others() -> nix::Result<()> {
    schedule(libc::SCHED_OTHER, 0)
}

/// (To take the flag back takes a right that may be missing.)
fn schedule(policy: i32, sched_priority: i32) -> nix::Result<()> {
    let parameters = libc::sched_param { sched_priority };
    let policy = policy | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel reads one `sched_param`, which outlives the call; 0 is this thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        // The test harness has one thread for itself and one for each test.
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(fork_alone(), Err(Errno::EINVAL))));
        });
    }

    #[test]
    fn who_goes_before_all_has_children_that_do_not() {
        // proc_pid_stat(5): the scheduling policy, and which those are sched(7).
        let policy = |stat: &str| {
            let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
            let policy = fields.split(' ').nth(41 - 3).expect("field 41");
            policy.parse::<i32>().expect("a number")
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                match go_before_all(1) {
                    // Not root: nothing to see.
                    Err(Errno::EPERM) => return,
                    other => other.expect("the right to it"),
                }
                let own = std::fs::read_to_string("/proc/thread-self/stat").expect("readable");
                assert_eq!(policy(&own), libc::SCHED_FIFO);
                let mut child = std::process::Command::new("cat");
                let child = child.arg("/proc/self/stat").output().expect("cat");
                let stat = String::from_utf8(child.stdout).expect("text");
                assert_eq!(policy(&stat), libc::SCHED_OTHER);
                go_with_others().expect("no right is needed");
                let own = std::fs::read_to_string("/proc/thread-self/stat").expect("readable");
                assert_eq!(policy(&own), libc::SCHED_OTHER);
            });
        });
    }

    #[test]
    fn a_child_that_writes_tells_what_came_of_it() {
        let (read, write) = nix::unistd::pipe().expect("a pipe");
        let child = fork_to_write(&write, b"0").expect("forked");
        assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        let child = fork_to_write(&read, b"0").expect("forked");
        let badf = WaitStatus::Exited(child, libc::EBADF);
        assert_eq!(waitpid(child, None), Ok(badf));
    }

    #[test]
    fn a_process_is_killed_by_its_descriptor_and_once_more_without_harm() {
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("60").spawn().expect("sleep");
        let process = open(Pid::from_raw(child.id() as i32)).expect("alive");
        kill(&process).expect("killed");
        child.wait().expect("ended");
        kill(&process).expect("gone is as good");
    }
}
