//! The hub: takes what hosts tell from the server, merges it into the fleet's database, and acknowledges
//! what is committed. What cannot be merged is refused and noted; it keeps nothing else waiting.

mod intake;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use async_nats::{Client, HeaderMap};
use futures::StreamExt as _;
use loupe_common::profile::{FleetRole, FleetStatus};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ExchangeError;
use super::stream::{self, Intake};
use crate::fleet::{Fleet, Heard};
use crate::lock;
use crate::nats::{Credentials, Link, Part, connect, is_connected, wait_for_connection};
use crate::now_ms;
use intake::{Incoming, Taken, take_in};

/// Messages and bytes of a batch. A transaction costs as much as some messages, and a batch is in memory.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 8 << 20;
/// A batch that does not fill ends after this time.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// Between two looks at whether the server keeps what it does not give out, where nothing comes.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
/// Before another attempt, with the server or the database.
const PAUSE: Duration = Duration::from_secs(2);

/// See the module.
pub struct Hub {
    fleet: Arc<Mutex<Fleet>>,
    client: Client,
    link: watch::Receiver<Link>,
    status: watch::Sender<FleetStatus>,
    /// Held as long as this hub writes into the database.
    _alone: File,
}

impl Hub {
    /// Opens the database and begins to connect; does not wait for the server.
    pub async fn start(
        url: &str,
        credentials: &Path,
        database: &Path,
    ) -> Result<Hub, ExchangeError> {
        let credentials = Credentials::read(credentials, Part::Hub)?;
        let fleet = Fleet::open(database)?;
        let alone = alone(database)?;
        let (client, link) = connect(url, &credentials).await?;
        let (status, _) = watch::channel(FleetStatus {
            role: FleetRole::Hub,
            url: url.to_owned(),
            connected: false,
            last_ms: None,
            backlog: 0,
            refused: 0,
            trouble: None,
        });
        Ok(Hub {
            fleet: Arc::new(Mutex::new(fleet)),
            client,
            link,
            status,
            _alone: alone,
        })
    }

    pub fn status(&self) -> watch::Receiver<FleetStatus> {
        self.status.subscribe()
    }

