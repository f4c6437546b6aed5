//! How many replays at a time: as many as leave the baseline's own duration as it is.

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

/// So many times the replays that run at a time have been tried.
const MARGIN: usize = 2;

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
    let jobs = (MOST * enough).min(most.unwrap_or(usize::MAX));
    if jobs <= enough {
        return Ok(enough);
    }
    let replays = side_by_side(recording, cpus, jobs).await?;
    let ratio = median(&replays) as f64 / wall.max(1) as f64;
    let found = if replays.iter().any(|replay| !replay.outcome.passed()) {
        enough
    } else if ratio > SUFFERS {
        // What it suffered tells how many would have been too many.
        enough.max(((jobs as f64 / ratio) as usize).min(jobs - 1))
    } else {
        keep(recording, &replays)?;
        jobs
    };
    // What leaves the workload as it is beside twice as many has room for what else the host does.
    let found = enough.max(found / MARGIN);
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
