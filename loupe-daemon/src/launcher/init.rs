//! Process 1 of a sandbox: mounts `/proc` of its process namespace and reaps orphans.

use std::os::fd::OwnedFd;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::write;

use super::sandbox::{SetupError, proc};

/// Tells over `ready` how mounting went (an errno, 0 for success, and what failed), then reaps
/// until killed. With `protect`, what of `/proc` acts on the host is read-only.
pub fn run(ready: &OwnedFd, protect: bool) -> ! {
    let mounted = mount_proc(protect);
    let (errno, step) = match &mounted {
        Ok(()) => (0, ""),
        Err(SetupError { step, errno }) => (*errno as i32, step.as_str()),
    };
    let mut report = errno.to_ne_bytes().to_vec();
    report.extend(step.as_bytes());
    let told = write(ready, &report);
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

fn mount_proc(protect: bool) -> Result<(), SetupError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| SetupError {
        step: "prctl".to_owned(),
        errno,
    })?;
    proc::mount_new()?;
    match protect {
        true => proc::protect(proc::of_the_host()),
        false => Ok(()),
    }
}
