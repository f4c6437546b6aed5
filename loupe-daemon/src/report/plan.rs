//! `loupe plan` and its check: steps as paragraphs, one line for each list of names.

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::csv::csv;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::plan::{Check, Checked, Clash, Plan, Step};
use crate::text::{counted, printable};

/// `full`: with the names of what fails already and may go on to. That is no work, and long.
pub fn plan_table(plan: &Plan, full: bool, style: Style) -> String {
    let mut text = String::new();
    push_paragraph(&mut text, &headline(plan), 0, Tone::Title, style);
    for (number, step) in plan.steps.iter().enumerate() {
        text.push('\n');
        push_paragraph(&mut text, &title(number, step, plan), 0, Tone::Title, style);
        let stub = match (full, step.stub.len()) {
            (true, _) | (_, 0) => names(&step.stub),
            (_, count) => vec![format!("{count}, which may go on failing")],
        };
        let printable_names = |names: &[String]| names.iter().map(|name| printable(name)).collect();
        let lists: [(&str, Vec<String>); 5] = [
            ("implement", names(&step.implement)),
            ("fake", names(&step.fake)),
            ("stub", stub),
            ("unlocks", printable_names(&step.unlocks)),
            (
                "not asked for, and runs as well",
                printable_names(&step.along),
            ),
        ];
        for (what, list) in lists {
            if !list.is_empty() {
                let line = format!("  {what}: {}", list.join(", "));
                push_paragraph(&mut text, &line, 4, Tone::Plain, style);
            }
        }
    }
    text.push('\n');
    for clash in &plan.conflicts {
        push_paragraph(&mut text, &conflict(clash), 2, Tone::Middling, style);
    }
    let last = match &plan.left {
        None => quality(plan),
        Some(left) => format!(
            "Left: {} for {}.",
            counted(left.steps as u64, "step"),
            counted(left.applications as u64, "application"),
        ),
    };
    push_paragraph(&mut text, &last, 0, Tone::Plain, style);
    if !full && plan.steps.iter().any(|step| !step.stub.is_empty()) {
        let line = "Stubs are only counted: they are no work. --full names them.";
        push_paragraph(&mut text, line, 0, Tone::Faint, style);
    }
    text
}

fn names(features: &[Feature]) -> Vec<String> {
    features.iter().map(Feature::to_string).collect()
}

pub(super) fn headline(plan: &Plan) -> String {
    let steps = plan.steps.len().saturating_sub(1) as u64;
    let last = plan.steps.last();
    let implemented = last.map_or(0, |step| step.implemented) as u64;
    let way = format!(
        "From {} to {}",
        printable(&plan.os),
        counted(plan.wanted() as u64, "application"),
    );
    let mut work = plan.steps.iter().flat_map(|step| &step.implement);
    let noun = match work.all(Feature::is_syscall) {
        true => "more syscall",
        false => "more feature",
    };
    let syscalls = counted(implemented, noun);
    match &plan.left {
        None => format!("{way}: {syscalls} in {}.", counted(steps, "step")),
        Some(left) => format!(
            "{way}, the first {steps} of {}: {syscalls}, and {} run.",
            counted(steps + left.steps as u64, "step"),
            last.map_or(0, |step| step.supported),
        ),
    }
}

pub(super) fn title(number: usize, step: &Step, plan: &Plan) -> String {
    let all = plan.wanted();
    match number {
        0 => format!(
            "Step 0: {} of {all} run without another syscall",
            step.supported
        ),
        _ => format!(
            "Step {number}: +{}, {} in all; {} of {all} run",
            step.implement.len(),
            step.implemented,
            step.supported
        ),
    }
}

fn conflict(clash: &Clash) -> String {
    let step = clash
        .step
        .map_or(String::new(), |step| format!(" (step {step})"));
    format!(
        "conflict: {} {}: implemented{step}",
        clash.feature,
        disagreement(clash),
    )
}

