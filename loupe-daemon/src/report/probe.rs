//! `loupe probe`: how the features of an OS did.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::layout::{Align, Layout};
use super::{Style, Tone};
use crate::plan::os::{Probed, ProbedFeature, ProbedResult};
use crate::text::printable;

/// What there is, in the order in which it is counted.
const KINDS: [&str; 5] = [
    "syscalls",
    "operations",
    "flags",
    "io_uring",
    "pseudo-files",
];

/// What a feature is. One that this Loupe does not know is told by how it is written.
fn kind(feature: &ProbedFeature) -> &'static str {
    match feature
        .feature
        .parse()
        .map(|feature: Feature| feature.kind())
    {
        Ok("syscall") => "syscalls",
        Ok("flag") => "flags",
        Ok("io_uring") => "io_uring",
        Ok("pseudo-file") => "pseudo-files",
        Ok(_) => "operations",
        Err(_) => match &feature.feature {
            name if name.starts_with('/') => "pseudo-files",
            name if name.contains(':') => "operations",
            _ => "syscalls",
        },
    }
}

pub fn probed_table(probed: &Probed, full: bool, style: Style) -> String {
    let mut text = String::new();
    let os = &probed.os;
    let headline = format!("{} {} ({})", os.sysname, os.release, os.machine);
    push_paragraph(&mut text, &printable(&headline), 0, Tone::Title, style);
    if !probed.isolated {
        let what = "This OS has no second process: everything was tried in one, and a crash or a hang \
                    may have spoilt what came after it.";
        push_paragraph(&mut text, what, 0, Tone::Bad, style);
    }
    if !probed.root {
        let what = "Without all rights: some features were not tried, or failed for want of them.";
        push_paragraph(&mut text, what, 0, Tone::Middling, style);
    }
    text.push('\n');
    text.push_str(&counts(probed).print(style));
    text.push('\n');
    let mut groups: BTreeMap<(ProbedResult, String), Vec<&str>> = BTreeMap::new();
    for row in &probed.results {
        let word = match (&row.needs, &row.reason) {
            (Some(needs), _) => format!("not tried, for want of {needs}"),
            (_, Some(reason)) => format!("not tried: {reason}"),
            _ => row.word(),
        };
        let shown = full || !matches!(row.result, ProbedResult::Works | ProbedResult::NotTried);
        if shown {
            groups
                .entry((row.result, word))
                .or_default()
                .push(&row.feature);
        }
    }
    for ((_, word), features) in groups {
        push_paragraph(&mut text, &printable(&word), 0, Tone::Title, style);
        push_paragraph(
            &mut text,
            &printable(&features.join(", ")),
            2,
            Tone::Plain,
            style,
        );
    }
    if !full {
        let what = "--full names what works, and says why the rest was not tried.";
        push_paragraph(&mut text, what, 0, Tone::Faint, style);
    }
    text
}

fn counts(probed: &Probed) -> Layout {
    let mut layout = Layout::new(&[
        ("", Align::Left),
        ("tried", Align::Right),
        ("works", Align::Right),
        ("ENOSYS", Align::Right),
        ("errno", Align::Right),
        ("lies", Align::Right),
        ("crashes", Align::Right),
        ("hangs", Align::Right),
        ("not tried", Align::Right),
    ]);
    for wanted in KINDS {
        let of = |result: ProbedResult| {
            let all = probed.results.iter();
            let all = all.filter(|row| kind(row) == wanted && row.result == result);
            all.count()
        };
        let untried = of(ProbedResult::NotTried);
        let all = probed.results.iter().filter(|row| kind(row) == wanted);
        let tried = all.count() - untried;
        layout.row([
            wanted.into(),
            tried.into(),
            of(ProbedResult::Works).into(),
            of(ProbedResult::Enosys).into(),
            of(ProbedResult::Errno).into(),
            of(ProbedResult::Lies).into(),
            of(ProbedResult::Crashes).into(),
            of(ProbedResult::Hangs).into(),
            untried.into(),
        ]);
    }
    layout
}
