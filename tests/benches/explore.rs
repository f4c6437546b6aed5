//! How long whole analyses take, with the same tests as the paper's prototype had.
//!
//! `cargo xtask bench explore`: `loupe analyze --fresh` of `workloads/bench`, by default and
//! with every feature measured alone. The prototype's figures are of the machine that it was
//! run on once, so the ratio is only an indication elsewhere.

use std::process::Command;

use loupe_tests::binaries;
use serde_json::Value;

/// Workload; the prototype's replays and seconds (0.4 s of start-up sleep and 4 s limits).
const PROTOTYPE: [(&str, u64, f64); 4] = [
    ("sqlite", 68, 37.0),
    ("memcached", 90, 65.0),
    ("nginx", 102, 119.0),
    ("redis", 88, 225.0),
];

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    println!(
        "{:<12} {:<14} {:>8} {:>10} {:>9} {:>12} {:>7}",
        "workload", "", "replays", "wall", "required", "prototype", "ratio"
    );
    for (name, replays, seconds) in PROTOTYPE {
        if !chosen.is_empty() && !chosen.iter().any(|word| word == name) {
            continue;
        }
        for (label, options) in [("default", &[][..]), ("exhaustive", &["--exhaustive"])] {
            let analysis = analyze(name, options);
            let wall = analysis["wall_seconds"].as_f64().expect("a time");
            let rows = analysis["features"].as_array().expect("a table");
            let required = rows
                .iter()
                .filter(|row| row["verdict"] == "required")
                .count();
            println!(
                "{name:<12} {label:<14} {:>8} {:>10} {required:>9} {:>12} {:>6.1}×",
                analysis["replays"],
                format!("{wall:.2} s"),
                format!("{seconds} s/{replays}"),
                seconds / wall
            );
        }
    }
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
