//! A profile as SCML: the calls that an OS implements, down to operations and flags. [`super::read`]
//! reads it again. What the language has no words for (errnos, fakes, files, notes) stands in
//! comments, and is counted for whoever asked.

mod calls;
mod comments;

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;

use super::super::OsProfile;
use comments::Unsaid;

/// The longest line, in characters.
const LINE_CHARS: usize = 100;

/// A profile in SCML.
pub struct Scml {
    pub text: String,
    /// What is in comments only, in one sentence; `None`: everything is said.
    pub unsaid: Option<String>,
}

/// The profile as far as SCML can say it.
pub fn to_scml(profile: &OsProfile) -> Scml {
    let mut unsaid = Unsaid::of(profile);
    let mut text = comments::head(profile);
    let syscalls: BTreeSet<Syscall> = profile.mentioned().filter_map(Feature::syscall).collect();
    let mut told = BTreeSet::new();
    for syscall in syscalls {
        let calls = calls::of(profile, syscall);
        if calls.loses_unnamed {
            unsaid.unnamed.insert(syscall);
        }
        if calls.patterns.is_empty() {
            continue;
        }
        told.insert(syscall);
        for (about, note) in unsaid.notes_of(profile, syscall) {
            text.push_str(&comments::lines(&format!("{about}: {note}")));
        }
        for pattern in &calls.patterns {
            text.push_str(&pattern.text(syscall));
        }
    }
    text.push_str(&unsaid.comment(profile, &told));
    Scml {
        text,
        unsaid: unsaid.sentence(),
    }
}
