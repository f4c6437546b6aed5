//! What leaving a feature out costs, or saves, where the application works without it: the form
//! in which it is stored, sent and printed. How it is measured is `explore`'s business.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is compared with the baseline.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The workload's own, which its test prints.
    Metric,
    /// CPU time of the target's processes, in milliseconds.
    Cpu,
    /// Peak resident memory, in KiB; see `Usage::peak_memory_kib`.
    Memory,
    /// Open descriptors of a server when its test is over.
    Descriptors,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Quantity::Metric => "metric",
            Quantity::Cpu => "CPU time",
            Quantity::Memory => "memory",
            Quantity::Descriptors => "descriptors",
        })
    }
}

/// One quantity, with and without the feature.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Effect {
    pub quantity: Quantity,
    /// Mean of the baseline, and of how many replays.
    pub baseline: f64,
    pub baseline_runs: u32,
    /// Mean without the feature, and of how many replays.
    pub mean: f64,
    pub runs: u32,
    /// `mean / baseline`; absent where the baseline's mean is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The 95 % confidence interval of the ratio; absent where the replays leave it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The chance of a difference this large if there is none, corrected for the number of
    /// comparisons in the analysis.
    pub p: f64,
    /// `p` is at most the analysis' level.
    pub significant: bool,
}

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// What one way of leaving a feature out costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Impact {
    /// Ids of the passing replays that were compared.
    pub replays: Vec<i64>,
    /// One for each quantity that is known both ways.
    pub effects: Vec<Effect>,
}

/// What all impacts of an analysis have in common.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Comparison {
    /// Replays that were asked for of each way.
    pub runs: u32,
    /// Ids of the baseline's replays that ran among them.
    pub baseline: Vec<i64>,
    /// How many effects were tested.
    pub comparisons: u32,
    /// The chance that any effect is called significant and is none is at most this.
    pub level: f64,
}
