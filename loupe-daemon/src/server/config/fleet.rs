//! `[fleet]`: whether this host tells a fleet what it knows, or takes in what others tell, and where the
//! server is. In force from a start on.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Where `credentials` names no other.
const DEFAULT_CREDENTIALS: &str = "/etc/loupe/fleet.credentials";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    /// Of the NATS server. Without it this host belongs to no fleet.
    #[serde(deserialize_with = "address")]
    pub url: Option<String>,
    pub role: Role,
    pub credentials: Option<PathBuf>,
    interval_seconds: Option<NonZeroU32>,
    /// Whether the name that the fleet has given to this host leaves it, too.
    pub tell_name: bool,
}

/// What louped does for the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    Agent,
    Hub,
}

impl Default for FleetConfig {
    fn default() -> Self {
        FleetConfig {
            url: None,
            role: Role::default(),
            credentials: None,
            interval_seconds: None,
            tell_name: true,
        }
    }
}

impl FleetConfig {
    pub fn credentials(&self) -> &Path {
        let named = self.credentials.as_deref();
        named.unwrap_or(Path::new(DEFAULT_CREDENTIALS))
    }

    /// Between two rounds of an agent.
    pub fn interval(&self) -> Duration {
        let chosen = self.interval_seconds;
        chosen.map_or(DEFAULT_INTERVAL, |it| Duration::from_secs(it.get().into()))
    }
}

/// What is wrong with the address of a server, as far as can be seen from it alone.
pub fn check_address(url: &str) -> Result<String, String> {
    let host = url.strip_prefix("tls://").or(url.strip_prefix("nats://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '@', ' ']) => Ok(url.to_owned()),
        _ => Err(format!(
            "`{url}` is no address of a NATS server, such as tls://hub.example.org:4222"
        )),
    }
}

pub(super) fn address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(deserializer)?;
    check_address(&url).map(Some).map_err(D::Error::custom)
}
