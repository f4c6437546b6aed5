//! `loupe plan --next`: one step and what speaks for it; and `loupe plan --what-if`.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::because::{applications, evidence, names, reasons, together};
use super::distances::lacking;
use super::{Style, Tone};
use crate::plan::Plan;
use crate::plan::what_if::WhatIf;
use crate::text::{counted, printable};

/// The first step that implements something. `again` are the words of the command that say what
/// the plan is for (`--os Kerla --workload bench`).
pub fn plan_next(plan: &Plan, again: &str, style: Style) -> String {
    let mut text = String::new();
    let all = plan.wanted();
    let Some(step) = plan.steps.get(1) else {
        let headline = format!(
            "Nothing is to be implemented on {}: {} run without another syscall.",
            printable(&plan.os),
            counted(all as u64, "application"),
        );
        push_paragraph(&mut text, &headline, 0, Tone::Title, style);
        push_step_0(&mut text, plan, style);
        return text;
    };
    let headline = format!(
        "Next on {}: implement {}. Of {}, {} run then, {} without.",
        printable(&plan.os),
        names(&step.implement),
        counted(all as u64, "application"),
        step.supported,
        plan.steps[0].supported,
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    text.push('\n');
    for reason in reasons(plan, 1) {
        let line = format!("  {}: {}", reason.feature, reason.words);
        push_paragraph(&mut text, &line, 4, Tone::Plain, style);
    }
    if let Some(sentence) = together(step) {
        push_paragraph(&mut text, &format!("  {sentence}"), 4, Tone::Plain, style);
    }
    text.push('\n');
    if !step.fake.is_empty() {
        let line = format!("  fake as well: {}", names(&step.fake));
        push_paragraph(&mut text, &line, 4, Tone::Plain, style);
    }
    let line = format!(
        "  unlocks ({}): {}",
        step.unlocks.len(),
        applications(&step.unlocks)
    );
    push_paragraph(&mut text, &line, 4, Tone::Good, style);
    if !step.along.is_empty() {
        let line = format!(
            "  and, not asked for ({}): {}",
            step.along.len(),
            applications(&step.along)
        );
        push_paragraph(&mut text, &line, 4, Tone::Good, style);
    }
    push_step_0(&mut text, plan, style);
    if let Some(left) = &plan.left {
        text.push('\n');
        let line = format!(
            "After it: {} for {}.",
            counted(left.steps as u64, "more step"),
            counted(left.applications as u64, "application"),
        );
        push_paragraph(&mut text, &line, 2, Tone::Plain, style);
    }
    let evidence = evidence(step);
    if evidence.is_some() || plan.left.is_some() {
        text.push('\n');
    }
    if let Some(command) = evidence {
        text.push_str(&format!("evidence: {command}\n"));
    }
    if plan.left.is_some() {
        text.push_str(&format!("next: loupe plan {again} --steps 3\n"));
    }
    text
}

/// What comes before any implementation.
fn push_step_0(text: &mut String, plan: &Plan, style: Style) {
    let Some(step) = plan.steps.first().filter(|step| !step.fake.is_empty()) else {
        return;
    };
    text.push('\n');
    let line = format!(
        "Without implementing anything (step 0): fake {}; {} run then.",
        names(&step.fake),
        step.supported
    );
    push_paragraph(text, &line, 2, Tone::Middling, style);
}

pub fn what_if_table(what: &WhatIf, style: Style) -> String {
    let mut text = String::new();
    let with_fakes = what.unlocks.iter();
    let with_fakes = with_fakes.filter(|unlocked| !unlocked.fake.is_empty());
    let fakes = match with_fakes.count() {
        0 => String::new(),
        more => format!(", and {more} more with fakes"),
    };
    let headline = format!(
        "With {} implemented, {} runs {} of {}{fakes}; today {}.",
        set(&what.implement),
        printable(&what.os),
        what.would_run,
        counted(what.count as u64, "application"),
        what.runs,
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    for (list, says) in [
        (&what.already, "it implements already"),
        (&what.unused, "none of the applications uses"),
    ] {
        if !list.is_empty() {
            let line = format!("{says}: {}", set(list));
            push_paragraph(&mut text, &line, 2, Tone::Middling, style);
        }
    }
    text.push('\n');
    if what.unlocks.is_empty() {
        push_paragraph(&mut text, "It unlocks nothing.", 0, Tone::Plain, style);
    }
    for (fakes, names) in by_fakes(what) {
        let line = format!("{fakes} ({}): {}", names.len(), applications(&names));
        push_paragraph(&mut text, &line, 2, Tone::Good, style);
    }
    if !what.next.is_empty() {
        text.push('\n');
        text.push_str(&lacking(&what.next, usize::MAX, style));
    }
    text
}

/// Those that need the same, together; in the order in which the first of them is there.
fn by_fakes(what: &WhatIf) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for unlocked in &what.unlocks {
        let words = match unlocked.fake.as_slice() {
            [] if unlocked.fakes_would_do => "unlocks, though fakes would do".to_owned(),
            [] => "unlocks".to_owned(),
            fake => format!("unlocks, with {} faked", names(fake)),
        };
        let name = unlocked.application.clone();
        match groups.iter_mut().find(|(other, _)| *other == words) {
            Some((_, names)) => names.push(name),
            None => groups.push((words, vec![name])),
        }
    }
    groups
}

fn set(features: &BTreeSet<Feature>) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(", ")
}
