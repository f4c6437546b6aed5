//! Who has replays run: one connection for all analyses of a study, the workers that are heard on it, and
//! publishing until the server says that it keeps what was published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use futures::StreamExt as _;
use nkeys::KeyPair;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::claims::HEARTBEAT;
use super::jobs::NatsJobs;
use super::{DispatchError, Shipment, envelope, streams, subjects};
use crate::lock;
use crate::nats::{Credentials, Link, Part, connect, is_connected, wait_for_connection};
use crate::spread::{Job, QueueError, Worker};

/// A worker of which nothing was heard for so long is away.
const SILENT: Duration = HEARTBEAT.saturating_mul(5);
/// Every worker that there is was heard by then.
const HEARING: Duration = HEARTBEAT.saturating_add(Duration::from_millis(500));
/// At its beginning a study waits so long for the server.
const PATIENCE: Duration = Duration::from_secs(15);
/// Before another attempt.
const PAUSE: Duration = Duration::from_millis(500);
/// What a server that is there does not take for so often is refused.
const ATTEMPTS: u32 = 10;
/// Bytes of a message that the server takes, less its headers.
pub const MOST_PAYLOAD: usize = (1 << 20) - (4 << 10);

/// By what each worker is known on its connection, and when it was heard last.
type Heard = Arc<Mutex<BTreeMap<String, (Worker, Instant)>>>;

/// See the module.
pub struct Coordinator {
    client: Client,
    pub(super) context: Context,
    link: watch::Receiver<Link>,
    signing: KeyPair,
    /// Stands for the database that results are for.
    home: String,
    heard: Heard,
    /// Classes whose workers find their jobs.
    served: Mutex<BTreeSet<String>>,
    listening: JoinHandle<()>,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Coordinator {
    /// Connects, and makes the streams if need be. `database` is where results are kept.
    pub async fn connect(
        url: &str,
        credentials: &Path,
        database: &Path,
    ) -> Result<Coordinator, DispatchError> {
        let credentials = Credentials::read(credentials, Part::Coordinator)?;
        let Some(signing) = &credentials.signing else {
            return Err(DispatchError::NoSignature {
                path: credentials.path,
            });
        };
        let signing = signing.pair()?;
        let (client, link) = connect(url, &credentials).await?;
        let heard = Heard::default();
        let listening = tokio::spawn(listen(client.clone(), Arc::clone(&heard)));
        let host = nix::unistd::gethostname().unwrap_or_default();
        let path = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
        let home = subjects::token(&format!("{} {}", host.display(), path.display()));
        let coordinator = Coordinator {
            context: async_nats::jetstream::new(client.clone()),
            client,
            link,
            signing,
            home,
            heard,
            served: Mutex::default(),
            listening,
        };
        match timeout(PATIENCE, coordinator.open()).await {
            Ok(()) => Ok(coordinator),
            Err(_) => {
                let what = coordinator.link.borrow().trouble.clone();
                Err(DispatchError::Unreachable {
                    url: url.to_owned(),
                    what,
                })
            }
        }
    }

    /// Waits until the server is there and has the streams.
    pub(super) async fn open(&self) {
        loop {
            self.wait_for_connection().await;
            match streams::open(&self.context).await {
                Ok(()) => return,
                Err(error) => tracing::warn!("the streams of replays: {error}"),
            }
            sleep(PAUSE).await;
        }
    }

    pub(super) async fn wait_for_connection(&self) {
        wait_for_connection(&self.client, &self.link, PAUSE, || {}).await;
    }

    /// Tells when the connection was lost since it was looked at, also for a moment only.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        let mut link = self.link.clone();
        link.mark_unchanged();
        link
    }

    pub(super) fn is_connected(&self) -> bool {
        is_connected(&self.client)
    }

