//! An OS of another architecture, as programs of this one would meet it: calls that its own does
//! not have are answered as those that came in their place. Its programs never make them.

use loupe_common::feature::Feature;
use loupe_common::syscalls::{Arch, Syscall};

use super::OsProfile;
use crate::plan::need::Answer;

/// Calls that newer architectures left out, and what programs call there.
const SUCCESSORS: &[(&str, &str)] = &[
    ("access", "faccessat"),
    ("alarm", "setitimer"),
    ("chmod", "fchmodat"),
    ("chown", "fchownat"),
    ("creat", "openat"),
    ("dup2", "dup3"),
    ("epoll_create", "epoll_create1"),
    ("epoll_wait", "epoll_pwait"),
    ("eventfd", "eventfd2"),
    ("fork", "clone"),
    ("futimesat", "utimensat"),
    ("getdents", "getdents64"),
    ("getpgrp", "getpgid"),
    ("inotify_init", "inotify_init1"),
    ("lchown", "fchownat"),
    ("link", "linkat"),
    ("lstat", "newfstatat"),
    ("mkdir", "mkdirat"),
    ("mknod", "mknodat"),
    ("open", "openat"),
    ("pause", "ppoll"),
    ("pipe", "pipe2"),
    ("poll", "ppoll"),
    ("readlink", "readlinkat"),
    ("rename", "renameat"),
    ("rmdir", "unlinkat"),
    ("select", "pselect6"),
    ("signalfd", "signalfd4"),
    ("stat", "newfstatat"),
    ("symlink", "symlinkat"),
    ("time", "gettimeofday"),
    ("unlink", "unlinkat"),
    ("utime", "utimensat"),
    ("utimes", "utimensat"),
    ("vfork", "clone"),
];

impl OsProfile {
    /// As programs of this architecture meet it; `None`: it is an OS of this architecture.
    pub fn as_met_by(&self, arch: Arch) -> Option<OsProfile> {
        let own = self.arch.filter(|own| *own != arch)?;
        let mut met = self.clone();
        let has = |name: &str| own.table().iter().any(|(_, known)| *known == name);
        for (_, name) in arch.table().iter().filter(|(_, name)| !has(name)) {
            let Some(feature) = Syscall::from_name(name).map(Feature::from) else {
                continue;
            };
            if self.mentions(&feature) {
                continue;
            }
            let successor = SUCCESSORS.iter().find(|(old, _)| old == name);
            let successor = successor.and_then(|(_, new)| Syscall::from_name(new));
            let answer = match successor {
                Some(new) => self.answer(&new.into()),
                // Nothing is called in its place, so nothing is missing.
                None => Answer::Implement,
            };
            met.set(&feature, answer);
        }
        Some(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_call_is_answered_as_the_one_that_newer_architectures_have() {
        let feature = |name: &str| -> Feature { name.parse().expect("a syscall") };
        let mut os = OsProfile {
            arch: Some(Arch::Aarch64),
            ..OsProfile::default()
        };
        os.set(&feature("openat"), Answer::Implement);
        os.set(&feature("unlinkat"), Answer::Fake);
        let met = os.as_met_by(Arch::X86_64).expect("another architecture");
        assert_eq!(met.answer(&feature("open")), Answer::Implement);
        assert_eq!(met.answer(&feature("rmdir")), Answer::Fake);
        assert_eq!(met.answer(&feature("poll")), Answer::Stub);
        assert_eq!(met.answer(&feature("arch_prctl")), Answer::Implement);
        assert_eq!(met.answer(&feature("futex")), Answer::Stub);
        assert_eq!(os.as_met_by(Arch::Aarch64), None);
    }

    #[test]
    fn every_successor_is_a_call_that_newer_architectures_have() {
        let has = |arch: Arch, name: &str| arch.table().iter().any(|(_, known)| *known == name);
        for (old, new) in SUCCESSORS {
            assert!(has(Arch::X86_64, old) && !has(Arch::Aarch64, old), "{old}");
            assert!(has(Arch::Aarch64, new), "{new}");
        }
    }
}
