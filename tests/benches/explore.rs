//! How long whole analyses take, against the way the paper's prototype works, in one run.
//!
//! `cargo xtask bench explore -- [WORKLOAD...]`: for each of `workloads/bench`, `--paper-mode` (one
//! replay after the other, each syscall once each way, 0.4 s of sleep before each test, limits
//! of 4 s), `--exhaustive` with as many replays of each, `--exhaustive` with its confirmations,
//! and the default; all of these measure whole syscalls alone, as the prototype does. The last way
//! is the default as it is, with the joint policy and what is below the syscall.

use std::process::Command;

use loupe_tests::binaries;
use serde_json::Value;

/// What the prototype itself took for the same tests, on the machine that it was run on once:
/// workload, replays, seconds.
const PROTOTYPE: [(&str, u64, f64); 4] = [
    ("sqlite", 68, 37.0),
    ("memcached", 90, 65.0),
    ("nginx", 102, 119.0),
    ("redis", 88, 225.0),
];

/// A way's options, and whether it measures no more than the prototype does.
const WAYS: [(&str, &[&str], bool); 5] = [
    ("--paper-mode", &["--paper-mode"], true),
    (
        "--exhaustive --replicas 1",
        &["--exhaustive", "--replicas", "1"],
        true,
    ),
    ("--exhaustive", &["--exhaustive"], true),
    ("default", &[], true),
    ("default, everything", &[], false),
];

/// What the prototype does not look for.
const SYSCALLS_ALONE: [&str; 4] = ["--depth", "syscall", "--no-pseudo-files", "--no-joint"];

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    for (name, replays, seconds) in PROTOTYPE {
        if !chosen.is_empty() && !chosen.iter().any(|word| word == name) {
            continue;
        }
        compare(name, replays, seconds);
    }
}

fn compare(name: &str, replays: u64, seconds: f64) {
    println!("{name} (the prototype, elsewhere: {replays} replays in {seconds} s)");
    println!(
        "  {:<26} {:>7} {:>9} {:>8} {:>12} {:>14} {:>8}",
        "", "replays", "wall", "required", "of the paper", "of prototype", "verdicts"
    );
    let mut paper: Option<(f64, Value)> = None;
    for (way, options, alone) in WAYS {
        let more: &[&str] = if alone { &SYSCALLS_ALONE } else { &[] };
        let analysis = analyze(name, &[options, more].concat());
        let wall = analysis["wall_seconds"].as_f64().expect("a time");
        let (of_paper, other) = match &paper {
            None => ("1.0×".to_owned(), String::new()),
            Some((paper, verdicts)) => (
                format!("{:.1}×", paper / wall),
                match differences(verdicts, &analysis) {
                    0 => "same".to_owned(),
                    some => format!("{some} differ"),
                },
            ),
        };
        println!(
            "  {way:<26} {:>7} {:>9} {:>8} {of_paper:>12} {:>14} {other:>8}",
            analysis["replays"],
            format!("{wall:.2} s"),
            rows(&analysis)
                .filter(|row| row["verdict"] == "required")
                .count(),
            format!("{:.1}×", seconds / wall),
        );
        paper.get_or_insert((wall, analysis));
    }
}

fn rows(analysis: &Value) -> impl Iterator<Item = &Value> {
    analysis["features"].as_array().expect("a table").iter()
}

/// Features on which two analyses disagree.
fn differences(one: &Value, other: &Value) -> usize {
    let differs = |row: &&Value| {
        let there = rows(other).find(|found| found["feature"] == row["feature"]);
        there.is_some_and(|there| there["verdict"] != row["verdict"])
    };
    rows(one).filter(differs).count()
}

fn analyze(name: &str, options: &[&str]) -> Value {
    let directory = tempfile::tempdir_in("/var/tmp").expect("a temporary directory");
    let output = Command::new(binaries::loupe())
        .args(["analyze", "--json", "--fresh", "--db"])
        .arg(directory.path().join("loupe.db"))
        .args(options)
        .arg(binaries::workloads().join(format!("bench/{name}.toml")))
        .output()
        .expect("loupe can be run");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}
