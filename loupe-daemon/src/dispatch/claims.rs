//! The queue as a worker sees it. It is in an account without streams, so it asks for jobs as a client asks
//! a service, and answers a job by the subject that the job came with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, Message, StatusCode, Subject};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::coordinator::MOST_PAYLOAD;
use super::envelope::{self, Unfit};
use super::{DispatchError, subjects};
use crate::nats::{Credentials, Link, Part, connect, is_connected, wait_for_connection};
use crate::spread::{Answer, Claim, Claims, Done, Job, QueueError, Worker};

pub use super::streams::ACK_WAIT;

/// Between two words that a worker is there.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// A request for a job lasts so long. What it gets after the worker has died comes late to another.
const EXPIRES: Duration = Duration::from_secs(5);
/// The same where it is not known that anybody has asked this worker's class for anything: then the server
/// does not answer at all, and a study's first job is not to wait long for the next request.
const EXPIRES_UNSERVED: Duration = Duration::from_secs(1);
/// The server has answered by then.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before another attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// Others have so long to take what this one gives back because it must not run it.
const REFUSED: &str = "-NAK {\"delay\": 1000000000}";
/// Attempts to get a part of a workload's files from a server that does not answer.
const ATTEMPTS: usize = 5;
/// What a server does not have is asked for again for so long: who coordinates may need half a minute to see
/// that the server was away and is back, and then sends all files again.
const MISSING: Duration = Duration::from_secs(60);

/// A worker's connection.
#[derive(Clone)]
pub struct WorkerLink {
    client: Client,
    context: async_nats::jetstream::Context,
    link: watch::Receiver<Link>,
    id: String,
    name: String,
    trusts: Vec<String>,
    /// The last request for a job was answered.
    is_served: Arc<AtomicBool>,
}

