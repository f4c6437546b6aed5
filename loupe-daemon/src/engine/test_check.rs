//! Is the workload's test any good? It is tried against obvious sabotage, which it must notice:
//! what it does not notice here it will not notice under an injection either.

use std::sync::Arc;
use std::time::Duration;

use loupe_common::analysis::TestCheck;
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::progress::Progress;
use loupe_common::replay::{Outcome, Replay};
use loupe_common::trace::Trace;

use super::recording::{Recording, blocking, patiently};
use super::{AnalyzeError, ProgressSink};
use crate::replay::{Mode, Part, Sabotage};

/// By which data comes into an application from a peer. `read` is last: where nothing else is
/// used, it must do, although an application may not even start without it.
const RECEIVING: [&str; 5] = ["recvfrom", "recvmsg", "recvmmsg", "readv", "read"];

/// That a test does not notice a death is believed once it has passed so often: on a busy host it may
/// have looked for the last time just before.
const PASSES: u32 = 2;
/// A sabotage is tried so often in all.
const TRIES: u32 = 4;

/// One thing that is done to the application.
#[derive(Clone)]
struct Attempt {
    what: String,
    policy: Policy,
    part: Part,
}

/// The name of this part of an analysis.
pub const TEST_CHECK: &str = "checking the test";

/// Tries all of them; the first baseline replay tells what there is to sabotage.
pub async fn run(
    recording: &Recording,
    first: &Replay,
    progress: &ProgressSink,
) -> Result<Vec<TestCheck>, AnalyzeError> {
    progress(Progress::phase(TEST_CHECK));
    let mut checks = Vec::new();
    for attempt in attempts(recording.0.bench.prepared.workload.mode, first) {
        checks.push(check(recording, attempt).await?);
    }
    Ok(checks)
}

/// Tries only whether it notices that there is no application.
pub async fn absent(
    recording: &Recording,
    progress: &ProgressSink,
) -> Result<TestCheck, AnalyzeError> {
    progress(Progress::phase(TEST_CHECK));
    check(recording, never_started()).await
}

async fn check(recording: &Recording, mut attempt: Attempt) -> Result<TestCheck, AnalyzeError> {
    let mode = recording.0.bench.prepared.workload.mode;
    let (mut tries, mut passes) = (1, 0);
    loop {
        let replay = try_out(recording, attempt.clone()).await?;
        passes += u32::from(replay.outcome.passed());
        if let Some(part) = again(&replay.outcome, attempt.part, phase(mode, &replay))
            && tries < TRIES
            && passes < PASSES
        {
            tries += 1;
            attempt.part = part;
            continue;
        }
        return Ok(TestCheck {
            what: attempt.what,
            noticed: match replay.outcome {
                Outcome::Passed => Some(false),
                Outcome::Failed(_) => Some(true),
                Outcome::Invalid { .. } => None,
            },
            outcome: replay.outcome.to_string(),
            output: replay.test_output.tail,
        });
    }
}

/// What is tried after an outcome that does not say enough; the phase of that replay tells when
/// half-way was.
fn again(outcome: &Outcome, part: Part, phase: Duration) -> Option<Part> {
    let sooner = |time| Part::Sabotaged(Sabotage::KilledAfter(time));
    match (outcome, part) {
        (Outcome::Passed, Part::Sabotaged(Sabotage::KilledAfter(time))) => {
            Some(sooner(time.min(phase / 2)))
        }
        (Outcome::Invalid { .. }, Part::Sabotaged(Sabotage::KilledAfter(time))) => {
            Some(sooner(time / 2))
        }
        (Outcome::Invalid { .. }, part) => Some(part),
        (Outcome::Passed | Outcome::Failed(_), _) => None,
    }
}

/// How long that took in which the application may be killed.
fn phase(mode: Mode, replay: &Replay) -> Duration {
    Duration::from_micros(match mode {
        Mode::Server => replay.timing.test_us,
        Mode::Batch => replay.timing.ready_us,
    })
}

async fn try_out(recording: &Recording, attempt: Attempt) -> Result<Replay, AnalyzeError> {
    let slot = recording.0.slots().take().await;
    let shared = Arc::clone(&recording.0);
    blocking(move || patiently(|| shared.try_out(&attempt.policy, attempt.part, &slot))).await
}

fn never_started() -> Attempt {
    Attempt {
        what: "the application is never started".to_owned(),
        policy: Policy::baseline(),
        part: Part::Sabotaged(Sabotage::Absent),
    }
}

fn attempts(mode: Mode, first: &Replay) -> Vec<Attempt> {
    let killed = phase(mode, first) / 2;
    let mut attempts = vec![
        never_started(),
        Attempt {
            what: match mode {
                Mode::Server => "the application is killed half-way through the test".to_owned(),
                Mode::Batch => "the application is killed half-way".to_owned(),
            },
            policy: Policy::baseline(),
            part: Part::Sabotaged(Sabotage::KilledAfter(killed)),
        },
    ];
    let reads = receiving(&first.trace);
    if !reads.is_empty() {
        let names: Vec<String> = reads.iter().map(Feature::to_string).collect();
        attempts.push(Attempt {
            what: format!("its reads fail ({}: EIO)", names.join(", ")),
            policy: reads
                .into_iter()
                .map(|feature| (feature, Action::Stub(Errno::EIO)))
                .collect(),
            part: Part::Whole,
        });
    }
    attempts
}

/// What it receives by: calls made for sockets alone where there are such, else `read`.
fn receiving(trace: &Trace) -> Vec<Feature> {
    let used = RECEIVING
        .iter()
        .filter_map(|name| name.parse::<Feature>().ok())
        .filter(|feature| trace.calls.contains_key(feature));
    let mut used: Vec<Feature> = used.collect();
    if used.len() > 1 {
        used.retain(|feature| feature.to_string() != "read");
    }
    used
}

#[cfg(test)]
mod tests {
    use loupe_common::trace::CallCounts;

    use super::*;

    fn received_by(used: &[&str]) -> Vec<String> {
        let call = |name: &&str| (name.parse().expect("a syscall"), CallCounts::default());
        let trace = Trace {
            calls: used.iter().map(call).collect(),
            ..Trace::default()
        };
        receiving(&trace).iter().map(Feature::to_string).collect()
    }

    #[test]
    fn a_test_that_was_nearly_over_is_tried_with_an_earlier_kill() {
        let killed = |ms| Part::Sabotaged(Sabotage::KilledAfter(Duration::from_millis(ms)));
        let invalid = Outcome::Invalid { why: String::new() };
        let phase = Duration::from_millis(32);
        assert_eq!(again(&Outcome::Passed, killed(30), phase), Some(killed(16)));
        assert_eq!(again(&Outcome::Passed, killed(9), phase), Some(killed(9)));
        assert_eq!(again(&invalid, killed(30), phase), Some(killed(15)));
        assert_eq!(again(&invalid, Part::Whole, phase), Some(Part::Whole));
        assert_eq!(again(&Outcome::Passed, Part::Whole, phase), None);
    }

    #[test]
    fn reads_of_files_are_left_alone_where_sockets_are_read_by_other_calls() {
        assert_eq!(received_by(&["read", "recvfrom", "write"]), ["recvfrom"]);
        assert_eq!(received_by(&["read", "write"]), ["read"]);
        assert_eq!(received_by(&["brk"]), [] as [&str; 0]);
    }
}
