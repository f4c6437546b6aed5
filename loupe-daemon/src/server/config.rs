//! `/etc/loupe/louped.toml`: what it may say, and reading it. Pure, but for the reading; what is
//! done about it is others' to do.
//!
//! `packaging/louped.toml` is the manual of its keys.

mod fleet;
mod reload;
mod worker;
mod wrong;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use loupe_common::profile::Target;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::profile::{Choice, Settings};
use crate::text::Wrong;
use crate::tracer::profiler::ProfilerBounds;

pub use fleet::{FleetConfig, Role, check_address as check_fleet_address};
pub use reload::{InForce, Reloader};
pub use worker::WorkerConfig;
pub use wrong::ConfigError;

/// Read where no other is named; its absence is no error.
pub const DEFAULT_PATH: &str = "/etc/loupe/louped.toml";

/// Pairs of owner and executable that the in-kernel programs can number.
const MOST_SLOTS: u32 = 65_535;

/// What the file says, and the defaults of what it leaves out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub daemon: DaemonConfig,
    pub profile: ProfileConfig,
    pub metrics: MetricsConfig,
    pub fleet: FleetConfig,
    pub worker: WorkerConfig,
}

/// What the command line says as well, and then counts. In force from a start on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DaemonConfig {
    /// Replays at a time.
    pub jobs: Option<NonZeroU16>,
    /// Hours that one job may run.
    pub job_hours: Option<NonZeroU32>,
}

/// What is watched, and at what price.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfileConfig {
    units: Vec<UnitPattern>,
    targets: Vec<Lasting>,
    duty: Duty,
    pin: bool,
    limits: Limits,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    cgroups: Option<NonZeroU32>,
    slots: Option<Slots>,
    processes: Option<NonZeroU32>,
    calls: Option<NonZeroU32>,
    errors: Option<NonZeroU32>,
    operations: Option<NonZeroU32>,
    files: Option<NonZeroU32>,
}

/// Where metrics are to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// For node_exporter's textfile collector.
    #[serde(deserialize_with = "textfile")]
    pub textfile: Option<PathBuf>,
    /// Of this host only.
    #[serde(deserialize_with = "loopback")]
    pub listen: Option<SocketAddr>,
    /// A row for each syscall of each unit.
    pub syscalls: bool,
}

impl ProfileConfig {
    /// In the form that the service takes.
    pub fn settings(&self) -> Settings {
        let units = self.units.iter();
        let units = units.map(|pattern| Target::Unit(pattern.0.clone()));
        let others = self.targets.iter().map(|target| target.0.clone());
        let mut targets: Vec<Target> = units.chain(others).collect();
        targets.sort();
        targets.dedup();
        Settings {
            targets,
            duty: self.duty.0,
            bounds: self.limits.bounds(),
            pin: self.pin,
        }
    }
}

impl Limits {
    fn bounds(&self) -> ProfilerBounds {
        let or = |chosen: Option<NonZeroU32>, default| chosen.map_or(default, NonZeroU32::get);
        let default = ProfilerBounds::default();
        ProfilerBounds {
            cgroups: or(self.cgroups, default.cgroups),
            slots: self.slots.map_or(default.slots, |slots| slots.0),
            processes: or(self.processes, default.processes),
            calls: or(self.calls, default.calls),
            errors: or(self.errors, default.errors),
            operations: or(self.operations, default.operations),
            files: or(self.files, default.files),
        }
    }
}

/// A name or pattern of units; as for systemctl, `nginx` is `nginx.service`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnitPattern(String);

impl<'de> Deserialize<'de> for UnitPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UnitPattern, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.is_empty() || name.contains('/') {
            return Err(D::Error::custom(format!(
                "`{name}` is no name of a unit; a path goes below `targets`: \"cgroup:PATH\" or \
                 \"executable:PATH\""
            )));
        }
        Ok(UnitPattern(match name.contains('.') {
            true => name,
            false => format!("{name}.service"),
        }))
    }
}

/// What there is at each start of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lasting(Target);

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lasting, D::Error> {
        match Target::deserialize(deserializer)? {
            Target::Process(pid) => Err(D::Error::custom(format!(
                "pid:{pid} is another process after each start; `loupe profile add --pid {pid}` \
                 watches the one that there is now"
            ))),
            lasting => Ok(Lasting(lasting)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Duty(Choice);

impl Default for Duty {
    fn default() -> Self {
        Duty(Choice::Measured)
    }
}

impl<'de> Deserialize<'de> for Duty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duty, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Duty;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a part of the time, \"5%\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duty, E> {
                if text == "auto" {
                    return Ok(Duty::default());
                }
                let number: Option<f64> = text
                    .strip_suffix('%')
                    .and_then(|text| text.trim().parse().ok());
                match number {
                    Some(percent) if percent > 0.0 && percent <= 100.0 => {
                        Ok(Duty(Choice::Fixed(percent / 100.0)))
                    }
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Slots(u32);

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Slots, D::Error> {
        match NonZeroU32::deserialize(deserializer)?.get() {
            slots if slots <= MOST_SLOTS => Ok(Slots(slots)),
            slots => Err(D::Error::custom(format!(
                "{slots} pairs of service and executable are more than {MOST_SLOTS}, which the \
                 in-kernel programs can tell apart"
            ))),
        }
    }
}

fn textfile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if !path.is_absolute() {
        return Err(D::Error::custom("this is no absolute path"));
    }
    if path.extension().is_none_or(|extension| extension != "prom") {
        return Err(D::Error::custom(
            "node_exporter only reads files whose names end with `.prom`",
        ));
    }
    Ok(Some(path))
}

fn loopback<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address: SocketAddr = text.parse().map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is no address with a port, such as 127.0.0.1:9777"
        ))
    })?;
    if !address.ip().is_loopback() {
        return Err(D::Error::custom(format!(
            "other hosts reach {}, and nobody is asked who they are: only 127.0.0.1 and [::1] are \
             possible; for other hosts, node_exporter serves a `textfile`",
            address.ip()
        )));
    }
    Ok(Some(address))
}

impl Config {
    /// Reads a file. The one that nobody named may be absent.
    pub fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(&text, path),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Config::default())
            }
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The text of a file; `path` only names it in errors.
    fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        toml::from_str(text)
            .map_err(|error| ConfigError::Wrong(Box::new(Wrong::new(text, path, &error))))
    }
}

#[cfg(test)]
mod tests;
