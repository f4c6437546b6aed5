//! The streams: their bounds, and who takes from them how. Whoever coordinates makes them.

use std::time::Duration;

use async_nats::Error;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Stream};

use super::subjects::{self, ALL_FILES, ALL_JOBS, ALL_RESULTS, FILES, JOBS, RESULTS};
use crate::nats::unbounded;

/// A job of which nothing is heard for so long is another worker's; a result, told again.
pub const ACK_WAIT: Duration = Duration::from_secs(10);
/// Nobody waits any more for what is older: who asked has ended without a word.
const JOBS_LAST: Duration = Duration::from_secs(24 * 60 * 60);
/// A study that was interrupted finds its results for so long.
const RESULTS_LAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Files are published anew by each analysis.
const FILES_LAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes of all workloads' files; the oldest make room.
const FILES_BYTES: i64 = 1 << 30;
/// Jobs that workers have at a time.
const MOST_CLAIMED: i64 = 65_536;

/// Makes what is not there.
pub async fn open(context: &Context) -> Result<(), Error> {
    let queue = |name, subjects, max_age| Config {
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_age,
        ..unbounded(name, subjects)
    };
    let files = Config {
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_age: FILES_LAST,
        max_bytes: FILES_BYTES,
        max_messages_per_subject: 1,
        // Workers have no consumers: they ask for each by its name.
        allow_direct: true,
        ..unbounded(FILES, ALL_FILES)
    };
    for config in [
        queue(JOBS, ALL_JOBS, JOBS_LAST),
        queue(RESULTS, ALL_RESULTS, RESULTS_LAST),
        files,
    ] {
        context.get_or_create_stream(config).await?;
    }
    Ok(())
}

fn taking(name: &str, filter: String) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: filter,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MOST_CLAIMED,
        ..pull::Config::default()
    }
}

/// Has workers of a class find their jobs.
pub async fn serve_class(context: &Context, class: &str) -> Result<(), Error> {
    let stream = context.get_stream(JOBS).await?;
    let consumer = taking(class, subjects::jobs_of_class(class));
    stream.get_or_create_consumer(class, consumer).await?;
    Ok(())
}

/// The end of the stream of results where those of one analysis come out; made `anew`, all that are kept.
pub async fn results(context: &Context, wanted: &str, anew: bool) -> Result<PullConsumer, Error> {
    let stream = context.get_stream(RESULTS).await?;
    if anew && let Err(error) = stream.delete_consumer(wanted).await {
        // The server may have lost it.
        tracing::debug!("results come out where they did: {error}");
    }
    let consumer = taking(wanted, subjects::results_of("*", wanted));
    Ok(stream.get_or_create_consumer(wanted, consumer).await?)
}

/// Takes back the jobs of a process, of which nobody waits for a result any more.
pub async fn forget_jobs(context: &Context, asker: &str) -> Result<(), Error> {
    let stream: Stream = context.get_stream(JOBS).await?;
    stream.purge().filter(subjects::jobs("*", asker)).await?;
    Ok(())
}

/// Nobody takes the results of this analysis for now; where `all`, there are none to keep either.
pub async fn leave_results(context: &Context, wanted: &str, all: bool) -> Result<(), Error> {
    let stream: Stream = context.get_stream(RESULTS).await?;
    stream.delete_consumer(wanted).await?;
    if all {
        let filter = subjects::results_of("*", wanted);
        stream.purge().filter(filter).await?;
    }
    Ok(())
}
