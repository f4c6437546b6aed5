//! The result of running a workload as another OS would treat it, as it is printed by `--json`.

use serde::{Deserialize, Serialize};

use crate::analysis::Suspicion;
use crate::feature::Feature;
use crate::policy::{Action, Policy};

/// The value of `schema` in the JSON of an [`Emulation`].
pub const SCHEMA: &str = "loupe.emulation/1";

/// A feature that the OS leaves out and the application called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Answered {
    pub feature: Feature,
    pub action: Action,
    /// Calls in one replay.
    pub calls: u64,
}

/// Something that the workload does not pass without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Broken {
    /// The first, in the order of first calls, with which the workload fails.
    pub feature: Feature,
    pub action: Action,
    /// What it needs to be fatal: without these it could be left out.
    #[serde(default)]
    pub with: Policy,
    /// Usable replays of exactly these rules.
    pub runs: u32,
    pub passes: u32,
    pub replays: Vec<i64>,
}

/// Whether a workload passes its test on an OS, and why not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Emulation {
    pub schema: String,
    pub application: String,
    pub workload: String,
    /// What was emulated.
    pub os: String,
    /// `None`: replicas disagree, or too many could not be used.
    pub passed: Option<bool>,
    /// Usable replays with everything left out that the OS leaves out.
    pub runs: u32,
    pub passes: u32,
    #[serde(default)]
    pub replay_ids: Vec<i64>,
    /// How one of the failed ones ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What application and test printed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Features that the OS leaves out, called or not.
    pub left_out: u64,
    /// Those that were called, in the order of their first call.
    pub answered: Vec<Answered>,
    /// What broke it first, and, if it was asked for, what breaks it next when that is
    /// implemented, and so on.
    pub broken: Vec<Broken>,
    /// With what is in `broken` implemented it was seen to pass.
    #[serde(default)]
    pub complete: bool,
    /// What is odd about passing replays, each thing once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicious: Vec<Suspicion>,
    /// All replays, the baseline's included.
    pub replays: u64,
    pub wall_seconds: f64,
}
