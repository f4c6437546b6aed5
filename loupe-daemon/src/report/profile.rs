//! `loupe profile show`: what services really used, with how much that says. What is not in a table
//! was not seen; when nobody looked, and what was lost, is said apart.

mod comparison;
mod event;
mod status;
mod words;

#[cfg(test)]
mod tests;

use loupe_common::feature::Feature;
use loupe_common::profile::{Executable, FeatureUse, Profile};
use serde_json::{Value, json};

use super::analysis::push_paragraph;
use super::layout::{Align, Cell, Layout};
use super::trace::errors;
use super::{Style, Tone};
use crate::plan::Service;
use crate::text::{counted, date, printable, signed};

pub use comparison::{profile_coverage, profile_drift};
pub use event::{profile_event, profile_event_json};
pub use status::{profile_status, profile_status_json, profile_top, unwatched, watched};
pub use words::profile_sentence;

/// The value of `schema` in the JSON of profiles.
const SCHEMA: &str = "loupe.profile/1";

/// Makes the document that `loupe profile show --json` prints.
pub fn profile_json(profiles: &[Profile], since_ms: Option<u64>) -> Value {
    json!({ "schema": SCHEMA, "since_ms": since_ms, "profiles": profiles })
}

/// For each service the sentence that matters, a table for each of its executables, and what limits
/// both. With `operations`, each vectored syscall's follow it, and its flags with a plus.
pub fn profiles(
    services: &[Service<'_>],
    since_ms: Option<u64>,
    operations: bool,
    style: Style,
) -> String {
    if style.is_csv() {
        let profiles = services.iter().flat_map(|service| {
            let name = printable(service.name);
            let profiles = service.profiles.iter();
            profiles.map(move |profile| (name.clone(), profile))
        });
        let tables = profiles.map(|(name, profile)| {
            let executable = words::executable(&profile.subject.executable);
            ([name, executable], rows(profile, operations))
        });
        return Layout::of_all(["subject", "executable"], tables).print(style);
    }
    let texts = services
        .iter()
        .map(|service| of_service(service, since_ms, operations, style));
    texts.collect::<Vec<_>>().join("\n")
}

fn of_service(
    service: &Service<'_>,
    since_ms: Option<u64>,
    operations: bool,
    style: Style,
) -> String {
    let mut text = String::new();
    push_paragraph(&mut text, &profile_sentence(service), 0, Tone::Title, style);
    if let Some(since) = since_ms {
        let line = format!(
            "Only what was observed since {} (UTC) is counted.",
            date(signed(since))
        );
        push_paragraph(&mut text, &line, 0, Tone::Plain, style);
    }
    let alone = service.profiles.len() == 1;
    for profile in &service.profiles {
        text.push('\n');
        push_paragraph(&mut text, &heading(profile, alone), 2, Tone::Title, style);
        text.push_str(&table(profile, operations, style));
    }
    text.push('\n');
    for (line, tone) in words::limits(service) {
        push_paragraph(&mut text, &line, 2, tone, style);
    }
    text
}

/// An executable as it is named in headings.
pub(super) fn executable_words(executable: &Executable) -> String {
    words::executable(executable)
}

/// What was not seen, not observed, lost.
pub(super) fn limit_lines(service: &Service<'_>) -> Vec<String> {
    let lines = words::limits(service).into_iter();
    lines.map(|(line, _)| line).collect()
}

/// The executable, and where it is not the only one, how much is known of it.
fn heading(profile: &Profile, alone: bool) -> String {
    let executable = words::executable(&profile.subject.executable);
    match alone {
        true => executable,
        false => format!("{executable}: {}", words::of_profile(profile)),
    }
}

fn table(profile: &Profile, operations: bool, style: Style) -> String {
    if profile.features.is_empty() && profile.foreign.is_empty() {
        return "  nothing was seen of it\n".to_owned();
    }
    rows(profile, operations).print(style)
}

fn rows(profile: &Profile, operations: bool) -> Layout {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("calls", Align::Right),
        ("first seen", Align::Left),
        ("last seen", Align::Left),
        ("errors", Align::Left),
    ]);
    let mut features: Vec<&FeatureUse> = profile.features.iter().collect();
    features.sort_by_key(|used| {
        let part = match used.feature {
            Feature::IoUring(_) => 1,
            Feature::PseudoFile(_) => 2,
            _ => 0,
        };
        (part, std::cmp::Reverse(used.counts.calls))
    });
    for used in features {
        layout.row(row(printable(&used.feature.to_string()).into(), used));
        if operations {
            for part in parts(profile, &used.feature) {
                let name = Cell::from(printable(&part_name(&part.feature)));
                layout.row(row(name.exactly(&part.feature), part));
            }
        }
    }
    for call in &profile.foreign {
        layout.row([
            format!("{}:{}", printable(&call.abi), call.number).into(),
            call.calls.into(),
            "".into(),
            "".into(),
            "".into(),
        ]);
    }
    layout
}

fn row(name: Cell, used: &FeatureUse) -> [Cell; 5] {
    [
        name,
        used.counts.calls.into(),
        date(signed(used.first_seen_ms)).into(),
        date(signed(used.last_seen_ms)).into(),
        Cell::toned(errors(&used.counts), Tone::Middling),
    ]
}

/// What a syscall's calls are made of: operations first, the most frequent first.
fn parts<'p>(profile: &'p Profile, whole: &Feature) -> Vec<&'p FeatureUse> {
    let mut parts: Vec<&FeatureUse> = profile
        .operations
        .iter()
        .filter(|used| used.feature.parent().as_ref() == Some(whole))
        .collect();
    parts.sort_by_key(|used| {
        let is_flag = used.feature.kind() == "flag";
        (is_flag, std::cmp::Reverse(used.counts.calls))
    });
    parts
}

/// `  F_SETFD`, `  + MAP_FIXED`: indented below the syscall.
fn part_name(feature: &Feature) -> String {
    match feature {
        Feature::Operation(part) if part.is_flag() => format!("  + {}", part.name()),
        Feature::Operation(part) => format!("  {}", part.name()),
        other => format!("  {other}"),
    }
}

/// `3 features`, or that of which there is one.
pub(super) fn counted_features(number: usize) -> String {
    counted(number as u64, "feature")
}
