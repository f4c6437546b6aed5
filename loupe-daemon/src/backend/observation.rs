//! The daemon's observation of services, as its clients reach it: their rights, and errors in the form
//! that reaches the user. Also one observation without a daemon.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loupe_common::exit;
use loupe_common::profile::{FleetStatus, ProfileAnswer, ProfileEvent, ProfileRequest, Target};
use loupe_common::trace::Trace;
use loupe_common::wire::Failure;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::here::ask_first;
use crate::doctor::Work;

use crate::engine::Identity;
use crate::lock;
use crate::profile::{
    self, Access, AskError, GROUP, ObserveError, Pinning, ProfileError, Readings, Service,
    Settings, TargetError,
};
use crate::store::Store;

/// None, in a process that is no daemon.
#[derive(Default)]
pub struct Observation {
    service: Mutex<Option<Arc<Service>>>,
    /// Where the host belongs to a fleet.
    fleet: Mutex<Option<watch::Receiver<FleetStatus>>>,
}

impl Observation {
    pub fn start(
        &self,
        store: Arc<Store>,
        settings: Settings,
        pinning: Pinning,
    ) -> Result<(), Failure> {
        let service = Service::start(store, settings, pinning).map_err(profile_failure)?;
        *lock(&self.service) = Some(Arc::new(service));
        Ok(())
    }

    pub fn configure(&self, settings: Settings) -> Result<(), Failure> {
        self.service()?.configure(settings).map_err(profile_failure)
    }

    /// From now on its status tells of the fleet, too.
    pub fn belong(&self, fleet: watch::Receiver<FleetStatus>) {
        *lock(&self.fleet) = Some(fleet);
    }

    fn fleet(&self) -> Option<FleetStatus> {
        let fleet = lock(&self.fleet);
        fleet.as_ref().map(|fleet| fleet.borrow().clone())
    }

    /// All that there is to measure now.
    pub fn readings(&self, with_syscalls: bool) -> Result<Readings, Failure> {
        let mut readings = self
            .service()?
            .readings(with_syscalls)
            .map_err(profile_failure)?;
        readings.status.fleet = self.fleet();
        Ok(readings)
    }

    /// Whether it goes on, or there is none; waits so long for the answer.
    pub fn goes_on(&self, within: Duration) -> bool {
        self.service()
            .map_or(true, |service| service.goes_on(within))
    }

    /// One line on what is going on, whenever that changes.
    pub fn summary(&self) -> Result<watch::Receiver<String>, Failure> {
        Ok(self.service()?.summary())
    }

    pub fn stop(&self) {
        drop(lock(&self.service).take());
    }

    pub fn answer(
        &self,
        caller: &Identity,
        request: ProfileRequest,
    ) -> Result<ProfileAnswer, Failure> {
        let mut answer = self
            .service()?
            .answer(access_of(caller)?, request)
            .map_err(ask_failure)?;
        if let ProfileAnswer::Status(status) = &mut answer {
            status.fleet = self.fleet();
        }
        Ok(answer)
    }

    pub fn watch(
        &self,
        caller: &Identity,
        name: Option<String>,
    ) -> Result<mpsc::Receiver<ProfileEvent>, Failure> {
        Ok(self.service()?.watch(access_of(caller)?, name))
    }

    fn service(&self) -> Result<Arc<Service>, Failure> {
        lock(&self.service).clone().ok_or_else(|| {
            Failure::internal("this process does not observe services")
                .hint("start louped: `systemctl start louped`")
        })
    }
}

/// Counts what a target that runs already calls, in this process, until the time is over or `stop`
/// fires.
pub async fn observe_here(
    target: Target,
    limit: Option<Duration>,
    stop: CancellationToken,
) -> Result<Trace, Failure> {
    ask_first(Work::Command)?;
    profile::observe(target, limit, stop)
        .await
        .map_err(|error| match error {
            ObserveError::Profile(error) => profile_failure(error),
            ObserveError::Target(error) => target_failure(&error),
            nothing @ ObserveError::Nothing(_) => Failure::from_error(exit::USAGE, &nothing).hint(
                "a pattern in `loupe profile add` also watches what will run; what runs now is in \
                 `systemd-cgls`",
            ),
        })
}

/// Root and members of the group see everything, others what is their own.
fn access_of(caller: &Identity) -> Result<Access, Failure> {
    if caller.uid == 0 {
        return Ok(Access::Everything);
    }
    let group = nix::unistd::Group::from_name(GROUP).map_err(|error| {
        Failure::internal(format!("cannot look up the group {GROUP}")).because(Some(&error))
    })?;
    let is_member = group.is_some_and(|group| {
        let id = group.gid.as_raw();
        caller.gid == id || caller.groups.contains(&id)
    });
    Ok(match is_member {
        true => Access::Everything,
        false => Access::Own(caller.uid),
    })
}

fn ask_failure(error: AskError) -> Failure {
    match error {
        AskError::Profile(error) => profile_failure(error),
        AskError::Target(error) => target_failure(&error),
        AskError::Stream => Failure::from_error(exit::LOUPE_FAILED, &error),
        AskError::Rights => Failure::from_error(exit::LOUPE_FAILED, &error).hint(format!(
            "have root run it, or join the group: `sudo usermod -aG {GROUP} $USER`, then log in again"
        )),
    }
}

fn target_failure(error: &TargetError) -> Failure {
    Failure::from_error(exit::USAGE, error).explained(error.hint(), None)
}

fn profile_failure(error: ProfileError) -> Failure {
    match error {
        ProfileError::Store(error) => super::store_failure(error),
        other => Failure::from_error(exit::LOUPE_FAILED, &other),
    }
}
