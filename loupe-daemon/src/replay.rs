//! Workloads and their replays.
mod workload;
pub use workload::*;
