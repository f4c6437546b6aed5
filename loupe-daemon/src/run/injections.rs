//! What answered the target's calls: how often each rule of a policy did, as the trace and the
//! keeper have it, and which calls came back with something else. Pure.

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::Syscall;
use loupe_common::trace::{CallCounts, Trace};

use crate::inject::notify;
use crate::launcher::Supervised;

/// A target that ran, and of which no native call is known. It cannot even end without one,
/// unless it is killed.
pub fn is_silent(trace: &Trace, target_execs: u64) -> bool {
    let mut features = trace.calls.keys();
    target_execs > 0 && !features.any(|feature| matches!(feature, Feature::Syscall(_)))
}

/// Notes the pseudo-files that a supervisor saw.
pub fn add_files(trace: &mut Trace, policy: &Policy, supervised: &Supervised) {
    trace.pseudo_files |= supervised.watched;
    trace.lost.events += supervised.lost;
    for (feature, calls) in &supervised.files {
        let mut counts = CallCounts {
            calls: *calls,
            ..CallCounts::default()
        };
        // What the kernel said to the others is not known.
        if let Some(Action::Stub(errno)) = policy.get(feature) {
            let answered = supervised.answered.get(feature).copied().unwrap_or(0);
            let errno = Errno::new(i64::from(notify::file_errno(errno)));
            counts.errors.extend(errno.map(|errno| (errno, answered)));
        }
        trace.calls.insert(feature.clone(), counts);
        trace.first_seen.push(feature.clone());
    }
}

/// Whether a supervisor answers by this rule.
fn is_notified(feature: &Feature, action: Action) -> bool {
    // A rule that cannot be compiled is no rule of a replay.
    matches!(notify::constant(feature, action), Ok(None))
}

/// How often each rule of the policy answered a call: calls that came back with its result, or
/// that a supervisor answered.
pub fn injections(
    policy: &Policy,
    trace: &Trace,
    supervised: Option<&Supervised>,
) -> BTreeMap<Feature, u64> {
    policy
        .iter()
        .map(|(feature, action)| {
            if is_notified(feature, action) {
                let answered = supervised.and_then(|known| known.answered.get(feature));
                return (feature.clone(), answered.copied().unwrap_or(0));
            }
            let counts = reached(policy, trace, feature);
            let answered = counts.map_or(0, |counts| answered(feature, action, &counts));
            (feature.clone(), answered)
        })
        .collect()
}

/// The calls that a rule has to answer: those of its feature that no rule before it answers.
/// Operations go before the rest and exclude each other; flags do not, so where rules of several
/// flags meet in one call, both count it.
fn reached(policy: &Policy, trace: &Trace, feature: &Feature) -> Option<CallCounts> {
    let mut counts = match feature {
        Feature::Operation(part) if part.is_unnamed() => unnamed(policy, trace, part)?,
        _ => trace.counts(feature)?.clone(),
    };
    if let Feature::Syscall(syscall) = feature {
        let parts = parts(policy, *syscall).filter(|(_, operation)| !operation.is_flag());
        let parts = parts.filter_map(|(feature, part)| match part.is_unnamed() {
            true => unnamed(policy, trace, part),
            false => trace.counts(feature).cloned(),
        });
        for answered in parts {
            counts.calls = counts.calls.saturating_sub(answered.calls);
            for (errno, calls) in &answered.errors {
                let left = counts.errors.entry(*errno).or_default();
                *left = left.saturating_sub(*calls);
            }
        }
    }
    Some(counts)
}

/// The calls of operations that have neither a name nor a rule of their own.
fn unnamed(policy: &Policy, trace: &Trace, unnamed: &Operation) -> Option<CallCounts> {
    let counts = trace.operations.iter();
    let counts = counts.filter_map(|(feature, counts)| match feature {
        Feature::Operation(part)
            if part.syscall() == unnamed.syscall()
                && part.has_no_name()
                && policy.get(feature).is_none() =>
        {
            Some(counts)
        }
        _ => None,
    });
    counts.cloned().reduce(|mut all, counts| {
        all.calls += counts.calls;
        for (errno, calls) in counts.errors {
            *all.errors.entry(errno).or_default() += calls;
        }
        all
    })
}

/// The rules of operations and flags of a syscall.
fn parts(policy: &Policy, syscall: Syscall) -> impl Iterator<Item = (&Feature, &Operation)> {
    policy.iter().filter_map(move |(feature, _)| match feature {
        Feature::Operation(operation) if operation.syscall() == syscall => {
            Some((feature, operation))
        }
        _ => None,
    })
}

