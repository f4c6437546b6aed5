//! An OS as the planner sees it: what it implements, stubs and fakes. The readers of the formats
//! in which that is written down are below: [`lines`] (`*.syscalls`), [`document`] (Loupe's own
//! TOML and JSON), [`scml`] (Asterinas'); [`shelf`] is where named profiles are kept, and
//! [`built_in`] has those that come with Loupe.

mod answer;
mod built_in;
mod difference;
mod document;
mod evidence;
mod foreign;
mod lines;
mod names;
mod probed;
mod runner;
mod scml;
mod shelf;
mod source;
mod table;
mod verified;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use loupe_common::text::nearest;
use serde::{Deserialize, Serialize};

use crate::text::Wrong;

pub(super) use answer::parts;
pub use built_in::all as built_in;
pub use difference::OsDifference;
pub use evidence::failing;
pub use probed::{Probed, ProbedFeature, ProbedResult, check_probed, read_probed};
pub use runner::OsRunner;
pub use scml::to_scml;
pub use shelf::{Origin, Shelf, default_shelf};
pub use source::{Source, Unknown};
pub use verified::OsVerified;
pub use write::to_toml;

/// What an OS does with each feature: syscalls, their operations and flags, pseudo-files. Whatever is
/// in no list is answered as [`OsProfile::answer`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct OsProfile {
    pub name: String,
    pub implement: BTreeSet<Feature>,
    /// Fails with ENOSYS, and somebody has thought about it. The same as in no list.
    #[serde(default)]
    pub stub: BTreeSet<Feature>,
    /// Returns 0 and does nothing.
    #[serde(default)]
    pub fake: BTreeSet<Feature>,
    /// Of those implemented, the ones known not to be so as a whole.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub partial: BTreeSet<Feature>,
    /// Fails with another errno than ENOSYS, and does nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error: BTreeMap<Errno, BTreeSet<Feature>>,
    /// Ends whoever calls it, or the OS.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kill: BTreeSet<Feature>,
    /// What a syscall gets that is in no list.
    #[serde(default, skip_serializing_if = "Unknown::is_usual")]
    pub unknown: Unknown,
    /// What is to be known of a feature; its status does not depend on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<Feature, String>,
    /// What the OS is called in full: `gVisor (runsc sentry)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whose syscalls these are; `None`: nobody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// Where the facts are from.
    #[serde(default, skip_serializing_if = "Source::is_empty")]
    pub source: Source,
    /// How to run a program there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<OsRunner>,
    /// Whether what it predicts was tried there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<OsVerified>,
}

impl OsProfile {
    /// Nothing is known.
    fn is_empty(&self) -> bool {
        let lists = [&self.implement, &self.stub, &self.fake, &self.kill];
        lists.into_iter().all(BTreeSet::is_empty) && self.error.is_empty()
    }

    /// The facts, without what is said about them.
    fn facts(&self) -> OsProfile {
        OsProfile {
            notes: BTreeMap::new(),
            title: None,
            arch: None,
            source: Source::default(),
            verified: None,
            ..self.clone()
        }
    }
}

/// Something odd in a file that was read all the same. Nothing is dropped without one.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema, Deserialize,
)]
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
    #[error("{0}")]
    Toml(Box<Wrong>),
    #[error("{}:{line}: {what}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        what: String,
    },
    #[error("{} names nothing that Loupe knows", path.display())]
    Empty { path: PathBuf },
    #[error("{}: {feature} is both in `{first}` and in `{second}`", path.display())]
    Contradiction {
        path: PathBuf,
        feature: Feature,
        first: String,
        second: String,
    },
    #[error("there is no OS profile `{name}`{}", perhaps(.name, .known))]
    Unknown { name: String, known: Vec<String> },
    #[error("`{name}` fits several OS profiles: {}", .fitting.join(", "))]
    Several { name: String, fitting: Vec<String> },
    #[error("`{name}` cannot be the name of an OS profile")]
    BadName { name: String },
    #[error("an OS profile `{name}` is there already, and it differs")]
    Taken { name: String },
    #[error("{} is of another version of the probe ({found}); this Loupe reads {}", path.display(),
            probed::PROBE_SCHEMA)]
    ProbeVersion { path: PathBuf, found: String },
    #[error("{} ends in its middle: the probe did not come to its end", path.display())]
    ProbeEnded { path: PathBuf },
    #[error("{} is nothing that the probe printed", path.display())]
    NotProbed { path: PathBuf },
}

