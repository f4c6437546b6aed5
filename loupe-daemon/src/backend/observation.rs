//! The daemon's observation of services, as its clients reach it: their rights, and errors in the form
//! that reaches the user.

use std::sync::{Arc, Mutex};

use loupe_common::exit;
use loupe_common::profile::{ProfileAnswer, ProfileEvent, ProfileRequest};
use loupe_common::wire::Failure;
use tokio::sync::mpsc;

use crate::engine::Identity;
use crate::lock;
use crate::profile::{Access, AskError, GROUP, ProfileError, Service, Settings};
use crate::store::Store;

/// None, in a process that is no daemon.
#[derive(Default)]
pub struct Observation {
    service: Mutex<Option<Arc<Service>>>,
}

impl Observation {
    pub fn start(&self, store: Arc<Store>, settings: Settings) -> Result<(), Failure> {
        let service = Service::start(store, settings).map_err(profile_failure)?;
        *lock(&self.service) = Some(Arc::new(service));
        Ok(())
    }

    pub fn stop(&self) {
        drop(lock(&self.service).take());
    }

    pub fn answer(
        &self,
        caller: &Identity,
        request: ProfileRequest,
    ) -> Result<ProfileAnswer, Failure> {
        self.service()?
            .answer(access_of(caller)?, request)
            .map_err(ask_failure)
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
        AskError::Target(error) => {
            let hint = error.hint();
            Failure::from_error(exit::USAGE, &error).explained(hint, None)
        }
        AskError::Stream => Failure::from_error(exit::LOUPE_FAILED, &error),
        AskError::Rights => Failure::from_error(exit::LOUPE_FAILED, &error).hint(format!(
            "have root run it, or join the group: `sudo usermod -aG {GROUP} $USER`, then log in again"
        )),
    }
}

fn profile_failure(error: ProfileError) -> Failure {
    match error {
        ProfileError::Store(error) => super::store_failure(error),
        other => Failure::from_error(exit::LOUPE_FAILED, &other),
    }
}
