//! Is the application ready, quiet, gone? Looked up in `/proc` for the tasks of a cgroup.
//!
//! Reads only. The kernel says in `/proc/TID/syscall` in which syscall a task sleeps.

use std::collections::BTreeSet;
use std::path::Path;

use loupe_common::syscalls::Syscall;
use serde::{Deserialize, Serialize};

use crate::cgroup::{self, CgroupError};
use crate::sys::files;

/// Calls in which a server waits for its clients.
const SERVER_WAITS: [&str; 14] = [
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "accept",
    "accept4",
    "io_uring_enter",
    "io_getevents",
    "recvfrom",
    "recvmsg",
    "rt_sigtimedwait",
];

/// Where the tasks of a cgroup stand at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    pub total: usize,
    /// Asleep in a syscall.
    pub asleep: usize,
    /// Asleep in one of [`SERVER_WAITS`].
    pub in_server_wait: usize,
    /// Asleep until another task does something: in a call that has no timeout.
    pub without_timeout: usize,
    /// Asleep in either way: for clients, or for another task.
    pub waiting: usize,
}

impl Tasks {
    pub fn of(cgroup: &Path) -> Result<Tasks, CgroupError> {
        Ok(Tasks::among(&cgroup::members(cgroup, "cgroup.threads")?))
    }

    /// The same, but for what comes after the first that waits for clients: each task takes 10 µs.
    pub fn up_to_server_wait(cgroup: &Path) -> Result<Tasks, CgroupError> {
        let tids = cgroup::members(cgroup, "cgroup.threads")?;
        Ok(Tasks::up_to(&tids, |tasks| tasks.in_server_wait > 0))
    }

    /// Of these, which were in a cgroup a moment ago.
    pub fn among(tids: &[i32]) -> Tasks {
        Tasks::up_to(tids, |_| false)
    }

    fn up_to(tids: &[i32], is_enough: impl Fn(&Tasks) -> bool) -> Tasks {
        let mut tasks = Tasks::default();
        for tid in tids {
            // Gone since the list was read: not there.
            let Ok(state) = files::read(format!("/proc/{tid}/syscall")) else {
                continue;
            };
            tasks.total += 1;
            if let Some(sleep) = Sleep::parse(&state) {
                tasks.asleep += 1;
                let for_clients = SERVER_WAITS.contains(&sleep.name.as_str());
                let for_others = sleep.has_no_timeout();
                tasks.in_server_wait += usize::from(for_clients);
                tasks.without_timeout += usize::from(for_others);
                tasks.waiting += usize::from(for_clients || for_others);
            }
            if is_enough(&tasks) {
                break;
            }
        }
        tasks
    }

    /// Every task waits for another one.
    pub fn none_can_go_on(&self) -> bool {
        self.total > 0 && self.without_timeout == self.total
    }

    /// Nothing is about to go on by itself, as a task that only sleeps for some time would.
    pub fn all_wait(&self) -> bool {
        self.total > 0 && self.waiting == self.total
    }

    /// Nothing moves at the moment.
    pub fn all_asleep(&self) -> bool {
        self.total > 0 && self.asleep == self.total
    }
}

/// A task asleep in a syscall.
struct Sleep {
    name: String,
    args: [u64; 6],
}

impl Sleep {
    /// From a `/proc/TID/syscall`: `running`; number, arguments, sp, pc; or -1 outside a call.
    fn parse(state: &str) -> Option<Sleep> {
        let mut fields = state.split_whitespace();
        let number: u32 = fields.next()?.parse().ok()?;
        let mut args = [0; 6];
        for arg in &mut args {
            *arg = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        Some(Sleep {
            name: Syscall::from_number(number).to_string(),
            args,
        })
    }

    /// Whether nothing but another task can end the wait. A call that is not listed may end by
    /// itself. Argument positions: the calls' manual pages.
    fn has_no_timeout(&self) -> bool {
        let no_milliseconds = |index: usize| (self.args[index] as i32) < 0;
        let no_pointer = |index: usize| self.args[index] == 0;
        match self.name.as_str() {
            "epoll_wait" | "epoll_pwait" => no_milliseconds(3),
            "poll" => no_milliseconds(2),
            "ppoll" | "rt_sigtimedwait" => no_pointer(2),
            "epoll_pwait2" | "futex" | "semtimedop" => no_pointer(3),
            "select" | "pselect6" | "recvmmsg" | "io_getevents" => no_pointer(4),
            "read" | "readv" | "recvfrom" | "recvmsg" | "accept" | "accept4" | "write"
            | "writev" | "sendto" | "sendmsg" | "wait4" | "waitid" | "pause" | "rt_sigsuspend"
            | "flock" | "semop" => true,
            _ => false,
        }
    }
}

/// Whether a task waits for a disk or the like: it seems to sleep, and is at work.
pub fn is_held_up(cgroup: &Path) -> Result<bool, CgroupError> {
    let held_up = |tid: &i32| {
        let stat = files::read(format!("/proc/{tid}/stat")).unwrap_or_default();
        // The name before it may have anything in it.
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
        state.is_some_and(|rest| rest.starts_with('D'))
    };
    Ok(cgroup::members(cgroup, "cgroup.threads")?
        .iter()
        .any(held_up))
}

/// The programs' names in the cgroup, each once.
pub fn names(cgroup: &Path) -> Result<Vec<String>, CgroupError> {
    let name = |pid: i32| files::read(format!("/proc/{pid}/comm")).ok();
    let pids = cgroup::members(cgroup, "cgroup.procs")?;
    let names = pids.into_iter().filter_map(name);
    let names: BTreeSet<String> = names.map(|name| name.trim_end().to_owned()).collect();
    Ok(names.into_iter().collect())
}

/// Whether any process is in the cgroup.
pub fn is_empty(cgroup: &Path) -> Result<bool, CgroupError> {
    Ok(cgroup::members(cgroup, "cgroup.procs")?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_three_forms_are_told_apart() {
        let name = |state| Sleep::parse(state).map(|sleep| sleep.name);
        let asleep = name("232 0x5 0x7f 0x200 0xffffffff 0x0 0x0 0x7ffd 0x7f00\n");
        assert_eq!(asleep, Some("epoll_wait".to_owned()));
        assert_eq!(name("running\n"), None);
        assert_eq!(name("-1 0x7ffd 0x7f00\n"), None);
    }

    #[test]
    fn a_wait_with_a_timeout_may_end_by_itself() {
        for (state, forever) in [
            (
                "232 0x5 0x7f 0x200 0xffffffffffffffff 0x0 0x0 0x1 0x1",
                true,
            ),
            ("232 0x5 0x7f 0x200 0xffffffff 0x0 0x0 0x1 0x1", true),
            ("232 0x5 0x7f 0x200 0x64 0x0 0x0 0x1 0x1", false),
            ("202 0x7f00 0x80 0x2 0x0 0x0 0x0 0x1 0x1", true),
            ("202 0x7f00 0x80 0x2 0x7ffe 0x0 0x0 0x1 0x1", false),
            ("35 0x7ffe 0x0 0x0 0x0 0x0 0x0 0x1 0x1", false),
            ("130 0x7ffe 0x8 0x0 0x0 0x0 0x0 0x1 0x1", true),
        ] {
            let sleep = Sleep::parse(state).expect("asleep");
            assert_eq!(sleep.has_no_timeout(), forever, "{state}");
        }
    }

    #[test]
    fn every_server_wait_is_a_syscall() {
        for name in SERVER_WAITS {
            assert!(Syscall::from_name(name).is_some(), "{name}");
        }
    }
}
