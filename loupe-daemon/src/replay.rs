//! Workloads and their replays: one run of a workload under one policy, from start to outcome.
//!
//! Knows no verdicts: whether a failure matters, and what to run next, is `explore`'s business.

mod facts;
mod judge;
mod output;
mod prepared;
mod progress;
mod runner;
mod session;
mod silence;
mod workload;

pub use facts::{BaselineFacts, TimeLimits};
pub use judge::injections;
pub use prepared::{PrepareError, Prepared};
pub use runner::{Cancel, Job, ReplayFailure, Runner, clear, run_name};
pub use workload::*;
