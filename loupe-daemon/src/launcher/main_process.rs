//! The launcher process: forks keepers on demand, reaps them, and ends them all when the
//! engine is gone. Single-threaded; does no work of its own.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::channel::Channel;
use super::keeper;
use super::protocol::{FromKeeper, Preparation};
use crate::cgroup;
use crate::sys::{descriptors, process, signals};

/// Runs until the engine's end of the socket is closed. Returns the exit code.
pub fn run(socket: i32) -> i32 {
    // The engine put the socket there before it executed us, and nothing else has run.
    let served = descriptors::inherited(socket).and_then(|engine| serve(&Channel::from(engine)));
    match served {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("loupe: the launcher process failed: {error}");
            1
        }
    }
}

fn serve(engine: &Channel) -> io::Result<()> {
    // The terminal's Ctrl-C is for the engine to act on.
    ignore_terminal_signals()?;
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    let children = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let engine_pid = nix::unistd::getppid().as_raw().unsigned_abs();
    let mut keepers: HashSet<Pid> = HashSet::new();
    loop {
        let mut descriptors = [
            PollFd::new(engine.as_fd(), PollFlags::POLLIN),
            PollFd::new(children.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some(_)) = children.read_signal() {}
        reap(&mut keepers);
        match engine.receive::<Preparation>() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(None) => {
                end(&keepers, engine_pid);
                return Ok(());
            }
            Ok(Some((preparation, mut sockets))) => {
                let Some(socket) = sockets.pop() else {
                    continue;
                };
                if preparation.sandbox.is_some() {
                    // Known to every keeper from here on.
                    super::sandbox::proc::of_the_host();
                }
                match process::fork_alone() {
                    Err(errno) => {
                        let step = "fork a process to keep the sandbox".to_owned();
                        let errno = errno as i32;
                        // If the engine is gone too, nobody needs to know.
                        drop(Channel::from(socket).send(&FromKeeper::Failed { step, errno }, &[]));
                    }
                    Ok(ForkResult::Parent { child }) => {
                        keepers.insert(child);
                        introduce(child, &Channel::from(socket));
                    }
                    Ok(ForkResult::Child) => {
                        drop(children);
                        let code = keeper::run(Channel::from(socket), &preparation);
                        // Not `exit`: what the launcher registered for its end is not ours.
                        process::end(code)
                    }
                }
            }
        }
    }
}

/// Tells the engine who its keeper is. If the engine is gone, nobody needs to know; and without a
/// descriptor it only cannot tell whether somebody has stopped the keeper.
fn introduce(keeper: Pid, engine: &Channel) {
    if let Ok(descriptor) = process::open(keeper) {
        let pid = keeper.as_raw();
        drop(engine.send(&FromKeeper::Forked { pid }, &[descriptor.as_fd()]));
    }
}

fn ignore_terminal_signals() -> io::Result<()> {
    for signal in [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTSTP,
        Signal::SIGHUP,
    ] {
        signals::ignore(signal)?;
    }
    Ok(())
}

fn reap(keepers: &mut HashSet<Pid>) {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                keepers.remove(&pid);
            }
            _ => return,
        }
    }
}

/// The engine is gone: nobody else will clear up. Its runs are found by their names, for one
/// whose keeper has ended already may not be cleared away yet.
fn end(keepers: &HashSet<Pid>, engine: u32) {
    for keeper in keepers {
        // What it had started ends with it, or is in the run's cgroup. Already gone is as good.
        let _ = kill(*keeper, Signal::SIGKILL);
    }
    for keeper in keepers {
        let _ = waitpid(*keeper, None);
    }
    if let Err(error) = cgroup::remove_runs_of(engine) {
        eprintln!("loupe: cannot clear away what ran: {error}");
    }
}
