//! `loupe diff`: what changed between two analyses.

use loupe_common::verdict::Verdict;

use super::analysis::{push_paragraph, tone};
use super::csv::csv;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::plan::change::{Difference, Side, VerdictChange};
use crate::text::{counted, printable};

pub fn difference_table(difference: &Difference, style: Style) -> String {
    let mut text = String::new();
    let headline = format!(
        "From {} to {}.",
        side(&difference.from),
        side(&difference.to)
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    let measured_on = match &difference.provenance {
        None => "Not recorded of both: what they were measured on.".to_owned(),
        Some(changes) if changes.is_empty() => "Measured on the same.".to_owned(),
        Some(changes) => {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            format!("Measured on: {}", printable(&changes.join("; ")))
        }
    };
    push_paragraph(&mut text, &measured_on, 2, Tone::Plain, style);
    text.push('\n');
    if difference.is_empty() {
        push_paragraph(&mut text, "Nothing changed.", 0, Tone::Good, style);
        return text;
    }
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("before", Align::Left),
        ("after", Align::Left),
    ]);
    for (title, changes) in [
        ("gained", &difference.gained),
        ("lost", &difference.lost),
        ("verdict changed", &difference.changed),
    ] {
        if changes.is_empty() {
            continue;
        }
        layout.section(format!("── {title} ({})", changes.len()));
        for change in changes {
            layout.row([
                (&change.feature).into(),
                verdict(change.from),
                verdict(change.to),
            ]);
        }
    }
    text.push_str(&layout.print(style));
    text.push('\n');
    let names: Vec<String> = difference
        .newly_required
        .iter()
        .map(ToString::to_string)
        .collect();
    let (gate, tone) = match names.is_empty() {
        true => (
            "Nothing is required that was not before.".to_owned(),
            Tone::Good,
        ),
        false => {
            let count = counted(names.len() as u64, "syscall");
            (
                format!("Newly required, {count}: {}", names.join(", ")),
                Tone::Bad,
            )
        }
    };
    push_paragraph(&mut text, &gate, 2, tone, style);
    text
}

fn side(side: &Side) -> String {
    let analysis = side
        .analysis
        .map_or("a file".to_owned(), |id| format!("analysis {id}"));
    format!(
        "{}/{} ({analysis}: {} used, {} required)",
        printable(&side.application),
        printable(&side.workload),
        side.used,
        side.required
    )
}

fn verdict(verdict: Option<Verdict>) -> Cell {
    verdict.map_or(Cell::toned("not used", Tone::Faint), |verdict| {
        Cell::toned(verdict, tone(verdict))
    })
}

pub fn difference_csv(difference: &Difference) -> String {
    let word = |verdict: Option<Verdict>| verdict.map_or(String::new(), |it| it.to_string());
    let rows = |kind: &'static str, changes: &[VerdictChange]| -> Vec<[String; 4]> {
        changes
            .iter()
            .map(|change| {
                [
                    kind.to_owned(),
                    change.feature.to_string(),
                    word(change.from),
                    word(change.to),
                ]
            })
            .collect()
    };
    let all = [
        rows("gained", &difference.gained),
        rows("lost", &difference.lost),
        rows("changed", &difference.changed),
    ];
    csv(&["change", "feature", "before", "after"], all.concat())
}
