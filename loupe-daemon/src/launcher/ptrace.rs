//! Follows the application's tree until each branch has reached the target or its end.
//!
//! Every process of the tree is traced for exec, fork, vfork and clone events only. At the
//! target's exec the filter goes on, the process moves to the target's cgroup, and tracing
//! ends for it and for all that it will start: the filter and the cgroup are inherited.

use std::collections::HashSet;
use std::os::fd::OwnedFd;

use libc::sock_filter;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, write};

use super::target::Target;
use crate::inject::install;
use crate::inject::listener::Listener;

/// What a stop meant to the caller.
#[derive(Debug)]
pub enum Stop {
    /// Handled; nothing to tell.
    Passed,
    TargetStarted {
        pid: Pid,
        /// Of its notified calls, if there can be any.
        listener: Option<Listener>,
        /// It knows where the vDSO is.
        vdso: bool,
    },
    /// The filter could not be installed; the process was killed.
    TargetRefused(String),
}

/// What goes on the target; empty: nothing.
pub struct Filters {
    pub constant: Vec<sock_filter>,
    pub notifying: Vec<sock_filter>,
}

/// The traced tree and what awaits the target in it.
pub struct Tree {
    pub target: Target,
    pub filters: Filters,
    /// `cgroup.procs` of the target's cgroup, opened for writing.
    pub cgroup: OwnedFd,
    /// Tell the target of no vDSO.
    pub hide_vdso: bool,
    /// Tasks that have shown their first stop.
    known: HashSet<Pid>,
}

impl Tree {
    /// Begins to trace `root`, which stands before its `execve`.
    pub fn seize(
        root: Pid,
        target: Target,
        filters: Filters,
        cgroup: OwnedFd,
    ) -> nix::Result<Tree> {
        ptrace::seize(
            root,
            Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_EXITKILL,
        )?;
        Ok(Tree {
            target,
            filters,
            cgroup,
            hide_vdso: false,
            known: HashSet::from([root]),
        })
    }

    /// Acts on a stop that `waitpid` reported, and lets the task go on.
    pub fn handle(&mut self, status: WaitStatus) -> Stop {
        match status {
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => self.executed(pid),
            WaitStatus::PtraceEvent(pid, signal, libc::PTRACE_EVENT_STOP) => {
                let new = self.known.insert(pid);
                let group_stop = matches!(
                    signal,
                    Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU
                );
                if group_stop && !new {
                    listen(pid);
                } else {
                    resume(pid, None);
                }
                Stop::Passed
            }
            WaitStatus::PtraceEvent(pid, ..) | WaitStatus::PtraceSyscall(pid) => {
                resume(pid, None);
                Stop::Passed
            }
            WaitStatus::Stopped(pid, signal) => {
                resume(pid, Some(signal));
                Stop::Passed
            }
            _ => Stop::Passed,
        }
    }

    fn executed(&mut self, pid: Pid) -> Stop {
        if !self.target.matches(pid) {
            resume(pid, None);
            return Stop::Passed;
        }
        match self.take_over(pid) {
            Ok((listener, vdso)) => Stop::TargetStarted {
                pid,
                listener,
                vdso,
            },
            // Killed meanwhile: there is nothing left that could run unfiltered.
            Err(_) if kill(pid, None) == Err(Errno::ESRCH) => Stop::Passed,
            Err(why) => {
                let _ = kill(pid, Signal::SIGKILL);
                Stop::TargetRefused(why)
            }
        }
    }

    fn take_over(&mut self, pid: Pid) -> Result<(Option<Listener>, bool), String> {
        let vdso = install::vdso(pid, self.hide_vdso).map_err(|error| error.to_string())?;
        let Filters {
            constant,
            notifying,
        } = &self.filters;
        let listener = if constant.is_empty() && notifying.is_empty() {
            install::leave_exec(pid).map(|()| None)
        } else {
            install::install(pid, constant, notifying)
        }
        .map_err(|error| error.to_string())?;
        write(&self.cgroup, pid.to_string().as_bytes())
            .map_err(|errno| format!("the target could not be moved to its cgroup: {errno}"))?;
        self.known.remove(&pid);
        ptrace::detach(pid, None).map_err(|errno| format!("detaching failed: {errno}"))?;
        Ok((listener, vdso))
    }
}

/// Lets a stopped task run. It may have been killed meanwhile, which its end will tell.
fn resume(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::cont(pid, signal);
}

/// Leaves a task in its group stop without hiding later events.
fn listen(pid: Pid) {
    // SAFETY: PTRACE_LISTEN takes no memory; a task that is gone gives an error.
    let result = unsafe { libc::ptrace(libc::PTRACE_LISTEN, pid.as_raw(), 0, 0) };
    if result < 0 {
        resume(pid, None);
    }
}