    /// Why the server is away, where it is.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = || self.link.borrow().trouble.clone();
        let unknown = || "no connection".to_owned();
        (!self.is_connected()).then(|| trouble().unwrap_or_else(unknown))
    }

    /// Listens for workers a while: all that there are.
    pub async fn hear(&self) -> Vec<Worker> {
        sleep(HEARING).await;
        self.workers()
    }

    /// Those that were heard lately.
    pub fn workers(&self) -> Vec<Worker> {
        let mut heard = lock(&self.heard);
        heard.retain(|_, (_, at)| at.elapsed() < SILENT);
        heard.values().map(|(worker, _)| worker.clone()).collect()
    }

    /// The queue of one analysis of this process, for the workload that `shipment` is.
    pub fn jobs(self: &Arc<Self>, shipment: Arc<Shipment>) -> NatsJobs {
        let process = format!("{:x}", fastrand::u64(..));
        let asker = subjects::asker(&self.home, &process);
        NatsJobs::start(Arc::clone(self), shipment, asker)
    }

    /// Nobody waits for what this process has asked for; where the analysis `is_done`, no other will.
    pub async fn forget(&self, subject: &str, asker: &str, is_done: bool) {
        let wanted = subjects::wanted(subject, asker);
        let forgotten = async {
            streams::forget_jobs(&self.context, asker).await?;
            streams::leave_results(&self.context, &wanted, is_done).await?;
            self.client.flush().await?;
            Ok::<(), async_nats::Error>(())
        };
        match timeout(PATIENCE / 3, forgotten).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("jobs are left in the queue: {error}"),
            Err(_) => tracing::warn!("jobs are left in the queue: the server is away"),
        }
    }

    /// Publishes until the server keeps it. What it knows as published before so many `losses` of the
    /// connection it takes once more.
    pub(super) async fn publish(&self, job: &Job, losses: u32) -> Result<(), QueueError> {
        let class = subjects::of_class(&job.class);
        let subject = subjects::jobs(&class, &job.asker);
        let (payload, headers) =
            envelope::seal(job, &self.signing).map_err(|error| QueueError(Box::new(error)))?;
        if payload.len() > MOST_PAYLOAD {
            let what = format!("a job of {} bytes is too large", payload.len());
            return Err(QueueError(what.into()));
        }
        let id = format!("{}.{losses}", job.message_id());
        loop {
            self.wait_for_connection().await;
            let message = PublishMessage::build()
                .payload(payload.clone().into())
                .headers(headers.clone())
                .message_id(&id);
            match self.try_publish(&class, &subject, message).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::debug!("a job was not taken: {error}"),
            }
            sleep(PAUSE).await;
            // Whatever the server has lost is made again.
            lock(&self.served).clear();
            self.open().await;
        }
    }

    async fn try_publish(
        &self,
        class: &str,
        subject: &str,
        message: PublishMessage,
    ) -> Result<(), async_nats::Error> {
        if !lock(&self.served).contains(class) {
            streams::serve_class(&self.context, class).await?;
            lock(&self.served).insert(class.to_owned());
        }
        self.send(subject.to_owned(), message).await
    }

    /// Until the server says that it keeps it.
    async fn send(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<(), async_nats::Error> {
        self.context.send_publish(subject, message).await?.await?;
        Ok(())
    }

    /// Has the server keep a part of a workload's files. What it does not take because it is away is sent
    /// again.
    pub(super) async fn put(&self, digest: &str, content: Vec<u8>) -> Result<(), DispatchError> {
        let mut refused = 0;
        loop {
            self.wait_for_connection().await;
            let message = PublishMessage::build().payload(content.clone().into());
            let sent = self.send(subjects::file(digest), message).await;
            let Err(error) = sent else { return Ok(()) };
            tracing::debug!("a part of a workload's files was not taken: {error}");
            refused += u32::from(self.is_connected());
            if refused == ATTEMPTS {
                return Err(DispatchError::Refused(error.to_string()));
            }
            sleep(PAUSE).await;
            // Whatever the server has lost is made again.
            self.open().await;
        }
    }

    /// Another connection was lost and is back: what was served may be gone.
    pub(super) fn doubt(&self) {
        lock(&self.served).clear();
    }
}

async fn listen(client: Client, heard: Heard) {
    loop {
        match client.subscribe(subjects::ALL_WORKERS).await {
            Ok(mut presence) => {
                while let Some(message) = presence.next().await {
                    let Some(id) = subjects::worker_of(&message.subject) else {
                        continue;
                    };
                    match envelope::unpack::<Worker>(&message.payload) {
                        Ok(worker) => {
                            let now = (worker, Instant::now());
                            lock(&heard).insert(id.to_owned(), now);
                        }
                        Err(error) => tracing::debug!("a worker is not understood: {error}"),
                    }
                }
            }
            Err(error) => tracing::warn!("workers are not heard: {error}"),
        }
        sleep(PAUSE).await;
    }
}
