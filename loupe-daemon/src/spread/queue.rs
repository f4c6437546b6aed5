//! What is expected of a queue, from both of its sides. It delivers at least once, in any order; what it
//! has taken is not lost when a process ends, however it ends.

use std::error::Error;

use loupe_common::host_class::HostClass;
use serde::{Deserialize, Serialize};

use super::job::{Done, Job};

/// The queue does not work any more. One that is only away for a while waits.
#[derive(Debug, thiserror::Error)]
#[error("the queue of replays does not work: {0}")]
pub struct QueueError(pub Box<dyn Error + Send + Sync>);

/// A worker that was heard of lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub name: String,
    /// Its host, with any build.
    pub class: HostClass,
    /// Replays that it runs at a time.
    pub slots: usize,
}

/// The side of one analysis.
pub trait Jobs: Send + Sync {
    type Told: Told;

    /// Takes a job, unless it has taken one with the same message id.
    fn publish(&self, job: &Job) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Waits for the next result. Dropping the future loses none.
    fn told(&self) -> impl Future<Output = Result<Self::Told, QueueError>> + Send;

    /// Those that take jobs now.
    fn workers(&self) -> impl Future<Output = Result<Vec<Worker>, QueueError>> + Send;

    /// Why it is away, where it is.
    fn trouble(&self) -> Option<String>;
}

/// A result, which is told again (to this process or the next) until it is acknowledged.
pub trait Told: Send {
    fn done(&self) -> &Done;

    fn acknowledge(self) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The side of a worker.
pub trait Claims: Send + Sync {
    type Claim: Claim;

    /// Waits for a job of this worker's class. Dropping the future loses none.
    fn claim(
        &self,
        worker: &Worker,
    ) -> impl Future<Output = Result<Self::Claim, QueueError>> + Send;

    /// Tells what came of a job.
    fn tell(&self, done: &Done) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A job that is this worker's for a while. When it is neither extended nor ended in time, or simply
/// forgotten, another gets it.
pub trait Claim: Send {
    fn job(&self) -> &Job;

    fn extend(&self) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// It is done; its result was told before.
    fn acknowledge(self) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Another is to have it, at once.
    fn give_back(self) -> impl Future<Output = Result<(), QueueError>> + Send;
}
