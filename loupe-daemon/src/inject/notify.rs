//! What of a policy needs more than a constant answer: pseudo-files, which are known by a path
//! in memory, and plausible fakes, whose value must be computed. Their calls are notified to a
//! supervisor (`launcher::supervisor`), which answers them.
//!
//! Their filter is one of its own, beside that of the constant answers: the kernel lets an
//! errno win over a notification, so a stubbed `openat` stays stubbed. This module is pure.

pub mod paths;
pub mod plausible;

use std::collections::BTreeMap;

use libc::sock_filter;
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::Syscall;
use serde::{Deserialize, Serialize};

use super::CompileError;
use super::filter::{Decision, program};
use plausible::Plausible;

/// What a keeper must know to supervise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// The rules that the supervisor answers by.
    pub rules: Policy,
    /// Every pseudo-file is looked out for.
    pub watch: bool,
}

impl Notified {
    /// The part of a policy that is notified; `None` where nothing is.
    pub fn of(policy: &Policy, watch: bool) -> Result<Option<Notified>, CompileError> {
        let mut rules = Policy::baseline();
        for (feature, action) in policy.iter() {
            if is_notified(feature, action)? {
                rules.insert(feature.clone(), action);
            }
        }
        let notified = Notified { rules, watch };
        Ok((!notified.numbers().is_empty()).then_some(notified))
    }

    /// Whether paths are looked at.
    pub fn has_paths(&self) -> bool {
        let mut rules = self.rules.iter();
        self.watch || rules.any(|(feature, _)| matches!(feature, Feature::PseudoFile(_)))
    }

    /// The syscalls that are notified.
    fn numbers(&self) -> Vec<u32> {
        let rules = self.rules.iter();
        let mut numbers: Vec<u32> = rules
            .filter_map(|(feature, _)| feature.syscall().and_then(Syscall::number))
            .collect();
        if self.has_paths() {
            numbers.extend(paths::numbers());
        }
        numbers
    }

    /// The filter that notifies.
    pub fn filter(&self) -> Result<Vec<sock_filter>, CompileError> {
        let notify = |number| (number, Decision::always(libc::SECCOMP_RET_USER_NOTIF));
        let answers: BTreeMap<u32, Decision> = self.numbers().into_iter().map(notify).collect();
        program(&answers)
    }
}

/// Whether a rule cannot be a constant answer.
fn is_notified(feature: &Feature, action: Action) -> Result<bool, CompileError> {
    let plausible = action == Action::Plausible;
    match feature {
        Feature::IoUring(_) => Err(CompileError::IoUring(feature.clone())),
        Feature::PseudoFile(file) if plausible => {
            Err(CompileError::PlausibleFile(file.as_str().to_owned()))
        }
        Feature::PseudoFile(_) => Ok(true),
        Feature::Operation(_) if plausible => Err(CompileError::NotPlausible {
            feature: feature.clone(),
            why: "only whole syscalls have one".to_owned(),
        }),
        Feature::Syscall(syscall) if plausible => match plausible::of(*syscall) {
            Ok(row) => Ok(row.value != Plausible::Constant(0)),
            Err(why) => Err(CompileError::NotPlausible {
                feature: feature.clone(),
                why,
            }),
        },
        _ => Ok(false),
    }
}

/// The constant that a rule of a syscall is answered by; `None` where it is notified.
pub fn constant(feature: &Feature, action: Action) -> Result<Option<Action>, CompileError> {
    Ok(match (is_notified(feature, action)?, action) {
        (true, _) => None,
        (false, Action::Plausible) => Some(Action::Fake),
        (false, other) => Some(other),
    })
}

/// The errno that a stubbed pseudo-file gives: there is no "not implemented" for a file.
pub fn file_errno(errno: Errno) -> i32 {
    match errno {
        Errno::ENOSYS => libc::ENOENT,
        other => i32::from(other.number()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[(&str, &str)]) -> Policy {
        let rule = |(feature, action): &(&str, &str)| {
            (
                feature.parse().expect("a feature"),
                action.parse().expect("an action"),
            )
        };
        rules.iter().map(rule).collect()
    }

    fn notified(rules: &[(&str, &str)]) -> Option<Notified> {
        Notified::of(&policy(rules), false).expect("can be injected")
    }

    #[test]
    fn constant_answers_need_no_supervisor() {
        assert_eq!(notified(&[("futex", "fake"), ("brk", "stub")]), None);
        assert_eq!(notified(&[("close", "fake=plausible")]), None);
        assert_eq!(
            Notified::of(&Policy::baseline(), false).expect("empty"),
            None
        );
    }

    #[test]
    fn only_what_needs_it_is_notified() {
        let found = notified(&[("futex", "fake"), ("getpid", "fake=plausible")]);
        let found = found.expect("something");
        assert_eq!(found.rules, policy(&[("getpid", "fake=plausible")]));
        assert_eq!(found.numbers(), [39]);
        let found = notified(&[("/proc/cpuinfo", "stub")]).expect("something");
        assert!(found.numbers().contains(&257) && !found.numbers().contains(&0));
    }

    #[test]
    fn watching_needs_no_rule() {
        let watching = Notified::of(&Policy::baseline(), true).expect("compiles");
        assert!(watching.is_some_and(|found| found.has_paths()));
    }

    #[test]
    fn what_has_no_plausible_value_is_refused_with_the_reason() {
        for (feature, part) in [
            ("mmap", "memory"),
            ("futex", "no row"),
            ("fcntl:F_GETFL", "whole syscalls"),
            ("/proc/cpuinfo", "/proc/cpuinfo"),
            ("io_uring:IORING_OP_READV", "io_uring_setup"),
        ] {
            let error = Notified::of(&policy(&[(feature, "fake=plausible")]), false);
            let error = error.expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_is_missing_and_not_unimplemented() {
        assert_eq!(file_errno(Errno::ENOSYS), libc::ENOENT);
        assert_eq!(file_errno("EACCES".parse().expect("known")), libc::EACCES);
    }
}
