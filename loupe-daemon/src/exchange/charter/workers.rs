//! The part of a fleet that runs replays of studies: workers, and who has them run. Starts nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Charter, Enrolled, Member, SECRET, check_name, make_directory, write};
use crate::exchange::ExchangeError;
use crate::fleet::Salt;
use crate::nats::{Credentials, Extra, KeyPair, Part};

const COORDINATOR: &str = "coordinator.credentials";
const WORKERS: &str = "workers";

/// The public halves of its two keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Coordinator {
    pub(super) key: String,
    /// By which its jobs are signed.
    signs: String,
}

impl Charter {
    /// Gives workers their keys, and whoever has them work its own with the first of them.
    pub fn hire(&mut self, names: &[String], renew: bool) -> Result<Vec<Enrolled>, ExchangeError> {
        let mut known: BTreeSet<&str> = match renew {
            true => BTreeSet::new(),
            false => self.register.workers.iter().map(|it| &*it.name).collect(),
        };
        names
            .iter()
            .try_for_each(|name| check_name(name, "a worker"))?;
        if let Some(twice) = names.iter().find(|name| !known.insert(name)) {
            return Err(ExchangeError::Enrolled {
                name: twice.clone(),
            });
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let salt = Salt::read(&self.directory.join(super::SALT))?;
        let ca = self.authority()?;
        let trusts = [self.coordinator(&ca)?];
        let extra = Extra {
            trusts: &trusts,
            ..Extra::default()
        };
        make_directory(&self.directory.join(WORKERS), 0o700)?;
        let mut hired = Vec::new();
        for name in names {
            let id = salt.id_of_named(&format!("worker {name}"));
            let pair = KeyPair::make()?;
            let file = format!("{name}.credentials");
            let path = self.directory.join(WORKERS).join(file);
            let text = Credentials::text(Part::Worker, name, &id, &pair.seed, &ca, extra);
            write(&path, SECRET, &text)?;
            self.register.workers.retain(|it| it.name != *name);
            self.register.workers.push(Member {
                name: name.clone(),
                id: id.clone(),
                key: pair.public,
            });
            hired.push(Enrolled {
                name: name.clone(),
                id,
                credentials: path,
            });
        }
        self.register.workers.sort_by(|a, b| a.name.cmp(&b.name));
        self.keep()?;
        Ok(hired)
    }

    /// The key that signs jobs; it is made where there is none.
    fn coordinator(&mut self, ca: &str) -> Result<String, ExchangeError> {
        if let Some(coordinator) = &self.register.coordinator {
            return Ok(coordinator.signs.clone());
        }
        let (own, signing) = (KeyPair::make()?, KeyPair::make()?);
        let extra = Extra {
            signing_seed: Some(&signing.seed),
            ..Extra::default()
        };
        let (part, name) = (Part::Coordinator, "coordinator");
        let text = Credentials::text(part, name, name, &own.seed, ca, extra);
        write(&self.coordinator_credentials(), SECRET, &text)?;
        self.register.coordinator = Some(Coordinator {
            key: own.public,
            signs: signing.public.clone(),
        });
        Ok(signing.public)
    }

    /// Whether there is anybody to whom work can be given.
    pub fn has_workers(&self) -> bool {
        !self.register.workers.is_empty()
    }

    pub fn coordinator_credentials(&self) -> PathBuf {
        self.directory.join(COORDINATOR)
    }
}
