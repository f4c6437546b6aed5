//! Replays of an analysis on many workers. `explore` asks as ever; its requests go out as jobs over a
//! queue, and what comes back is kept before it counts.
//!
//! The truth is with who asks: the records, which are the analysis's own database. The queue only
//! carries. It may hand a job to several workers, lose a worker with its job, tell a result twice, late or
//! to another process; none of that changes an answer, because a replay is known by what it is
//! of (its `job::Key`) and counts once. Starts no process, opens no socket.

mod clock;
mod coordinator;
mod host_filter;
mod job;
mod local;
mod queue;
mod standstill;
mod worker;
mod workers;

#[cfg(test)]
mod tests;

pub use clock::{Clock, RealClock};
pub use coordinator::{Records, Spread, SpreadError};
pub use host_filter::HostFilter;
#[cfg(test)]
pub use job::Order;
pub use job::{Answer, Done, Job, Key};
pub use local::Local;
pub use queue::{Claim, Claims, Jobs, QueueError, Told, Worker};
pub use worker::{Bench, work};
pub use workers::slots_of_the_widest;
