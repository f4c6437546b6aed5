//! `loupe run --stub … --fake … -- COMMAND`.

use std::io::Write as _;
use std::path::Path;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::wire::Failure;
use loupe_common::word::Word;
use serde_json::{Value, json};

use super::command_run::Measure;
use super::{command_run, trace};
use crate::client::args::{Global, Run};
use crate::client::{Ending, output};
use crate::engine::RunReport;
use crate::report;

/// The value of `schema` in the JSON.
const SCHEMA: &str = "loupe.run/1";

pub async fn run(global: &Global, args: Run) -> Result<Ending, Failure> {
    let policy = policy(args.stub, args.fake)?;
    // Opened first: a place that cannot be written to is no reason to run the command in vain.
    let file = match args.json.as_deref() {
        None => None,
        Some(path) if path == Path::new("-") => Some(None),
        Some(path) => Some(Some(trace::create(path)?)),
    };
    let command = command_run::words(&args.what.command);
    let report =
        command_run::run(global, args.what, policy.clone(), Measure::default(), None).await?;
    let json = || output::json_text(&summary(&command, &policy, &report));
    match file {
        None => {}
        Some(None) => output::print(&json()?)?,
        Some(Some(mut file)) => file
            .write_all(json()?.as_bytes())
            .map_err(|error| Failure::internal("cannot write the report").because(Some(&error)))?,
    }
    output::note(&injected(&policy, &report));
    command_run::warn(&report);
    Ok(command_run::ending(report.exit))
}

fn policy(stubs: Vec<(Feature, Action)>, fakes: Vec<(Feature, Action)>) -> Result<Policy, Failure> {
    let mut policy = Policy::baseline();
    for (feature, action) in stubs.into_iter().chain(fakes) {
        let name = feature.to_string();
        if let Some(before) = policy.insert(feature, action)
            && before != action
        {
            return Err(
                Failure::usage(format!("what shall {name} be: {before} or {action}?"))
                    .hint("give each syscall to one of --stub and --fake, once"),
            );
        }
    }
    Ok(policy)
}

fn times(report: &RunReport, feature: &Feature) -> u64 {
    report.injections.get(feature).copied().unwrap_or(0)
}

/// `injected: brk faked: never called; futex stubbed (ENOSYS) 12 times`.
fn injected(policy: &Policy, report: &RunReport) -> String {
    if policy.is_empty() {
        return "nothing was to be injected".to_owned();
    }
    let parts: Vec<String> = policy
        .iter()
        .map(|(feature, action)| {
            let how = match action {
                Action::STUB if feature.syscall().is_none() => "stubbed (ENOENT)".to_owned(),
                Action::Stub(errno) => format!("stubbed ({errno})"),
                Action::Fake => "faked".to_owned(),
                Action::Plausible => "faked plausibly".to_owned(),
                Action::Kill => "ending its caller".to_owned(),
            };
            match times(report, feature) {
                0 => format!("{feature} {how}: never called"),
                1 => format!("{feature} {how} once"),
                times => format!("{feature} {how} {times} times"),
            }
        })
        .collect();
    // Which tells whether each of them was.
    let starts = match report.target_execs {
        0 | 1 => String::new(),
        starts => format!(" (the target was started {starts} times)"),
    };
    format!("injected: {}{starts}", parts.join("; "))
}

fn summary(command: &[Word], policy: &Policy, report: &RunReport) -> Value {
    let wall = std::time::Duration::from_micros(report.wall_us);
    let injections: Vec<Value> = policy
        .iter()
        .map(|(feature, action)| {
            json!({ "feature": feature, "action": action, "times": times(report, feature) })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "command": command,
        "exit": report.exit,
        "injections": injections,
        "target_execs": report.target_execs,
        "wall_seconds": wall.as_secs_f64(),
        "trace": report::trace_json(&report.trace, wall),
    })
}

#[cfg(test)]
mod tests {
    use loupe_common::replay::ExitStatus;

    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().expect("known")
    }

    #[test]
    fn the_report_says_how_often_each_injection_fired() {
        let stubs = vec![
            (feature("futex"), Action::STUB),
            (feature("openat"), "stub=EPERM".parse().expect("an action")),
        ];
        let policy = policy(stubs, vec![(feature("brk"), Action::Fake)]).expect("no contradiction");
        let mut report = RunReport {
            exit: ExitStatus::Code(0),
            trace: Default::default(),
            injections: [
                (feature("futex"), 12),
                (feature("openat"), 1),
                (feature("brk"), 0),
            ]
            .into(),
            target_execs: 1,
            executed: Vec::new(),
            wall_us: 1_500_000,
        };
        assert_eq!(
            injected(&policy, &report),
            "injected: brk faked: never called; futex stubbed (ENOSYS) 12 times; openat stubbed \
             (EPERM) once"
        );
        report.target_execs = 12;
        let text = injected(&policy, &report);
        assert!(
            text.ends_with("once (the target was started 12 times)"),
            "{text}"
        );
        let json = summary(&[Word::from("ls")], &policy, &report);
        assert_eq!(json["schema"], "loupe.run/1");
        assert_eq!(json["exit"], json!({"code": 0}));
        assert_eq!(
            json["injections"][2],
            json!({"feature": "openat", "action": "stub=EPERM", "times": 1})
        );
    }

    #[test]
    fn a_contradiction_is_refused_and_a_repetition_is_not() {
        let futex = || feature("futex");
        let refused = policy(vec![(futex(), Action::STUB)], vec![(futex(), Action::Fake)]);
        assert_eq!(refused.expect_err("contradiction").exit_code, 2);
        let twice = vec![(futex(), Action::STUB), (futex(), Action::STUB)];
        assert_eq!(policy(twice, Vec::new()).map(|policy| policy.len()), Ok(1));
    }
}
