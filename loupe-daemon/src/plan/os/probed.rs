//! What the probe prints: how each feature did that it tried on an OS. Reads and counts; makes no
//! profile of it (`evidence` does) and runs nothing.

use std::path::Path;

use loupe_common::errno::Errno;
use loupe_common::syscalls::Arch;
use serde::{Deserialize, Serialize};

use super::OsError;

/// The version that this Loupe reads, and its probe writes.
pub const PROBE_SCHEMA: &str = "loupe.probe/1";

/// What every version begins its schema's name with.
const ANY_VERSION: &str = "\"loupe.probe/";

/// All that a probe found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Probed {
    pub schema: String,
    pub arch: Arch,
    /// What the OS says of itself (`uname`).
    pub os: ProbedOs,
    /// When, in seconds since 1970, by the OS's own clock.
    pub time: u64,
    /// It had all rights.
    pub root: bool,
    /// Each feature was tried in a process of its own; else the OS has no other processes.
    pub isolated: bool,
    pub results: Vec<ProbedFeature>,
}

/// `struct utsname`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ProbedOs {
    pub sysname: String,
    pub release: String,
    pub version: String,
    pub machine: String,
}

/// A feature, and how it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ProbedFeature {
    pub feature: String,
    pub result: ProbedResult,
    /// Of the result `errno`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<u16>,
    /// Of `not tried`: what it could not be tried without, and that does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Of `not tried`: why else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a feature did.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema, Deserialize,
)]
pub enum ProbedResult {
    /// It had its effect.
    #[serde(rename = "works")]
    Works,
    #[serde(rename = "ENOSYS")]
    Enosys,
    #[serde(rename = "errno")]
    Errno,
    /// It said that it succeeded, and had no effect.
    #[serde(rename = "lies")]
    Lies,
    /// It ended its process.
    #[serde(rename = "crashes")]
    Crashes,
    /// It did not come back in time.
    #[serde(rename = "hangs")]
    Hangs,
    #[serde(rename = "not tried")]
    NotTried,
}

impl ProbedFeature {
    /// What it failed with.
    pub fn failed_with(&self) -> Option<Errno> {
        match self.result {
            ProbedResult::Enosys => Some(Errno::ENOSYS),
            ProbedResult::Errno => Errno::new(i64::from(self.errno?)),
            _ => None,
        }
    }

    /// How it did, in a word.
    pub fn word(&self) -> String {
        match self.result {
            ProbedResult::Works => "works".to_owned(),
            ProbedResult::Lies => "lies".to_owned(),
            ProbedResult::Crashes => "crashes".to_owned(),
            ProbedResult::Hangs => "hangs".to_owned(),
            ProbedResult::NotTried => "not tried".to_owned(),
            ProbedResult::Enosys | ProbedResult::Errno => self
                .failed_with()
                .map_or_else(|| "fails".to_owned(), |errno| errno.to_string()),
        }
    }
}

/// Whether a file is what a probe of some version printed.
pub(super) fn is_probed(text: &str) -> bool {
    text.trim_start().starts_with('{') && text.contains(ANY_VERSION)
}

/// Reads what this version's probe printed.
pub fn read_probed(path: &Path, text: &str) -> Result<Probed, OsError> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let unreadable = |error: serde_json::Error| match error.is_eof() {
        true => OsError::ProbeEnded {
            path: path.to_owned(),
        },
        false => OsError::Syntax {
            path: path.to_owned(),
            line: error.line(),
            what: error.to_string(),
        },
    };
    let head: Head = serde_json::from_str(text).map_err(unreadable)?;
    if head.schema != PROBE_SCHEMA {
        return Err(
            match head.schema.starts_with(ANY_VERSION.trim_start_matches('"')) {
                true => OsError::ProbeVersion {
                    path: path.to_owned(),
                    found: head.schema,
                },
                false => OsError::NotProbed {
                    path: path.to_owned(),
                },
            },
        );
    }
    serde_json::from_str(text).map_err(unreadable)
}

/// Reads a file that has to be what a probe printed.
pub fn check_probed(path: &Path) -> Result<(), OsError> {
    let text = super::read_text(path)?;
    match is_probed(&text) {
        true => Ok(()),
        false => Err(OsError::NotProbed {
            path: path.to_owned(),
        }),
    }
}
