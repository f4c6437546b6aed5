//! How often predictions by a profile were right when they were tried on the OS: what `loupe verify`
//! counted, kept with the profile. Tries nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of a `loupe verify` that was published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OsVerified {
    /// Applications of which it was predicted rightly whether they run there.
    pub right: usize,
    pub of: usize,
    /// What they were run on: `gVisor 20221219`.
    pub on: String,
    /// `2026-11-29`.
    pub date: String,
}

impl fmt::Display for OsVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OsVerified {
            right,
            of,
            on,
            date,
        } = self;
        write!(f, "predictions right: {right} of {of} on {on} ({date})")
    }
}
