//! Process 1 of a sandbox: mounts `/proc` of its process namespace and reaps orphans.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, pipe2, read, write};

use super::sandbox::{SetupError, proc};
use crate::sys::process;

/// Forks process 1 of the sandbox and waits until `/proc` is mounted, for root with `protect`.
/// Returns what [`kill`] ends it by.
pub fn start(protect: bool) -> Result<OwnedFd, SetupError> {
    let (ready, report) = pipe2(OFlag::O_CLOEXEC).map_err(failed("pipe"))?;
    match process::fork_alone().map_err(failed("fork process 1"))? {
        ForkResult::Child => {
            drop(ready);
            run(&report, protect)
        }
        ForkResult::Parent { child } => {
            drop(report);
            let mut bytes = [0; 512];
            let length = read(&ready, &mut bytes).map_err(failed("wait for process 1"))?;
            match bytes[..length].split_first_chunk() {
                Some((errno, _)) if *errno == [0; 4] => {
                    process::open(child).map_err(failed("open process 1"))
                }
                Some((errno, step)) => Err(SetupError {
                    step: String::from_utf8_lossy(step).into_owned(),
                    errno: Errno::from_raw(i32::from_ne_bytes(*errno)),
                }),
                None => Err(failed("wait for process 1")(Errno::EIO)),
            }
        }
    }
}

/// Kills process 1, and with it, as the kernel does, all others of its namespace.
pub fn kill(descriptor: &OwnedFd) -> io::Result<()> {
    process::kill(descriptor)
}

fn failed(step: &str) -> impl FnOnce(Errno) -> SetupError + '_ {
    move |errno| SetupError {
        step: step.to_owned(),
        errno,
    }
}

/// Tells over `ready` how mounting went (an errno, 0 for success, and what failed), then reaps
/// until killed. With `protect`, what of `/proc` acts on the host is read-only.
fn run(ready: &OwnedFd, protect: bool) -> ! {
    // When all must end, this process has to do it, and a thousand others may want its CPU.
    // Without the right to do so it only takes longer.
    let _ = process::go_first();
    let mounted = mount_proc(protect);
    let (errno, step) = match &mounted {
        Ok(()) => (0, ""),
        Err(SetupError { step, errno }) => (*errno as i32, step.as_str()),
    };
    let mut report = errno.to_ne_bytes().to_vec();
    report.extend(step.as_bytes());
    let told = write(ready, &report);
    if errno != 0 || told.is_err() {
        process::end(1)
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
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(failed("prctl"))?;
    proc::mount_new()?;
    match protect {
        true => proc::protect(proc::of_the_host()),
        false => Ok(()),
    }
}
