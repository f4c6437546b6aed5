//! What the trace says about a replay: how often the injection fired, and whether the
//! measurement holds at all. Pure.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{Outcome, Replay};
use loupe_common::trace::Trace;

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

/// Every call of an injected syscall by the target is answered by the filter, so the calls
/// count the injections.
pub fn injections(policy: &Policy, trace: &Trace) -> BTreeMap<Feature, u64> {
    policy
        .iter()
        .map(|(feature, _)| {
            let calls = trace.calls.get(feature).map_or(0, |counts| counts.calls);
            (feature.clone(), calls)
        })
        .collect()
}

/// Calls that end their task unless the filter answers them.
const NEVER_RETURN: [&str; 2] = ["exit", "exit_group"];

/// A call that came back with anything else than the injected result: the filter was not there.
fn unanswered(policy: &Policy, trace: &Trace) -> Option<String> {
    policy.iter().find_map(|(feature, action)| {
        let counts = trace.calls.get(feature)?;
        // A thread that dies with its process after an answered `exit` looks as if it had come
        // to its end by it, and is counted once more.
        if NEVER_RETURN.contains(&feature.to_string().as_str()) {
            return None;
        }
        let expected = match action {
            Action::Stub(errno) => counts.errors.get(&errno).copied().unwrap_or(0),
            Action::Fake => counts.calls - counts.error_total().min(counts.calls),
        };
        (expected != counts.calls).then(|| {
            format!(
                "{} of {} calls of {feature} were not answered by the filter",
                counts.calls - expected.min(counts.calls),
                counts.calls
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use loupe_common::errno::Errno;
    use loupe_common::trace::CallCounts;

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
    fn a_task_that_ends_after_an_answered_exit_is_no_unanswered_call() {
        assert_eq!(verdict("exit", Action::STUB, 9, 1), None);
    }
}
