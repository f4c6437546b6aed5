//! What SCML has no words for, as comments of it and as one sentence for whoever asked.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;

use super::super::super::OsProfile;
use super::LINE_CHARS;
use crate::plan::need::Answer;
use crate::text::{counted, printable};

/// What is in comments only.
pub(super) struct Unsaid {
    /// By the answer that it gets.
    answers: BTreeMap<&'static str, BTreeSet<Feature>>,
    errors: BTreeMap<String, BTreeSet<Feature>>,
    /// Not to be told from a missing one: files, operations of io_uring, parts without a name, parts
    /// whose syscall's arguments do not tell them.
    others: BTreeMap<&'static str, BTreeSet<Feature>>,
    /// Syscalls of which operations without a name are implemented, and others are not.
    pub(super) unnamed: BTreeSet<Syscall>,
    notes: usize,
}

impl Unsaid {
    pub(super) fn of(profile: &OsProfile) -> Unsaid {
        let mut unsaid = Unsaid {
            answers: BTreeMap::new(),
            errors: BTreeMap::new(),
            others: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            notes: profile.notes.len(),
        };
        for feature in profile.mentioned() {
            if let Some(kind) = kind_of_other(feature) {
                unsaid.add_other(kind, feature);
            }
            match profile.answer(feature) {
                Answer::Implement | Answer::Stub => continue,
                Answer::Fake => unsaid.answers.entry("fake").or_default(),
                Answer::Kill => unsaid.answers.entry("kill").or_default(),
                Answer::Error(errno) => unsaid.errors.entry(errno.to_string()).or_default(),
            }
            .insert(feature.clone());
        }
        for feature in &profile.partial {
            let partial = unsaid.answers.entry("partial").or_default();
            partial.insert(feature.clone());
        }
        unsaid
    }

    fn add_other(&mut self, kind: &'static str, feature: &Feature) {
        self.others.entry(kind).or_default().insert(feature.clone());
    }

    /// The notes on a syscall and its parts.
    pub(super) fn notes_of<'a>(
        &self,
        profile: &'a OsProfile,
        syscall: Syscall,
    ) -> impl Iterator<Item = (&'a Feature, &'a String)> {
        let notes = profile.notes.iter();
        notes.filter(move |(feature, _)| feature.syscall() == Some(syscall))
    }

    /// All of it, as comments at the end; the notes on these syscalls are told already.
    pub(super) fn comment(&self, profile: &OsProfile, told: &BTreeSet<Syscall>) -> String {
        let mut text = String::new();
        let mut list = |name: &str, features: &BTreeSet<Feature>| {
            let names: Vec<String> = features.iter().map(ToString::to_string).collect();
            text.push_str(&lines(&format!("{name}: {}", names.join(" "))));
        };
        for (answer, features) in &self.answers {
            list(answer, features);
        }
        for (errno, features) in &self.errors {
            list(errno, features);
        }
        for (kind, features) in &self.others {
            let of_it = |wanted: bool| -> BTreeSet<Feature> {
                let does = |feature: &&Feature| profile.answer(feature) == Answer::Implement;
                let chosen = features.iter().filter(|feature| does(feature) == wanted);
                chosen.cloned().collect()
            };
            for (word, chosen) in [("implemented", of_it(true)), ("missing", of_it(false))] {
                if !chosen.is_empty() {
                    list(&format!("{kind}, {word}"), &chosen);
                }
            }
        }
        let unnamed: BTreeSet<Feature> = self.unnamed.iter().copied().map(Feature::from).collect();
        if !unnamed.is_empty() {
            list("implemented with operations that have no name", &unnamed);
        }
        for (feature, note) in &profile.notes {
            let is_above = feature
                .syscall()
                .is_some_and(|syscall| told.contains(&syscall));
            if !is_above {
                text.push_str(&lines(&format!("{feature}: {note}")));
            }
        }
        match text.is_empty() {
            true => text,
            false => format!("\n// What SCML has no words for.\n{text}"),
        }
    }

    /// What of it there is how much.
    pub(super) fn sentence(&self) -> Option<String> {
        let count = |name: &str| self.answers.get(name).map_or(0, BTreeSet::len);
        let errors = self.errors.values().map(BTreeSet::len).sum::<usize>();
        let mut parts: Vec<String> = [
            (count("fake"), "fake"),
            (errors, "errno"),
            (count("kill"), "kill"),
            (count("partial"), "partial implementation"),
            (self.notes, "note"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| counted(count as u64, what))
        .collect();
        for (kind, features) in &self.others {
            parts.push(format!("{kind} ({})", features.len()));
        }
        if !self.unnamed.is_empty() {
            let names: Vec<String> = self.unnamed.iter().map(ToString::to_string).collect();
            parts.push(format!("operations without a name ({})", names.join(", ")));
        }
        (!parts.is_empty()).then(|| {
            format!(
                "SCML has no words for these, so they stand in comments only: {}",
                parts.join(", ")
            )
        })
    }
}

/// What kind of feature it is that SCML cannot name, if it is one.
fn kind_of_other(feature: &Feature) -> Option<&'static str> {
    match feature {
        Feature::Syscall(_) => None,
        Feature::PseudoFile(_) => Some("files"),
        Feature::IoUring(_) => Some("operations of io_uring"),
        Feature::Operation(part) => {
            let is_number = ["0x", "bit"]
                .iter()
                .any(|word| part.name().starts_with(word));
            let is_named = !(part.has_no_name() || part.is_flag() && is_number);
            (!is_named || part.tests().is_err()).then_some("parts that no argument names")
        }
    }
}

/// What is known of the profile as a whole.
pub(super) fn head(profile: &OsProfile) -> String {
    let title = profile.title.as_deref().unwrap_or(&profile.name);
    let mut text = lines(&format!("{title}: the calls that it supports."));
    for (key, value) in profile.source.parts() {
        if let Some(value) = value {
            text.push_str(&lines(&format!("{key}: {value}")));
        }
    }
    if !profile.unknown.is_usual() {
        text.push_str(&lines(&format!(
            "all other syscalls get: {}",
            profile.unknown
        )));
    }
    text.push('\n');
    text
}

/// A comment, in as many lines as it takes.
pub(super) fn lines(text: &str) -> String {
    let mut comment = String::new();
    let mut line = String::from("//");
    // A line's end would end the comment.
    for word in printable(&text.replace('\n', " ")).split_whitespace() {
        if line.len() > 2 && line.len() + 1 + word.len() > LINE_CHARS {
            comment.push_str(&format!("{line}\n"));
            line = String::from("//  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    comment.push_str(&format!("{line}\n"));
    comment
}
