//! How a workload fared on another OS, in words.

use loupe_common::emulation::{Broken, Emulation};
use loupe_common::feature::Feature;
use loupe_common::policy::Action;

use super::{Style, Tone};
use crate::text::{counted, printable, seconds, wrap};

/// Lines of output that are shown of a failing replay.
const LAST_LINES: usize = 8;

pub fn emulation(emulation: &Emulation, style: Style) -> String {
    let mut text = String::new();
    let mut push = |line: &str, tone: Tone, hanging: usize| {
        for line in wrap(line, style.columns(), hanging) {
            text.push_str(&tone.paint(&line, style));
            text.push('\n');
        }
    };
    let (headline, tone) = headline(emulation);
    push(&headline, tone, 0);
    push(&calls(emulation), Tone::Plain, 0);
    for (index, broken) in emulation.broken.iter().enumerate() {
        push(&blame(broken, index == 0), Tone::Plain, 2);
    }
    if emulation.passed == Some(false) {
        push(&rest(emulation), Tone::Plain, 0);
    }
    for suspicion in &emulation.suspicious {
        let line = format!(
            "suspicious: {} (replay #{})",
            suspicion.what, suspicion.replay
        );
        push(&printable(&line), Tone::Middling, 2);
    }
    if let Some(output) = emulation.output.as_deref().filter(|text| !text.is_empty()) {
        push(
            "the last that application and test printed:",
            Tone::Plain,
            0,
        );
        let lines: Vec<&str> = output.lines().collect();
        for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
            push(&format!("  | {}", printable(line)), Tone::Faint, 6);
        }
    }
    text
}

fn headline(emulation: &Emulation) -> (String, Tone) {
    let name = printable(&format!("{}/{}", emulation.application, emulation.workload));
    let os = printable(&emulation.os);
    let replays = match emulation.runs {
        0 => "it leaves nothing out".to_owned(),
        runs => format!("{} of {runs} replays passed", emulation.passes),
    };
    match emulation.passed {
        Some(true) => (format!("{name} passes on {os}: {replays}."), Tone::Good),
        Some(false) => {
            let failure = emulation.failure.as_deref().unwrap_or("failed");
            let failure = failure.strip_prefix("failed: ").unwrap_or(failure);
            (
                format!("{name} fails on {os}: {replays}; {}.", printable(failure)),
                Tone::Bad,
            )
        }
        None => (
            format!(
                "{name} cannot be judged on {os}: {replays}, the others failed or could not be used."
            ),
            Tone::Middling,
        ),
    }
}

fn calls(emulation: &Emulation) -> String {
    let words: Vec<String> = emulation
        .answered
        .iter()
        .map(|one| match one.action {
            Action::STUB => one.feature.to_string(),
            action => format!("{} ({action})", one.feature),
        })
        .collect();
    let called = match words.len() {
        0 => "none of them called".to_owned(),
        number => format!("{number} of them called: {}", words.join(", ")),
    };
    format!(
        "{} left out, {called}. {} in {}.",
        counted(emulation.left_out, "syscall"),
        counted(emulation.replays, "replay"),
        seconds(emulation.wall_seconds)
    )
}

fn how(feature: &Feature, action: Action) -> String {
    match action {
        Action::Fake => format!("{feature} faked"),
        Action::Plausible => format!("{feature} faked plausibly"),
        Action::Kill => format!("{feature} ending its caller"),
        Action::STUB => format!("{feature} stubbed"),
        Action::Stub(errno) => format!("{feature} failing with {errno}"),
    }
}

/// `first broken by: epoll_create1 stubbed; 0 of 2 replays passed with nothing else left out`.
fn blame(broken: &Broken, first: bool) -> String {
    let others: Vec<String> = broken
        .with
        .iter()
        .map(|(feature, action)| how(feature, action))
        .collect();
    let with = match others.is_empty() {
        true => "with nothing else left out".to_owned(),
        false => format!("together with {}", others.join(", ")),
    };
    let replays: Vec<String> = broken.replays.iter().map(|id| format!("#{id}")).collect();
    format!(
        "{}: {}; {} of {} replays passed {with} ({})",
        if first { "first broken by" } else { "then by" },
        how(&broken.feature, broken.action),
        broken.passes,
        broken.runs,
        replays.join(", ")
    )
}

fn rest(emulation: &Emulation) -> String {
    match (emulation.broken.len(), emulation.complete) {
        (0, _) => "What broke it could not be found: parts of what is left out pass by themselves."
            .to_owned(),
        (number, true) => format!(
            "With {} implemented it passes.",
            match number {
                1 => "that one".to_owned(),
                number => format!("these {number}"),
            }
        ),
        (_, false) => "There may be more: --all goes on until it passes.".to_owned(),
    }
}
