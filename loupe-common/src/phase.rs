//! Where an analysis spends its time: what each of its phases took, and what its replays were
//! for. The figures are measured; nothing is decided by them.

use serde::{Deserialize, Serialize};

/// One phase of an analysis. Replays of two phases may overlap; each counts where it ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct PhaseCost {
    pub name: String,
    pub wall_seconds: f64,
    /// Replays that ran in it. Those that an earlier analysis had finished are not among them.
    pub replays: u64,
    /// Starts of a server without its test, most of them not kept.
    pub beginnings: u64,
    /// Wall times of these replays and beginnings, added up.
    pub replay_seconds: f64,
    /// CPU time of the applications, their tests and the making of their sandboxes.
    pub cpu_seconds: f64,
    /// What they were for, the costliest first.
    pub purposes: Vec<PurposeCost>,
}

/// Replays and beginnings that were run for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct PurposeCost {
    /// As with each replay, without numbers and names: `confirms …`, `stub group`.
    pub purpose: String,
    pub replays: u64,
    pub beginnings: u64,
    /// Their wall times, added up.
    pub replay_seconds: f64,
}

impl PhaseCost {
    /// Replays and beginnings at a time, on the average. 0 where no time passed.
    pub fn at_a_time(&self) -> f64 {
        part(self.replay_seconds, self.wall_seconds)
    }

    /// The part of the time of so many CPUs that applications and tests used, from 0 to 1.
    pub fn efficiency(&self, cpus: u64) -> f64 {
        part(self.cpu_seconds, self.wall_seconds * cpus as f64).min(1.0)
    }
}

fn part(of: f64, whole: f64) -> f64 {
    if whole > 0.0 { of / whole } else { 0.0 }
}
