//! The agent: from time to time it asks what the host knows, and tells the fleet what is new of that.
//! It goes on without the server for as long as it takes; that the server is away is a line in its status.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::{Context, message::PublishMessage};
use loupe_common::profile::{FleetRole, FleetStatus};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::message::Piece;
use super::outbox::{Outbox, Told};
use super::{ExchangeError, stream};
use crate::fleet::{Bundle, Known};
use crate::lock;
use crate::nats::{Credentials, Link, Part, connect, is_connected};
use crate::now_ms;
use crate::store::ProfileNews;

/// Rounds between two that tell how long subjects were observed, where nothing else is new of them.
const ROUNDS_OF_TIMES: u64 = 60;
/// Rounds without anything to tell before the host is told of alone: so that it is known to live.
const QUIET_ROUNDS: u64 = 10;
/// After this time everything is told anew. What the server or the hub may have lost is healed so.
const WHOLE_MS: u64 = 24 * 60 * 60 * 1000;
/// After a message that did not arrive, the next attempt comes no sooner.
const PAUSE: Duration = Duration::from_secs(2);
/// What is left to tell at the end may take so long.
const FAREWELL: Duration = Duration::from_secs(3);

/// What is asked of the host.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// With how long it observed what.
    pub with_times: bool,
    /// Nothing, unless there is more than there was then.
    pub beyond: Option<ProfileNews>,
}

/// Everything that the host knows.
pub struct Gathered {
    pub bundle: Bundle,
    /// What there was before it was read.
    pub news: ProfileNews,
}

/// `None`: there is nothing more than there was. It blocks.
pub type Gather = Arc<dyn Fn(Wanted) -> Result<Option<Gathered>, String> + Send + Sync>;

/// See the module.
pub struct Agent {
    id: String,
    gather: Gather,
    outbox: Arc<Mutex<Outbox>>,
    client: Client,
    context: Context,
    link: watch::Receiver<Link>,
    told: Option<Told>,
    /// What of the host's profiles is in `told`; `None`: not known.
    news: Option<ProfileNews>,
    status: watch::Sender<FleetStatus>,
    rounds: u64,
    quiet: u64,
    /// What the log was told last: it is told once, however often it happens.
    logged: Option<String>,
}

/// What to tell in this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    News,
    /// How long subjects were observed as well.
    Times,
}

impl Agent {
    /// Opens the outbox and begins to connect; does not wait for the server.
    pub async fn start(
        url: &str,
        credentials: &Path,
        outbox: &Path,
        gather: Gather,
    ) -> Result<Agent, ExchangeError> {
        let credentials = Credentials::read(credentials, Part::Host)?;
        let outbox = Outbox::open(outbox, &credentials.id)?;
        let told = outbox.told()?;
        let (client, link) = connect(url, &credentials).await?;
        let (status, _) = watch::channel(FleetStatus {
            role: FleetRole::Agent,
            url: url.to_owned(),
            connected: false,
            last_ms: None,
            backlog: outbox.backlog()?,
            refused: 0,
            trouble: None,
        });
        Ok(Agent {
            id: credentials.id,
            gather,
            outbox: Arc::new(Mutex::new(outbox)),
            context: async_nats::jetstream::new(client.clone()),
            client,
            link,
            told,
            news: None,
            status,
            rounds: 0,
            quiet: 0,
            logged: None,
        })
    }

    pub fn status(&self) -> watch::Receiver<FleetStatus> {
        self.status.subscribe()
    }

