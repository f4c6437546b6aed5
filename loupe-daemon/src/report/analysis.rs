//! The verdict table, as `loupe show` and the end of `loupe analyze` print it.

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict, TestCheck, Trial};
use loupe_common::verdict::Verdict;

use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use super::{impact, joint, operations};
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

const VDSO_REMARK: &str = "vDSO: clock_gettime, getcpu, gettimeofday and time may be answered without a syscall, and \
     are then not seen (--no-vdso measures them)";
const FILE_LEGEND: &str =
    "A stubbed pseudo-file is not there (ENOENT), a faked one is empty (a device: /dev/null).";
const PLAUSIBLE_LEGEND: &str =
    "plausible: it does nothing and returns what a success would; no part of the verdict.";

fn has(analysis: &Analysis, what: fn(&FeatureVerdict) -> bool) -> bool {
    analysis.features.iter().any(what)
}

/// A sentence, the verdicts by group, what to know about them, and a legend.
pub fn analysis_table(analysis: &Analysis, style: Style) -> String {
    let mut text = String::new();
    push_paragraph(&mut text, &headline(analysis), 0, Tone::Title, style);
    text.push('\n');
    if !analysis.features.is_empty() {
        text.push_str(&verdicts(analysis).print(style));
        text.push('\n');
    }
    if let Some(section) = impact::section(analysis, style) {
        push_paragraph(&mut text, &section.title, 0, Tone::Title, style);
        text.push_str(&section.rows);
        if let Some(legend) = &section.legend {
            push_paragraph(&mut text, legend, 0, Tone::Faint, style);
        }
        text.push('\n');
    }
    for sentence in operations::sentences(analysis) {
        push_paragraph(&mut text, &sentence, 2, Tone::Plain, style);
    }
    for paragraph in joint::paragraphs(analysis) {
        push_paragraph(&mut text, &paragraph, 4, Tone::Plain, style);
    }
    for remark in remarks(analysis) {
        push_paragraph(&mut text, &remark, 2, Tone::Middling, style);
    }
    for line in LEGEND {
        push_paragraph(&mut text, line, 0, Tone::Faint, style);
    }
    for (is_there, line) in [
        (
            has(analysis, |row| row.feature.kind() == "pseudo-file"),
            FILE_LEGEND,
        ),
        (
            has(analysis, |row| row.plausible.is_some()),
            PLAUSIBLE_LEGEND,
        ),
    ] {
        if is_there {
            push_paragraph(&mut text, line, 0, Tone::Faint, style);
        }
    }
    text
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

fn verdicts(analysis: &Analysis) -> Layout {
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
        layout.section(format!("── {} ({})", in_words(verdict), group.len()));
        for feature in group {
            layout.row_of(cells(feature, feature.feature.to_string(), plausible));
            for (name, part) in operations::below(analysis, &feature.feature) {
                layout.row_of(cells(part, name, plausible));
            }
        }
    }
    if !analysis.not_injected.is_empty() {
        let count = analysis.not_injected.len();
        layout.section(format!("── not injected one by one ({count})"));
        for used in &analysis.not_injected {
            let mut cells: Vec<Cell> = vec![(&used.feature).into(), used.calls.into()];
            cells.resize_with(columns.len(), || Cell::toned("–", Tone::Faint));
            layout.row_of(cells);
        }
    }
    layout
}

fn cells(row: &FeatureVerdict, name: String, plausible: bool) -> Vec<Cell> {
    let mut cells = vec![
        name.into(),
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
        Basis::Imported => Cell::toned("–", Tone::Faint),
        _ => feature.calls.into(),
    }
}

fn injections(feature: &FeatureVerdict) -> Cell {
    match feature.basis {
        Basis::Imported => Cell::toned("–", Tone::Faint),
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
            _ => Cell::toned("–", Tone::Faint),
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

fn remarks(analysis: &Analysis) -> Vec<String> {
    let mut remarks: Vec<String> = analysis
        .warnings
        .iter()
        .map(|warning| format!("warning: {}", printable(warning)))
        .collect();
    for row in analysis.features.iter().filter(|row| row.harness) {
        remarks.push(format!(
            "{}: a call of the tool that measured (harness), and no need in gap and plan",
            row.feature
        ));
    }
    if analysis.vdso {
        remarks.push(VDSO_REMARK.to_owned());
    }
    remarks.extend(analysis.test_check.iter().map(test_check));
    remarks.extend(analysis.features.iter().flat_map(suspicions));
    remarks.extend(analysis.features.iter().filter_map(accepted_errnos));
    if !analysis.foreign.is_empty() {
        let calls: Vec<String> = analysis
            .foreign
            .iter()
            .map(|call| {
                let abi = printable(&call.abi);
                format!("{abi}:{} ({})", call.number, counted(call.calls, "call"))
            })
            .collect();
        remarks.push(format!(
            "warning: calls of other ABIs were seen and not measured: {}",
            calls.join(", ")
        ));
    }
    if analysis.lost_events > 0 {
        remarks.push(format!(
            "warning: {} lost; replays that lost something were not used",
            counted(analysis.lost_events, "event")
        ));
    }
    remarks
}

/// Says whether the test noticed a sabotage.
fn test_check(check: &TestCheck) -> String {
    let what = printable(&check.what);
    let outcome = printable(&check.outcome);
    match check.noticed {
        Some(true) => format!("test check: noticed when {what} ({outcome})"),
        Some(false) => format!(
            "test check: NOT NOTICED when {what}: the test passed, so what breaks in this way \
             is taken for working"
        ),
        None => format!("test check: nothing can be said about when {what} ({outcome})"),
    }
}

/// Passes that look wrong: the test may not notice what it should.
fn suspicions(feature: &FeatureVerdict) -> Vec<String> {
    [("stubbed", &feature.stub), ("faked", &feature.fake)]
        .into_iter()
        .flat_map(|(how, trial)| {
            trial.suspicious.iter().map(move |suspicion| {
                format!(
                    "suspicious: with {} {how} the test passed, but {} (replay #{})",
                    feature.feature,
                    printable(&suspicion.what),
                    suspicion.replay
                )
            })
        })
        .collect()
}

/// Which other errors than ENOSYS the application takes.
fn accepted_errnos(feature: &FeatureVerdict) -> Option<String> {
    if feature.errnos.is_empty() {
        return None;
    }
    let taken: Vec<String> = feature
        .errnos
        .iter()
        .filter(|(_, trial)| trial.works == Some(true))
        .map(|(errno, _)| errno.to_string())
        .collect();
    let taken = match taken.is_empty() {
        true => "none of the others".to_owned(),
        false => taken.join(", "),
    };
    Some(format!("errnos: {} may fail with {taken}", feature.feature))
}
