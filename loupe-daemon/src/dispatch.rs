//! Spread replays between hosts: jobs, their results and the files of workloads as messages of a NATS
//! server, with the signatures by which workers know whose jobs they are. The queue's promises are
//! `spread`'s, the connection is `nats`'s; judges nothing, runs nothing.
//!
//! The server only carries. Who coordinates keeps what counts in its own database and publishes again what
//! has no result.

mod claims;
mod coordinator;
mod envelope;
mod error;
mod jobs;
mod ship;
mod streams;
pub mod subjects;
mod unpack;

pub use claims::{ACK_WAIT, WorkerLink};
pub use coordinator::Coordinator;
pub use error::DispatchError;
pub use ship::Shipment;
pub use unpack::Unpacked;
