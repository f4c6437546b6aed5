//! How many replays at a time: as many as leave the baseline's own duration as it is, and its
//! speed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use loupe_common::policy::Policy;
use loupe_common::progress::Progress;
use loupe_common::replay::Replay;

use super::recording::{Recording, blocking};
use super::slots::Slots;
use super::{AnalyzeError, ProgressSink};
use crate::explore::Request;
use crate::replay::Part;

/// Replays for each CPU that are tried.
const MOST: usize = 8;

/// A metric may not fall below one part in so many: a test that sets a bound to it would fail for
/// that, and not for what is left out.
const MUCH_SLOWER: f64 = 2.0;

/// The median duration beside others may be so many times that alone.
const SUFFERS: f64 = 1.15;

/// A replay that is shorter, or keeps its CPU busy for more than this part of its time, gains
/// nothing from more replays than CPUs, or less than trying costs.
const SHORT: Duration = Duration::from_millis(300);
const BUSY: f64 = 0.6;

/// Runs the baseline alone and then beside itself.
pub async fn find(
    recording: &Recording,
    cpus: &[usize],
    most: Option<usize>,
    progress: &ProgressSink,
) -> Result<usize, AnalyzeError> {
    let enough = cpus.len();
    let name = "baseline".to_owned();
    progress(Progress::Phase { name });
    let alone = first(recording, cpus).await?;
    let (wall, cpu) = (alone.timing.wall_us, alone.usage.total_cpu_us);
    let busy = cpu as f64 > BUSY * wall as f64;
    let short = Duration::from_micros(wall) < SHORT;
    if !alone.outcome.passed() || (short && busy) {
        return Ok(enough);
    }
    let most = most.unwrap_or(usize::MAX);
    let mut jobs = (MOST * enough).min(most);
    let mut found = enough;
    while jobs > enough && found == enough {
        let replays = side_by_side(recording, cpus, jobs).await?;
        found = enough.max(room(&alone, &replays));
        if found >= jobs {
            keep(recording, &replays)?;
        }
        jobs /= 2;
    }
    if found > enough {
        let text = format!(
            "{found} replays at a time: the workload takes {:.2} s alone and no longer beside \
             the others",
            wall as f64 / 1e6
        );
        progress(Progress::Notice { text });
    }
    Ok(found)
}

/// How many replays have room at a time, if so many took so long; 0 if they are too many to tell.
fn room(alone: &Replay, replays: &[Replay]) -> usize {
    if replays.iter().any(|replay| !replay.outcome.passed()) || is_slower(alone, replays) {
        return 0;
    }
    let jobs = replays.len();
    let ratio = median(replays) as f64 / alone.timing.wall_us.max(1) as f64;
    match ratio > SUFFERS {
        // What it suffered tells how many would have been too many.
        true => ((jobs as f64 / ratio) as usize).min(jobs - 1),
        false => jobs,
    }
}

/// Whether the workload does much less in the same time, by its own metric.
fn is_slower(alone: &Replay, replays: &[Replay]) -> bool {
    let mut metrics: Vec<f64> = replays.iter().filter_map(|replay| replay.metric).collect();
    metrics.sort_by(f64::total_cmp);
    match (alone.metric, metrics.get(metrics.len() / 2)) {
        (Some(alone), Some(beside)) => beside * MUCH_SLOWER < alone,
        _ => false,
    }
}

/// The first replica of the baseline, which an earlier analysis may have run.
pub async fn first(recording: &Recording, cpus: &[usize]) -> Result<Replay, AnalyzeError> {
    let request = Request {
        policy: Policy::baseline(),
        replica: 0,
    };
    let shared = Arc::clone(&recording.0);
    let slot = Slots::new(1, cpus).take().await;
    let recorded = blocking(move || shared.replay(&request, &slot)).await?;
    Ok(recorded.replay)
}

async fn side_by_side(
    recording: &Recording,
    cpus: &[usize],
    jobs: usize,
) -> Result<Vec<Replay>, AnalyzeError> {
    let slots = Slots::new(jobs, cpus);
    let replays = (0..jobs).map(|_| async {
        let slot = slots.take().await;
        let shared = Arc::clone(&recording.0);
        blocking(move || shared.try_out(&Policy::baseline(), Part::Whole, &slot)).await
    });
    try_join_all(replays).await
}

/// Replays that went as they will go from now on are as good as any other of the baseline.
fn keep(recording: &Recording, replays: &[Replay]) -> Result<(), AnalyzeError> {
    for (replica, replay) in (1..).zip(replays) {
        let known = recording.0.find(&Policy::baseline(), replica)?;
        if known.is_none() {
            recording.0.record(replica, replay)?;
            recording.0.learn(replay);
        }
    }
    Ok(())
}

fn median(replays: &[Replay]) -> u64 {
    let mut walls: Vec<u64> = replays.iter().map(|replay| replay.timing.wall_us).collect();
    walls.sort_unstable();
    walls.get(walls.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use loupe_common::replay::{Outcome, OutputTail, Timing, Usage};
    use loupe_common::trace::Trace;

    use super::*;

    fn replay(wall_ms: u64, metric: Option<f64>, passes: bool) -> Replay {
        let failed = Outcome::Invalid { why: String::new() };
        Replay {
            policy: Policy::baseline(),
            outcome: if passes { Outcome::Passed } else { failed },
            application_exit: None,
            test_exit: None,
            application_output: OutputTail::default(),
            test_output: OutputTail::default(),
            trace: Trace::default(),
            injections: BTreeMap::new(),
            target_execs: 1,
            timing: Timing {
                wall_us: wall_ms * 1000,
                ..Timing::default()
            },
            usage: Usage::default(),
            metric,
            listened: Some(true),
        }
    }

    #[test]
    fn there_is_room_for_as_many_as_take_no_longer() {
        let alone = replay(1000, None, true);
        let rooms = |wall_ms, passes| room(&alone, &vec![replay(wall_ms, None, passes); 16]);
        assert_eq!(rooms(1050, true), 16);
        assert_eq!(rooms(2000, true), 8);
        assert_eq!(rooms(1050, false), 0);
    }

    #[test]
    fn there_is_none_where_they_do_much_less() {
        let alone = replay(1000, Some(9000.0), true);
        let rooms = |metric| room(&alone, &vec![replay(1010, metric, true); 16]);
        assert_eq!(rooms(Some(8000.0)), 16);
        assert_eq!(rooms(Some(2000.0)), 0);
        assert_eq!(rooms(None), 16);
    }
}
