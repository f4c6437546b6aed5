//! What a trace of one replay says: counts per syscall, order of first use, processes, losses.
//!
//! "Not observed" is absence from the map; a trace with losses says so in [`Lost`] and is not
//! used for a verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::errno::Errno;
use crate::feature::Feature;
use crate::stats::LostCounts;

/// One syscall's counts over all traced processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct CallCounts {
    /// Calls that came back, and calls that never do (`exit_group`).
    pub calls: u64,
    /// Failed calls by errno.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<Errno, u64>,
    /// Present only where enters were traced too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencySummary>,
}

impl CallCounts {
    pub fn error_total(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Time spent in one syscall, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct LatencySummary {
    pub total_ns: u64,
    pub max_ns: u64,
    /// Bucket `i` counts calls of `[2^i, 2^(i+1))` ns; trailing zeros are cut off.
    pub log2_buckets: Vec<u64>,
}

/// A call of another ABI than the native one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ForeignCall {
    /// `i386`, `x32`, or `native` for a number beyond every table.
    pub abi: String,
    pub number: u32,
    pub calls: u64,
}

/// What the tracer could not keep. All zero in a usable trace.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize,
)]
pub struct Lost {
    pub events: u64,
    pub errors: u64,
    pub foreign: u64,
    pub latency: u64,
    #[serde(default)]
    pub operations: u64,
}

impl Lost {
    pub fn total(&self) -> u64 {
        self.events + self.errors + self.foreign + self.latency + self.operations
    }
}

impl From<LostCounts> for Lost {
    fn from(counts: LostCounts) -> Self {
        Lost {
            events: counts.events,
            errors: counts.errors,
            foreign: counts.foreign,
            latency: counts.latency,
            operations: counts.operations,
        }
    }
}

/// The trace of the target and its descendants in one replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Trace {
    pub calls: BTreeMap<Feature, CallCounts>,
    /// The same calls by their operations and flags; of syscalls that have none, nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<Feature, CallCounts>,
    /// Features in the order of their first return.
    pub first_seen: Vec<Feature>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignCall>,
    /// Processes and threads that were forked or cloned by traced ones.
    #[serde(default)]
    pub forks: u64,
    #[serde(default)]
    pub execs: u64,
    #[serde(default)]
    pub exits: u64,
    /// Pseudo-files were looked for: those that are not among the calls were not used. Else
    /// nothing is known of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pseudo_files: bool,
    /// Operations of io_uring were counted; else nothing is known of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub io_uring: bool,
    /// The target was told where its vDSO is: `clock_gettime`, `gettimeofday`, `time` and
    /// `getcpu` may be answered there, and are then no syscalls.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vdso: bool,
    /// The target installed a seccomp filter of its own, which answers calls before ours does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_filter: bool,
    /// Somebody outside the run sent a signal to one of its processes: who, which, to whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<String>,
    /// Tasks of the target that left its cgroup: what they called then was not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub escaped: u64,
    pub lost: Lost,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Trace {
    /// The counts of a syscall, an operation or a flag.
    pub fn counts(&self, feature: &Feature) -> Option<&CallCounts> {
        match feature {
            Feature::Operation(_) => self.operations.get(feature),
            _ => self.calls.get(feature),
        }
    }

    /// All native calls.
    pub fn total_calls(&self) -> u64 {
        let syscalls = self.calls.iter();
        syscalls
            .filter(|(feature, _)| matches!(feature, Feature::Syscall(_)))
            .map(|(_, counts)| counts.calls)
            .sum()
    }
}
