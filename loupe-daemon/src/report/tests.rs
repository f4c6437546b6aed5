//! What is printed, as it is printed, on made-up replays of an nginx.
//!
//! After an intended change: `INSTA_UPDATE=always cargo test -p loupe-daemon report`, then read
//! the difference.

mod answers;
mod comparison;
mod impact;
pub(super) mod samples;

use std::time::Duration;

use insta::{assert_json_snapshot, assert_snapshot};
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::replay::Outcome;
use loupe_common::trace::{CallCounts, ForeignCall, Lost, Trace};
use loupe_common::verdict::Verdict;
use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::store::{Evidence, Listed, Progressing, VerdictCounts};
use samples::{BASELINE, feature, timed, trace};

pub(super) const FULL: Telling = Telling {
    id: Some(3),
    finished_ms: Some(1_764_000_008_217),
    full: true,
};

const WALL: Duration = Duration::from_millis(1_204);

fn colored(width: usize) -> Style {
    Style {
        color: true,
        width,
        rows: Rows::Fitting,
    }
}

/// The text without its colours.
fn stripped(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once('m').expect("a colour ends with an m").1
    })
}

/// Tables need 80 columns, text can do with less.
pub(super) const TABLE: [usize; 2] = [80, 132];
pub(super) const TEXT: [usize; 4] = [40, 60, 80, 132];

