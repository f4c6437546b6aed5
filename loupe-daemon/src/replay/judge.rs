//! What the trace says about a replay: whether the measurement holds at all. Pure.

use loupe_common::replay::{Outcome, Replay};
use loupe_common::trace::Trace;

use crate::launcher::Supervised;
use crate::run::{add_files, injections, is_silent, unanswered};

/// Completes a replay by its trace: how often each rule fired, and whether the measurement
/// holds at all.
pub fn judge_trace(mut replay: Replay, supervised: Option<&Supervised>) -> Replay {
    if let Some(supervised) = supervised {
        add_files(&mut replay.trace, &replay.policy, supervised);
    }
    replay.injections = injections(&replay.policy, &replay.trace, supervised);
    let failed = supervised.and_then(|supervised| supervised.failed.clone());
    let why = failed
        .or_else(|| disturbed(&replay.trace))
        .or_else(|| unseen(&replay))
        .or_else(|| unanswered(&replay.policy, &replay.trace, &replay.injections));
    if let Some(why) = why {
        replay.outcome = Outcome::Invalid { why };
    }
    replay
}

/// Somebody else had a hand in it.
fn disturbed(trace: &Trace) -> Option<String> {
    let what = trace.disturbed.as_ref()?;
    Some(format!("the replay was disturbed from outside: {what}"))
}

/// What the target did is not known, or not all of it.
fn unseen(replay: &Replay) -> Option<String> {
    let (trace, execs) = (&replay.trace, replay.target_execs);
    let lost = trace.lost.total();
    if lost > 0 {
        return Some(format!("the trace lost {lost} events"));
    }
    if is_silent(trace, execs) {
        let foreign: u64 = trace.foreign.iter().map(|call| call.calls).sum();
        return Some(match foreign {
            0 => "the target was executed, and no call of it was seen (`loupe doctor` tells \
                  whether this host can be traced)"
                .to_owned(),
            _ => format!(
                "the target made no call of this machine's own kind, and {foreign} of another ABI, \
                 which are not measured"
            ),
        });
    }
    let what = match trace.escaped {
        0 => return None,
        1 => "one task of the target".to_owned(),
        tasks => format!("{tasks} tasks of the target"),
    };
    Some(format!(
        "{what} left the cgroup of the replay, or began outside of it: what they called was not \
         counted"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use loupe_common::policy::Policy;
    use loupe_common::trace::CallCounts;

    use super::*;

    fn seen() -> Trace {
        let read = "read".parse().expect("a syscall");
        Trace {
            calls: BTreeMap::from([(read, CallCounts::default())]),
            ..Trace::default()
        }
    }

    fn judged(trace: Trace, target_execs: u64) -> Outcome {
        let replay = Replay {
            policy: Policy::baseline(),
            outcome: Outcome::Passed,
            application_exit: None,
            test_exit: None,
            application_output: Default::default(),
            test_output: Default::default(),
            trace,
            injections: BTreeMap::new(),
            target_execs,
            timing: Default::default(),
            usage: Default::default(),
            metric: None,
            listened: None,
            listens: 0,
            left: Vec::new(),
            conditions: Default::default(),
        };
        judge_trace(replay, None).outcome
    }

    #[test]
    fn a_target_of_which_nothing_was_seen_was_not_measured() {
        assert_eq!(judged(seen(), 1), Outcome::Passed);
        // Nothing ran, so there was nothing to see.
        assert_eq!(judged(Trace::default(), 0), Outcome::Passed);
        assert!(judged(Trace::default(), 1).to_string().contains("no call"));
        let mut foreign = Trace::default();
        foreign.foreign.push(loupe_common::trace::ForeignCall {
            abi: "i386".to_owned(),
            number: 4,
            calls: 9,
        });
        assert!(judged(foreign, 1).to_string().contains("9 of another ABI"));
        let mut escaped = seen();
        escaped.escaped = 2;
        assert!(judged(escaped, 1).to_string().contains("2 tasks"));
    }

    #[test]
    fn what_somebody_else_did_is_no_failure() {
        let mut trace = seen();
        trace.disturbed = Some("SIGKILL".to_owned());
        let outcome = judged(trace, 1);
        assert!(matches!(outcome, Outcome::Invalid { .. }), "{outcome}");
    }
}
