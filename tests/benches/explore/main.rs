//! How long whole analyses take, each way to analyse beside the others, in one run.
//!
//! `cargo xtask bench explore -- [--no-paper | --short] [--rounds N] [WORKLOAD...]`: for each
//! workload (a name in `workloads/bench`, or the path of a workload file; default: those of the
//! paper) it measures the workload's own start and test without Loupe, and then lets Loupe analyse
//! it in its `WAYS`, N times by turns. `workloads/bench/README.md` says what the columns are.

mod arguments;
mod native;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use loupe_common::analysis::Analysis;
use loupe_tests::binaries;
use loupe_tests::figures::Figures;

use crate::arguments::Arguments;

/// What the prototype itself took for the same tests, on the machine that it was run on once:
/// workload, replays, seconds.
const PROTOTYPE: [(&str, u64, f64); 4] = [
    ("sqlite", 68, 37.0),
    ("memcached", 90, 65.0),
    ("nginx", 102, 119.0),
    ("redis", 88, 225.0),
];

/// A way to analyse: its name in the table, and the options of `loupe analyze`.
struct Way {
    name: &'static str,
    options: &'static [&'static str],
    /// It measures syscalls and nothing else, as the prototype does.
    syscalls_alone: bool,
}

const fn way(name: &'static str, options: &'static [&'static str], syscalls_alone: bool) -> Way {
    Way {
        name,
        options,
        syscalls_alone,
    }
}

/// What the prototype does not look for.
const SYSCALLS_ALONE: [&str; 4] = ["--depth", "syscall", "--no-pseudo-files", "--no-joint"];

/// The last is what `--no-paper` leaves out.
const WAYS: [Way; 8] = [
    way(
        "single verdicts",
        &["--depth", "syscall", "--no-joint"],
        false,
    ),
    way("everything", &[], false),
    way("  to the end", &["--effort", "all"], false),
    way("single, syscalls alone", &[], true),
    way("  one replay per policy", &["--replicas", "1"], true),
    way("exhaustive, syscalls alone", &["--exhaustive"], true),
    way(
        "  one replay per policy",
        &["--exhaustive", "--replicas", "1"],
        true,
    ),
    way("--paper-mode", &["--paper-mode"], true),
];
/// What the others are compared with.
const SINGLE: usize = 0;
const ALONE: usize = 3;
const PAPER: usize = WAYS.len() - 1;
/// So many ways `--short` leaves: the single verdicts and everything.
const SHORT: usize = 2;

/// What one round measured of a workload.
struct Round {
    /// The workload's own start and test; absent where that cannot be measured.
    native_seconds: Option<f64>,
    /// As in [`WAYS`], without the last ones where they were left out.
    ways: Vec<Figures>,
}

fn main() -> ExitCode {
    if let Some(end) = native::run_if_asked() {
        return end;
    }
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let mut end = ExitCode::SUCCESS;
    for name in &arguments.workloads {
        match measure(name, &arguments) {
            Ok(rounds) => println!("{}", table::of(&title(name), &rounds)),
            Err(message) => {
                eprintln!("{name}: {message}");
                end = ExitCode::FAILURE;
            }
        }
    }
    end
}

fn title(name: &str) -> String {
    let prototype = PROTOTYPE.iter().find(|(known, ..)| *known == name);
    prototype.map_or_else(
        || name.to_owned(),
        |(_, replays, seconds)| {
            format!("{name} (the prototype, elsewhere: {replays} replays in {seconds} s)")
        },
    )
}

fn measure(name: &str, arguments: &Arguments) -> Result<Vec<Round>, String> {
    let file = file(name);
    let rounds = 0..arguments.rounds;
    rounds
        .map(|number| {
            eprintln!("{name}, round {} of {}", number + 1, arguments.rounds);
            round(&file, arguments.ways, number % 2 == 1)
        })
        .collect()
}

/// Every other round goes backwards, so that a host that becomes slower is no way's advantage.
fn round(file: &Path, count: usize, backwards: bool) -> Result<Round, String> {
    let native_seconds = native::seconds(file)
        .map_err(|message| eprintln!("  no natives: {message}"))
        .ok();
    let mut order: Vec<usize> = (0..count).collect();
    if backwards {
        order.reverse();
    }
    let mut ways = vec![Figures::default(); count];
    for index in order {
        let way = &WAYS[index];
        let figures = analyze(file, way).map_err(|message| format!("{}: {message}", way.name))?;
        eprintln!("  {}: {:.2} s", way.name.trim(), figures.wall_seconds);
        ways[index] = figures;
    }
    Ok(Round {
        native_seconds,
        ways,
    })
}

/// A name of a workload in `workloads/bench`, or a path.
fn file(name: &str) -> PathBuf {
    match name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => binaries::workloads().join(format!("bench/{name}.toml")),
    }
}

fn analyze(file: &Path, way: &Way) -> Result<Figures, String> {
    let directory = tempfile::tempdir_in("/var/tmp").map_err(|error| error.to_string())?;
    let more: &[&str] = if way.syscalls_alone {
        &SYSCALLS_ALONE
    } else {
        &[]
    };
    let output = Command::new(binaries::loupe())
        .args(["analyze", "--json", "--fresh", "--db"])
        .arg(directory.path().join("loupe.db"))
        .args(way.options)
        .args(more)
        .arg(file)
        .output()
        .map_err(|error| format!("loupe cannot be run: {error}"))?;
    let analysis: Analysis = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(Figures::of(&analysis))
}
