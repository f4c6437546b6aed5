//! The verdict on a feature: the paper's classes, and what a verdict rests on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// May the feature be stubbed, faked, either, neither?
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Neither stubbing nor faking works: an OS must implement it.
    Required,
    /// Only stubbing works.
    Stub,
    /// Only faking works.
    Fake,
    /// Both work.
    Any,
    /// The injection never fired, so nothing is known.
    NotExercised,
    /// Replicas disagreed or measurements failed, and no more were allowed.
    Undecided,
}

impl Verdict {
    /// The verdict on a feature of which both ways were decided.
    pub fn from_works(stub: bool, fake: bool) -> Verdict {
        match (stub, fake) {
            (true, true) => Verdict::Any,
            (true, false) => Verdict::Stub,
            (false, true) => Verdict::Fake,
            (false, false) => Verdict::Required,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Required => "required",
            Verdict::Stub => "stub",
            Verdict::Fake => "fake",
            Verdict::Any => "any",
            Verdict::NotExercised => "not exercised",
            Verdict::Undecided => "undecided",
        })
    }
}
