//! A worker: claims jobs, has them run, tells what came of them. Judges nothing.

use std::time::Duration;

use loupe_common::host_class::HostClass;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::job::{Answer, Done, Job};
use super::queue::{Claim as _, Claims, QueueError, Worker};

/// What runs replays.
pub trait Bench: Send + Sync {
    /// Runs a job; where, exactly, it ran, and what came of it. `None`: `stop` has fired, and nothing of
    /// it is left.
    fn run(
        &self,
        job: &Job,
        stop: &CancellationToken,
    ) -> impl Future<Output = Option<(HostClass, Answer)>> + Send;
}

/// One of a worker's slots: takes one job after the other until `stop` fires. What is running then is
/// ended and given back. `ack_wait` is how long a claim lasts without a word.
pub async fn work<Q: Claims, B: Bench, C: Clock>(
    queue: &Q,
    bench: &B,
    worker: &Worker,
    (clock, ack_wait): (&C, Duration),
    stop: &CancellationToken,
) -> Result<(), QueueError> {
    loop {
        let claim = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            claim = queue.claim(worker) => claim?,
        };
        let ran = {
            let running = bench.run(claim.job(), stop);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    biased;
                    ran = &mut running => break ran,
                    // Twice in the time that a claim lasts, and a bit.
                    () = clock.sleep(ack_wait * 2 / 5) => claim.extend().await?,
                }
            }
        };
        let Some((class, answer)) = ran else {
            return claim.give_back().await;
        };
        let done = Done {
            key: claim.job().key.clone(),
            subject: claim.job().subject.clone(),
            asker: claim.job().asker.clone(),
            order: claim.job().order.clone(),
            worker: worker.name.clone(),
            class,
            answer,
        };
        // The result first: who dies between the two has it run once more, and no result is lost.
        queue.tell(&done).await?;
        claim.acknowledge().await?;
    }
}
