//! An OS as an application meets it: what it does not do, as a policy.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::{Arch, Syscall};

use crate::plan::OsProfile;
use crate::plan::need::{Answer, is_restart};

/// What an OS leaves out of this machine's syscalls, each as it answers it, and of these pseudo-files,
/// beside those that its profile names. What this kernel has processes call is left out only if the
/// profile says so: the OS restarts calls in its own way.
///
/// Of a syscall that is there in part, the operations that are not are left out one by one, and all that
/// have no name together (`ioctl:*`).
pub fn left_out(profile: &OsProfile, files: &BTreeSet<Feature>) -> Policy {
    let table = Arch::NATIVE.table().iter();
    let syscalls = table
        .filter_map(|(_, name)| Syscall::from_name(name))
        .filter(|syscall| {
            let feature = Feature::from(*syscall);
            !is_restart(&feature) || profile.mentions(&feature)
        });
    let below = profile.mentioned().filter(|feature| !feature.is_syscall());
    syscalls
        .flat_map(|syscall| asked(profile, syscall))
        .chain(below.cloned())
        .chain(files.iter().cloned())
        .filter(is_injected)
        .filter_map(|feature| match profile.answer(&feature) {
            Answer::Implement => None,
            Answer::Fake => Some((feature, Action::Fake)),
            Answer::Stub => Some((feature, Action::STUB)),
            Answer::Error(errno) => Some((feature, Action::Stub(errno))),
            Answer::Kill => Some((feature, Action::Kill)),
        })
        .collect()
}

/// A syscall as a whole, or its operations, where an answer to the whole would be one to operations that
/// are implemented.
fn asked(profile: &OsProfile, syscall: Syscall) -> Vec<Feature> {
    let whole = Feature::from(syscall);
    let lacked = || {
        let all = Operation::all_of(syscall).into_iter();
        let named = profile
            .implement
            .iter()
            .filter_map(|feature| match feature {
                Feature::Operation(part) if part.syscall() == syscall && !part.is_flag() => {
                    Some(part)
                }
                _ => None,
            });
        // What this OS has by its number is not told from the others that have no name.
        let unnamed = Operation::unnamed(syscall)
            .filter(|_| !named.clone().any(Operation::has_no_name))
            .map(Feature::from);
        (named.count() > 0).then(|| all.map(Feature::from).chain(unnamed).collect())
    };
    match profile.answer(&whole) {
        Answer::Implement => vec![whole],
        _ => lacked().unwrap_or_else(|| vec![whole]),
    }
}

