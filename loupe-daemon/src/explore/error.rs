//! Why there is no analysis. Decides nothing.

use loupe_common::replay::{Control, Replay};

use super::ReplayError;

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    #[error("the workload fails as it is, with nothing stubbed or faked (replay {id}): {}", replay.outcome)]
    BaselineFails { id: i64, replay: Box<Replay> },
    #[error(
        "the workload is flaky: {passes} of {runs} replays passed with nothing stubbed or faked; \
         replay {id} {}", replay.outcome
    )]
    BaselineFlaps {
        passes: u32,
        runs: u32,
        /// A failing replay.
        id: i64,
        replay: Box<Replay>,
    },
    #[error("the workload cannot be measured (replay {id}): {why}")]
    BaselineInvalid {
        id: i64,
        why: String,
        replay: Box<Replay>,
    },
    #[error(
        "the test passed, but the target made no syscall (replay {id}, target started {} times)",
        replay.target_execs
    )]
    NothingTraced { id: i64, replay: Box<Replay> },
    #[error(
        "the workload fails {control} (replay {id}: {}), and passes without: what replays say \
         would be the filter's doing, and no syscall's{}", replay.outcome, slower(*slower_ms)
    )]
    FiltersBreak {
        id: i64,
        /// What it fails under.
        control: Control,
        replay: Box<Replay>,
        /// How much longer it took than the baseline, in milliseconds.
        slower_ms: u64,
    },
    #[error("no filter can be put on the target (replay {id}): {why}")]
    FilterRefused {
        id: i64,
        why: String,
        replay: Box<Replay>,
    },
    #[error(
        "the workload passed with nothing stubbed or faked, and {runs} replays in a row do not any \
         more (replay {id}: {}): the host stands still, or is too busy", replay.outcome
    )]
    HostFails {
        id: i64,
        runs: u32,
        replay: Box<Replay>,
    },
    #[error(
        "with {jobs} replays at a time the workload fails even with nothing stubbed or faked \
         (replay {id}), so what failed proves nothing: {}", replay.outcome
    )]
    Crowded {
        jobs: usize,
        id: i64,
        replay: Box<Replay>,
    },
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Told where a filter may have made the workload too slow for its own test.
fn slower(slower_ms: u64) -> String {
    match slower_ms >= MUCH_SLOWER_MS {
        true => format!("; it took {slower_ms} ms longer"),
        false => String::new(),
    }
}

/// A control that takes so much longer than the baseline may have failed for that; a busy host
/// makes short replays slower by less.
const MUCH_SLOWER_MS: u64 = 250;
