//! The daemon's front door: a Unix socket, one request a connection, jobs. It says who the
//! caller is and what it may see; the analysis itself is the backend's.
//!
//! `docs/protocol.md` is the manual of what goes over the socket.

mod config;
mod connection;
mod counts;
mod daemon;
mod fd_store;
mod fleet;
mod jobs;
mod listen;
mod log;
mod manager;
mod metrics;
mod requests;
mod worker;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use loupe_common::exit;
use loupe_common::wire::{Failure, Reply, code, encode_reply};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::Backend;
use crate::link;
use counts::Counts;
use jobs::Jobs;
use log::Refusals;

pub use config::check_fleet_address;
pub use daemon::{command_line, main};
pub use jobs::Bounds;
pub use listen::{ListenError, listen};

/// What a daemon lets its clients use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until the first line of a connection.
    pub first_line: Duration,
    pub connections: usize,
    /// For one user other than root.
    pub connections_per_user: usize,
    /// Commands that run at once for `run`.
    pub runs: usize,
    /// For one user other than root.
    pub runs_per_user: usize,
    /// What one job may take.
    pub job: Bounds,
    /// How long a stopping daemon waits for clients to read their last replies.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            first_line: Duration::from_secs(10),
            connections: 256,
            connections_per_user: 64,
            runs: 16,
            runs_per_user: 8,
            job: Bounds::default(),
            farewell: Duration::from_secs(2),
        }
    }
}

/// Serves clients until it is told to stop.
#[derive(Debug)]
pub struct Server<B> {
    backend: Arc<B>,
    jobs: Arc<Jobs<B>>,
    limits: Limits,
    /// Commands of `run`.
    runs: Arc<Counts>,
    connections: Arc<Counts>,
    refusals: Refusals,
    tasks: TaskTracker,
    /// No more requests, and an end to the runs.
    stopping: CancellationToken,
    /// How often it was asked whether it still accepts, and which of these the loop that does has
    /// heard.
    asked: watch::Sender<u64>,
    answered: watch::Sender<u64>,
}

impl<B: Backend> Server<B> {
    /// Takes over the jobs that an earlier daemon has left.
    pub fn new(backend: Arc<B>, limits: Limits) -> Result<Arc<Server<B>>, Failure> {
        Ok(Arc::new(Server {
            jobs: Jobs::new(Arc::clone(&backend), limits.job.clone())?,
            backend,
            runs: Counts::new(limits.runs, limits.runs_per_user),
            connections: Counts::new(limits.connections, limits.connections_per_user),
            refusals: Refusals::default(),
            limits,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            asked: watch::Sender::default(),
            answered: watch::Sender::default(),
        }))
    }

    /// One line on what the daemon is doing, whenever that changes.
    pub fn status(&self) -> watch::Receiver<String> {
        self.jobs.status()
    }

    /// Waits until the loop that accepts connections has come round: for ever, if it does not.
    pub async fn comes_round(&self) {
        let mut answered = self.answered.subscribe();
        let mut own = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            own = *asked;
        });
        // The sender is this server's own.
        drop(answered.wait_for(|answered| *answered >= own).await);
    }

    /// Accepts connections until `stop`; then cancels what runs, waits for its clean-up and for
    /// the last replies to be read.
    pub async fn serve(self: Arc<Self>, listener: UnixListener, stop: CancellationToken) {
        self.jobs.begin();
        let mut asked = self.asked.subscribe();
        // Who asked before now is answered, too.
        asked.mark_changed();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = asked.changed() => {
                    self.answered.send_replace(*asked.borrow_and_update());
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // The kernel would say the same at once, over and over.
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    }
                }
            }
        }
        drop(listener);
        self.stopping.cancel();
        self.jobs.stop().await;
        self.tasks.close();
        if tokio::time::timeout(self.limits.farewell, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                clients = self.tasks.len(),
                "left without reading their last replies"
            );
        }
    }

    fn admit(self: &Arc<Self>, stream: UnixStream) {
        let identity = match link::peer_identity(&stream) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(%error, "cannot tell who connected: refused");
                return;
            }
        };
        let Some(slot) = self.connections.take(identity.uid) else {
            let busy = Failure::new(
                code::BUSY,
                exit::LOUPE_FAILED,
                "the daemon has too many connections",
            )
            .hint("wait until other clients are done");
            self.refusals.log(identity.uid, &busy);
            refuse(&stream, busy);
            return;
        };
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            connection::handle(&server, stream, identity).await;
            drop(slot);
        });
    }
}

/// Tells a client why it is not served. The reply fits the empty buffer of a fresh connection.
fn refuse(stream: &UnixStream, failure: Failure) {
    let sent = encode_reply(&Reply::Error(failure))
        .map_err(std::io::Error::other)
        .and_then(|line| stream.try_write(&line));
    if let Err(error) = sent {
        tracing::debug!(%error, "a refused client could not be told why");
    }
}
