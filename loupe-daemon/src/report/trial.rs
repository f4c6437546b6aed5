//! What a workload did that was tried once.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::replay::OutputTail;
use serde_json::{Value, json};

use super::analysis::push_paragraph;
use super::joint::counted_features;
use super::{Style, Tone, remarks};
use crate::engine::Trial;
use crate::replay::{Mode, Workload};
use crate::text::{counted, microseconds, printable, shell_word};

/// The value of `schema` in the JSON of a trial.
const SCHEMA: &str = "loupe.try/1";

/// Whether it can be analysed as it is.
pub fn trial_is_good(trial: &Trial) -> bool {
    trial.replay.outcome.passed() && trial.absent.noticed == Some(true)
}

/// Everything that happened; `source` is what the workload was given as, for the next command.
pub fn trial(workload: &Workload, trial: &Trial, source: Option<&str>, style: Style) -> String {
    let mut text = String::new();
    let (replay, timing) = (&trial.replay, trial.replay.timing);
    let name = printable(&format!("{}/{}", workload.application, workload.workload));
    let title = format!("{name} {} in the sandbox", replay.outcome);
    let tone = match replay.outcome.passed() {
        true => Tone::Good,
        false => Tone::Bad,
    };
    push_paragraph(&mut text, &title, 0, tone, style);
    let mut push = |paragraph: String| {
        push_paragraph(&mut text, &paragraph, 2, Tone::Plain, style);
    };
    push(format!(
        "time: {} in all; sandbox {}, start {}, test {}, stop {}",
        microseconds(timing.wall_us),
        microseconds(timing.sandbox_us),
        microseconds(timing.ready_us),
        microseconds(timing.test_us),
        microseconds(timing.stop_us)
    ));
    push(format!("ready: {}", readiness(workload, trial)));
    let exit = |exit: Option<_>, none: &str| {
        exit.map_or_else(
            || none.to_owned(),
            |exit: loupe_common::replay::ExitStatus| exit.to_string(),
        )
    };
    push(format!(
        "ends: application {}, test {}",
        exit(replay.application_exit, "ended by Loupe"),
        exit(replay.test_exit, "did not run to its end")
    ));
    if let Some(metric) = replay.metric {
        push(format!("metric: {metric}"));
    }
    let features: BTreeSet<&Feature> = replay.trace.calls.keys().collect();
    let names: Vec<String> = features.iter().map(ToString::to_string).collect();
    push(format!(
        "uses: {} in {}: {}",
        counted_features(features.iter().copied()),
        counted(replay.trace.total_calls(), "call"),
        names.join(", ")
    ));
    if replay.target_execs != 1 {
        push(format!(
            "the target was started {} times",
            replay.target_execs
        ));
    }
    // A test that fails anyway notices nothing.
    if replay.outcome.passed() {
        push(remarks::test_check(&trial.absent));
    }
    text.push('\n');
    push_output(
        &mut text,
        "the application's output",
        &replay.application_output,
        style,
    );
    push_output(&mut text, "the test's output", &replay.test_output, style);
    let own = shell_word(source.unwrap_or("WORKLOAD.toml"));
    let next = match trial_is_good(trial) {
        true => format!("next: loupe analyze {own}"),
        false if !replay.outcome.passed() => format!(
            "next: loupe try --shell {own}  to look around in the sandbox, where /tmp, /run and \
             /dev/shm are empty and only loopback is up"
        ),
        false => "next: have the test fail when the application does not work".to_owned(),
    };
    text.push('\n');
    push_paragraph(&mut text, &next, 6, Tone::Plain, style);
    text
}

fn readiness(workload: &Workload, trial: &Trial) -> String {
    let replay = &trial.replay;
    match (workload.mode, &workload.ready, replay.listened) {
        (Mode::Batch, ..) => match replay.left.is_empty() {
            true => "a batch application: when it had ended".to_owned(),
            false => format!(
                "a batch application: when it had ended, and left {} asleep",
                printable(&replay.left.join(", "))
            ),
        },
        (Mode::Server, Some(_), _) => "by the workload's `ready`".to_owned(),
        (Mode::Server, None, Some(true)) => {
            format!("listened on {}", counted(replay.listens.max(1), "socket"))
        }
        (Mode::Server, None, _) => {
            "it never came to listen on a socket; if it is ready in another \
                                    way, the workload's `ready` says how"
                .to_owned()
        }
    }
}

fn push_output(text: &mut String, title: &str, output: &OutputTail, style: Style) {
    let tail = output.tail.trim_end();
    let shown = match (
        tail.is_empty(),
        output.total_bytes > output.tail.len() as u64,
    ) {
        (true, _) => format!("{title}: nothing"),
        (false, true) => format!("{title}, the end of {} bytes:", output.total_bytes),
        (false, false) => format!("{title}:"),
    };
    push_paragraph(text, &shown, 0, Tone::Title, style);
    for line in tail.lines() {
        push_paragraph(
            text,
            &format!("  | {}", printable(line)),
            6,
            Tone::Plain,
            style,
        );
    }
}

/// Makes the document that `loupe try --json` prints.
pub fn trial_json(workload: &Workload, trial: &Trial) -> Value {
    json!({
        "schema": SCHEMA,
        "application": workload.application,
        "workload": workload.workload,
        "good": trial_is_good(trial),
        "replay": trial.replay,
        "absent": trial.absent,
    })
}
