//! `loupe stats`: the figures of a set of applications.

use super::analysis::push_paragraph;
use super::csv::csv;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::plan::statistics::{AppFigures, Statistics};
use crate::text::{counted, printable};

pub fn statistics_table(figures: &Statistics, style: Style) -> String {
    let mut text = String::new();
    let mut layout = Layout::new(&[
        ("application/workload", Align::Left),
        ("used", Align::Right),
        ("required", Align::Right),
        ("%", Align::Right),
        ("stub", Align::Right),
        ("fake", Align::Right),
        ("any", Align::Right),
        ("static", Align::Right),
        ("% of static", Align::Right),
    ]);
    let mut missed = 0;
    for app in &figures.applications {
        let name = match app.application.contains('/') {
            true => app.application.clone(),
            false => format!("{}/{}", app.application, app.workload),
        };
        // A part of what is not all is no part.
        let whole = app.static_binary >= Some(app.used);
        missed += usize::from(app.static_binary.is_some() && !whole);
        let ratio = app.required_of_static.filter(|_| whole);
        layout.row([
            printable(&name).into(),
            app.used.into(),
            app.required.into(),
            hundredths(app.required_of_used).into(),
            app.stub.into(),
            app.fake.into(),
            app.any.into(),
            found(app.static_binary, app.used),
            optional(ratio.map(hundredths)),
        ]);
    }
    text.push_str(&layout.print(style));
    text.push('\n');
    let mut about = vec!["%: required of used.".to_owned()];
    about.extend(missed_by_static_analysis(missed));
    for sentence in summary(figures).into_iter().chain(about) {
        push_paragraph(&mut text, &sentence, 2, Tone::Plain, style);
    }
    text
}

fn optional(value: Option<impl ToString>) -> Cell {
    value.map_or(Cell::none(), Cell::from)
}

/// What static analysis found; marked where that is less than was used.
pub(super) fn found(number: Option<usize>, used: usize) -> Cell {
    match number {
        Some(number) if number < used => Cell::toned(format!("{number} !"), Tone::Middling),
        number => optional(number),
    }
}

/// What the mark means, where it stands somewhere.
pub(super) fn missed_by_static_analysis(workloads: usize) -> Option<String> {
    (workloads > 0).then(|| {
        format!(
            "!: static analysis found fewer syscalls than were used (in {}): it missed some, and no \
             ratio to it says anything.",
            counted(workloads as u64, "workload")
        )
    })
}

fn hundredths(ratio: f64) -> String {
    format!("{:.0}", ratio * 100.0)
}

fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

fn summary(figures: &Statistics) -> Vec<String> {
    let mut sentences = vec![
        format!(
            "{}: together they use {} and require {} of them; the median application requires {} \
             of what it uses.",
            counted(figures.count as u64, "application"),
            counted(figures.used as u64, "syscall"),
            figures.required,
            percent(figures.median_required_of_used),
        ),
        format!(
            "Half of them run with {} implemented (greedy order, from nothing); with {} if all \
             that is used had to be.",
            counted(figures.half_required as u64, "syscall"),
            figures.half_used,
        ),
    ];
    if let (Some(found), Some(median)) = (figures.static_binary, figures.median_required_of_static)
    {
        sentences.push(format!(
            "Static analysis of the binaries finds {found} together; the median application \
             requires {} of what is found in its own.",
            percent(median)
        ));
    }
    if let Some(found) = figures.static_sources {
        sentences.push(format!(
            "Static analysis of the sources finds {found} together."
        ));
    }
    sentences
}

pub fn statistics_csv(figures: &Statistics) -> String {
    let cell = |value: Option<usize>| value.map_or(String::new(), |value| value.to_string());
    let row = |app: &AppFigures| {
        [
            app.application.clone(),
            app.workload.clone(),
            app.used.to_string(),
            app.required.to_string(),
            app.stub.to_string(),
            app.fake.to_string(),
            app.any.to_string(),
            app.required_of_used.to_string(),
            cell(app.static_binary),
            cell(app.static_sources),
            app.required_of_static
                .map_or(String::new(), |ratio| ratio.to_string()),
        ]
    };
    let header = [
        "application",
        "workload",
        "used",
        "required",
        "stub",
        "fake",
        "any",
        "required_of_used",
        "static_binary",
        "static_sources",
        "required_of_static",
    ];
    csv(&header, figures.applications.iter().map(row))
}
