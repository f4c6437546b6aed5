//! The stream of facts: its subjects and its bounds. One hub takes from it, and what it has taken is
//! gone from it.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Stream};

use crate::nats::unbounded;

/// The facts of all hosts.
pub const ALL_FACTS: &str = "loupe.facts.*";
const FACTS: &str = "loupe.facts.";
const STREAM: &str = "LOUPE_FACTS";
const CONSUMER: &str = "hub";

/// What the hub says nothing of for so long is given out again: to its next process, where it died.
pub const ACK_WAIT: Duration = Duration::from_secs(15);
/// Messages that the hub has and has not acknowledged.
const MOST_PENDING: i64 = 4096;

/// Of a message: the host's clock when it was sent, and how many messages waited at the host.
pub const SENT_MS: &str = "Loupe-Sent-Ms";
pub const BACKLOG: &str = "Loupe-Backlog";

/// The subject that a host publishes to.
pub fn facts_of(id: &str) -> String {
    format!("{FACTS}{id}")
}

/// Whose facts are published to this subject.
pub fn host_of(subject: &str) -> Option<&str> {
    subject.strip_prefix(FACTS)
}

fn config() -> Config {
    Config {
        retention: RetentionPolicy::WorkQueue,
        // What was accepted is never dropped for what comes later. The bound is that of the server's
        // store: one of the stream's own in bytes does drop the oldest, whatever its policy says (seen
        // with 2.9.10: it is compared without what a message takes beside its content).
        discard: DiscardPolicy::New,
        ..unbounded(STREAM, ALL_FACTS)
    }
}

/// The hub's end of the stream.
pub struct Intake {
    stream: Stream,
    pub consumer: PullConsumer,
}

impl Intake {
    /// Makes the stream where it is not there.
    pub async fn open(context: &Context) -> Result<Intake, async_nats::Error> {
        let stream = context.get_or_create_stream(config()).await?;
        let consumer = consumer_of(&stream).await?;
        Ok(Intake { stream, consumer })
    }

    /// For a hub to which nothing comes. A server that was killed may count messages as taken that are
    /// still in the stream, merged or not (seen with 2.9.10): it would keep them for ever and give them
    /// to nobody. They are given out once more.
    pub async fn recover(&mut self) -> Result<(), async_nats::Error> {
        // In this order: what comes in between is pending.
        let kept = self.stream.info().await?.state.messages;
        let counted = self.consumer.info().await?;
        if kept == 0 || counted.num_pending > 0 || counted.num_ack_pending > 0 {
            return Ok(());
        }
        tracing::info!(kept, "the server keeps what it counts as taken: once more");
        self.stream.delete_consumer(CONSUMER).await?;
        self.consumer = consumer_of(&self.stream).await?;
        Ok(())
    }
}

async fn consumer_of(stream: &Stream) -> Result<PullConsumer, async_nats::Error> {
    let consumer = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MOST_PENDING,
        ..pull::Config::default()
    };
    Ok(stream.get_or_create_consumer(CONSUMER, consumer).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_host() {
        assert_eq!(host_of(&facts_of("0a")), Some("0a"));
        assert_eq!(host_of("loupe.jobs.0a"), None);
    }
}
