//! The paper's format, `*.syscalls`: one name or number a line, all of them implemented.

use std::collections::BTreeSet;
use std::path::Path;

use super::names::Names;
use super::{OsError, OsProfile, ReadProfile, name_of};

pub(super) fn read(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let mut names = Names::of(path);
    let mut implement = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if !word.is_empty() {
            names.add(word, Some(index + 1), &mut implement);
        }
    }
    Ok(ReadProfile {
        profile: OsProfile {
            name: name_of(path),
            implement,
            ..OsProfile::default()
        },
        remarks: names.finish(),
    })
}
