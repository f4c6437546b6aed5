//! `loupe verify`: predictions beside what really happened on an OS.

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::layout::{Align, Layout};
use super::{Style, Tone};
use crate::plan::prediction::{FailingCall, Matrix, Verified};
use crate::text::printable;

/// Lines of output that are shown of what went otherwise than it was to.
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
        push_end_of_output(&mut text, &one.output, style);
    }
    text
}

/// The last lines of what an application and its test printed.
pub(super) fn push_end_of_output(text: &mut String, output: &str, style: Style) {
    let lines: Vec<&str> = output.lines().collect();
    for line in &lines[lines.len().saturating_sub(OUTPUT_LINES)..] {
        let line = format!("  {}", printable(line));
        push_paragraph(text, &line, 4, Tone::Faint, style);
    }
}

fn applications(matrix: &Matrix) -> Layout {
    let word = |passes: bool| if passes { "passes" } else { "fails" };
    let mut layout = Layout::new(&[
        ("application", Align::Left),
        ("predicted", Align::Left),
        ("really", Align::Left),
        ("seconds", Align::Right),
        ("lacking", Align::Left),
        ("difference", Align::Left),
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
            difference(one).into(),
        ]);
    }
    layout
}

/// Of a prediction that was wrong, what is first to be looked at.
fn difference(one: &Verified) -> String {
    let mut lines = one.output.lines();
    let first = lines.find(|line| !line.trim().is_empty());
    match (one.is_right(), one.unsupported.is_empty(), first) {
        (true, ..) => String::new(),
        (false, false, _) => format!("not supported: {}", list(&one.unsupported)),
        (false, true, first) => printable(first.unwrap_or_default().trim()),
    }
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

#[cfg(test)]
mod tests {
    use loupe_common::analysis::{Analysis, Joint};

    use super::*;
    use crate::plan::gap::Gap;
    use crate::plan::prediction::missing;
    use crate::plan::{Need, OsProfile};
    use crate::report::tests::samples;

    #[test]
    fn what_only_an_unfinished_search_asks_for_and_parts_that_nobody_measured_are_not_missing() {
        let feature = |name: &str| -> Feature { name.parse().expect("a feature") };
        let mut analysis = samples::analysis();
        let need = Need::asked_of_os(&analysis);
        let spare = need
            .any
            .iter()
            .next()
            .expect("something that does not matter")
            .clone();
        let mut profile = OsProfile {
            implement: need
                .used
                .iter()
                .filter(|one| **one != spare)
                .cloned()
                .collect(),
            ..OsProfile::default()
        };
        let said = |analysis: &Analysis, profile: &OsProfile| {
            missing(&Gap::between(profile, analysis), analysis, profile)
        };
        assert_eq!(said(&analysis, &profile), []);
        analysis.joint = Some(Joint {
            implement: need.used.iter().cloned().collect(),
            is_least: Some(true),
            runs: 3,
            passes: 3,
            ..Joint::default()
        });
        assert_eq!(said(&analysis, &profile), std::slice::from_ref(&spare));
        analysis.joint.as_mut().expect("just set").is_least = Some(false);
        assert_eq!(said(&analysis, &profile), []);
        // A whole `fcntl` is asked for; the OS has it but for one of its operations, and says so.
        analysis.joint.as_mut().expect("just set").is_least = Some(true);
        profile.implement.extend([spare, feature("fcntl")]);
        profile.stub.insert(feature("fcntl:F_GETLK"));
        assert_eq!(said(&analysis, &profile), []);
    }
}
