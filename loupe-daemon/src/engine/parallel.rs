//! How many replays at a time: as many as leave the baseline's own duration as it is, and not too
//! little of its speed.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Either, join_all, select};
use loupe_common::policy::Policy;
use loupe_common::progress::Progress;
use loupe_common::replay::Replay;
use tokio::time::timeout;

use super::recording::{Recording, blocking, patiently};
use super::slots::{Cpus, Slots};
use super::{AnalyzeError, EngineError, ProgressSink};
use crate::explore::{BASELINE, Request};
use crate::replay::{Part, computes};
use crate::run::Cancel;

/// Replays are tried up to this many for each CPU.
const TRIED_PER_CPU: usize = 8;

/// CPUs on which it is seen what a replay takes alone, and two of them beside each other.
const COMPARED: usize = 2;

/// A metric may fall to one part in this many of what it is alone: a test that sets a bound to it
/// would fail for that, and not for what is left out.
const MAX_METRIC_FALL: f64 = 4.0;

/// A replay beside others may take this many times as long as alone.
const MAX_DURATION_RATIO: f64 = 1.15;
/// A host adds up to this to very short replays.
const HOST_JITTER: Duration = Duration::from_millis(5);

/// A replay that is shorter than this, and computes, gains less from more replays than CPUs than
/// the trial costs.
const MIN_WORTH_A_TRIAL: Duration = Duration::from_millis(300);

/// Runs the baseline alone, two at a time on another CPU meanwhile, and then many beside each
/// other, if those two took no longer. No other analysis has replays on these CPUs meanwhile.
pub async fn find(
    recording: &Recording,
    cpus: &Arc<Cpus>,
    most: Option<usize>,
    progress: &ProgressSink,
) -> Result<usize, AnalyzeError> {
    let enough = cpus.numbers().len();
    progress(Progress::phase(BASELINE));
    let kept = cpus.keep(COMPARED).await;
    let (alone, two) = first_and_two(recording, &kept.numbers()).await?;
    drop(kept);
    let (two, broken) = sorted(two);
    let wall = alone.timing.wall_us;
    let busy = is_busy(&alone);
    let short = Duration::from_micros(wall) < MIN_WORTH_A_TRIAL;
    let both_pass = broken.is_none() && two.iter().all(|replay| replay.outcome.passed());
    if !both_pass || !alone.outcome.passed() || (short && busy) {
        record_trials(recording, &two)?;
        return match broken {
            Some(error) if !error.is_cancelled() && !error.may_be_overload() => Err(error),
            _ => Ok(enough),
        };
    }
    keep(recording, &two)?;
    let jobs = (TRIED_PER_CPU * enough).min(most.unwrap_or(usize::MAX));
    if jobs <= enough {
        return Ok(enough);
    }
    if let (true, Some(_)) = (busy, alone.metric) {
        // A test that does as much as it can in a fixed time: its metric falls as they share it.
        let jobs = jobs.min((MAX_METRIC_FALL * enough as f64) as usize);
        notice(jobs, wall, progress);
        return Ok(jobs);
    }
    let kept = cpus.keep(enough).await;
    let (replays, broken) = sorted(side_by_side(recording, &kept.numbers(), jobs).await);
    drop(kept);
    if let Some(error) = broken {
        record_trials(recording, &replays)?;
        return match error.may_be_overload() {
            true => Ok(enough),
            false => Err(error),
        };
    }
    let found = room(&alone, &replays).max(enough);
    match found >= jobs {
        true => keep(recording, &replays)?,
        false => record_trials(recording, &replays)?,
    }
    if found > enough {
        notice(found, wall, progress);
    }
    Ok(found)
}

/// Whether a replay computes for a good part of its time, so that it does less beside others.
pub fn is_busy(replay: &Replay) -> bool {
    let time = Duration::from_micros;
    computes(time(replay.usage.total_cpu_us), time(replay.timing.wall_us))
}

fn notice(jobs: usize, wall_us: u64, progress: &ProgressSink) {
    let text = format!(
        "{jobs} replays at a time: the workload takes {:.2} s alone and no longer beside others",
        wall_us as f64 / 1e6
    );
    progress(Progress::Notice { text });
}

/// What became of one replay.
type Tried = Result<Replay, AnalyzeError>;

