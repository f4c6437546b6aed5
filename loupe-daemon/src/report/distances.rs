//! `loupe gap` without an application: how many run on an OS, and what each of the others lacks.

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::csv::csv;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::plan::distance::{Away, Distances};
use crate::text::{counted, printable, shell_word};

/// Names that are shown of what an application lacks. Those who ask for applications by name see
/// all of them.
const NAMES_SHOWN: usize = 8;

/// `os` is what the user calls the profile.
pub fn distances_table(distances: &Distances, os: &str, style: Style) -> String {
    let mut text = String::new();
    let tone = match distances.kept() {
        true => Tone::Title,
        false => Tone::Bad,
    };
    push_paragraph(&mut text, &headline(distances), 0, tone, style);
    let all = distances.applications.iter().cloned();
    let (running, others): (Vec<Away>, Vec<Away>) = all.partition(|away| away.runs);
    if !running.is_empty() {
        let names: Vec<String> = running
            .iter()
            .map(|away| printable(&away.application))
            .collect();
        text.push('\n');
        let line = format!("runs: {}", names.join(", "));
        push_paragraph(&mut text, &line, 2, Tone::Good, style);
    }
    if !others.is_empty() {
        text.push('\n');
        let shown = match distances.required.is_empty() && !style.is_whole() {
            true => NAMES_SHOWN,
            false => usize::MAX,
        };
        text.push_str(&lacking(&others, shown, style));
        if distances.required.is_empty() {
            text.push_str(&format!(
                "\nnext: loupe plan --os {} --next\n",
                shell_word(os)
            ));
        }
    }
    text
}

/// What each of these lacks, with so many names.
pub(super) fn lacking(applications: &[Away], shown: usize, style: Style) -> String {
    let mut layout = Layout::new(&[
        ("application", Align::Left),
        ("implement", Align::Right),
        ("fakes", Align::Right),
        ("missing", Align::Left),
    ]);
    for away in applications {
        layout.row([
            printable(&away.application).into(),
            away.missing.implement.len().into(),
            away.fakes().into(),
            Cell::from(missing(away, shown)),
        ]);
    }
    let mut text = layout.print(style);
    for away in applications.iter().filter(|away| !away.unsure.is_empty()) {
        let line = format!(
            "{}: counted as required for want of a verdict: {}",
            printable(&away.application),
            list(&away.unsure)
        );
        push_paragraph(&mut text, &line, 2, Tone::Middling, style);
    }
    text
}

fn headline(distances: &Distances) -> String {
    let of = match distances.required.is_empty() {
        true => counted(distances.count as u64, "application"),
        false => format!("the {} required", distances.count),
    };
    let near = match distances.need_no_implementation {
        0 => String::new(),
        1 => "; 1 more needs nothing implemented".to_owned(),
        more => format!("; {more} more need nothing implemented"),
    };
    format!(
        "{} runs {} of {of} today{near}.",
        printable(&distances.os),
        distances.runs,
    )
}

/// `openat, read and 3 more; fake futex`.
fn missing(away: &Away, shown: usize) -> String {
    let mut left = shown;
    let mut parts = Vec::new();
    let lists = [
        ("", &away.missing.implement),
        ("fake ", &away.missing.fake),
        ("no longer fake ", &away.missing.unfake),
        ("no longer kill at ", &away.missing.stub),
    ];
    let all: usize = lists.iter().map(|(_, features)| features.len()).sum();
    for (what, features) in lists {
        let some = &features[..features.len().min(left)];
        left -= some.len();
        if !some.is_empty() {
            parts.push(format!("{what}{}", list(some)));
        }
    }
    let text = parts.join("; ");
    match all.saturating_sub(shown) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn list(features: &[Feature]) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(", ")
}

pub fn distances_csv(distances: &Distances) -> String {
    let words = |features: &[Feature]| {
        let names: Vec<String> = features.iter().map(Feature::to_string).collect();
        names.join(" ")
    };
    let rows = distances.applications.iter().map(|away| {
        [
            away.application.clone(),
            away.workload.clone(),
            away.runs.to_string(),
            away.missing.implement.len().to_string(),
            away.fakes().to_string(),
            words(&away.missing.implement),
            words(&away.missing.fake),
            words(&away.missing.unfake),
            words(&away.missing.stub),
        ]
    });
    let header = [
        "application",
        "workload",
        "runs",
        "to_implement",
        "fakes",
        "implement",
        "fake",
        "unfake",
        "stub",
    ];
    csv(&header, rows)
}
