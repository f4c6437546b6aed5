//! A filter on syscalls, whatever file it is written in: what it lets through, and what happens
//! to the rest.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::{Arch, Syscall};

use super::need::{Class, Needs};
use super::systemd::Groups;

/// How much a profile lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that the applications use.
    Full,
    /// All but what they were seen to do without: that fails with ENOSYS.
    Reduced,
}

/// Ends of every process and of every signal handler, and what the kernel itself has a process
/// call. They need not show in a trace that ends with a kill.
const ALWAYS: [&str; 4] = ["exit", "exit_group", "restart_syscall", "rt_sigreturn"];

/// Who puts the filter on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// A container runtime.
    Container,
    /// systemd.
    Service,
}

/// What runc and crun, as another user and without `noNewPrivileges`, were seen to need between
/// putting the filter on and the application's first instruction, and what the threads of runc's
/// runtime may call meanwhile. Loupe puts its filter on later, so no trace shows them.
const CONTAINER: [&str; 35] = [
    "capget",
    "capset",
    "chdir",
    "close",
    "epoll_pwait",
    "execve",
    "faccessat",
    "faccessat2",
    "fchown",
    "fcntl",
    "fstat",
    "fstatfs",
    "futex",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getuid",
    "nanosleep",
    "newfstatat",
    "openat",
    "prctl",
    "pselect6",
    "read",
    "rt_sigaction",
    "rt_sigprocmask",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setuid",
    "write",
];

/// The exec is the last thing that systemd does, right after putting the filter on.
const SERVICE: [&str; 1] = ["execve"];

/// What a vDSO answers without a syscall where it can: the clocks need one that user space can read
/// (the TSC), `getrandom` a kernel and a C library that are new enough. Source: the kernel's
/// `arch/x86/entry/vdso/vdso.lds.S` and `arch/arm64/kernel/vdso/vdso.lds.S`.
pub const VDSO: [&str; 6] = [
    "clock_getres",
    "clock_gettime",
    "getcpu",
    "getrandom",
    "gettimeofday",
    "time",
];

impl Starter {
    fn calls(self) -> impl Iterator<Item = Feature> {
        let starting: &[&str] = match self {
            Starter::Container => &CONTAINER,
            Starter::Service => &SERVICE,
        };
        features(starting).chain(features(&ALWAYS))
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub allow: BTreeSet<Feature>,
    /// What gets another answer than the rest.
    pub answers: BTreeMap<Feature, Action>,
    /// The rest; `None`: it is let through.
    pub default: Option<Action>,
    /// What cannot be told by whole syscalls, and how it was taken.
    pub notes: Vec<String>,
}

/// What the meaning of a profile depends on: facts of the host that it is read for.
#[derive(Clone, Debug)]
pub struct Host {
    pub groups: Groups,
    /// Major and minor number.
    pub kernel: (u32, u32),
}

/// Writes `what: name, name`; `None` without names.
pub(super) fn note(what: &str, names: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("it is neither an OCI seccomp profile nor a systemd drop-in: {0}")]
    Json(#[from] serde_json::Error),
    #[error("there is no SystemCallFilter= in it")]
    NoFilter,
    #[error("line {line}: `{text}` is not an errno")]
    UnknownErrno { line: usize, text: String },
    #[error("it answers {what} with {action}")]
    Action { what: String, action: String },
    #[error("rule {number} of `syscalls` ({names}) is not understood: {what}")]
    Rule {
        /// From 1.
        number: usize,
        names: String,
        what: String,
    },
    #[error("the errno {0} does not exist")]
    ErrnoRange(i64),
}

impl ProfileError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ProfileError::Rule { .. } => Some(
                "Loupe emulates rules on whole syscalls that let through or return an errno, and \
                 conditions on capabilities, architectures and kernels"
                    .to_owned(),
            ),
            ProfileError::NoFilter | ProfileError::Json(_) => Some(
                "`loupe export seccomp` and `loupe export systemd` write such files".to_owned(),
            ),
            _ => None,
        }
    }
}

fn features(names: &'static [&str]) -> impl Iterator<Item = Feature> {
    names
        .iter()
        .filter_map(|name| Syscall::from_name(name))
        .filter(|syscall| syscall.number_on(Arch::NATIVE).is_some())
        .map(Feature::from)
}

impl Profile {
    /// The profile that applications with these needs can live with. `errno` is for what they
    /// never call.
    pub fn of(needs: &Needs, extent: Extent, errno: Errno, starter: Starter) -> Profile {
        let mut kept: BTreeSet<Feature> = starter.calls().collect();
        if needs.vdso {
            kept.extend(features(&VDSO));
        }
        let mut allow: BTreeSet<Feature> = needs.used.union(&kept).cloned().collect();
        let mut answers = BTreeMap::new();
        if extent == Extent::Reduced {
            // Without a call an application may turn to another.
            allow.extend(needs.fallbacks.iter().cloned());
            allow.extend(needs.rows.iter().map(|row| row.feature.clone()));
            let stubs = needs.of_class(Class::Stub);
            for row in stubs.filter(|row| !kept.contains(&row.feature)) {
                allow.remove(&row.feature);
                answers.insert(row.feature.clone(), Action::STUB);
            }
        }
        Profile {
            allow,
            answers,
            default: Some(Action::Stub(errno)),
            notes: Vec::new(),
        }
    }

    /// What happens to a syscall under it; `None`: it is let through.
    pub fn answer(&self, feature: &Feature) -> Option<Action> {
        if let Some(answer) = self.answers.get(feature) {
            return Some(*answer);
        }
        match self.allow.contains(feature) {
            true => None,
            false => self.default,
        }
    }

    /// The profile as a policy: every syscall of this machine that the profile refuses.
    pub fn policy(&self) -> Policy {
        let table = Arch::NATIVE.table().iter();
        table
            .filter_map(|(_, name)| Syscall::from_name(name))
            .map(Feature::from)
            .filter_map(|feature| Some((feature.clone(), self.answer(&feature)?)))
            .collect()
    }
}