/// Who wants what of the feature.
pub(super) fn disagreement(clash: &Clash) -> String {
    let who = |names: &[String]| match names {
        [] => "nobody".to_owned(),
        [first, second, _, _, ..] => {
            let (first, second) = (printable(first), printable(second));
            format!("{first}, {second} and {} more", names.len() - 2)
        }
        few => printable(&few.join(", ")),
    };
    let faked = match clash.faked_by_os {
        true => ", and the OS fakes it",
        false => "",
    };
    format!(
        "must fail for {} and succeed for {}{faked}",
        who(&clash.needs_stub),
        who(&clash.needs_fake),
    )
}

fn quality(plan: &Plan) -> String {
    let near = match plan.area.checked_sub(plan.lower_bound) {
        Some(0) => "no order has a smaller one".to_owned(),
        _ if !plan.weights.is_empty() => {
            format!("without weights not below {}", plan.lower_bound)
        }
        _ => {
            let over = plan.area as f64 / plan.lower_bound.max(1) as f64 - 1.0;
            // Rounded up: it is a promise.
            let percent = (over * 1000.0).ceil() / 10.0;
            format!(
                "within {percent} % of optimal; the bound is {}",
                plan.lower_bound
            )
        }
    };
    format!(
        "area {} ({near}); with what settles conflicts {}; weighted {}",
        plan.area, plan.area_total, plan.area_weighted
    )
}

pub fn plan_csv(plan: &Plan) -> String {
    let rows = plan.steps.iter().enumerate().map(|(number, step)| {
        [
            number.to_string(),
            step.implemented.to_string(),
            step.supported.to_string(),
            names(&step.implement).join(" "),
            names(&step.fake).join(" "),
            names(&step.stub).join(" "),
            step.unlocks.join(" "),
        ]
    });
    let header = [
        "step",
        "implemented",
        "supported",
        "implement",
        "fake",
        "stub",
        "unlocks",
    ];
    csv(&header, rows)
}

/// A sentence, then what does not hold, or who runs when.
pub fn check_table(plan: &Plan, checks: &[Check], style: Style) -> String {
    let kept = checks
        .iter()
        .filter(|check| check.checked == Checked::Kept)
        .count();
    let mut text = String::new();
    let headline = format!(
        "The plan for {}, replayed literally: {kept} of {} run at the step that promises them, \
         and ever after.",
        printable(&plan.os),
        counted(checks.len() as u64, "application"),
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    text.push('\n');
    let mut layout = Layout::new(&[
        ("application", Align::Left),
        ("promised", Align::Right),
        ("runs from", Align::Right),
        ("verdict", Align::Left),
    ]);
    let mut sorted: Vec<&Check> = checks.iter().collect();
    sorted.sort_by_key(|check| (check.checked == Checked::Kept, check.promised));
    for check in sorted {
        let (word, tone) = match check.checked {
            Checked::Kept => ("kept".to_owned(), Tone::Good),
            Checked::Late => ("runs earlier".to_owned(), Tone::Middling),
            Checked::LeftOut => ("left out".to_owned(), Tone::Bad),
            Checked::Broken => (format!("BROKEN: {}", check.unmet.join("; ")), Tone::Bad),
        };
        layout.row([
            printable(&check.application).into(),
            step(check.promised),
            step(check.runs_from),
            Cell::toned(word, tone),
        ]);
    }
    text.push_str(&layout.print(style));
    text
}

fn step(step: Option<usize>) -> Cell {
    step.map_or(Cell::none(), Cell::from)
}

pub fn check_csv(checks: &[Check]) -> String {
    let number = |step: Option<usize>| step.map_or(String::new(), |step| step.to_string());
    let rows = checks.iter().map(|check| {
        let word = match check.checked {
            Checked::Kept => "kept",
            Checked::Broken => "broken",
            Checked::Late => "late",
            Checked::LeftOut => "left_out",
        };
        [
            check.application.clone(),
            number(check.promised),
            number(check.runs_from),
            word.to_owned(),
            check.unmet.join("; "),
        ]
    });
    csv(
        &["application", "promised", "runs_from", "checked", "unmet"],
        rows,
    )
}
