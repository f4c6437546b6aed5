//! `loupe gap`: what an OS lacks for one application.

use loupe_common::feature::Feature;

use super::analysis::push_paragraph;
use super::csv::csv;
use super::{Style, Tone};
use crate::plan::gap::{Gap, Missing};
use crate::text::{counted, printable};

pub fn gap_table(gap: &Gap, style: Style) -> String {
    let mut text = String::new();
    let runs = match gap.runs() {
        true => "nothing is missing",
        false => "something is missing",
    };
    let name = match gap.use_only {
        true => gap.application.clone(),
        false => format!("{}/{}", gap.application, gap.workload),
    };
    let headline = format!(
        "{} on {}: {runs}. It uses {}, of which {} are implemented.",
        printable(&name),
        printable(&gap.os),
        counted(gap.used as u64, noun(gap.of_syscalls)),
        gap.implemented,
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    let mut section = |title: &str, missing: &Missing| {
        text.push('\n');
        push_paragraph(&mut text, title, 0, Tone::Title, style);
        for (class, features, tone) in classes(missing) {
            if !features.is_empty() {
                let line = format!("  {class} ({}): {}", features.len(), list(features));
                push_paragraph(&mut text, &line, 4, tone, style);
            }
        }
        if missing.is_none() && missing.spared.is_empty() {
            push_paragraph(&mut text, "  nothing", 4, Tone::Good, style);
        }
        if !missing.untried.is_empty() {
            let names = missing.untried.iter();
            let names: Vec<String> = names
                .map(|(feature, errno)| format!("{feature} ({errno})"))
                .collect();
            let line = format!(
                "  of these fail with another errno than ENOSYS, with which the application was \
                 measured ({}): {}",
                names.len(),
                names.join(", ")
            );
            push_paragraph(&mut text, &line, 4, Tone::Middling, style);
        }
    };
    match &gap.joint {
        Some(joint) => {
            section("All at once, by the joint policy:", joint);
            section("By the verdicts on each syscall alone:", &gap.single);
        }
        None if gap.use_only => section(
            "All that was seen in use counts: a profile knows nothing that could be left out.",
            &gap.single,
        ),
        None => section("By the verdicts on each syscall alone:", &gap.single),
    }
    if !gap.unsure.is_empty() {
        let line = format!(
            "counted as required for want of a verdict: {}",
            list(&gap.unsure)
        );
        push_paragraph(&mut text, &line, 2, Tone::Middling, style);
    }
    text
}

/// The word for features that are all whole syscalls, or not.
fn noun(of_syscalls: bool) -> &'static str {
    match of_syscalls {
        true => "syscall",
        false => "feature",
    }
}

fn classes(missing: &Missing) -> [(&'static str, &Vec<Feature>, Tone); 5] {
    [
        ("to implement", &missing.implement, Tone::Bad),
        ("to fake, or to implement", &missing.fake, Tone::Middling),
        ("not to fake any more", &missing.unfake, Tone::Middling),
        (
            "to fail, and not to end its caller",
            &missing.stub,
            Tone::Middling,
        ),
        ("may stay as they are", &missing.spared, Tone::Good),
    ]
}

fn list(features: &[Feature]) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(", ")
}

pub fn gap_csv(gap: &Gap) -> String {
    let by = |basis: &'static str, missing: &Missing| -> Vec<[String; 3]> {
        let words = ["implement", "fake", "unfake", "stub", "spared"];
        let classes = classes(missing).into_iter().zip(words);
        classes
            .flat_map(|((_, features, _), word)| {
                features
                    .iter()
                    .map(move |feature| [feature.to_string(), word.to_owned(), basis.to_owned()])
            })
            .collect()
    };
    let mut rows = by("single", &gap.single);
    rows.extend(gap.joint.iter().flat_map(|joint| by("joint", joint)));
    csv(&["feature", "missing", "basis"], rows)
}
