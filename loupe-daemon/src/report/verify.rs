//! `loupe verify`: predictions beside what really happened on an OS.

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::layout::{Align, Layout};
use super::{Style, Tone};
use crate::plan::prediction::{FailingCall, Matrix, Verified};
use crate::text::printable;

/// Lines of output that are shown of a prediction that was wrong.
const OUTPUT_LINES: usize = 5;

pub fn verified_table(matrix: &Matrix, style: Style) -> String {
    if style.is_csv() {
        return applications(matrix).print(style);
    }
    let mut text = String::new();
    let headline = format!(
        "predictions right: {} of {} on {}",
        matrix.right,
        matrix.count,
        printable(&matrix.os)
    );
    let tone = match matrix.right == matrix.count {
        true => Tone::Good,
        false => Tone::Bad,
    };
    push_paragraph(&mut text, &headline, 0, tone, style);
    text.push('\n');
    let mut cells = Layout::new(&[
        ("predictions", Align::Left),
        ("really passes", Align::Right),
        ("really fails", Align::Right),
    ]);
    cells.row([
        "predicted to pass".into(),
        matrix.passes.into(),
        matrix.wrong_passes.into(),
    ]);
    cells.row([
        "predicted to fail".into(),
        matrix.wrong_fails.into(),
        matrix.fails.into(),
    ]);
    text.push_str(&cells.print(style));
    text.push('\n');
    text.push_str(&applications(matrix).print(style));
    for one in matrix.applications.iter().filter(|one| !one.is_right()) {
        text.push('\n');
        push_paragraph(&mut text, &why(one), 2, Tone::Middling, style);
        for call in &one.failing {
            push_paragraph(&mut text, &told(call), 4, Tone::Faint, style);
        }
        let lines: Vec<&str> = one.output.lines().collect();
        for line in &lines[lines.len().saturating_sub(OUTPUT_LINES)..] {
            push_paragraph(
                &mut text,
                &format!("  {}", printable(line)),
                4,
                Tone::Faint,
                style,
            );
        }
    }
    text
}

fn applications(matrix: &Matrix) -> Layout {
    let word = |passes: bool| if passes { "passes" } else { "fails" };
    let mut layout = Layout::new(&[
        ("application", Align::Left),
        ("predicted", Align::Left),
        ("really", Align::Left),
        ("seconds", Align::Right),
        ("lacking", Align::Left),
    ]);
    for one in &matrix.applications {
        layout.row([
            printable(&name(one)).into(),
            word(one.predicted).into(),
            match one.timed_out {
                true => "time limit",
                false => word(one.really),
            }
            .into(),
            format!("{:.1}", one.seconds).into(),
            list(&one.missing).into(),
        ]);
    }
    layout
}

fn name(one: &Verified) -> String {
    format!("{}/{}", one.application, one.workload)
}

fn why(one: &Verified) -> String {
    let name = printable(&name(one));
    match (one.predicted, one.unsupported.is_empty()) {
        (true, false) => format!(
            "{name} was to pass, and does not. The OS said that it does not support {}",
            list(&one.unsupported)
        ),
        (true, true) => format!(
            "{name} was to pass, and does not. The OS does otherwise than its profile says, or its \
             host is missing something. It printed:"
        ),
        (false, _) => format!(
            "{name} was to fail, and passes: the OS has more than its profile says, or the analysis \
             asks for more than is needed, of {}",
            list(&one.missing)
        ),
    }
}

fn told(call: &FailingCall) -> String {
    let need = match call.needed {
        true => "the application needs it",
        false => "the application can do without it",
    };
    format!("  {} failed with {}; {need}", call.feature, call.errno)
}

fn list(features: &[Feature]) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(", ")
}