/// Whether rules of flags leave it open which rule answered a call of this feature.
fn is_ambiguous(policy: &Policy, feature: &Feature, syscall: Syscall) -> bool {
    let is_flag = |operation: &Operation| operation.is_flag();
    let mut others = parts(policy, syscall).filter(|(part, _)| *part != feature);
    match feature {
        Feature::Operation(own) if is_flag(own) => others.next().is_some(),
        Feature::Operation(own) if !own.is_unnamed() => false,
        _ => others.any(|(_, other)| is_flag(other)),
    }
}

/// Calls that end their task unless the filter answers them.
const NEVER_RETURN: [&str; 2] = ["exit", "exit_group"];

/// Calls with the injected result.
fn answered(feature: &Feature, action: Action, counts: &CallCounts) -> u64 {
    // A thread that dies with its process after an answered `exit` looks as if it had come to
    // its end by it, and is counted once more.
    if NEVER_RETURN.contains(&feature.to_string().as_str()) {
        return counts.calls;
    }
    match action {
        Action::Stub(errno) => counts.errors.get(&errno).copied().unwrap_or(0),
        Action::Fake | Action::Plausible => counts.calls.saturating_sub(counts.error_total()),
        // Nobody goes on behind it, so what it came back with is nobody's answer.
        Action::Kill => counts.calls,
    }
}