/// Flags that a call has in memory, operations of another architecture and those of io_uring cannot be
/// left out by themselves.
fn is_injected(feature: &Feature) -> bool {
    match feature {
        Feature::Operation(part) => part.is_unnamed() || part.tests().is_ok(),
        Feature::IoUring(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Step;

    fn features(names: &[&str]) -> Vec<Feature> {
        let names = names.iter();
        names.map(|name| name.parse().expect("a syscall")).collect()
    }

    #[test]
    fn an_os_does_what_its_profile_and_the_steps_say_and_nothing_else() {
        let profile = OsProfile {
            implement: features(&["read"]).into_iter().collect(),
            fake: features(&["brk", "futex"]).into_iter().collect(),
            ..OsProfile::default()
        };
        let steps = [
            Step {
                stub: features(&["brk"]),
                fake: features(&["uname"]),
                ..Step::default()
            },
            Step {
                implement: features(&["futex", "write"]),
                ..Step::default()
            },
        ];
        let answer = |steps: &[Step], name: &str| {
            let policy = left_out(&profile.after(steps), &BTreeSet::new());
            policy.get(&features(&[name])[0])
        };
        assert_eq!(answer(&[], "read"), None);
        assert_eq!(answer(&[], "brk"), Some(Action::Fake));
        assert_eq!(answer(&[], "mount"), Some(Action::STUB));
        assert_eq!(answer(&steps[..1], "brk"), Some(Action::STUB));
        assert_eq!(answer(&steps[..1], "uname"), Some(Action::Fake));
        assert_eq!(answer(&steps, "futex"), None);
        assert_eq!(answer(&steps, "write"), None);
        assert!(left_out(&profile, &BTreeSet::new()).len() > 300);
        assert_eq!(answer(&[], "restart_syscall"), None);
        let says_so = OsProfile {
            stub: features(&["restart_syscall"]).into_iter().collect(),
            ..OsProfile::default()
        };
        let restart = &features(&["restart_syscall"])[0];
        assert_eq!(
            left_out(&says_so, &BTreeSet::new()).get(restart),
            Some(Action::STUB)
        );
    }

    fn rules(profile: &OsProfile, files: &[&str]) -> Policy {
        left_out(profile, &features(files).into_iter().collect())
    }

    #[test]
    fn of_a_syscall_that_is_there_in_part_the_other_operations_are_left_out() {
        let profile = OsProfile {
            implement: features(&["ioctl", "fcntl:F_GETFL", "openat"])
                .into_iter()
                .collect(),
            stub: features(&["ioctl:TCGETS", "openat:O_TMPFILE"])
                .into_iter()
                .collect(),
            fake: features(&["fcntl:F_SETFD", "io_uring:IORING_OP_NOP"])
                .into_iter()
                .collect(),
            ..OsProfile::default()
        };
        let policy = rules(&profile, &["/proc/cpuinfo"]);
        let answer = |name: &str| policy.get(&features(&[name])[0]);
        for there in ["ioctl", "fcntl", "fcntl:F_GETFL", "openat", "openat:O_RDWR"] {
            assert_eq!(answer(there), None, "{there}");
        }
        for missing in ["ioctl:TCGETS", "openat:O_TMPFILE", "fcntl:F_GETLK", "lseek"] {
            assert_eq!(answer(missing), Some(Action::STUB), "{missing}");
        }
        assert_eq!(answer("fcntl:F_SETFD"), Some(Action::Fake));
        assert_eq!(
            answer("fcntl:*"),
            Some(Action::STUB),
            "nor what has no name"
        );
        assert_eq!(answer("ioctl:*"), None, "all of it is there");
        assert_eq!(answer("/proc/cpuinfo"), None, "it says nothing of any");
        assert!(
            policy
                .iter()
                .all(|(feature, _)| feature.kind() != "io_uring")
        );
    }

    #[test]
    fn what_has_no_name_is_answered_as_the_profile_says_unless_it_has_a_number_of_that_kind() {
        let mut profile = OsProfile {
            implement: features(&["ioctl:TCGETS"]).into_iter().collect(),
            unknown: "EINVAL".parse().expect("an errno"),
            ..OsProfile::default()
        };
        let unnamed = &features(&["ioctl:*"])[0];
        let answer = |profile: &OsProfile| rules(profile, &[]).get(unnamed);
        let errno = |name: &str| Some(Action::Stub(name.parse().expect("an errno")));
        assert_eq!(answer(&profile), errno("EINVAL"));
        let enotty = "ENOTTY".parse().expect("an errno");
        profile
            .error
            .entry(enotty)
            .or_default()
            .insert(unnamed.clone());
        assert_eq!(answer(&profile), errno("ENOTTY"));
        let number = &features(&["ioctl:0xdead"])[0];
        assert_eq!(profile.answer(number), Answer::Error(enotty));
        profile.error.clear();
        profile.implement.insert(number.clone());
        assert_eq!(answer(&profile), None);
    }

    #[test]
    fn pseudo_files_are_left_out_if_the_profile_speaks_of_any() {
        let profile = OsProfile {
            implement: features(&["/proc/meminfo"]).into_iter().collect(),
            fake: features(&["/dev/urandom"]).into_iter().collect(),
            ..OsProfile::default()
        };
        let policy = rules(&profile, &["/proc/cpuinfo", "/proc/meminfo"]);
        let answer = |name: &str| policy.get(&features(&[name])[0]);
        assert_eq!(answer("/proc/cpuinfo"), Some(Action::STUB));
        assert_eq!(answer("/proc/meminfo"), None);
        assert_eq!(answer("/dev/urandom"), Some(Action::Fake));
    }

    /// An OS that has one operation of each syscall leaves out all others: about 2000 rules.
    #[test]
    fn a_policy_of_all_operations_is_one_that_the_kernel_takes() {
        let table = Arch::NATIVE.table().iter();
        let all = table.filter_map(|(_, name)| Syscall::from_name(name));
        let first = all.filter_map(|syscall| Operation::all_of(syscall).into_iter().next());
        let profile = OsProfile {
            implement: first.map(Feature::from).collect(),
            ..OsProfile::default()
        };
        let policy = rules(&profile, &[]);
        assert!(policy.len() > 1500, "{}", policy.len());
        let program = crate::inject::compile(&policy).expect("short enough");
        println!("{} rules, {} instructions", policy.len(), program.len());
    }
}
