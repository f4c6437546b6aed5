//! The verdict table, as `loupe show` and the end of `loupe analyze` print it.

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict, Trial};
use loupe_common::verdict::Verdict;

use super::answer::{self, Telling};
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use super::{impact, joint, operations, remarks};
use crate::text::{counted, printable, seconds, wrap};

/// The order of the groups: what must be implemented first.
pub(super) const ORDER: [Verdict; 6] = [
    Verdict::Required,
    Verdict::Stub,
    Verdict::Fake,
    Verdict::Any,
    Verdict::NotExercised,
    Verdict::Undecided,
];

const LEGEND: [&str; 2] = [
    "required: an OS must implement it; stub: it may fail with ENOSYS instead; fake:",
    "it may return 0 and do nothing instead; any: either; p/n: p of n replays passed.",
];

const FILE_LEGEND: &str =
    "A stubbed pseudo-file is not there (ENOENT), a faked one is empty (a device: /dev/null).";
const PLAUSIBLE_LEGEND: &str =
    "plausible: it does nothing and returns what a success would; no part of the verdict.";

fn has(analysis: &Analysis, what: fn(&FeatureVerdict) -> bool) -> bool {
    analysis.features.iter().any(what)
}

/// The answer, the verdicts by group, what to know about them, a legend, and what to do next.
pub fn analysis_table(analysis: &Analysis, telling: Telling, style: Style) -> String {
    if style.is_csv() {
        return verdicts(analysis, true).print(style);
    }
    let mut text = String::new();
    let mut push = |paragraph: &str, hanging, tone| {
        push_paragraph(&mut text, paragraph, hanging, tone, style);
    };
    push(&answer::conclusion(analysis), 0, Tone::Title);
    if let Some(versions) = answer::versions(analysis, telling) {
        push(&versions, 0, Tone::Faint);
    }
    for list in answer::lists(analysis) {
        push(&format!("  {list}"), 4, Tone::Plain);
    }
    text.push('\n');
    push_paragraph(&mut text, &headline(analysis), 0, Tone::Plain, style);
    if !analysis.features.is_empty() {
        text.push('\n');
        text.push_str(&verdicts(analysis, telling.full).print(style));
    }
    text.push('\n');
    if let Some(section) = impact::section(analysis, style) {
        push_paragraph(&mut text, &section.title, 0, Tone::Title, style);
        text.push_str(&section.rows);
        if let Some(legend) = &section.legend {
            push_paragraph(&mut text, legend, 0, Tone::Faint, style);
        }
        text.push('\n');
    }
    push_what_to_know(&mut text, analysis, telling, style);
    for line in legend(analysis) {
        push_paragraph(&mut text, line, 0, Tone::Faint, style);
    }
    let provenance = analysis.provenance.as_ref().filter(|_| telling.full);
    if let Some(provenance) = provenance {
        text.push('\n');
        push_paragraph(&mut text, "measured on", 0, Tone::Title, style);
        for line in answer::measured_on(provenance) {
            push_paragraph(&mut text, &format!("- {line}"), 2, Tone::Plain, style);
        }
    }
    let next = answer::next(analysis, telling);
    if !next.is_empty() {
        text.push('\n');
    }
    for line in next {
        push_paragraph(&mut text, &line, 8, Tone::Plain, style);
    }
    // A section that is not there leaves the space before it.
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Counted, so that nobody stops at the first.
fn push_what_to_know(text: &mut String, analysis: &Analysis, telling: Telling, style: Style) {
    let plain = operations::sentences(analysis).into_iter();
    let whole = joint::paragraphs(analysis, telling.full).into_iter();
    let remarks = remarks::of(analysis).into_iter();
    let all: Vec<(String, Tone)> = plain
        .chain(whole)
        .map(|paragraph| (paragraph, Tone::Plain))
        .chain(remarks.map(|remark| (remark, Tone::Middling)))
        .collect();
    if all.is_empty() {
        return;
    }
    let title = format!("{} to know:", counted(all.len() as u64, "thing"));
    push_paragraph(text, &title, 0, Tone::Title, style);
    for (paragraph, tone) in all {
        push_paragraph(text, &format!("- {paragraph}"), 2, tone, style);
    }
    text.push('\n');
}

/// What the words of the table mean.
fn legend(analysis: &Analysis) -> impl Iterator<Item = &'static str> {
    let files = has(analysis, |row| row.feature.kind() == "pseudo-file");
    let plausible = has(analysis, |row| row.plausible.is_some());
    let any = !analysis.features.is_empty();
    let usual = LEGEND.into_iter().filter(move |_| any);
    usual
        .chain(files.then_some(FILE_LEGEND))
        .chain(plausible.then_some(PLAUSIBLE_LEGEND))
}

pub(super) fn push_paragraph(
    text: &mut String,
    paragraph: &str,
    hanging: usize,
    tone: Tone,
    style: Style,
) {
    for line in wrap(paragraph, style.columns(), hanging) {
        text.push_str(&tone.paint(&line, style));
        text.push('\n');
    }
}

/// Features of this verdict, without what is only a part of one.
fn of(analysis: &Analysis, verdict: Verdict) -> Vec<&FeatureVerdict> {
    let whole = |row: &&FeatureVerdict| row.feature.parent().is_none();
    let rows = analysis.features.iter().filter(whole);
    rows.filter(|feature| feature.verdict == verdict).collect()
}

/// How a headline counts a verdict.
fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Required => "required",
        Verdict::Stub => "stub only",
        Verdict::Fake => "fake only",
        Verdict::Any => "any",
        Verdict::NotExercised => "not exercised",
        Verdict::Undecided => "undecided",
    }
}

