//! What all streams have in common: they are on disk, and have no bounds but those that somebody gives
//! them. Knows no stream.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, StorageType};

/// Within this time a message that is sent again is known again. What comes later is taken once more, which
/// has to change nothing.
const KNOWN_AGAIN: Duration = Duration::from_secs(120);

/// A stream of these subjects.
pub fn unbounded(name: &str, subjects: &str) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        storage: StorageType::File,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        num_replicas: 1,
        duplicate_window: KNOWN_AGAIN,
        ..Config::default()
    }
}