/// Names that are near, or that this one is a part of, whatever the case.
fn perhaps(name: &str, known: &[String]) -> String {
    let small = name.to_lowercase();
    let stem = small.split('@').next().unwrap_or_default();
    let lower: Vec<String> = known.iter().map(|known| known.to_lowercase()).collect();
    let near = nearest(stem, lower.iter().map(String::as_str));
    let is_part = |lower: &str| stem.len() > 2 && lower.contains(stem);
    let parts = lower
        .iter()
        .map(String::as_str)
        .filter(|lower| is_part(lower));
    let mut shown: Vec<&str> = Vec::new();
    for wanted in near.into_iter().chain(parts) {
        let fitting = lower
            .iter()
            .zip(known)
            .filter(|(lower, _)| *lower == wanted);
        for (_, known) in fitting {
            if shown.len() < 3 && !shown.contains(&known.as_str()) {
                shown.push(known);
            }
        }
    }
    match shown.is_empty() {
        true => String::new(),
        false => format!(" (did you mean {}?)", shown.join(", ")),
    }
}

impl OsError {
    /// The line that is wrong, with a mark below what is meant.
    pub fn picture(&self) -> Option<String> {
        match self {
            OsError::Toml(wrong) => Some(wrong.picture()),
            _ => None,
        }
    }

    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        let cure = match self {
            OsError::Unknown { .. } => {
                "`loupe os list` has the names; or name a file (`--os ./Kerla.syscalls`), or keep one \
                 with `loupe os import FILE`"
            }
            OsError::Several { .. } => "write the whole name, as `loupe os list` has it",
            OsError::BadName { .. } => "use letters, digits, `-`, `_`, `+` and `.`",
            OsError::Taken { .. } => "replace it with --force, or choose another --name",
            OsError::ProbeVersion { .. } => {
                "write this Loupe's probe (`loupe probe --write FILE`), and run it on that OS again"
            }
            OsError::ProbeEnded { .. } => {
                "run it again with --trace, which names what it tries on standard error, and then \
                 with --skip and what ended it (docs/probe.md)"
            }
            OsError::NotProbed { .. } => {
                "without --probe, other files are read too; the probe's own output is what \
                 `loupe-probe > FILE` leaves (docs/probe.md)"
            }
            OsError::Contradiction { .. } => "leave it in one of the two lists",
            OsError::Empty { .. } => {
                "a profile is a list of names (`*.syscalls`), a TOML or JSON file with \
                 `implement`, `stub` and `fake`, SCML (`*.scml`), a table with a status, or a log \
                 (docs/plans.md)"
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

/// Reads a file of any of the formats, by its ending and by what is in it: `.toml`, `.json`,
/// `.scml`, a table with a status, a log; anything else is a list of names. A directory is read as
/// a tree of `.scml` files.
pub fn read(path: &Path) -> Result<ReadProfile, OsError> {
    read_over(path, None)
}

/// Reads a file that need not know everything: what it does not mention is as it is in `base`.
pub fn read_over(path: &Path, base: Option<&OsProfile>) -> Result<ReadProfile, OsError> {
    if path.is_dir() {
        return scml::read_tree(path);
    }
    let text = read_text(path)?;
    if let Some(kind) = evidence::kind_of(path, &text) {
        return evidence::read(kind, path, &text, base);
    }
    let read = read_whole(path, &text)?;
    Ok(match base {
        Some(base) => ReadProfile {
            profile: evidence::over(base, &read.profile),
            ..read
        },
        None => read,
    })
}

fn read_whole(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let read = match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => document::read_toml(path, text),
        Some("json") => document::read_json(path, text),
        Some("scml") => scml::read(path, text),
        _ if table::is_table(text) => table::read(path, text),
        _ => lines::read(path, text),
    }?;
    let profile = &read.profile;
    if profile.is_empty() {
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
