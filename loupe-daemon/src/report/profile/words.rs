//! The sentences about profiles: how much was used, how long it was observed, what may be missing.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::profile::{
    Executable, Interval, Maturity, Observation, Profile, ProfileLost, SubjectKind, Unseen,
};

use crate::plan::Service;
use crate::report::Tone;
use crate::text::{counted, date, percent, percent_at_most, printable, signed, span};

/// Above this, windows are no more than what attaching takes.
const FULL_DUTY: f64 = 0.995;
/// Characters of a build-id that people compare.
const BUILD_ID_CHARACTERS: usize = 12;
/// Gaps that are listed one by one; `--json` has what there is.
const GAPS_SHOWN: usize = 5;

/// The sentence that matters: how much was seen, in how much of the time, and what may be missing.
pub fn profile_sentence(service: &Service<'_>) -> String {
    let observation = service.observation();
    let mut parts = vec![
        kinds(&service.features(), service.operations().len()),
        observed(&observation),
    ];
    if observation.observed_ms > 0 {
        parts.push(maturity(service.maturity()));
        parts.push(chance_of(&service.current()));
    }
    format!(
        "{}: {}.",
        subject(service.kind, service.name),
        parts.join("; ")
    )
}

/// The same of one executable.
pub(super) fn of_profile(profile: &Profile) -> String {
    let features: BTreeSet<&Feature> = profile.features.iter().map(|used| &used.feature).collect();
    let operations = profile.operations.iter();
    let operations = operations.filter(|used| used.feature.kind() == "operation");
    let mut parts = vec![
        kinds(&features, operations.count()),
        observed(&profile.observation),
    ];
    if profile.observation.observed_ms > 0 {
        parts.push(maturity(profile.maturity));
        parts.push(match &profile.unseen {
            None => "too little observed to say how complete that is".to_owned(),
            Some(unseen) => format!(
                "a new feature in the next observed minute: {} at most",
                percent_at_most(unseen.at_most)
            ),
        });
    }
    parts.join("; ")
}

/// A unit by its name; anything else with what it is.
pub(super) fn subject(kind: SubjectKind, name: &str) -> String {
    match kind {
        SubjectKind::Unit => printable(name),
        SubjectKind::Other => "what could not be told apart".to_owned(),
        _ => format!("{} {}", kind.as_str(), printable(name)),
    }
}

/// `/usr/sbin/nginx (nginx 1.22.1-9, build 3fa9c1d2e4b5)`.
pub(super) fn executable(executable: &Executable) -> String {
    let mut known = Vec::new();
    if let Some(version) = version(executable) {
        known.push(version);
    }
    if let Some(build) = &executable.build_id {
        let short: String = build.chars().take(BUILD_ID_CHARACTERS).collect();
        known.push(format!("build {}", printable(&short)));
    }
    let path = path(executable);
    match known.is_empty() {
        true => path,
        false => format!("{path} ({})", known.join(", ")),
    }
}