/// The replays that came to an end, and why another did not.
fn sorted(tried: Vec<Tried>) -> (Vec<Replay>, Option<AnalyzeError>) {
    let mut replays = Vec::new();
    let mut broken = None;
    for tried in tried {
        match tried {
            Ok(replay) => replays.push(replay),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    (replays, broken)
}

/// The first replica of the baseline; and two on one other CPU, which are ended as soon as they
/// take longer than that. With a single CPU there are none of these.
async fn first_and_two(
    recording: &Recording,
    cpus: &[usize],
) -> Result<(Replay, Vec<Tried>), AnalyzeError> {
    let (Some((own, other)), false) = (cpus.split_last(), cpus.len() < 2) else {
        return Ok((first(recording, &Slots::new(1, cpus)).await?, Vec::new()));
    };
    let begin = Instant::now();
    let cancel = Cancel::new().map_err(EngineError::from)?;
    let slots = Slots::new(2, &other[..1]);
    let two = join_all((1..=2).map(|replica| {
        let (shared, cancel) = (Arc::clone(&recording.0), cancel.clone());
        let request = Request::new(Policy::baseline(), replica);
        let slots = &slots;
        async move {
            let slot = slots.take().await;
            blocking(move || shared.run_until(&cancel, &request, Part::Whole, &slot)).await
        }
    }));
    let own = Slots::new(1, &[*own]);
    let alone = pin!(first(recording, &own));
    match select(pin!(two), alone).await {
        Either::Left((two, alone)) => Ok((alone.await?, two)),
        Either::Right((alone, mut two)) => {
            let left = alone.as_ref().map_or(Duration::ZERO, |alone| {
                let most = Duration::from_micros(alone.timing.wall_us).mul_f64(MAX_DURATION_RATIO);
                // Those two wait as long to be sure that nothing happens any more.
                let calm = Duration::from_micros(alone.timing.calm_us);
                (most + calm + HOST_JITTER).saturating_sub(begin.elapsed())
            });
            let two = match timeout(left, &mut two).await {
                Ok(two) => two,
                Err(_) => {
                    cancel.cancel();
                    two.await
                }
            };
            Ok((alone?, two))
        }
    }
}

/// Says how many replays have room at a time, by how long these took beside each other. It is 0 if
/// one of them did not pass: then they were too many to tell.
fn room(alone: &Replay, replays: &[Replay]) -> usize {
    if replays.iter().any(|replay| !replay.outcome.passed()) {
        return 0;
    }
    let jobs = replays.len();
    let ratio = median(replays) as f64 / alone.timing.wall_us.max(1) as f64;
    let room = match ratio > MAX_DURATION_RATIO {
        // What it suffered tells how many would have been too many.
        true => ((jobs as f64 / ratio) as usize).min(jobs - 1),
        false => jobs,
    };
    match slower(alone, replays) {
        Some(slower) if slower > MAX_METRIC_FALL => {
            room.min((jobs as f64 * MAX_METRIC_FALL / slower) as usize)
        }
        _ => room,
    }
}

/// Says by its own metric how many times as much the workload does alone, in the same time.
fn slower(alone: &Replay, replays: &[Replay]) -> Option<f64> {
    let mut metrics: Vec<f64> = replays.iter().filter_map(|replay| replay.metric).collect();
    metrics.sort_by(f64::total_cmp);
    let beside = metrics.get(metrics.len() / 2)?;
    (*beside > 0.0).then_some(alone.metric? / beside)
}

/// The first replica of the baseline, which an earlier analysis may have run.
pub async fn first(recording: &Recording, slots: &Arc<Slots>) -> Result<Replay, AnalyzeError> {
    let request = Request::new(Policy::baseline(), 0).because("baseline");
    let shared = Arc::clone(&recording.0);
    let slot = slots.take().await;
    let recorded = blocking(move || patiently(|| shared.replay(&request, &slot))).await?;
    Ok(recorded.replay)
}

async fn side_by_side(recording: &Recording, cpus: &[usize], jobs: usize) -> Vec<Tried> {
    let slots = Slots::new(jobs, cpus);
    let replays = (0..jobs).map(|_| async {
        let slot = slots.take().await;
        let shared = Arc::clone(&recording.0);
        blocking(move || shared.try_out(&Policy::baseline(), Part::Whole, &slot)).await
    });
    join_all(replays).await
}

/// Keeps replays as replicas of the baseline: as many will run at a time from now on, so they are as
/// good as any other.
fn keep(recording: &Recording, replays: &[Replay]) -> Result<(), AnalyzeError> {
    for (replica, replay) in (1..).zip(replays) {
        let known = recording.0.find(&Policy::baseline(), replica)?;
        match known {
            None => {
                let request = Request::new(Policy::baseline(), replica);
                let request = request.because("baseline, beside others");
                recording.0.record(&request, replay)?;
                recording.0.learn(replay);
            }
            // An earlier attempt at this analysis got so far.
            Some(_) => record_trials(recording, std::slice::from_ref(replay))?,
        }
    }
    Ok(())
}

/// Records replays that only show how many have room at a time: they are no replicas of the
/// baseline.
fn record_trials(recording: &Recording, replays: &[Replay]) -> Result<(), AnalyzeError> {
    for replay in replays {
        recording
            .0
            .record_trial(replay, "trial: is there room for more at a time")?;
    }
    Ok(())
}

fn median(replays: &[Replay]) -> u64 {
    let mut walls: Vec<u64> = replays.iter().map(|replay| replay.timing.wall_us).collect();
    walls.sort_unstable();
    walls.get(walls.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use loupe_common::replay::{Conditions, Failure, Outcome, OutputTail, Timing, Usage};
    use loupe_common::trace::Trace;

    use super::*;

    pub fn replay(wall_ms: u64, metric: Option<f64>, passes: bool) -> Replay {
        let failed = Outcome::Failed(Failure::Hung { after_ms: 0 });
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
            listens: 1,
            left: Vec::new(),
            conditions: Conditions::default(),
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
    fn there_is_room_for_fewer_where_they_do_much_less() {
        let alone = replay(1000, Some(9600.0), true);
        let rooms = |metric| room(&alone, &vec![replay(1010, metric, true); 16]);
        assert_eq!(rooms(Some(8000.0)), 16);
        assert_eq!(rooms(Some(1200.0)), 8);
        assert_eq!(rooms(Some(0.0)), 16);
        assert_eq!(rooms(None), 16);
    }
}