    /// Goes on until it is stopped, then tells what there still is.
    pub async fn run(
        mut self,
        pace: Duration,
        stop: CancellationToken,
        all_kept: CancellationToken,
    ) {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let round = match self.rounds.is_multiple_of(ROUNDS_OF_TIMES) {
                true => Round::Times,
                false => Round::News,
            };
            self.rounds += 1;
            self.collect(round).await;
            // A server that is away must not keep anybody from stopping, nor the next round from coming.
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.send_until(Instant::now() + pace) => {}
            }
        }
        // What was observed until now is in the database when this is done.
        all_kept.cancelled().await;
        self.collect(Round::Times).await;
        drop(timeout(FAREWELL, self.send_until(Instant::now() + FAREWELL)).await);
    }

    /// Puts what is new into the outbox.
    async fn collect(&mut self, round: Round) {
        let collected = self.try_collect(round).await;
        if let Err(error) = &collected {
            tracing::error!("what the fleet is to be told was not kept: {error}");
        }
        let backlog = lock(&self.outbox).backlog();
        self.status.send_modify(|status| {
            if let Ok(backlog) = backlog {
                status.backlog = backlog;
            }
            status.trouble = collected.err();
        });
    }

    async fn try_collect(&mut self, round: Round) -> Result<(), String> {
        let now_ms = now_ms();
        let is_whole = self
            .told
            .as_ref()
            .is_none_or(|told| now_ms.abs_diff(told.whole_ms) > WHOLE_MS);
        let with_times = is_whole || round == Round::Times;
        self.quiet += 1;
        let is_due = self.quiet > QUIET_ROUNDS && self.status.borrow().backlog == 0;
        let wanted = Wanted {
            with_times,
            beyond: self.news.filter(|_| !with_times && !is_due),
        };
        let gather = Arc::clone(&self.gather);
        let Some(gathered) = blocking(move || gather(wanted)).await?? else {
            return Ok(());
        };
        let Gathered { bundle, news } = gathered;
        let known = Known::of(&bundle);
        let before = self.told.as_ref().filter(|_| !is_whole);
        let delta = known.beyond(before.map(|told| &told.known), with_times);
        if delta.is_empty() && !is_whole && !is_due {
            self.news = Some(news);
            return Ok(());
        }
        self.quiet = 0;
        let whole_ms = match (&self.told, is_whole) {
            (Some(told), false) => told.whole_ms,
            _ => now_ms,
        };
        let mut sum = match self.told.take() {
            Some(told) if !is_whole => told.known,
            _ => Known::of(&bundle),
        };
        let outbox = Arc::clone(&self.outbox);
        let told = blocking(move || {
            let pieces = Piece::all_of(&delta).map_err(|error| error.to_string())?;
            for bundle in delta.bundles(usize::MAX) {
                sum.join(&bundle);
            }
            let told = Told {
                known: sum,
                whole_ms,
            };
            let put = lock(&outbox).put(&told, &pieces);
            put.map_err(|error| error.to_string()).map(|()| told)
        })
        .await?;
        match told {
            Ok(told) => {
                self.told = Some(told);
                self.news = Some(news);
            }
            Err(error) => {
                self.news = None;
                // Whatever was kept of it: the outbox knows.
                self.told = lock(&self.outbox).told().unwrap_or(None);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sends what waits, the oldest first, until nothing does or the time is over.
    async fn send_until(&mut self, deadline: Instant) {
        loop {
            let waiting = lock(&self.outbox).next();
            let backlog = lock(&self.outbox).backlog().unwrap_or_default();
            let link = self.link.borrow().clone();
            let is_up = is_connected(&self.client);
            self.status.send_modify(|status| {
                status.connected = is_up;
                status.backlog = backlog;
                if !is_up && status.trouble.is_none() {
                    status.trouble = link.trouble;
                }
            });
            let piece = match waiting {
                Ok(Some(piece)) => piece,
                Ok(None) => return,
                Err(error) => return self.trouble(error.to_string()),
            };
            let sent = match is_up {
                true => self.send(&piece, backlog).await,
                false => Err(None),
            };
            match sent {
                Ok(()) => {
                    let done = lock(&self.outbox).done(&piece.id);
                    if let Err(error) = done {
                        return self.trouble(error.to_string());
                    }
                    self.logged = None;
                    self.status.send_modify(|status| {
                        status.last_ms = Some(now_ms());
                        status.trouble = None;
                    });
                }
                Err(trouble) => {
                    if let Some(trouble) = trouble {
                        self.trouble(trouble);
                    }
                    if Instant::now() + PAUSE >= deadline {
                        return;
                    }
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        // The connection is back.
                        changed = self.link.changed() => if changed.is_err() { return },
                    }
                }
            }
        }
    }

    /// One message; it is sent when the server says that it keeps it.
    async fn send(&self, piece: &Piece, backlog: u64) -> Result<(), Option<String>> {
        let message = PublishMessage::build()
            .payload(piece.payload.clone().into())
            .message_id(&piece.id)
            .header(stream::SENT_MS, now_ms().to_string())
            .header(stream::BACKLOG, backlog.to_string());
        let publish = async {
            let acknowledged = self
                .context
                .send_publish(stream::facts_of(&self.id), message)
                .await?;
            acknowledged.await
        };
        match publish.await {
            Ok(_) => Ok(()),
            Err(error) => Err(Some(error.to_string())),
        }
    }

    fn trouble(&mut self, trouble: String) {
        if self.logged.as_ref() != Some(&trouble) {
            tracing::warn!("the fleet was not told: {trouble}");
            self.logged = Some(trouble.clone());
        }
        self.status
            .send_modify(|status| status.trouble = Some(trouble));
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())
}
