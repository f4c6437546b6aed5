//! Loupe's own format: TOML or JSON with `name`, `implement`, `stub`, `fake` and what else an OS may
//! do with a call. Written by [`super::write`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use serde::Deserialize;

use super::names::Names;
use super::{OsError, OsProfile, OsRunner, OsVerified, ReadProfile, Source, Unknown, name_of};
use crate::text::Wrong;

/// Names are text here: an unknown one is to be reported, not to make the file unreadable.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: Option<String>,
    #[serde(default)]
    implement: Vec<String>,
    #[serde(default)]
    stub: Vec<String>,
    #[serde(default)]
    fake: Vec<String>,
    /// Implemented, and not as a whole.
    #[serde(default)]
    partial: Vec<String>,
    #[serde(default)]
    kill: Vec<String>,
    #[serde(default)]
    error: BTreeMap<Errno, Vec<String>>,
    #[serde(default)]
    unknown: Unknown,
    #[serde(default)]
    notes: BTreeMap<String, String>,
    title: Option<String>,
    arch: Option<Arch>,
    #[serde(default)]
    source: Source,
    runner: Option<OsRunner>,
    verified: Option<OsVerified>,
}

pub(super) fn read_toml(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let document = toml::from_str(text)
        .map_err(|error| OsError::Toml(Box::new(Wrong::new(text, path, &error))))?;
    profile(path, text, document)
}

pub(super) fn read_json(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let document = serde_json::from_str(text).map_err(|error| OsError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        what: error.to_string(),
    })?;
    profile(path, text, document)
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

fn profile(path: &Path, text: &str, document: Document) -> Result<ReadProfile, OsError> {
    let mut names = Names::of(path);
    let line_of = |word: &str| {
        let at = text.find(&format!("\"{word}\""));
        at.map(|at| line_at(text, at))
    };
    let mut set = |words: &[String]| {
        let mut set = BTreeSet::new();
        for word in words {
            names.add(word, line_of(word), &mut set);
        }
        set
    };
    let mut implement = set(&document.implement);
    let (stub, fake) = (set(&document.stub), set(&document.fake));
    let kill = set(&document.kill);
    let errors = document.error.iter();
    let mut error: BTreeMap<Errno, BTreeSet<Feature>> = errors
        .map(|(errno, words)| (*errno, set(words)))
        .filter(|(_, features)| !features.is_empty())
        .collect();
    // JSON has those that are partial in both lists.
    let partial: Vec<String> = document.partial;
    let (again, new): (Vec<String>, Vec<String>) = partial
        .into_iter()
        .partition(|word| document.implement.contains(word));
    let mut partial = set(&new);
    implement.extend(partial.iter().cloned());
    partial.extend(again.iter().filter_map(|word| word.parse::<Feature>().ok()));
    let mut stub = stub;
    stub.extend(error.remove(&Errno::ENOSYS).unwrap_or_default());
    let mut notes = BTreeMap::new();
    for (word, note) in document.notes {
        if let Some(feature) = names.take(&word, line_of(&word)) {
            notes.insert(feature, note);
        }
    }
    let profile = OsProfile {
        name: document.name.unwrap_or_else(|| name_of(path)),
        implement,
        stub,
        fake,
        partial,
        error,
        kill,
        unknown: document.unknown,
        notes,
        title: document.title,
        arch: document.arch,
        source: document.source,
        runner: document.runner,
        verified: document.verified,
    };
    contradiction(path, &profile)?;
    Ok(ReadProfile {
        profile,
        remarks: names.finish(),
    })
}

fn contradiction(path: &Path, profile: &OsProfile) -> Result<(), OsError> {
    let mut lists: Vec<(String, &BTreeSet<Feature>)> = vec![
        ("implement".to_owned(), &profile.implement),
        ("stub".to_owned(), &profile.stub),
        ("fake".to_owned(), &profile.fake),
        ("kill".to_owned(), &profile.kill),
    ];
    let errors = profile.error.iter();
    lists.extend(errors.map(|(errno, features)| (format!("error.{errno}"), features)));
    for (index, (first, a)) in lists.iter().enumerate() {
        for (second, b) in &lists[index + 1..] {
            if let Some(feature) = a.intersection(b).next() {
                return Err(OsError::Contradiction {
                    path: path.to_owned(),
                    feature: feature.clone(),
                    first: first.clone(),
                    second: second.clone(),
                });
            }
        }
    }
    Ok(())
}
