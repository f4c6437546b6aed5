//! An OS as the planner sees it: what it implements, stubs and fakes, and the readers of the
//! formats in which that is written down.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use loupe_common::feature::Feature;
use serde::{Deserialize, Serialize};

use super::need::Answer;

/// What an OS does with each feature. Whatever is in no list fails with ENOSYS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsProfile {
    pub name: String,
    pub implement: BTreeSet<Feature>,
    /// Fails with ENOSYS, and somebody has thought about it. The same as in no list.
    #[serde(default)]
    pub stub: BTreeSet<Feature>,
    /// Returns 0 and does nothing.
    #[serde(default)]
    pub fake: BTreeSet<Feature>,
}

impl OsProfile {
    pub fn answer(&self, feature: &Feature) -> Answer {
        if self.implement.contains(feature) {
            Answer::Implement
        } else if self.fake.contains(feature) {
            Answer::Fake
        } else {
            Answer::Stub
        }
    }
}

/// Something odd in a file that was read all the same. Nothing is dropped without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Remark {
    pub file: PathBuf,
    /// Counted from 1; `None`: about the file as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    pub what: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}
