//! Process 1 of a sandbox: mounts `/proc` of its process namespace and reaps orphans.

use std::os::fd::OwnedFd;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::write;

/// Tells over `ready` how mounting went (an errno, 0 for success), then reaps until killed.
pub fn run(ready: &OwnedFd) -> ! {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .and_then(|()| mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>));
    let errno = mounted.err().map_or(0, |errno| errno as i32);
    let told = write(ready, &errno.to_ne_bytes());
    if errno != 0 || told.is_err() {
        // SAFETY: ends the process, which is always sound.
        unsafe { libc::_exit(1) }
    }
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    // Blocked since before the fork by the keeper; once more costs nothing.
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None);
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        // Interrupted or not: look again.
        let _ = mask.wait();
    }
}
