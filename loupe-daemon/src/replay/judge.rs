//! What the trace says about a replay: how often the injection fired, and whether the
//! measurement holds at all. Pure.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{Outcome, Replay};
use loupe_common::trace::{CallCounts, Trace};

/// Completes a replay by its trace: how often each rule fired, and whether the measurement
/// holds at all.
pub fn judge_trace(mut replay: Replay) -> Replay {
    replay.injections = injections(&replay.policy, &replay.trace);
    let why = if replay.trace.lost.total() > 0 {
        Some(format!(
            "the trace lost {} events",
            replay.trace.lost.total()
        ))
    } else {
        unanswered(&replay.policy, &replay.trace)
    };
    if let Some(why) = why {
        replay.outcome = Outcome::Invalid { why };
    }
    replay
}

/// How often each rule of the policy answered a call: calls that came back with its result.
pub fn injections(policy: &Policy, trace: &Trace) -> BTreeMap<Feature, u64> {
    policy
        .iter()
        .map(|(feature, action)| {
            let counts = trace.calls.get(feature);
            let answered = counts.map_or(0, |counts| answered(feature, action, counts));
            (feature.clone(), answered)
        })
        .collect()
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
        Action::Fake => counts.calls.saturating_sub(counts.error_total()),
    }
}

/// A call that came back with anything else than the injected result: the filter was not there.
/// But where the target has a filter of its own, that one may have answered: it does so in the
/// baseline, too.
fn unanswered(policy: &Policy, trace: &Trace) -> Option<String> {
    if trace.own_filter {
        return None;
    }
    policy.iter().find_map(|(feature, action)| {
        let counts = trace.calls.get(feature)?;
        let others = counts
            .calls
            .saturating_sub(answered(feature, action, counts));
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
    use loupe_common::errno::Errno;

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
        unanswered(&policy, &trace(name, calls, enosys))
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
        assert_eq!(unanswered(&policy, &trace), None);
        assert_eq!(injections(&policy, &trace).into_values().sum::<u64>(), 3);
    }

    #[test]
    fn a_task_that_ends_after_an_answered_exit_is_no_unanswered_call() {
        assert_eq!(verdict("exit", Action::STUB, 9, 1), None);
    }
}