    /// Goes on until it is stopped. What it has not acknowledged by then comes again.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.go_on() => {}
        }
        // Acknowledgements may still be on their way.
        drop(timeout(PAUSE, self.client.flush()).await);
    }

    async fn go_on(&self) {
        let context = async_nats::jetstream::new(self.client.clone());
        loop {
            self.wait_for_connection().await;
            match Intake::open(&context).await {
                Ok(intake) => {
                    self.status.send_modify(|status| status.trouble = None);
                    let error = self.consume(intake).await;
                    self.trouble(format!("taking from the stream: {error}"));
                }
                Err(error) => self.trouble(format!("the stream of facts: {error}")),
            }
            sleep(PAUSE).await;
        }
    }

    async fn wait_for_connection(&self) {
        self.look_at_link();
        wait_for_connection(&self.client, &self.link, PAUSE, || self.look_at_link()).await;
    }

    /// Batch by batch, until the server does not go on.
    async fn consume(&self, mut intake: Intake) -> async_nats::Error {
        let mut looked = Instant::now();
        loop {
            self.look_at_link();
            let mut batch = match intake
                .consumer
                .batch()
                .max_messages(BATCH)
                .max_bytes(BATCH_BYTES)
                .expires(BATCH_WAIT)
                .messages()
                .await
            {
                Ok(batch) => batch,
                Err(error) => return error.into(),
            };
            let mut messages = Vec::new();
            let mut ended = None;
            while let Some(message) = batch.next().await {
                match message {
                    Ok(message) => messages.push(message),
                    Err(error) => ended = Some(error),
                }
            }
            // A batch that reached its bytes ends with an error as well.
            if let Some(error) = ended.filter(|_| messages.is_empty()) {
                return error;
            }
            if !is_connected(&self.client) {
                return "the connection is lost".into();
            }
            if !messages.is_empty() {
                self.merge(messages).await;
            } else if looked.elapsed() > BETWEEN_LOOKS {
                if let Err(error) = intake.recover().await {
                    return error;
                }
                looked = Instant::now();
            }
        }
    }

    /// Merges until it works: a disk that is full is not full for ever. Meanwhile the server is told
    /// that somebody is at it.
    async fn merge(&self, messages: Vec<Message>) {
        let backlog = messages
            .last()
            .and_then(|last| Some(last.info().ok()?.pending));
        let incoming: Arc<Vec<Incoming>> = Arc::new(messages.iter().map(incoming).collect());
        let taken = loop {
            let (fleet, incoming) = (Arc::clone(&self.fleet), Arc::clone(&incoming));
            let mut merging =
                tokio::task::spawn_blocking(move || take_in(&mut lock(&fleet), &incoming));
            let merged = loop {
                match timeout(stream::ACK_WAIT / 3, &mut merging).await {
                    Ok(merged) => break merged,
                    Err(_) => acknowledge(&messages, |_| AckKind::Progress).await,
                }
            };
            match merged {
                Ok(Ok(taken)) => break taken,
                Ok(Err(error)) => self.trouble(error.to_string()),
                Err(error) => self.trouble(error.to_string()),
            }
            acknowledge(&messages, |_| AckKind::Progress).await;
            sleep(PAUSE).await;
        };
        let mut refused = 0;
        for (message, taken) in messages.iter().zip(&taken) {
            if let Taken::Refused(why) = taken {
                refused += 1;
                tracing::warn!(subject = %message.subject, "a message is refused: {why}");
            }
        }
        acknowledge(&messages, |at| match taken.get(at) {
            Some(Taken::Merged) => AckKind::Ack,
            _ => AckKind::Term,
        })
        .await;
        self.status.send_modify(|status| {
            status.last_ms = Some(now_ms());
            status.backlog = backlog.unwrap_or_default();
            status.refused += refused;
            status.trouble = None;
        });
    }

    fn look_at_link(&self) {
        let link = self.link.borrow().clone();
        let is_up = is_connected(&self.client);
        self.status.send_if_modified(|status| {
            let was = status.connected;
            status.connected = is_up;
            if !is_up {
                status.trouble = link.trouble.or_else(|| status.trouble.take());
            }
            was != is_up
        });
    }

    fn trouble(&self, trouble: String) {
        let is_new = self.status.borrow().trouble.as_ref() != Some(&trouble);
        if is_new {
            tracing::warn!("the hub waits: {trouble}");
        }
        self.status
            .send_modify(|status| status.trouble = Some(trouble));
    }
}

/// What is not acknowledged comes again.
async fn acknowledge(messages: &[Message], kind: impl Fn(usize) -> AckKind) {
    for (at, message) in messages.iter().enumerate() {
        if let Err(error) = message.ack_with(kind(at)).await {
            tracing::debug!(%error, "a message was not acknowledged");
        }
    }
}

fn incoming(message: &Message) -> Incoming {
    let number = |headers: &HeaderMap, name: &str| {
        headers
            .get(name)
            .and_then(|value| value.as_str().parse().ok())
    };
    let headers = message.headers.as_ref();
    let sent_ms: Option<u64> = headers.and_then(|headers| number(headers, stream::SENT_MS));
    let backlog: Option<u64> = headers.and_then(|headers| number(headers, stream::BACKLOG));
    let came_ms = message.info().map_or_else(
        |_| now_ms(),
        |info| (info.published.unix_timestamp_nanos() / 1_000_000).unsigned_abs() as u64,
    );
    let whole = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Incoming {
        subject: message.subject.to_string(),
        payload: message.payload.to_vec(),
        heard: Heard {
            at_ms: came_ms,
            offset_ms: sent_ms.map_or(0, |sent| whole(sent).saturating_sub(whole(came_ms))),
            backlog: backlog.unwrap_or_default(),
        },
    }
}

/// Two hubs would each take what the other lacks; on one database they would only disturb each other.
fn alone(database: &Path) -> Result<File, ExchangeError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".hub");
    let path = PathBuf::from(path);
    let failed = |source| ExchangeError::Write {
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ExchangeError::Doubled {
            path: database.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
