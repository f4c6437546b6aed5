//! Analyses whose replays run on the workers of a fleet, and this host as one of these workers.

use std::path::Path;
use std::sync::Arc;

use loupe_common::exit;
use loupe_common::wire::Failure;
use tokio_util::sync::CancellationToken;

use super::here::analyze_failure;
use super::{own_identity, store_failure};
use crate::dispatch::{Coordinator, DispatchError, Shipment};
use crate::engine::{AnalyzeOptions, Finished, ProgressSink, analyze_spread, done_spread, how};
use crate::replay::Workload;
use crate::spread::{HostFilter, RealClock, slots_of_the_widest};
use crate::store::Store;

/// The workers of a fleet, and the database that keeps what they find.
pub struct Spreading {
    coordinator: Arc<Coordinator>,
    store: Arc<Store>,
    hosts: HostFilter,
}

impl Spreading {
    /// Waits for the server, not for workers.
    pub async fn start(
        (url, credentials): (&str, &Path),
        database: &Path,
        hosts: &HostFilter,
    ) -> Result<Spreading, Failure> {
        let store = Arc::new(Store::open(database).map_err(store_failure)?);
        let coordinator = Coordinator::connect(url, credentials, database).await;
        let coordinator = coordinator.map_err(|error| dispatch_failure(&error))?;
        Ok(Spreading {
            coordinator: Arc::new(coordinator),
            store,
            hosts: hosts.clone(),
        })
    }

    /// Listens a while: how many replays of an analysis run at a time now, at most.
    pub async fn hear(&self) -> usize {
        slots_of_the_widest(&self.coordinator.hear().await, &self.hosts)
    }

    /// Analyses a workload of this process's user. When `cancel` fires, what workers still run is
    /// nobody's any more.
    pub async fn analyze(
        &self,
        workload: Workload,
        options: &AnalyzeOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Finished, Failure> {
        let how = how(options);
        let packed = tokio::task::spawn_blocking(move || Shipment::pack(&workload, how));
        let shipment = match packed.await {
            Ok(shipment) => Arc::new(shipment.map_err(|error| dispatch_failure(&error))?),
            Err(error) => {
                return Err(Failure::internal("the workload was not read").because(Some(&error)));
            }
        };
        let (package, identity) = (&shipment.package, own_identity());
        if options.unless_done {
            let done = done_spread(&self.store, package, &identity, options);
            if let Some(finished) = done.map_err(analyze_failure)? {
                return Ok(finished);
            }
        }
        let subject = package.subject();
        let jobs = self.coordinator.jobs(Arc::clone(&shipment));
        let asker = jobs.asker().to_owned();
        let whose = (&self.store, package, &identity);
        let over = (jobs, RealClock::default(), asker.as_str(), &self.hosts);
        let analyzed = analyze_spread(whose, options, over, &progress, &cancel).await;
        let is_done = analyzed.is_ok();
        self.coordinator.forget(&subject, &asker, is_done).await;
        analyzed.map_err(analyze_failure)
    }
}

pub fn dispatch_failure(error: &DispatchError) -> Failure {
    let code = match error.is_usage() {
        true => exit::USAGE,
        false => exit::LOUPE_FAILED,
    };
    Failure::from_error(code, error).explained(error.hint(), None)
}
