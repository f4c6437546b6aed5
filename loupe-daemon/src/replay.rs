//! Workloads and their replays: one run of a workload under one policy, from start to outcome.
//!
//! Knows no verdicts: whether a failure matters, and what to run next, is `explore`'s business.

mod calm;
pub mod cut;
pub mod elsewhere;
mod facts;
mod guard;
mod heartbeat;
mod holdings;
mod judge;
mod metric;
mod never_started;
mod output;
mod prepared;
mod progress;
mod ready;
mod runner;
mod session;
mod shown;
mod sockets;
mod user;
mod watch;
mod workload;

pub use facts::BaselineFacts;
pub use heartbeat::Heartbeat;
pub use prepared::{PrepareError, Prepared, find_program, later};
pub use runner::{Job, Pace, Part, ReplayFailure, Runner, Sabotage};
pub use user::identity as user_identity;
pub use watch::usual::computes;
pub use workload::*;
