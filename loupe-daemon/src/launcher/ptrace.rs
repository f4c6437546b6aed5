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

use super::target::{Executed, Target};
use crate::arch::Abi;
use crate::inject::install::{self, AtEntry, InstallError};
use crate::inject::listener::Listener;
use crate::sys;

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
        abi: Abi,
    },
    /// The filter could not be installed; the process was killed.
    TargetRefused(String),
    /// Something else than the target was executed, for the first time under these names.
    Executed(Vec<String>),
}

/// What goes on the target; empty: nothing.
pub struct Filters {
    pub constant: Vec<sock_filter>,
    pub notifying: Vec<sock_filter>,
    /// They do more than to look on.
    pub answer: bool,
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
    /// Names of what was executed, as long as the target was not.
    executed: Vec<String>,
    target_was_there: bool,
}

/// So many names of what was executed are told apart.
const MOST_NAMES: usize = 30;

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
            executed: Vec::new(),
            target_was_there: false,
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
        let seen = self.target.executed(pid).and_then(|executed| {
            let is_target = self.target.is(pid, &executed)?;
            Ok((executed, is_target))
        });
        let (executed, is_target) = match seen {
            Ok(seen) => seen,
            Err(error) => {
                let _ = kill(pid, Signal::SIGKILL);
                return Stop::TargetRefused(format!("what was executed cannot be told: {error}"));
            }
        };
        if !is_target {
            resume(pid, None);
            let names = self.new_names(&executed);
            return if names.is_empty() {
                Stop::Passed
            } else {
                Stop::Executed(names)
            };
        }
        self.target_was_there = true;
        match self.take_over(pid) {
            Ok(started) => started,
            // Killed meanwhile: there is nothing left that could run unfiltered.
            Err(Refusal::Ended) => Stop::Passed,
            Err(Refusal::Said(_)) if kill(pid, None) == Err(Errno::ESRCH) => Stop::Passed,
            Err(Refusal::Said(why)) => {
                let _ = kill(pid, Signal::SIGKILL);
                Stop::TargetRefused(why)
            }
        }
    }

    fn new_names(&mut self, executed: &Executed) -> Vec<String> {
        if self.target_was_there {
            return Vec::new();
        }
        let left = MOST_NAMES.saturating_sub(self.executed.len());
        let known = &self.executed;
        let names = executed
            .names()
            .filter(|name| !known.iter().any(|known| known == name));
        let names: Vec<String> = names.take(left).map(str::to_owned).collect();
        self.executed.extend(names.iter().cloned());
        names
    }

    fn take_over(&mut self, pid: Pid) -> Result<Stop, Refusal> {
        let abi = install::abi(pid)?;
        let Filters {
            constant,
            notifying,
            answer,
        } = &self.filters;
        if abi == Abi::ThirtyTwoBit && *answer {
            return Err(Refusal::Said(format!(
                "{} is a 32-bit program; Loupe's filters know the 64-bit ABI only",
                self.target.path().display()
            )));
        }
        let vdso = install::vdso(pid, self.hide_vdso)?;
        let no_filter = constant.is_empty() && notifying.is_empty();
        let AtEntry { listener, signal } = match no_filter || abi == Abi::ThirtyTwoBit {
            true => install::leave_exec(pid)?,
            false => install::install(pid, constant, notifying)?,
        };
        let said = |what: &'static str| move |errno| Refusal::Said(format!("{what}: {errno}"));
        write(&self.cgroup, pid.to_string().as_bytes())
            .map_err(said("the target could not be moved to its cgroup"))?;
        self.known.remove(&pid);
        ptrace::detach(pid, signal).map_err(said("detaching failed"))?;
        Ok(Stop::TargetStarted {
            pid,
            listener,
            vdso,
            abi,
        })
    }
}

/// Why a target was not taken over.
enum Refusal {
    /// It is no more.
    Ended,
    Said(String),
}

impl From<InstallError> for Refusal {
    fn from(error: InstallError) -> Refusal {
        match error {
            InstallError::Ended => Refusal::Ended,
            other => Refusal::Said(other.to_string()),
        }
    }
}

/// Lets a stopped task run. It may have been killed meanwhile, which its end will tell.
fn resume(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::cont(pid, signal);
}

/// Leaves a task in its group stop without hiding later events.
fn listen(pid: Pid) {
    if sys::ptrace::listen(pid).is_err() {
        resume(pid, None);
    }
}
