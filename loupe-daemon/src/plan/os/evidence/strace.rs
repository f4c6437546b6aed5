//! What `strace -f` wrote: calls and how each came back. Times and process ids before them, and
//! calls that are written in two parts, are understood; arguments are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;

use super::{Findings, join, strangers, syscall};
use crate::plan::need::Answer;

/// How a call came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Well,
    Failed(Errno),
}

/// What was seen of a syscall.
#[derive(Debug, Default)]
struct Seen {
    well: u64,
    failed: BTreeSet<Errno>,
}

pub(super) fn read(path: &Path, text: &str) -> Findings {
    let mut calls: BTreeMap<Feature, Seen> = BTreeMap::new();
    let mut unknown = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let Some((name, came)) = call(line) else {
            continue;
        };
        let Some(syscall) = syscall(name) else {
            unknown.entry(name.to_owned()).or_insert(index + 1);
            continue;
        };
        let seen = calls.entry(syscall.into()).or_default();
        match came {
            Came::Well => seen.well += 1,
            Came::Failed(errno) => {
                seen.failed.insert(errno);
            }
        }
    }
    let mut found = Findings {
        remarks: strangers(path, unknown, "unknown syscall"),
        ..Findings::default()
    };
    for (feature, seen) in calls {
        let lacks = seen.failed.contains(&Errno::ENOSYS);
        let note = match (seen.well, lacks) {
            (0, true) => None,
            (0, false) => Some(format!(
                "was only seen to fail, with {}",
                join(seen.failed.iter().copied())
            )),
            (_, true) => Some("some calls fail with ENOSYS".to_owned()),
            (_, false) => None,
        };
        if let Some(note) = note {
            found.notes.insert(feature.clone(), note);
            found.partial.push(feature.clone());
        }
        let answer = match (seen.well, lacks) {
            (0, true) => Answer::Stub,
            // Another errno is an answer of somebody who looked at the arguments.
            _ => Answer::Implement,
        };
        found.answers.insert(feature, answer);
    }
    found
}

/// The name of a call that came back in this line, and how.
pub(super) fn call(line: &str) -> Option<(&str, Came)> {
    let mut rest = line.trim_start();
    // `[pid 12]`, `12`, `12:00:00.5`, `0.000012`: of which there may be several.
    loop {
        if let Some(tail) = rest.strip_prefix("[pid ") {
            rest = tail.split_once(']')?.1.trim_start();
            continue;
        }
        let (word, tail) = rest.split_once(' ')?;
        let is_moment = word.starts_with(|first: char| first.is_ascii_digit())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
        if !is_moment {
            break;
        }
        rest = tail.trim_start();
    }
    let name = match rest.strip_prefix("<... ") {
        Some(resumed) => resumed.split_once(" resumed>")?.0,
        None => rest.split_once('(')?.0,
    };
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    // The result is what is last: arguments may have the same in them.
    let (before, result) = rest.rsplit_once(" = ")?;
    if !before.trim_end().ends_with(')') {
        return None;
    }
    let mut words = result.split(' ');
    match words.next()? {
        "-1" => {
            let errno = words.next()?.parse().ok()?;
            Some((name, Came::Failed(errno)))
        }
        // `?`: it never came back, or will be called again.
        _ => Some((name, Came::Well)),
    }
}