impl WorkerLink {
    /// Begins to connect; does not wait for the server.
    pub async fn start(url: &str, credentials: &Path) -> Result<WorkerLink, DispatchError> {
        let credentials = Credentials::read(credentials, Part::Worker)?;
        if credentials.trusts.is_empty() {
            return Err(DispatchError::TrustsNobody {
                path: credentials.path,
            });
        }
        let (client, link) = connect(url, &credentials).await?;
        Ok(WorkerLink {
            context: async_nats::jetstream::new(client.clone()),
            client,
            link,
            id: credentials.id,
            name: credentials.name,
            trusts: credentials.trusts,
            is_served: Arc::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says again and again that it is there.
    pub async fn tell_presence(&self, worker: &Worker) {
        let payload = match envelope::pack(worker) {
            Ok(payload) => payload,
            Err(error) => return tracing::error!("this worker cannot say that it is: {error}"),
        };
        let mut was_up = None;
        loop {
            let is_up = is_connected(&self.client);
            if was_up != Some(is_up) {
                match is_up {
                    true => tracing::info!(worker = %self.name, "waits for replays of studies"),
                    false => tracing::warn!("the server of studies is away{}", self.trouble()),
                }
                was_up = Some(is_up);
            }
            if is_up {
                let subject = subjects::presence_of(&self.id);
                if let Err(error) = self.client.publish(subject, payload.clone().into()).await {
                    tracing::debug!("nobody was told that this worker is there: {error}");
                }
            }
            sleep(HEARTBEAT).await;
        }
    }

    fn trouble(&self) -> String {
        let trouble = self.link.borrow().trouble.clone();
        trouble.map_or_else(String::new, |trouble| format!(": {trouble}"))
    }

    async fn wait_for_connection(&self) {
        wait_for_connection(&self.client, &self.link, PAUSE, || {}).await;
    }

    /// What has this digest; or why it cannot be had.
    pub(super) async fn get(&self, digest: &str) -> Result<Vec<u8>, String> {
        let begin = Instant::now();
        let mut failures = 0;
        loop {
            let asked = self.client.request(subjects::get_file(digest), "".into());
            let trouble = match timeout(PATIENCE, asked).await {
                Ok(Ok(message)) if message.status.is_none() => return Ok(message.payload.to_vec()),
                Ok(Ok(_)) if begin.elapsed() > MISSING => {
                    return Err("not at the server".to_owned());
                }
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer".to_owned()),
            };
            if let Some(trouble) = trouble {
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(trouble);
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// One message of this class, if one comes.
    async fn next(&self, class: &str) -> Result<Option<Message>, async_nats::Error> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        let (expires, patience) = match self.is_served.load(Ordering::Relaxed) {
            true => (EXPIRES, PATIENCE),
            false => (EXPIRES_UNSERVED, EXPIRES_UNSERVED),
        };
        let request = format!("{{\"batch\":1,\"expires\":{}}}", expires.as_nanos());
        let subject = subjects::next_job(class);
        self.client
            .publish_with_reply(subject, inbox, request.into())
            .await?;
        let answer = timeout(expires + patience, answers.next()).await;
        let answer = answer.ok().flatten();
        let status = answer.as_ref().map(|message| message.status);
        let is_served = matches!(status, Some(None | Some(StatusCode::TIMEOUT)));
        self.is_served.store(is_served, Ordering::Relaxed);
        if let Some(Some(_)) = status
            && !is_served
        {
            // Nobody has asked this class for anything yet.
            sleep(PAUSE).await;
        }
        Ok(answer.filter(|message| message.status.is_none()))
    }

    /// Whether it is a job that this worker is to run; what it is not is given back, or ended.
    async fn judge(&self, worker: &Worker, message: &Message) -> Option<Job> {
        let opened = envelope::open(&message.payload, message.headers.as_ref(), &self.trusts);
        let refuse = match opened {
            Ok(job) if !job.not_by.contains(&worker.name) => return Some(job),
            Ok(_) => REFUSED,
            Err(unfit @ Unfit::Stranger(_)) => {
                tracing::warn!("a job is not run: {unfit}");
                REFUSED
            }
            Err(unfit) => {
                tracing::warn!("a job is not run: {unfit}");
                "+TERM"
            }
        };
        self.say(message.reply.as_ref(), refuse).await;
        None
    }

    async fn say(&self, reply: Option<&Subject>, word: &'static str) {
        let Some(reply) = reply else { return };
        if let Err(error) = self.client.publish(reply.clone(), word.into()).await {
            tracing::debug!("the server was not told {word}: {error}");
        }
    }
}

impl Claims for WorkerLink {
    type Claim = NatsClaim;

    async fn claim(&self, worker: &Worker) -> Result<NatsClaim, QueueError> {
        let class = subjects::of_class(&worker.class);
        loop {
            self.wait_for_connection().await;
            match self.next(&class).await {
                Ok(Some(message)) => {
                    if let Some(job) = self.judge(worker, &message).await {
                        let (link, reply) = (self.clone(), message.reply);
                        return Ok(NatsClaim { link, job, reply });
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!("no job was asked for: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn tell(&self, done: &Done) -> Result<(), QueueError> {
        let failed = |error: std::io::Error| QueueError(Box::new(error));
        let mut payload = envelope::pack(done).map_err(failed)?;
        if payload.len() > MOST_PAYLOAD {
            let what = format!(
                "what it tells has {} bytes, which is too much",
                payload.len()
            );
            let done = Done {
                answer: Answer::Cannot(what),
                ..done.clone()
            };
            payload = envelope::pack(&done).map_err(failed)?;
        }
        let wanted = subjects::wanted(&done.subject, &done.asker);
        let id = format!("{}.{}.{:x}", done.key, self.id, fastrand::u64(..));
        loop {
            self.wait_for_connection().await;
            let message = PublishMessage::build()
                .payload(payload.clone().into())
                .message_id(&id);
            let told = async {
                let subject = subjects::results_of(&self.id, &wanted);
                self.context.send_publish(subject, message).await?.await
            };
            match told.await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::debug!("a result was not taken: {error}"),
            }
            sleep(PAUSE).await;
        }
    }
}

/// A job until it is acknowledged.
pub struct NatsClaim {
    link: WorkerLink,
    job: Job,
    reply: Option<Subject>,
}

impl Claim for NatsClaim {
    fn job(&self) -> &Job {
        &self.job
    }

    async fn extend(&self) -> Result<(), QueueError> {
        self.link.say(self.reply.as_ref(), "+WPI").await;
        Ok(())
    }

    async fn acknowledge(self) -> Result<(), QueueError> {
        let Some(reply) = &self.reply else {
            return Ok(());
        };
        let asked = self.link.client.request(reply.clone(), "+ACK".into());
        // Where that does not arrive, another runs it once more.
        match timeout(PATIENCE, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!("a job was not acknowledged: {error}"),
            Err(_) => tracing::debug!("a job was not acknowledged: no answer"),
        }
        Ok(())
    }

    async fn give_back(self) -> Result<(), QueueError> {
        self.link.say(self.reply.as_ref(), "-NAK").await;
        // This process ends.
        drop(timeout(PATIENCE, self.link.client.flush()).await);
        Ok(())
    }
}
