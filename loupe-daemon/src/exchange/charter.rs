//! The directory of a fleet, as `loupe fleet init` makes it and `add-host` changes it: who belongs to
//! it, by which keys, and what the server has to be told of that. Starts nothing, sends nothing.
//!
//! Secrets are readable by their owner only, and each host's are in one file of its own. A host's id is
//! made of the fleet's salt, which does not leave the directory.

mod workers;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ExchangeError, authority, server_conf};
use crate::fleet::{Salt, replace};
use crate::nats::{Credentials, Extra, KeyPair, Part};
use workers::Coordinator;

const REGISTER: &str = "fleet.toml";
const SALT: &str = "fleet.salt";
const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const HUB: &str = "hub.credentials";
const HOSTS: &str = "hosts";
const SERVER: &str = "server";
const FORMAT: &str = "loupe.fleet/1";
const LONGEST_NAME: usize = 64;
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Everything that the fleet remembers of its members: no secrets.
#[derive(Debug, Serialize, Deserialize)]
struct Register {
    format: String,
    port: u16,
    /// Names and addresses by which the server is reached.
    servers: Vec<String>,
    hub: String,
    #[serde(default)]
    hosts: Vec<Member>,
    /// Who has replays of studies run; `None` until there is a worker.
    #[serde(default)]
    coordinator: Option<Coordinator>,
    #[serde(default)]
    workers: Vec<Member>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    name: String,
    id: String,
    key: String,
}

/// A host that is to belong to the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    pub name: String,
    /// Where it is given, the host keeps the id that it has in files made with the fleet's salt.
    pub machine_id: Option<String>,
}

/// A host with its new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    pub name: String,
    pub id: String,
    pub credentials: PathBuf,
}

/// See the module.
#[derive(Debug)]
pub struct Charter {
    directory: PathBuf,
    register: Register,
}

impl std::str::FromStr for Newcomer {
    type Err = ExchangeError;

    /// `NAME` or `NAME=MACHINE-ID`.
    fn from_str(word: &str) -> Result<Newcomer, ExchangeError> {
        let (name, machine_id) = match word.split_once('=') {
            Some((name, id)) => (name, Some(id.trim())),
            None => (word, None),
        };
        check_name(name, "a host")?;
        if let Some(id) = machine_id
            && (id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(ExchangeError::MachineId { id: id.to_owned() });
        }
        Ok(Newcomer {
            name: name.to_owned(),
            machine_id: machine_id.map(str::to_lowercase),
        })
    }
}

fn check_name(name: &str, what: &'static str) -> Result<(), ExchangeError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_name = name.len() <= LONGEST_NAME
        && name.bytes().all(fits)
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric());
    match is_name {
        true => Ok(()),
        false => Err(ExchangeError::Name {
            name: name.to_owned(),
            what,
        }),
    }
}

fn check_server(server: &str) -> Result<(), ExchangeError> {
    match server.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => check_name(server, "a server"),
    }
}

impl Charter {
    /// Makes the directory with all that the server and the hub need.
    pub fn found(
        directory: &Path,
        servers: &[String],
        port: u16,
    ) -> Result<Charter, ExchangeError> {
        servers.iter().try_for_each(|server| check_server(server))?;
        if directory.join(REGISTER).exists() {
            return Err(ExchangeError::Founded {
                path: directory.to_owned(),
            });
        }
        make_directory(directory, 0o755)?;
        let directory = fs::canonicalize(directory).map_err(|source| ExchangeError::Write {
            path: directory.to_owned(),
            source,
        })?;
        make_directory(&directory.join(HOSTS), 0o700)?;
        make_directory(&directory.join(SERVER), 0o755)?;
        Salt::read_or_make(&directory.join(SALT))?;
        let authority = authority::found()?;
        write(&directory.join(AUTHORITY), PUBLIC, &authority.certificate)?;
        write(&directory.join(AUTHORITY_KEY), SECRET, &authority.key)?;
        let hub = KeyPair::make()?;
        let ca = &authority.certificate;
        let text = Credentials::text(Part::Hub, "hub", "hub", &hub.seed, ca, Extra::default());
        write(&directory.join(HUB), SECRET, &text)?;
        let mut charter = Charter {
            directory,
            register: Register {
                format: FORMAT.to_owned(),
                port,
                servers: Vec::new(),
                hub: hub.public,
                hosts: Vec::new(),
                coordinator: None,
                workers: Vec::new(),
            },
        };
        charter.serve_by(servers)?;
        // Comes last: without it, the directory is none of a fleet's.
        charter.keep()?;
        Ok(charter)
    }

    /// Reads the directory of a fleet.
    pub fn read(directory: &Path) -> Result<Charter, ExchangeError> {
        let none = |what: String| ExchangeError::NotFounded {
            path: directory.to_owned(),
            what,
        };
        let text = fs::read_to_string(directory.join(REGISTER))
            .map_err(|error| none(format!("{REGISTER}: {error}")))?;
        let register: Register =
            toml::from_str(&text).map_err(|error| none(error.message().to_owned()))?;
        if register.format != FORMAT {
            return Err(none(format!("its format is {}", register.format)));
        }
        Ok(Charter {
            directory: fs::canonicalize(directory).map_err(|error| none(error.to_string()))?,
            register,
        })
    }

