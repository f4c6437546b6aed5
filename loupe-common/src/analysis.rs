//! The result of an analysis, as it is stored, sent and printed by `--json`.

use serde::{Deserialize, Serialize};

use crate::feature::Feature;
use crate::verdict::Verdict;

/// The value of `schema` in the JSON of an [`Analysis`].
pub const SCHEMA: &str = "loupe.analysis/1";

/// What one way of leaving a feature out (stubbed alone, or faked alone) showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Replays that could be used.
    pub runs: u32,
    pub passes: u32,
    /// Times that the injection answered a call, over all runs.
    pub injections: u64,
    /// `None`: not decided (never fired, or replicas disagree).
    pub works: Option<bool>,
    /// Ids of the replays in the database, in the order of their end.
    #[serde(default)]
    pub replays: Vec<i64>,
}

/// What a verdict rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Replays of this feature alone.
    #[default]
    Measured,
}

/// One row of the verdict table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureVerdict {
    pub feature: Feature,
    pub kind: String,
    pub verdict: Verdict,
    /// Calls in the first baseline replay.
    pub calls: u64,
    pub stub: Trial,
    pub fake: Trial,
    pub basis: Basis,
}

/// A finished analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    pub schema: String,
    pub application: String,
    pub workload: String,
    /// Replays that the result rests on, the baseline's included.
    pub replays: u64,
    /// Of these, replays that an earlier, interrupted analysis had finished.
    #[serde(default)]
    pub replays_reused: u64,
    pub wall_seconds: f64,
    /// Median wall time of a baseline replay, in milliseconds.
    pub baseline_ms: f64,
    pub baseline_runs: u32,
    /// Sorted by verdict, then by name.
    pub features: Vec<FeatureVerdict>,
    /// Calls of other ABIs that were seen and cannot be injected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<crate::trace::ForeignCall>,
    /// What a reader of the table must know (io_uring bypasses injection, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub lost_events: u64,
}
