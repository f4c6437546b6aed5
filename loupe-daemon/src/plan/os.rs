//! An OS as the planner sees it: what it implements, stubs and fakes. The readers of the formats
//! in which that is written down are below: [`lines`] (`*.syscalls`), [`document`] (Loupe's own
//! TOML and JSON), [`scml`] (Asterinas'); [`shelf`] is where named profiles are kept.

mod difference;
mod document;
mod lines;
mod names;
mod scml;
mod shelf;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use loupe_common::feature::Feature;
use serde::{Deserialize, Serialize};

use super::need::Answer;

pub use difference::OsDifference;
pub use document::to_toml;
pub use shelf::{Shelf, default_shelf};

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

    /// It is in one of the lists.
    pub fn mentions(&self, feature: &Feature) -> bool {
        let mut lists = [&self.implement, &self.stub, &self.fake].into_iter();
        lists.any(|list| list.contains(feature))
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

impl Remark {
    pub fn new(file: &Path, line: impl Into<Option<usize>>, what: impl Into<String>) -> Remark {
        Remark {
            file: file.to_owned(),
            line: line.into(),
            what: what.into(),
        }
    }
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

/// A profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {what}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        what: String,
    },
    #[error("{} names no syscall that Loupe knows", path.display())]
    Empty { path: PathBuf },
    #[error("{}: {feature} is both in `{first}` and in `{second}`", path.display())]
    Contradiction {
        path: PathBuf,
        feature: Feature,
        first: &'static str,
        second: &'static str,
    },
    #[error("there is no OS profile `{name}`{}", among(.known))]
    Unknown { name: String, known: Vec<String> },
    #[error("`{name}` cannot be the name of an OS profile")]
    BadName { name: String },
    #[error("an OS profile `{name}` is there already, and it differs")]
    Taken { name: String },
    #[error("cannot encode the profile as TOML: {0}")]
    Encode(#[from] toml::ser::Error),
}

fn among(known: &[String]) -> String {
    match known {
        [] => String::new(),
        some => format!("; there are {}", some.join(", ")),
    }
}

impl OsError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        let cure = match self {
            OsError::Unknown { .. } => {
                "name a file (`--os ./Kerla.syscalls`), or keep one with `loupe os import FILE`"
            }
            OsError::BadName { .. } => "use letters, digits, `-`, `_`, `+` and `.`",
            OsError::Taken { .. } => "replace it with --force, or choose another --name",
            OsError::Contradiction { .. } => "leave it in one of the two lists",
            OsError::Empty { .. } => {
                "a profile is a list of names (`*.syscalls`), a TOML or JSON file with \
                 `implement`, `stub` and `fake`, or SCML (`*.scml`)"
            }
            _ => return None,
        };
        Some(cure.to_owned())
    }
}

/// A profile and what was odd about its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadProfile {
    pub profile: OsProfile,
    pub remarks: Vec<Remark>,
}

/// Reads a file of any of the formats, by its ending: `.toml`, `.json`, `.scml`, anything else is
/// a list of names. A directory is read as a tree of `.scml` files.
pub fn read(path: &Path) -> Result<ReadProfile, OsError> {
    if path.is_dir() {
        return scml::read_tree(path);
    }
    let text = read_text(path)?;
    let read = match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => document::read_toml(path, &text),
        Some("json") => document::read_json(path, &text),
        Some("scml") => scml::read(path, &text),
        _ => lines::read(path, &text),
    }?;
    let profile = &read.profile;
    if profile.implement.is_empty() && profile.stub.is_empty() && profile.fake.is_empty() {
        return Err(OsError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(read)
}

fn read_text(path: &Path) -> Result<String, OsError> {
    std::fs::read_to_string(path).map_err(|source| OsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The profile's name where the file does not say: the file's own.
fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(
        || "os".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
