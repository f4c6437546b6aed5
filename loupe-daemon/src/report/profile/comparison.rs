//! `loupe profile diff`: what is new since a moment, or was never done by a workload.

use std::collections::BTreeMap;

use super::{counted_features, words};
use crate::plan::coverage::Coverage;
use crate::plan::drift::{Drift, Gone, New, Upgrade};
use crate::report::analysis::push_paragraph;
use crate::report::layout::{Align, Layout};
use crate::report::{Style, Tone};
use crate::text::{counted, date, printable, signed};

pub fn profile_drift(drift: &Drift, style: Style) -> String {
    if style.is_csv() {
        let groups = by_executable(&drift.new, |new| &new.executable).into_iter();
        let tables = groups.map(|(path, new)| ([shown_path(path)], new_rows(&new)));
        return Layout::of_all(["executable"], tables).print(style);
    }
    let mut text = String::new();
    let (what, tone) = match drift.new.len() {
        0 => ("nothing new".to_owned(), Tone::Good),
        number => (format!("{} new", counted_features(number)), Tone::Bad),
    };
    let headline = format!(
        "{}: {what} since {}, and {} not seen any more; {} known before.",
        printable(&drift.name),
        date(signed(drift.since_ms)),
        drift.gone.len(),
        counted_features(drift.known)
    );
    push_paragraph(&mut text, &headline, 0, tone, style);
    for (executable, new) in by_executable(&drift.new, |new| &new.executable) {
        text.push('\n');
        let what = match new.iter().all(|new| new.new_executable) {
            true => "new, an executable that was not seen before",
            false => "new",
        };
        let heading = format!("{}: {what}", shown_path(executable));
        push_paragraph(&mut text, &heading, 2, Tone::Title, style);
        text.push_str(&new_rows(&new).print(style));
    }
    for (executable, gone) in by_executable(&drift.gone, |gone| &gone.executable) {
        text.push('\n');
        text.push_str(&gone_lines(executable, &gone, style));
    }
    if let Some(lost) = words::lost(&drift.lost) {
        text.push('\n');
        let line = format!("{lost}; what was seen first since then may have been used before");
        push_paragraph(&mut text, &line, 2, Tone::Bad, style);
    }
    text
}

fn by_executable<T>(rows: &[T], executable: fn(&T) -> &String) -> BTreeMap<&String, Vec<&T>> {
    let mut groups: BTreeMap<&String, Vec<&T>> = BTreeMap::new();
    for row in rows {
        groups.entry(executable(row)).or_default().push(row);
    }
    groups
}

fn shown_path(path: &str) -> String {
    match path {
        "" => "an executable that could not be told".to_owned(),
        path => printable(path),
    }
}

fn new_rows(new: &[&New]) -> Layout {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("calls", Align::Right),
        ("first seen", Align::Left),
        ("since the upgrade", Align::Left),
    ]);
    let mut new = new.to_vec();
    new.sort_by_key(|new| new.first_seen_ms);
    for new in new {
        layout.row([
            printable(&new.feature.to_string()).into(),
            new.calls.into(),
            date(signed(new.first_seen_ms)).into(),
            new.upgrade
                .as_ref()
                .map(versions)
                .unwrap_or_default()
                .into(),
        ]);
    }
    layout
}

/// `nginx 1.22.1-9 → nginx 1.26.0-1`; without a package, by their build-ids.
fn versions(upgrade: &Upgrade) -> String {
    let name = |executable| {
        words::version(executable).unwrap_or_else(|| match &executable.build_id {
            Some(build) => format!(
                "build {}",
                printable(&build.chars().take(12).collect::<String>())
            ),
            None => "an unknown build".to_owned(),
        })
    };
    format!("{} → {}", name(&upgrade.before), name(&upgrade.now))
}

fn gone_lines(executable: &str, gone: &[&Gone], style: Style) -> String {
    let mut text = String::new();
    let path = shown_path(executable);
    let last = gone.iter().map(|gone| gone.last_seen_ms).max().unwrap_or(0);
    if gone.iter().all(|gone| gone.gone_executable) {
        let line = format!(
            "{path}: not seen any more at all, the last time at {} ({})",
            date(signed(last)),
            counted_features(gone.len())
        );
        push_paragraph(&mut text, &line, 2, Tone::Plain, style);
        return text;
    }
    let names: Vec<String> = gone
        .iter()
        .map(|gone| printable(&gone.feature.to_string()))
        .collect();
    let line = format!("{path}: not seen any more: {}", names.join(", "));
    push_paragraph(&mut text, &line, 2, Tone::Plain, style);
    text
}

fn missed_rows(coverage: &Coverage) -> Layout {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("calls", Align::Right),
        ("last seen", Align::Left),
        ("by", Align::Left),
    ]);
    for missed in &coverage.missing {
        let by: Vec<String> = missed
            .executables
            .iter()
            .map(|path| shown_path(path))
            .collect();
        layout.row([
            printable(&missed.feature.to_string()).into(),
            missed.calls.into(),
            date(signed(missed.last_seen_ms)).into(),
            by.join(", ").into(),
        ]);
    }
    layout
}

pub fn profile_coverage(coverage: &Coverage, style: Style) -> String {
    if style.is_csv() {
        return missed_rows(coverage).print(style);
    }
    let mut text = String::new();
    let workload = format!(
        "{}/{}",
        printable(&coverage.application),
        printable(&coverage.workload)
    );
    let all = coverage.covered + coverage.missing.len();
    let (headline, tone) = match coverage.missing.len() {
        0 => (
            format!(
                "{}: all of the {} that it was seen to use are in the workload {workload}.",
                printable(&coverage.name),
                counted_features(all)
            ),
            Tone::Good,
        ),
        missing => (
            format!(
                "{}: of {} that it was seen to use, the workload {workload} never used {missing}.",
                printable(&coverage.name),
                counted_features(all)
            ),
            Tone::Bad,
        ),
    };
    push_paragraph(&mut text, &headline, 0, tone, style);
    if !coverage.missing.is_empty() {
        text.push('\n');
        text.push_str(&missed_rows(coverage).print(style));
    }
    text.push('\n');
    if !coverage.only_workload.is_empty() {
        let names: Vec<String> = coverage
            .only_workload
            .iter()
            .map(|feature| printable(&feature.to_string()))
            .collect();
        let line = format!(
            "only in the workload ({}): {}",
            counted(names.len() as u64, "feature"),
            names.join(", ")
        );
        push_paragraph(&mut text, &line, 2, Tone::Faint, style);
    }
    for sentence in &coverage.not_compared {
        let line = format!("not compared: {sentence}");
        push_paragraph(&mut text, &line, 2, Tone::Middling, style);
    }
    let line = "not compared: operations and flags";
    push_paragraph(&mut text, line, 2, Tone::Faint, style);
    if let Some(lost) = words::lost(&coverage.lost) {
        let line = format!("{lost}; more may be missing");
        push_paragraph(&mut text, &line, 2, Tone::Bad, style);
    }
    text
}