/// Says where the verdicts come from.
fn provenance(analysis: &Analysis) -> String {
    if let Some(origin) = &analysis.origin {
        let (format, run) = (printable(&origin.format), printable(&origin.run));
        return format!("imported from {format}, run {run}");
    }
    let reused = match analysis.replays_reused {
        0 => String::new(),
        reused => format!(" ({reused} of them before an interruption)"),
    };
    let at_a_time = match analysis.jobs {
        0 | 1 => String::new(),
        jobs => format!(", {jobs} at a time"),
    };
    format!(
        "{}{reused} in {}{at_a_time}",
        counted(analysis.replays, "replay"),
        seconds(analysis.wall_seconds)
    )
}

fn headline(analysis: &Analysis) -> String {
    let counts: Vec<String> = ORDER
        .iter()
        .map(|verdict| (of(analysis, *verdict).len(), in_words(*verdict)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let counts = match counts.is_empty() {
        true => String::new(),
        false => format!(": {}", counts.join(", ")),
    };
    let features = analysis.features.iter().map(|row| &row.feature);
    let whole = features.filter(|feature| feature.parent().is_none());
    // Else nobody can tell that a suite's many starts were all measured.
    let starts = match analysis.target_execs {
        None | Some(0 | 1) => String::new(),
        Some(starts) => format!(" A replay starts the target {starts} times."),
    };
    format!(
        "{}/{} uses {}{counts}; {}.{starts}",
        printable(&analysis.application),
        printable(&analysis.workload),
        joint::counted_features(whole),
        provenance(analysis),
    )
}

/// The rows; what can be had either way is only named, unless it all is wanted.
fn verdicts(analysis: &Analysis, full: bool) -> Layout {
    let plausible = analysis.features.iter().any(|row| row.plausible.is_some());
    let mut columns = vec![
        ("syscall", Align::Left),
        ("calls", Align::Right),
        ("verdict", Align::Left),
        ("stub", Align::Right),
        ("fake", Align::Right),
        ("plausible", Align::Right),
        ("injections", Align::Right),
        ("basis", Align::Left),
    ];
    if !plausible {
        columns.retain(|(name, _)| *name != "plausible");
    }
    if !analysis.not_injected.is_empty() || has(analysis, |row| row.feature.syscall().is_none()) {
        columns[0].0 = "feature";
    }
    let mut layout = Layout::new(&columns);
    for verdict in ORDER {
        let group = of(analysis, verdict);
        if group.is_empty() {
            continue;
        }
        let title = format!("── {} ({})", in_words(verdict), group.len());
        if verdict == Verdict::Any && !full {
            let names: Vec<String> = group.iter().map(|row| row.feature.to_string()).collect();
            layout.section(format!("{title}: {}", names.join(", ")));
            continue;
        }
        layout.section(title);
        for feature in group {
            layout.row_of(cells(feature, (&feature.feature).into(), plausible));
            for (name, part) in operations::below(analysis, &feature.feature) {
                let name = Cell::from(name).exactly(&part.feature);
                layout.row_of(cells(part, name, plausible));
            }
        }
    }
    if !analysis.not_injected.is_empty() {
        let count = analysis.not_injected.len();
        layout.section(format!("── not injected one by one ({count})"));
        for used in &analysis.not_injected {
            let mut cells: Vec<Cell> = vec![(&used.feature).into(), used.calls.into()];
            cells.resize_with(columns.len(), Cell::none);
            layout.row_of(cells);
        }
    }
    layout
}

fn cells(row: &FeatureVerdict, name: Cell, plausible: bool) -> Vec<Cell> {
    let mut cells = vec![
        name,
        calls(row),
        Cell::toned(row.verdict, tone(row.verdict)),
        passes(&row.stub),
        passes(&row.fake),
    ];
    if plausible {
        let none = Trial::default();
        cells.push(passes(row.plausible.as_ref().unwrap_or(&none)));
    }
    cells.extend([injections(row), basis(&row.basis).into()]);
    cells
}

/// The colour of a verdict: how much an OS is spared.
pub(super) fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Required => Tone::Bad,
        Verdict::Stub | Verdict::Fake => Tone::Middling,
        Verdict::Any => Tone::Good,
        Verdict::NotExercised | Verdict::Undecided => Tone::Faint,
    }
}

/// The number of calls. An imported measurement does not tell it, which is not 0.
fn calls(feature: &FeatureVerdict) -> Cell {
    match feature.basis {
        Basis::Imported => Cell::none(),
        _ => feature.calls.into(),
    }
}

fn injections(feature: &FeatureVerdict) -> Cell {
    match feature.basis {
        Basis::Imported => Cell::none(),
        _ => (feature.stub.injections + feature.fake.injections).into(),
    }
}

fn passes(trial: &Trial) -> Cell {
    if trial.runs == 0 && trial.idle > 0 {
        return Cell::toned(format!("never in {}", trial.idle), Tone::Faint);
    }
    if trial.runs == 0 {
        return match (&trial.basis, trial.works) {
            (Basis::Imported, Some(true)) => Cell::toned("yes", Tone::Good),
            (Basis::Imported, Some(false)) => Cell::toned("no", Tone::Bad),
            _ => Cell::none(),
        };
    }
    let tone = match trial.works {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Faint,
    };
    let idle = match trial.idle {
        0 => String::new(),
        idle => format!(" of {}", trial.runs + idle),
    };
    Cell::toned(format!("{}/{}{idle}", trial.passes, trial.runs), tone)
}

pub(super) fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Measured => "measured".to_owned(),
        Basis::Implied { replay } => format!("implied by #{replay}"),
        Basis::Imported => "imported".to_owned(),
    }
}
