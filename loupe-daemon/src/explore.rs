//! The analysis: which replay to ask for next, and what the answers say.
//!
//! Pure: it starts no process, reads no clock for a decision and touches no file. It knows
//! the application only through a [`Replayer`], so that it is tested with simulated ones.

use std::future::Future;

use loupe_common::policy::Policy;
use loupe_common::replay::Replay;

/// One replay that the analysis asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub policy: Policy,
    /// Counts the replays of the same policy in one analysis, from 0. A replayer that
    /// remembers finished replays answers the same request with the same replay.
    pub replica: u32,
}

/// A finished replay and where it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub id: i64,
    pub replay: Replay,
    /// It was not run now: an earlier analysis had finished it.
    pub reused: bool,
}

/// The replay could not be run at all, which says nothing about the policy.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ReplayError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Runs the workload once under a policy.
pub trait Replayer: Sync {
    fn replay(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Recorded, ReplayError>> + Send;
}
