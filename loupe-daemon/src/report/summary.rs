//! The numbers of a report for the terminal and for other programs.

use loupe_common::analysis::Analysis;
use loupe_common::syscalls::Syscall;
use serde_json::{Value, json};

use super::Style;
use super::csv::csv;
use super::figures::Figures;
use super::layout::{Align, Cell, Layout};
use super::statistics::{found, missed_by_static_analysis};
use crate::text::{counted, printable, wrap};

/// The value of `schema` in the JSON of a report.
const SCHEMA: &str = "loupe.report/1";

/// A line for each application, and what holds for all of them.
pub fn summary_table(figures: &Figures, style: Style) -> String {
    let known = figures
        .applications
        .iter()
        .any(|one| one.statically().is_some());
    let mut layout = Layout::new(&[
        ("application/workload", Align::Left),
        ("used", Align::Right),
        ("required", Align::Right),
        ("%", Align::Right),
        ("stub", Align::Right),
        ("fake", Align::Right),
        ("any", Align::Right),
        ("at once", Align::Right),
        ("static", Align::Right),
    ]);
    let maybe = |number: Option<usize>| match number {
        Some(number) => Cell::from(number),
        None => Cell::none(),
    };
    for one in &figures.applications {
        layout.row([
            printable(&one.name()).into(),
            one.used.into(),
            one.required.into(),
            format!(
                "{:.0}",
                100.0 * one.required as f64 / one.used.max(1) as f64
            )
            .into(),
            one.stub.into(),
            one.fake.into(),
            one.any.into(),
            maybe(one.joint),
            found(one.statically(), one.used),
        ]);
    }
    let mut text = layout.print(style);
    let number = figures.applications.len();
    let mut about = vec![format!(
        "Together {} use {} syscalls and need {} implemented.",
        counted(number as u64, "workload"),
        figures.used,
        figures.required
    )];
    if number > 1 {
        about.push(format!(
            "Half of them run with {} syscalls implemented (greedy order, from nothing); without \
             verdicts, with {}.",
            figures.with_verdicts.half, figures.without_verdicts.half
        ));
    }
    let legend = if known {
        "static: found by static analysis; "
    } else {
        ""
    };
    about.push(format!(
        "{legend}%: required of used; at once: to implement with everything else left out at once."
    ));
    let missed = figures.applications.iter();
    let missed = missed.filter(|one| one.statically().is_some_and(|found| found < one.used));
    about.extend(missed_by_static_analysis(missed.count()));
    text.push('\n');
    for paragraph in about {
        for line in wrap(&paragraph, style.columns(), 0) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// Makes the document that `loupe report --json` prints.
pub fn summary_json(figures: &Figures) -> Value {
    json!({
        "schema": SCHEMA,
        "applications": figures.applications,
        "used": figures.used,
        "required": figures.required,
        "cumulative": {
            "with_verdicts": figures.with_verdicts,
            "without_verdicts": figures.without_verdicts,
            "by_static_analysis": figures.by_static_analysis,
        },
        "syscalls": figures.heat,
    })
}

/// One line for each verdict.
pub fn verdicts_csv(analyses: &[&Analysis]) -> String {
    let rows = analyses
        .iter()
        .flat_map(|analysis| analysis.features.iter().map(move |row| (analysis, row)));
    let header = [
        "application",
        "workload",
        "syscall",
        "number",
        "verdict",
        "calls",
        "stub_passes",
        "stub_runs",
        "fake_passes",
        "fake_runs",
    ];
    let cells = rows.map(|(analysis, row)| {
        let number = row.feature.syscall().and_then(Syscall::number);
        [
            analysis.application.clone(),
            analysis.workload.clone(),
            row.feature.to_string(),
            number.map_or_else(String::new, |number| number.to_string()),
            row.verdict.to_string(),
            row.calls.to_string(),
            row.stub.passes.to_string(),
            row.stub.runs.to_string(),
            row.fake.passes.to_string(),
            row.fake.runs.to_string(),
        ]
    });
    csv(&header, cells)
}
