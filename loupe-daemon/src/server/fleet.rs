//! What louped does for a fleet, beside everything else: it tells what this host knows, or takes in what
//! all hosts tell. Nothing here keeps the daemon from its other work, or from stopping.

use std::path::Path;
use std::sync::Arc;

use loupe_common::profile::FleetStatus;
use loupe_common::wire::Failure;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::{FleetConfig, Role};
use crate::backend::{Here, exchange_failure, gather};
use crate::exchange::{Agent, Hub};

/// The outbox of an agent, beside the ordinary database.
const OUTBOX: &str = "fleet-outbox.db";

/// See the module.
pub struct Membership {
    task: JoinHandle<()>,
    stop: CancellationToken,
    all_kept: CancellationToken,
    pub status: watch::Receiver<FleetStatus>,
}

/// Begins what the configuration says; `None`: nothing. The server need not be there.
pub async fn begin(
    config: &FleetConfig,
    backend: &Arc<Here>,
    database: &Path,
) -> Result<Option<Membership>, Failure> {
    let Some(url) = &config.url else {
        return Ok(None);
    };
    let (stop, all_kept) = (CancellationToken::new(), CancellationToken::new());
    let credentials = config.credentials();
    let (task, status) = match config.role {
        Role::Agent => {
            let gather = gather(Arc::clone(backend), credentials, config.tell_name)?;
            let outbox = database.with_file_name(OUTBOX);
            let agent = Agent::start(url, credentials, &outbox, gather)
                .await
                .map_err(|error| exchange_failure(&error))?;
            let status = agent.status();
            let run = agent.run(config.interval(), stop.clone(), all_kept.clone());
            (tokio::spawn(run), status)
        }
        Role::Hub => {
            let hub = Hub::start(
                url,
                credentials,
                &database.with_file_name(crate::fleet::DATABASE),
            )
            .await
            .map_err(|error| exchange_failure(&error))?;
            let status = hub.status();
            (tokio::spawn(hub.run(stop.clone())), status)
        }
    };
    Ok(Some(Membership {
        task,
        stop,
        all_kept,
        status,
    }))
}

impl Membership {
    /// No more rounds.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// All that was observed is in the database: what is still to be told is told or kept.
    pub async fn finish(self) {
        self.stop.cancel();
        self.all_kept.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the fleet was not served to the end");
        }
    }
}
