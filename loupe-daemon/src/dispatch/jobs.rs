//! The queue as one analysis sees it: its jobs and the files that these need go to the server, its results
//! come from there. What has no result when the connection was lost is published again, with the files: a
//! server that was killed may have lost what it said it keeps, or count it as taken and give it to nobody
//! (both seen with 2.9.10).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Coordinator, DispatchError, Shipment, envelope, streams, subjects};
use crate::lock;
use crate::nats::Link;
use crate::spread::{Done, Job, Jobs, Key, QueueError, Told, Worker};

/// Results that were taken and not looked at yet.
const AHEAD: usize = 64;
/// A request for results lasts so long.
const EXPIRES: Duration = Duration::from_secs(1);
/// Before another attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells whether the connection was lost.
type Watched = watch::Receiver<Link>;

/// Jobs without a result.
type Waiting = Arc<Mutex<BTreeMap<Key, Job>>>;

/// What jobs need, and come after.
struct Files {
    coordinator: Arc<Coordinator>,
    shipment: Arc<Shipment>,
    /// The server has been sent all of it. Whoever sends holds this meanwhile.
    are_sent: tokio::sync::Mutex<bool>,
}

impl Files {
    /// Sends them unless they were.
    async fn send(&self) -> Result<(), DispatchError> {
        let mut are_sent = self.are_sent.lock().await;
        if !*are_sent {
            self.shipment.send(&self.coordinator).await?;
            *are_sent = true;
        }
        Ok(())
    }

    /// Sends what the server may have lost.
    async fn send_again(&self) -> Result<(), DispatchError> {
        match *self.are_sent.lock().await {
            true => self.shipment.send(&self.coordinator).await,
            false => Ok(()),
        }
    }
}

/// See the module.
pub struct NatsJobs {
    coordinator: Arc<Coordinator>,
    asker: String,
    files: Arc<Files>,
    waiting: Waiting,
    results: tokio::sync::Mutex<mpsc::Receiver<NatsTold>>,
    taking: JoinHandle<()>,
}

impl Drop for NatsJobs {
    fn drop(&mut self) {
        self.taking.abort();
    }
}

impl NatsJobs {
    pub(super) fn start(
        coordinator: Arc<Coordinator>,
        shipment: Arc<Shipment>,
        asker: String,
    ) -> NatsJobs {
        let (sender, results) = mpsc::channel(AHEAD);
        let taking = Taking {
            coordinator: Arc::clone(&coordinator),
            wanted: subjects::wanted(&shipment.package.subject(), &asker),
            asker: asker.clone(),
            files: Arc::new(Files {
                coordinator: Arc::clone(&coordinator),
                shipment,
                are_sent: tokio::sync::Mutex::default(),
            }),
            waiting: Waiting::default(),
            sender,
        };
        // Before anything is sent: what is lost from now on is sent again.
        let link = coordinator.link();
        NatsJobs {
            coordinator,
            asker,
            files: Arc::clone(&taking.files),
            waiting: Arc::clone(&taking.waiting),
            results: tokio::sync::Mutex::new(results),
            taking: tokio::spawn(taking.go_on(link)),
        }
    }

    /// Who asks, as jobs name it.
    pub fn asker(&self) -> &str {
        &self.asker
    }
}

impl Jobs for NatsJobs {
    type Told = NatsTold;

    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        let sent = self.files.send().await;
        sent.map_err(|error| QueueError(Box::new(error)))?;
        lock(&self.waiting).insert(job.key.clone(), job.clone());
        self.coordinator.publish(job, 0).await
    }

    async fn told(&self) -> Result<NatsTold, QueueError> {
        let told = self.results.lock().await.recv().await;
        let told = told.ok_or_else(|| QueueError("results are not taken any more".into()))?;
        lock(&self.waiting).remove(&told.done.key);
        Ok(told)
    }

    async fn workers(&self) -> Result<Vec<Worker>, QueueError> {
        Ok(self.coordinator.workers())
    }

    fn trouble(&self) -> Option<String> {
        self.coordinator.trouble()
    }
}

/// A result until it is acknowledged.
pub struct NatsTold {
    done: Done,
    message: Message,
}

impl Told for NatsTold {
    fn done(&self) -> &Done {
        &self.done
    }

    async fn acknowledge(self) -> Result<(), QueueError> {
        // What does not arrive is told again, which changes nothing.
        if let Err(error) = self.message.ack().await {
            tracing::debug!("a result was not acknowledged: {error}");
        }
        Ok(())
    }
}

/// Takes results from the server for ever.
struct Taking {
    coordinator: Arc<Coordinator>,
    wanted: String,
    asker: String,
    files: Arc<Files>,
    waiting: Waiting,
    sender: mpsc::Sender<NatsTold>,
}

impl Taking {
    /// `link` has seen the connection as it was when the first file was sent.
    async fn go_on(self, mut link: Watched) {
        let mut losses = 0;
        while !self.sender.is_closed() {
            self.coordinator.open().await;
            if losses > 0 {
                link = self.coordinator.link();
            }
            let context = &self.coordinator.context;
            match streams::results(context, &self.wanted, losses > 0).await {
                Ok(consumer) => {
                    if losses > 0 {
                        self.publish_again(losses).await;
                    }
                    losses += 1;
                    if let Err(error) = self.consume(&consumer, &link).await {
                        tracing::debug!("results are asked for anew: {error}");
                    }
                }
                Err(error) => tracing::warn!("the stream of results: {error}"),
            }
            sleep(PAUSE).await;
        }
    }

    /// What a worker has is run twice, which changes nothing; what none has is not.
    async fn publish_again(&self, losses: u32) {
        self.coordinator.doubt();
        if let Err(error) = streams::forget_jobs(&self.coordinator.context, &self.asker).await {
            tracing::debug!("jobs are not taken back: {error}");
        }
        if let Err(error) = self.files.send_again().await {
            tracing::warn!("a workload's files were not sent again: {error}");
        }
        let waiting: Vec<Job> = lock(&self.waiting).values().cloned().collect();
        for job in waiting {
            if let Err(error) = self.coordinator.publish(&job, losses).await {
                tracing::warn!("a job was not published again: {error}");
            }
        }
    }

    /// Until the connection is lost.
    async fn consume(
        &self,
        consumer: &PullConsumer,
        link: &Watched,
    ) -> Result<(), async_nats::Error> {
        loop {
            let batch = consumer.batch().max_messages(AHEAD).expires(EXPIRES);
            let mut messages = batch.messages().await?;
            while let Some(message) = messages.next().await {
                let message = message?;
                match envelope::unpack::<Done>(&message.payload) {
                    Ok(done) => {
                        let told = NatsTold { done, message };
                        if self.sender.send(told).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(error) => {
                        tracing::warn!(subject = %message.subject, "no result: {error}");
                        message.ack_with(AckKind::Term).await?;
                    }
                }
            }
            if link.has_changed()? || !self.coordinator.is_connected() {
                return Ok(());
            }
        }
    }
}
