//! What louped does as a worker of studies, beside everything else: so many replays at a time, as the
//! configured user. What runs when louped is told to stop is ended and given back.

use std::sync::Arc;
use std::time::Duration;

use loupe_common::wire::Failure;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::config::WorkerConfig;
use crate::backend::{Here, dispatch_failure, own_identity};
use crate::dispatch::{ACK_WAIT, DispatchError, Unpacked, WorkerLink};
use crate::engine::{host_class, user_identity};
use crate::spread::{RealClock, Worker, work};

/// What runs is ended and given back by then; if the server is away, results are lost.
const FAREWELL: Duration = Duration::from_secs(20);

/// See the module.
pub struct Working {
    slots: JoinSet<()>,
    stop: CancellationToken,
}

/// Begins what the configuration says; `None`: nothing. The server need not be there.
pub async fn begin(config: &WorkerConfig, backend: &Arc<Here>) -> Result<Option<Working>, Failure> {
    let Some(url) = &config.url else {
        return Ok(None);
    };
    let started = async {
        let user =
            user_identity(config.user(), &own_identity()).ok_or_else(|| DispatchError::NoUser {
                name: config.user().to_owned(),
            })?;
        let link = WorkerLink::start(url, config.credentials()).await?;
        let packages = Unpacked::new(link.clone(), config.directory(), user.clone())?;
        Ok((link, user, packages))
    };
    let (link, user, packages) = started.await.map_err(|error| dispatch_failure(&error))?;
    let slots = match config.slots {
        Some(slots) => usize::from(slots.get()),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let worker = Arc::new(Worker {
        name: link.name().to_owned(),
        class: host_class(&user),
        slots,
    });
    tracing::info!(%url, worker = %worker.name, slots, user = config.user(), "a worker of studies");
    let bench = Arc::new(backend.worker(user, packages));
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    for _ in 0..slots {
        let (link, bench, worker) = (link.clone(), Arc::clone(&bench), Arc::clone(&worker));
        let stop = stop.clone();
        tasks.spawn(async move {
            let clock = RealClock::default();
            while !stop.is_cancelled() {
                let pace = (&clock, ACK_WAIT);
                if let Err(error) = work(&link, &*bench, &worker, pace, &stop).await {
                    tracing::error!("a replay was not told: {error}");
                }
            }
        });
    }
    let told = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = told.cancelled() => {}
            () = link.tell_presence(&worker) => {}
        }
    });
    Ok(Some(Working { slots: tasks, stop }))
}

impl Working {
    /// Takes no more; waits until nothing runs.
    pub async fn finish(mut self) {
        self.stop.cancel();
        let ended = async {
            while let Some(ended) = self.slots.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a slot of the worker ended unexpectedly");
                }
            }
        };
        if timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("a result was not told: the server of studies is away");
        }
    }
}
