//! `[worker]`: whether this host runs replays of a fleet's studies, and as whom. In force from a start on.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::fleet::address;

/// Where `credentials` names no other.
const DEFAULT_CREDENTIALS: &str = "/etc/loupe/worker.credentials";
/// Where `directory` names no other.
const DEFAULT_DIRECTORY: &str = "/var/cache/loupe/worker";
/// Where `user` names no other: one that owns nothing.
const DEFAULT_USER: &str = "nobody";

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Of the NATS server. Without it this host is no worker.
    #[serde(deserialize_with = "address")]
    pub url: Option<String>,
    pub credentials: Option<PathBuf>,
    /// Replays at a time.
    pub slots: Option<NonZeroU16>,
    user: Option<String>,
    directory: Option<PathBuf>,
}

impl WorkerConfig {
    pub fn credentials(&self) -> &Path {
        let named = self.credentials.as_deref();
        named.unwrap_or(Path::new(DEFAULT_CREDENTIALS))
    }

    /// Whose rights workloads have.
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(DEFAULT_USER)
    }

    /// Where the files of workloads are while they are replayed.
    pub fn directory(&self) -> &Path {
        let named = self.directory.as_deref();
        named.unwrap_or(Path::new(DEFAULT_DIRECTORY))
    }
}