/// No line is wider than asked for, none ends with a space, colours change nothing else.
pub(super) fn well_formed(widths: &[usize], print: impl Fn(Style) -> String) {
    for &width in widths {
        let plain = print(Style {
            color: false,
            width,
            rows: Rows::Fitting,
        });
        assert!(plain.ends_with('\n') && !plain.ends_with("\n\n"));
        for line in plain.lines() {
            assert!(
                line.width() <= width,
                "{} columns of {width}: {line}",
                line.width()
            );
            assert_eq!(line.trim_end(), line);
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        assert_eq!(stripped(&print(colored(width))), plain);
    }
    assert_ne!(print(colored(80)), print(Style::PLAIN), "no colour at all");
}

#[test]
fn the_verdict_table() {
    let print = |style| analysis_table(&samples::analysis(), FULL, style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn the_verdict_table_begins_with_the_answer_and_folds_what_decides_nothing() {
    let mut analysis = samples::analysis();
    analysis.joint = Some(loupe_common::analysis::Joint {
        implement: vec![feature("accept4"), feature("openat"), feature("clone")],
        stub: vec![feature("brk"), feature("prctl")],
        fake: vec![feature("rt_sigaction")],
        runs: 3,
        passes: 3,
        is_least: Some(true),
        ..Default::default()
    });
    let telling = Telling {
        full: false,
        ..FULL
    };
    let print = |style| analysis_table(&analysis, telling, style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn what_the_speed_of_the_host_decides_is_told_as_undecided() {
    let mut analysis = samples::analysis();
    let told = |rules: &[(&str, Action)], analysis: &mut loupe_common::analysis::Analysis| {
        let rules = rules.iter().map(|(name, action)| (feature(name), *action));
        analysis.joint = Some(loupe_common::analysis::Joint {
            implement: vec![feature("openat"), feature("clone")],
            is_least: Some(false),
            undecided: rules.collect(),
            ..Default::default()
        });
        let table = analysis_table(analysis, FULL, Style::PLAIN);
        table.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let one = told(&[("clone", Action::Fake)], &mut analysis);
    assert!(
        one.contains("left undecided: `fake clone` passes alone"),
        "{one}"
    );
    assert!(one.contains("so it counts as to be implemented"), "{one}");
    assert!(!one.contains("took all that it may"), "{one}");
    let rules = [("clone", Action::Fake), ("openat", Action::STUB)];
    let two = told(&rules, &mut analysis);
    assert!(
        two.contains("`fake clone` and `stub openat` each pass alone"),
        "{two}"
    );
}

#[test]
fn the_verdict_table_says_what_limits_it() {
    let mut analysis = samples::analysis();
    analysis.features.truncate(1);
    analysis.application = "bad\x1b[2Jname".to_owned();
    analysis.replays_reused = 40;
    analysis.warnings = vec!["it uses io_uring, whose operations cannot be injected".to_owned()];
    analysis.foreign = vec![ForeignCall {
        abi: "i386".to_owned(),
        number: 240,
        calls: 1,
    }];
    analysis.lost_events = 2;
    let print = |style| analysis_table(&analysis, FULL, style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn the_verdict_table_in_colours() {
    assert_snapshot!(analysis_table(&samples::analysis(), FULL, colored(80)));
}

#[test]
fn the_longest_name_and_large_counts_fit_80_columns_on_one_line_each() {
    let mut analysis = samples::analysis();
    for row in &mut analysis.features {
        row.feature = feature("set_mempolicy_home_node");
        row.calls = 99_999_999;
        row.stub.injections = 999_999_999;
        row.verdict = Verdict::NotExercised;
    }
    well_formed(&TABLE, |style| analysis_table(&analysis, FULL, style));
    let lines = analysis_table(&analysis, FULL, Style::PLAIN);
    let rows = lines.lines().filter(|line| line.contains("_home_node "));
    assert_eq!(rows.count(), analysis.features.len());

    // Larger ones do not fit on one line; then a name is broken, and all of it still there.
    analysis.features[0].calls = u64::MAX;
    well_formed(&TABLE, |style| analysis_table(&analysis, FULL, style));
    let lines = analysis_table(&analysis, FULL, Style::PLAIN);
    let row = lines
        .lines()
        .skip_while(|line| !line.contains("18446744073709551615"));
    let name: String = row
        .take(2)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(name, "set_mempolicy_home_node", "{lines}");
}

#[test]
fn an_analysis_without_features_has_no_table() {
    let mut analysis = samples::analysis();
    analysis.features.clear();
    let text = analysis_table(&analysis, FULL, Style::PLAIN);
    assert!(
        text.starts_with("nginx/wrk uses no syscall.\nanalysis 3"),
        "{text}"
    );
    assert!(
        text.ends_with("uses 0 syscalls; 141 replays in 8.22 s.\n"),
        "{text}"
    );
}

#[test]
fn a_target_that_is_started_often_is_said_to_be() {
    let mut analysis = samples::analysis();
    for (starts, said) in [(None, false), (Some(1), false), (Some(214), true)] {
        analysis.target_execs = starts;
        let text = analysis_table(&analysis, FULL, Style::PLAIN).replace('\n', " ");
        let words = "A replay starts the target 214 times.";
        assert_eq!(text.contains(words), said, "{text}");
        assert_eq!(text.contains("starts the target"), said, "{text}");
    }
}

fn explanation(name: &str, evidence: &Evidence) -> Explanation {
    Explanation::new(&samples::stored_analysis(), &feature(name), evidence)
        .expect("the analysis has a verdict on it")
}

#[test]
fn the_explanation_of_a_required_syscall() {
    let explanation = explanation("openat", &samples::evidence());
    let print = |style| explain(&explanation, style);
    well_formed(&TEXT, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn every_verdict_has_its_reason() {
    let reasons: Vec<String> = samples::analysis()
        .features
        .iter()
        .map(|verdict| {
            let evidence = Evidence {
                baseline: samples::evidence().baseline,
                ..Evidence::default()
            };
            let explanation = explanation(&verdict.feature.to_string(), &evidence);
            well_formed(&TEXT, |style| explain(&explanation, style));
            explain(&explanation, Style::PLAIN)
        })
        .collect();
    assert_snapshot!(reasons.join("\n=====\n\n"));
}

#[test]
fn the_explanation_as_json() {
    let mut evidence = samples::evidence();
    evidence.alone.truncate(2);
    let explanation = explanation("openat", &evidence);
    assert_json_snapshot!(explain_json(&explanation));
}

#[test]
fn an_explanation_survives_the_way_to_a_client() {
    let explanation = explanation("openat", &samples::evidence());
    let json = explain_json(&explanation);
    let received: Explanation = serde_json::from_value(json).expect("readable");
    assert_eq!(received, explanation);
}

#[test]
fn a_feature_that_the_baseline_never_used_has_no_explanation() {
    let analysis = samples::stored_analysis();
    let none = Explanation::new(&analysis, &feature("reboot"), &samples::evidence());
    assert_eq!(none, None);
}

#[test]
fn hostile_output_is_bounded_and_escaped() {
    let mut evidence = samples::evidence();
    let output = &mut evidence.alone[0].replay.application_output;
    output.tail = format!(
        "{}\n\x1b]0;owned\x07{}\n",
        "\n".repeat(2000),
        "\u{202e}x".repeat(1000)
    );
    evidence.alone.truncate(1);
    let explanation = explanation("openat", &evidence);
    let print = |style| explain(&explanation, style);
    well_formed(&TEXT, print);
    let text = print(Style::PLAIN);
    assert!(text.contains(r"| \x1b]0;owned\x07\u{202e}x"), "{text}");
    assert!(text.lines().count() < 80, "{text}");
}

fn listed() -> Vec<Listed> {
    let listed = |analysis, application: &str, workload: &str| Listed {
        analysis,
        application: application.to_owned(),
        workload: workload.to_owned(),
        progress: None,
        imported: false,
        suite: false,
        provenance: None,
        started_ms: 1_764_000_000_000,
        finished_ms: Some(1_764_000_008_217),
        replays: 141,
        verdicts: VerdictCounts::from([
            (Verdict::Required, 21),
            (Verdict::Stub, 9),
            (Verdict::Any, 12),
            (Verdict::NotExercised, 2),
            (Verdict::Undecided, 1),
        ]),
    };
    let unfinished = |progress, mut listed: Listed| {
        listed.progress = Some(progress);
        listed.finished_ms = None;
        listed.verdicts.clear();
        listed
    };
    vec![
        unfinished(Progressing::Running, listed(5, "memcached", "memtier")),
        listed(3, "nginx", "wrk"),
        unfinished(
            Progressing::Interrupted,
            listed(
                4,
                "an-application-with-a-very-long-name",
                "and-such-a-workload",
            ),
        ),
    ]
}

#[test]
fn the_list() {
    let print = |style| list_table(&listed(), style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn the_list_as_json() {
    assert_json_snapshot!(list_json(&listed()));
}

#[test]
fn an_empty_list_says_what_to_do() {
    let text = list_table(&[], Style::PLAIN);
    assert!(text.contains("loupe analyze WORKLOAD.toml"), "{text}");
    assert_eq!(list_json(&[])["analyses"], serde_json::json!([]));
}

fn traced() -> Trace {
    let mut calls = BASELINE.to_vec();
    calls[3] = ("openat", 46, &[("ENOENT", 8), ("EACCES", 1), ("ELOOP", 12)]);
    Trace {
        foreign: vec![ForeignCall {
            abi: "i386".to_owned(),
            number: 240,
            calls: 9,
        }],
        ..trace(&calls)
    }
}

#[test]
fn the_trace_by_calls() {
    let print = |style| trace_table(&traced(), WALL, false, style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn the_trace_by_time() {
    let mut trace = timed(traced());
    trace.lost = Lost {
        events: 1,
        latency: 3,
        foreign: 2,
        ..Lost::default()
    };
    let print = |style| trace_table(&trace, WALL, false, style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn the_trace_as_json() {
    let mut trace = timed(traced());
    trace
        .calls
        .retain(|name, _| ["openat", "writev"].contains(&name.to_string().as_str()));
    assert_json_snapshot!(trace_json(&trace, WALL));
}

#[test]
fn a_trace_of_nothing_is_a_sentence() {
    assert_eq!(
        trace_table(&Trace::default(), WALL, false, Style::PLAIN),
        "0 calls of 0 syscalls in 1.20 s; 0 forks, 0 execs; nothing lost.\n"
    );
}

#[test]
fn the_p99_is_the_end_of_its_bucket_and_never_above_the_longest() {
    let latency = |buckets: &[(usize, u64)], max_ns| {
        let mut log2_buckets = vec![0; 32];
        for (bucket, calls) in buckets {
            log2_buckets[*bucket] = *calls;
        }
        let mut trace = trace(&[("read", 1, &[])]);
        let counts = trace.calls.values_mut().next().expect("one syscall");
        counts.latency = Some(loupe_common::trace::LatencySummary {
            total_ns: 1,
            max_ns,
            log2_buckets,
        });
        trace_json(&trace, WALL)["calls"][0]["latency"]["p99_at_most_ns"].clone()
    };
    assert_eq!(latency(&[(10, 99), (20, 1)], 1 << 20), 2048);
    assert_eq!(latency(&[(10, 98), (20, 2)], 1_500_000), 1_500_000);
    assert_eq!(latency(&[(10, 1)], 1030), 1030);
    assert_eq!(latency(&[(31, 1)], 90_000_000_000_u64), 90_000_000_000_u64);
}

#[test]
fn a_replay_whose_target_never_started_says_so() {
    let mut evidence = samples::evidence();
    let replay = &mut evidence.alone[0].replay;
    replay.target_execs = 0;
    replay.outcome = Outcome::Passed;
    let text = explain(&explanation("openat", &evidence), Style::PLAIN);
    assert!(
        text.contains("the target binary was never started"),
        "{text}"
    );
}

#[test]
fn operations_and_flags_stand_below_their_syscall() {
    let counts = |calls| CallCounts {
        calls,
        ..CallCounts::default()
    };
    let feature = |name: &str| -> Feature { name.parse().expect("a feature") };
    let trace = Trace {
        calls: [(feature("fcntl"), counts(9)), (feature("mmap"), counts(4))].into(),
        operations: [
            (feature("fcntl:F_GETFL"), counts(2)),
            (feature("fcntl:F_SETFD"), counts(7)),
            (feature("mmap:MAP_PRIVATE"), counts(4)),
        ]
        .into(),
        ..Trace::default()
    };
    let table = trace_table(&trace, WALL, true, Style::PLAIN);
    let lines = table.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> = lines.map(|line| line[..15].trim_end()).collect();
    let expected = [
        "syscall",
        "fcntl",
        "  F_SETFD",
        "  F_GETFL",
        "mmap",
        "  + MAP_PRIVATE",
    ];
    assert_eq!(names, expected, "{table}");
    assert!(table.contains("13 calls of 2 syscalls"), "{table}");
    let json = trace_json(&trace, WALL);
    assert_eq!(json["total_calls"], 13);
    assert_eq!(
        json["calls"][0]["operations"][0]["feature"],
        "fcntl:F_SETFD"
    );
    assert_eq!(json["calls"][1]["operations"][0]["kind"], "flag");
}
