//! Loupe's own format: TOML or JSON with `name`, `implement`, `stub` and `fake`.

use std::collections::BTreeSet;
use std::path::Path;

use loupe_common::feature::Feature;
use serde::Deserialize;

use super::names::Names;
use super::{OsError, OsProfile, ReadProfile, name_of};

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
}

pub(super) fn read_toml(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let document = toml::from_str(text).map_err(|error| OsError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        what: error.message().to_owned(),
    })?;
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
    let mut set = |words: &[String]| {
        let mut set = BTreeSet::new();
        for word in words {
            let line = text
                .find(&format!("\"{word}\""))
                .map(|at| line_at(text, at));
            names.add(word, line, &mut set);
        }
        set
    };
    let profile = OsProfile {
        name: document.name.unwrap_or_else(|| name_of(path)),
        implement: set(&document.implement),
        stub: set(&document.stub),
        fake: set(&document.fake),
    };
    contradiction(path, &profile)?;
    Ok(ReadProfile {
        profile,
        remarks: names.finish(),
    })
}

fn contradiction(path: &Path, profile: &OsProfile) -> Result<(), OsError> {
    let lists: [(&'static str, &BTreeSet<Feature>); 3] = [
        ("implement", &profile.implement),
        ("stub", &profile.stub),
        ("fake", &profile.fake),
    ];
    for (index, (first, a)) in lists.iter().enumerate() {
        for (second, b) in &lists[index + 1..] {
            if let Some(feature) = a.intersection(b).next() {
                return Err(OsError::Contradiction {
                    path: path.to_owned(),
                    feature: feature.clone(),
                    first,
                    second,
                });
            }
        }
    }
    Ok(())
}

/// The profile as [`read_toml`] reads it.
pub fn to_toml(profile: &OsProfile) -> Result<String, OsError> {
    Ok(toml::to_string_pretty(profile)?)
}