/// `nginx 1.22.1-9`, or what of it is known.
pub(super) fn version(executable: &Executable) -> Option<String> {
    let words = [&executable.package, &executable.version];
    let words: Vec<String> = words
        .into_iter()
        .flatten()
        .map(|word| printable(word))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

pub(super) fn path(executable: &Executable) -> String {
    match executable.path.as_str() {
        "" => "an executable that could not be told".to_owned(),
        path => printable(path),
    }
}

/// `48 syscalls, 31 operations, 9 pseudo-files`.
fn kinds(features: &BTreeSet<&Feature>, operations: usize) -> String {
    let of = |kind: &str| {
        let features = features.iter();
        features.filter(|feature| feature.kind() == kind).count() as u64
    };
    let mut parts = vec![counted(of("syscall"), "syscall")];
    for (number, what) in [
        (operations as u64, "operation"),
        (of("io_uring"), "io_uring operation"),
        (of("pseudo-file"), "pseudo-file"),
    ] {
        if number > 0 {
            parts.push(counted(number, what));
        }
    }
    parts.join(", ")
}

/// Milliseconds that the gaps leave of the whole time.
fn watched_ms(observation: &Observation) -> u64 {
    let gaps = observation.gaps.iter().map(length_ms);
    whole_ms(observation).saturating_sub(gaps.sum())
}

fn length_ms(interval: &Interval) -> u64 {
    interval.until_ms.saturating_sub(interval.from_ms)
}

/// The time that was watched, and which part of it the windows are.
fn watched(observation: &Observation) -> (u64, f64) {
    // Gaps are only the largest ones: at a full duty the observed time itself is more exact.
    let watched = watched_ms(observation).max(observation.observed_ms);
    let duty = observation.observed_ms as f64 / watched.max(1) as f64;
    match duty >= FULL_DUTY {
        true => (observation.observed_ms, 1.0),
        false => (watched, duty),
    }
}

fn whole_ms(observation: &Observation) -> u64 {
    observation.until_ms.saturating_sub(observation.from_ms)
}

/// `observed 13 d 4 h of 14 d (duty 5 %: 15 h 48 min in windows)`.
pub(super) fn observed(observation: &Observation) -> String {
    if observation.observed_ms == 0 {
        return "not observed yet".to_owned();
    }
    let (watched, duty) = watched(observation);
    let windows = match duty < 1.0 {
        true => format!(
            " (duty {}: {} in windows)",
            percent(duty),
            span(observation.observed_ms)
        ),
        false => String::new(),
    };
    let whole = span(whole_ms(observation));
    format!("observed {} of {whole}{windows}", span(watched))
}

/// `13 d 4 h of 14 d, 5 %`.
pub(super) fn observed_short(observation: &Observation) -> String {
    if observation.observed_ms == 0 {
        return "not yet".to_owned();
    }
    let (watched, duty) = watched(observation);
    let windows = match duty < 1.0 {
        true => format!(", {}", percent(duty)),
        false => String::new(),
    };
    let whole = span(whole_ms(observation));
    format!("{} of {whole}{windows}", span(watched))
}

pub(super) fn maturity(maturity: Maturity) -> String {
    match maturity {
        Maturity::Learning => "learning".to_owned(),
        Maturity::Stable { since_ms } => format!("stable since {}", date(signed(since_ms))),
    }
}

/// Of several executables the least certain one: each of the bounds holds for its own.
fn chance_of(profiles: &[&Profile]) -> String {
    let known: Vec<&Unseen> = profiles
        .iter()
        .filter_map(|profile| profile.unseen.as_ref())
        .collect();
    let Some(most) = known
        .iter()
        .map(|unseen| unseen.at_most)
        .max_by(f64::total_cmp)
    else {
        return "too little was observed to say how complete that is".to_owned();
    };
    let most = percent_at_most(most);
    let rest = profiles.len() - known.len();
    match (profiles.len(), rest) {
        (1, _) => {
            format!(
                "the chance that the next observed minute brings a new feature is at most {most}"
            )
        }
        (_, 0) => format!(
            "the chance that the next observed minute of an executable brings a new feature is at \
             most {most}"
        ),
        (_, rest) => format!(
            "the chance that the next observed minute of an executable brings a new feature is at \
             most {most}, but for {rest} of which too little was observed to say it"
        ),
    }
}

/// What is not in the tables, and why: not seen, not observed, lost.
pub(super) fn limits(service: &Service<'_>) -> Vec<(String, Tone)> {
    let observation = service.observation();
    let mut lines = Vec::new();
    lines.push(match observation.observed_ms {
        0 => (
            "Nothing was observed: this says nothing about what it uses.".to_owned(),
            Tone::Middling,
        ),
        _ => (
            "not seen: everything else, in the time that was observed".to_owned(),
            Tone::Faint,
        ),
    });
    if let Some(line) = gaps(&observation.gaps) {
        lines.push((line, Tone::Middling));
    }
    if let Some(line) = lost(&service.lost()) {
        lines.push((
            format!("{line}; what is not listed may have been among it"),
            Tone::Bad,
        ));
    }
    lines
}

/// `not observed: 20 h in 2 gaps: 2026-11-03 02:00 to 2026-11-03 22:00 (20 h), …`.
pub(super) fn gaps(gaps: &[Interval]) -> Option<String> {
    if gaps.is_empty() {
        return None;
    }
    let mut largest: Vec<&Interval> = gaps.iter().collect();
    largest.sort_by_key(|gap| std::cmp::Reverse(length_ms(gap)));
    largest.truncate(GAPS_SHOWN);
    largest.sort_by_key(|gap| gap.from_ms);
    let shown: Vec<String> = largest
        .iter()
        .map(|gap| {
            format!(
                "{} to {} ({})",
                date(signed(gap.from_ms)),
                date(signed(gap.until_ms)),
                span(length_ms(gap))
            )
        })
        .collect();
    let rest = match gaps.len() - largest.len() {
        0 => String::new(),
        more => format!(", and {more} shorter"),
    };
    Some(format!(
        "not observed: {} in {}: {}{rest}",
        span(gaps.iter().map(length_ms).sum()),
        counted(gaps.len() as u64, "gap"),
        shown.join(", ")
    ))
}

/// `lost: 3 events, 120 calls`.
pub(super) fn lost(lost: &ProfileLost) -> Option<String> {
    let what: Vec<String> = [
        (lost.events, "event", "events"),
        (lost.calls, "call", "calls"),
        (lost.errors, "error", "errors"),
        (lost.operations, "operation", "operations"),
        (lost.foreign, "call of another ABI", "calls of other ABIs"),
        (
            lost.pseudo_files,
            "use of a pseudo-file",
            "uses of pseudo-files",
        ),
        (
            lost.executables,
            "call of an executable that no room was left for",
            "calls of executables that no room was left for",
        ),
    ]
    .into_iter()
    .filter(|(number, ..)| *number > 0)
    .map(|(number, one, many)| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    })
    .collect();
    (!what.is_empty()).then(|| format!("lost: {}", what.join(", ")))
}
