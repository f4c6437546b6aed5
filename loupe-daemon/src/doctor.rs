//! `loupe doctor`: what this host can and cannot do, and the cure for each lack.
//!
//! [`facts`] looks at the host, [`judge`] decides from the facts alone, and this module prints.
//! Nothing here changes anything on the host; the trial, a trace of `true`, is the caller's. What
//! makes Loupe impossible is asked before each work, too ([`refusal`]).

pub mod facts;
mod judge;
mod print;

use loupe_common::wire::Failure;
use serde::Serialize;

pub use facts::{DaemonFact, Facts, Trial};
pub use judge::{Work, judge, obstacle};
pub use print::table;

/// The value of `schema` in the JSON of a [`Report`].
pub const SCHEMA: &str = "loupe.doctor/1";

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// Loupe works, with a limit that one should know.
    Warn,
    /// Something that Loupe needs is missing.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    pub found: String,
    /// What it is for.
    pub needed_for: &'static str,
    /// Present unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Report {
    pub schema: &'static str,
    /// Nothing failed.
    pub usable: bool,
    pub checks: Vec<Check>,
}

/// Why this process cannot do this work, and the cure: told before anything is loaded or started.
pub fn refusal(facts: &Facts, work: Work) -> Option<Failure> {
    let check = obstacle(facts, work)?;
    let message = format!("Loupe cannot work here: {}: {}", check.name, check.found);
    Some(Failure::internal(message).explained(check.cure, None))
}

/// Major and minor number of the running kernel.
pub fn kernel_version() -> Option<(u32, u32)> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    judge::version(release.trim())
}

impl Report {
    fn new(checks: Vec<Check>) -> Report {
        Report {
            schema: SCHEMA,
            usable: checks.iter().all(|check| check.status != Status::Fail),
            checks,
        }
    }
}

#[cfg(test)]
mod tests;