/// A call that came back with anything else than the injected result: the filter was not there.
/// But where the target has a filter of its own, that one may have answered: it does so in the
/// baseline, too.
pub fn unanswered(
    policy: &Policy,
    trace: &Trace,
    injections: &BTreeMap<Feature, u64>,
) -> Option<String> {
    if trace.own_filter {
        return None;
    }
    policy.iter().find_map(|(feature, action)| {
        // Whether a call names a pseudo-file only the supervisor knows.
        let syscall = feature.syscall()?;
        if is_ambiguous(policy, feature, syscall) {
            return None;
        }
        let counts = reached(policy, trace, feature)?;
        let answered = match is_notified(feature, action) {
            true => injections.get(feature).copied().unwrap_or(0),
            false => answered(feature, action, &counts),
        };
        let others = counts.calls.saturating_sub(answered);
        (others > 0).then(|| {
            format!(
                "{others} of {} calls of {feature} were not answered by the filter",
                counts.calls
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(name: &str, calls: u64, enosys: u64) -> Trace {
        let feature: Feature = name.parse().expect("a syscall");
        let errors = BTreeMap::from([(Errno::ENOSYS, enosys)]);
        let counts = CallCounts {
            calls,
            errors,
            latency: None,
        };
        Trace {
            calls: BTreeMap::from([(feature, counts)]),
            ..Trace::default()
        }
    }

    fn verdict(name: &str, action: Action, calls: u64, enosys: u64) -> Option<String> {
        let policy = Policy::single(name.parse().expect("a syscall"), action);
        complaint(&policy, &trace(name, calls, enosys))
    }

    fn complaint(policy: &Policy, trace: &Trace) -> Option<String> {
        unanswered(policy, trace, &injections(policy, trace, None))
    }

    #[test]
    fn a_call_that_the_filter_did_not_answer_is_noticed() {
        assert_eq!(verdict("futex", Action::STUB, 5, 5), None);
        assert_eq!(verdict("futex", Action::Fake, 5, 0), None);
        assert!(verdict("futex", Action::STUB, 5, 4).is_some());
        assert!(verdict("futex", Action::Fake, 5, 1).is_some());
    }

    #[test]
    fn what_the_targets_own_filter_answered_is_no_injection() {
        let mut trace = trace("futex", 5, 3);
        trace.own_filter = true;
        let policy = Policy::single("futex".parse().expect("a syscall"), Action::STUB);
        let injections = injections(&policy, &trace, None);
        assert_eq!(unanswered(&policy, &trace, &injections), None);
        assert_eq!(injections.into_values().sum::<u64>(), 3);
    }

    #[test]
    fn what_a_supervisor_saw_and_answered_is_part_of_the_replay() {
        let file: Feature = "/proc/cpuinfo".parse().expect("a pseudo-file");
        let policy = Policy::single(file.clone(), Action::STUB);
        let supervised = Supervised {
            watched: true,
            files: vec![(file.clone(), 3)],
            answered: [(file.clone(), 2)].into(),
            ..Supervised::default()
        };
        let mut trace = trace("openat", 9, 0);
        add_files(&mut trace, &policy, &supervised);
        assert_eq!(trace.calls[&file].calls, 3);
        assert_eq!(trace.total_calls(), 9);
        let enoent = Errno::new(2).expect("ENOENT");
        assert_eq!(trace.calls[&file].errors, BTreeMap::from([(enoent, 2)]));
        let injections = injections(&policy, &trace, Some(&supervised));
        assert_eq!(injections, BTreeMap::from([(file, 2)]));
        assert_eq!(unanswered(&policy, &trace, &injections), None);
    }

    #[test]
    fn a_plausible_fake_that_nobody_answered_is_noticed() {
        let policy = Policy::single("getpid".parse().expect("a syscall"), Action::Plausible);
        let trace = trace("getpid", 3, 0);
        let injections = injections(&policy, &trace, None);
        assert!(unanswered(&policy, &trace, &injections).is_some());
    }

    #[test]
    fn a_task_that_ends_after_an_answered_exit_is_no_unanswered_call() {
        assert_eq!(verdict("exit", Action::STUB, 9, 1), None);
    }

    /// Calls and ENOSYS by feature.
    fn detailed(counts: &[(&str, u64, u64)]) -> Trace {
        let mut all = Trace::default();
        for (name, calls, enosys) in counts {
            let feature: Feature = name.parse().expect("a feature");
            let counts = CallCounts {
                calls: *calls,
                errors: BTreeMap::from([(Errno::ENOSYS, *enosys)]),
                latency: None,
            };
            match feature {
                Feature::Syscall(_) => all.calls.insert(feature, counts),
                _ => all.operations.insert(feature, counts),
            };
        }
        all
    }

    fn policy(rules: &[(&str, Action)]) -> Policy {
        let rule = |(name, action): &(&str, Action)| (name.parse().expect("a feature"), *action);
        rules.iter().map(rule).collect()
    }

    #[test]
    fn an_operations_rule_is_judged_by_the_calls_of_that_operation() {
        let trace = detailed(&[
            ("fcntl", 10, 3),
            ("fcntl:F_SETFD", 3, 3),
            ("fcntl:F_GETFL", 7, 0),
        ]);
        let stub = policy(&[("fcntl:F_SETFD", Action::STUB)]);
        assert_eq!(complaint(&stub, &trace), None);
        assert_eq!(
            injections(&stub, &trace, None).into_values().sum::<u64>(),
            3
        );
        let wrong = policy(&[("fcntl:F_GETFL", Action::STUB)]);
        assert!(complaint(&wrong, &trace).is_some());
        let both = policy(&[("fcntl", Action::Fake), ("fcntl:F_SETFD", Action::STUB)]);
        assert_eq!(complaint(&both, &trace), None);
        let times: Vec<u64> = injections(&both, &trace, None).into_values().collect();
        assert_eq!(times, [7, 3]);
    }

    #[test]
    fn what_an_operations_rule_answers_no_supervisor_has_to() {
        let trace = detailed(&[("socket", 10, 3), ("socket:AF_INET/SOCK_STREAM", 3, 3)]);
        let both = policy(&[
            ("socket", Action::Plausible),
            ("socket:AF_INET/SOCK_STREAM", Action::STUB),
        ]);
        for (times, complains) in [(7, false), (6, true)] {
            let supervised = Supervised {
                answered: [("socket".parse().expect("a syscall"), times)].into(),
                ..Supervised::default()
            };
            let injections = injections(&both, &trace, Some(&supervised));
            assert_eq!(injections.values().sum::<u64>(), times + 3);
            assert_eq!(unanswered(&both, &trace, &injections).is_some(), complains);
        }
    }

    #[test]
    fn rules_of_flags_that_meet_in_one_call_are_no_unanswered_call() {
        let trace = detailed(&[
            ("mmap", 9, 2),
            ("mmap:MAP_PRIVATE", 9, 2),
            ("mmap:MAP_POPULATE", 2, 2),
        ]);
        let alone = policy(&[("mmap:MAP_PRIVATE", Action::Fake)]);
        assert!(complaint(&alone, &trace).is_some());
        let both = policy(&[
            ("mmap:MAP_PRIVATE", Action::Fake),
            ("mmap:MAP_POPULATE", Action::STUB),
        ]);
        assert_eq!(complaint(&both, &trace), None);
    }
}