    /// Gives hosts their keys, and has the server's configuration say so. Where `renew` is, a host
    /// that has one gets another.
    pub fn enrol(
        &mut self,
        newcomers: &[Newcomer],
        renew: bool,
    ) -> Result<Vec<Enrolled>, ExchangeError> {
        let mut names: BTreeSet<&str> = match renew {
            true => BTreeSet::new(),
            false => self.register.hosts.iter().map(|host| &*host.name).collect(),
        };
        if let Some(twice) = newcomers.iter().find(|it| !names.insert(&it.name)) {
            return Err(ExchangeError::Enrolled {
                name: twice.name.clone(),
            });
        }
        let salt = Salt::read(&self.directory.join(SALT))?;
        let authority = self.authority()?;
        let mut enrolled = Vec::new();
        for newcomer in newcomers {
            let Newcomer { name, machine_id } = newcomer;
            let before = self.register.hosts.iter().find(|host| host.name == *name);
            let id = match (machine_id, before) {
                (Some(machine), _) => salt.id_of(machine),
                (None, Some(known)) => known.id.clone(),
                (None, None) => salt.id_of_named(name),
            };
            let pair = KeyPair::make()?;
            let path = self
                .directory
                .join(HOSTS)
                .join(format!("{name}.credentials"));
            let (seed, none) = (&pair.seed, Extra::default());
            let text = Credentials::text(Part::Host, name, &id, seed, &authority, none);
            write(&path, SECRET, &text)?;
            self.register.hosts.retain(|host| host.name != *name);
            self.register.hosts.push(Member {
                name: name.clone(),
                id: id.clone(),
                key: pair.public,
            });
            enrolled.push(Enrolled {
                name: name.clone(),
                id,
                credentials: path,
            });
        }
        self.register.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        self.keep()?;
        Ok(enrolled)
    }

    fn authority(&self) -> Result<String, ExchangeError> {
        let read = fs::read_to_string(self.directory.join(AUTHORITY));
        read.map_err(|error| ExchangeError::NotFounded {
            path: self.directory.clone(),
            what: format!("{AUTHORITY}: {error}"),
        })
    }

    /// Makes the server's certificate anew, for these names and addresses beside those that it has.
    pub fn serve_by(&mut self, servers: &[String]) -> Result<(), ExchangeError> {
        servers.iter().try_for_each(|server| check_server(server))?;
        for server in servers {
            if !self.register.servers.contains(server) {
                self.register.servers.push(server.clone());
            }
        }
        let key = self.directory.join(AUTHORITY_KEY);
        let key = fs::read_to_string(&key).map_err(|error| ExchangeError::NotFounded {
            path: self.directory.clone(),
            what: format!("{AUTHORITY_KEY}: {error}"),
        })?;
        let certified = authority::issue(&key, &self.register.servers)?;
        let server = self.directory.join(SERVER);
        write(&server.join("server.key"), SECRET, &certified.key)?;
        write(&server.join("server.crt"), PUBLIC, &certified.certificate)
    }

    /// The server's configuration, then the register.
    pub fn keep(&self) -> Result<(), ExchangeError> {
        let server = self.directory.join(SERVER);
        let Register { port, hub, .. } = &self.register;
        let members = server_conf::Members {
            hub,
            hosts: known(&self.register.hosts),
            coordinator: self.register.coordinator.as_ref().map(|it| &*it.key),
            workers: known(&self.register.workers),
        };
        let text = server_conf::text(&server, *port, &members);
        write(&self.configuration(), PUBLIC, &text)?;
        let text = toml::to_string(&self.register).map_err(|error| ExchangeError::Write {
            path: self.directory.join(REGISTER),
            source: io::Error::other(error),
        })?;
        write(&self.directory.join(REGISTER), PUBLIC, &text)
    }

    /// What the server is started with.
    pub fn configuration(&self) -> PathBuf {
        self.directory.join(SERVER).join("nats-server.conf")
    }

    pub fn hub_credentials(&self) -> PathBuf {
        self.directory.join(HUB)
    }

    /// What hosts and the hub are told.
    pub fn url(&self) -> String {
        let server = self.register.servers.first();
        let server = server.map_or("localhost", String::as_str);
        let port = self.register.port;
        match server.contains(':') {
            true => format!("tls://[{server}]:{port}"),
            false => format!("tls://{server}:{port}"),
        }
    }
}

fn known(members: &[Member]) -> Vec<server_conf::Known<'_>> {
    let known = members.iter().map(|member| server_conf::Known {
        name: &member.name,
        id: &member.id,
        key: &member.key,
    });
    known.collect()
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), ExchangeError> {
    replace(path, mode, text.as_bytes()).map_err(|source| ExchangeError::Write {
        path: path.to_owned(),
        source,
    })
}

fn make_directory(path: &Path, mode: u32) -> Result<(), ExchangeError> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|source| ExchangeError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
