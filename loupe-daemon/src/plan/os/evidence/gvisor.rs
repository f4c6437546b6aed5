//! gVisor's compatibility log: a line for each call that it does not support, at its first time.
//! `… compat.go:123] Unsupported syscall sys_449(0x0,0x0,0x0,0x0,0x0,0x6). It is likely …`

use std::collections::BTreeMap;
use std::path::Path;

use loupe_common::feature::Feature;
use loupe_common::operations;

use super::{Findings, strangers, syscall};
use crate::plan::need::Answer;
use crate::plan::os::OsProfile;

/// Before the call.
pub(super) const MARK: &str = "Unsupported syscall ";

/// A call that `known` implements is named for the sake of one operation of it: only that one is
/// missing.
pub(super) fn read(path: &Path, text: &str, known: &OsProfile) -> Findings {
    let mut found = Findings::default();
    let mut unknown = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let Some((_, rest)) = line.split_once(MARK) else {
            continue;
        };
        let (name, rest) = rest.split_once('(').unwrap_or((rest, ""));
        let Some(syscall) = syscall(name.trim()) else {
            unknown.entry(name.trim().to_owned()).or_insert(index + 1);
            continue;
        };
        let feature = Feature::from(syscall);
        let words = rest.split(')').next().unwrap_or_default();
        let operation = arguments(words)
            .filter(|_| known.answer(&feature) == Answer::Implement)
            .and_then(|arguments| operations::operation_of(syscall, &arguments));
        match operation {
            Some(operation) => {
                found
                    .answers
                    .insert(Feature::Operation(operation), Answer::Stub);
                found.partial.push(feature);
            }
            None if known.answer(&feature) == Answer::Implement => {
                found.partial.push(feature.clone());
                let note = found.notes.entry(feature).or_default();
                if note.is_empty() {
                    *note = format!("not supported: {name}({words})");
                }
            }
            None => {
                found.answers.insert(feature, Answer::Stub);
            }
        }
    }
    found.remarks = strangers(path, unknown, "unknown syscall");
    found
}

/// All six, in hexadecimal.
fn arguments(words: &str) -> Option<[u64; 6]> {
    let numbers = words.split(',').map(|word| {
        let word = word.trim();
        match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        }
    });
    let numbers: Option<Vec<u64>> = numbers.collect();
    numbers?.try_into().ok()
}
