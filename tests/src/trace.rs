//! Reads the JSON of a trace as a script would, and strace's summary as the independent count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::command;
use crate::requirement::find_program;

/// Calls by syscall.
pub type Counts = BTreeMap<String, u64>;

/// Calls by syscall in the output of `loupe trace --json`.
///
/// # Panics
/// If it is not of the schema, or lost something.
#[track_caller]
pub fn counts(trace: &Value) -> Counts {
    assert_eq!(trace["schema"], "loupe.trace/1", "{trace:#}");
    let lost = trace["lost"].as_object().expect("the losses by place");
    assert!(lost.values().all(|count| *count == 0), "{trace:#}");
    rows(trace)
        .map(|row| (text(row, "syscall"), number(row, "calls")))
        .collect()
}

/// Failed calls of one syscall by errno.
#[track_caller]
pub fn errors(trace: &Value, syscall: &str) -> Counts {
    let row = rows(trace).find(|row| row["syscall"] == syscall);
    let row = row.unwrap_or_else(|| panic!("no {syscall} in {trace:#}"));
    row["errors"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(errno, count)| (errno.clone(), count.as_u64().expect("a count")))
        .collect()
}

/// Calls by operation, without flags: `fcntl:F_SETFD`.
#[track_caller]
pub fn operations(trace: &Value) -> Counts {
    parts(trace, "operation")
}

/// Calls by flag: `mmap:MAP_FIXED`.
#[track_caller]
pub fn flags(trace: &Value) -> Counts {
    parts(trace, "flag")
}

fn parts(trace: &Value, kind: &str) -> Counts {
    let parts = rows(trace).flat_map(|row| row["operations"].as_array().into_iter().flatten());
    parts
        .filter(|part| part["kind"] == kind)
        .map(|part| (text(part, "feature"), number(part, "calls")))
        .collect()
}

/// What `strace -f -e trace=SYSCALLS` prints of a command and all that it starts.
///
/// # Panics
/// If strace cannot be run.
pub fn strace_calls(syscalls: &str, words: &[&str], directory: &Path) -> Vec<String> {
    let strace = find_program("strace").expect("strace is required by the test");
    let log = directory.join("strace");
    let mut strace = Command::new(strace);
    strace
        .args(["-f", "-qq", "-e", "signal=none", "-e"])
        .arg(format!("trace={syscalls}"))
        .arg("-o")
        .arg(&log)
        .args(words)
        .current_dir(directory);
    command::run(strace).expect_code(0);
    let text = std::fs::read(&log).expect("strace writes its log");
    std::fs::remove_file(&log).expect("the log can be removed");
    let text = String::from_utf8_lossy(&text);
    // Each line starts with the process; the second half of an interrupted line has no arguments.
    let calls = text.lines().filter_map(|line| line.split_once(' '));
    let calls = calls.map(|(_, call)| call.trim_start().to_owned());
    calls.filter(|call| !call.starts_with('<')).collect()
}

fn rows(trace: &Value) -> impl Iterator<Item = &Value> {
    trace["calls"].as_array().into_iter().flatten()
}

fn text(row: &Value, key: &str) -> String {
    row[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {row}"))
        .to_owned()
}

fn number(row: &Value, key: &str) -> u64 {
    row[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key} in {row}"))
}

/// Runs a command under `strace -f -c`.
///
/// # Panics
/// If strace cannot be run or says something else than a table.
pub fn strace_counts(words: &[&str], directory: &Path) -> Counts {
    let strace = find_program("strace").expect("strace is required by the test");
    let table = directory.join("strace");
    let mut strace = Command::new(strace);
    strace
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&table)
        .args(words)
        .current_dir(directory);
    // As Loupe is started: a shell makes other calls where it is to ignore a signal.
    command::run(strace).expect_code(0);
    let text = std::fs::read_to_string(&table).expect("strace writes its table");
    std::fs::remove_file(&table).expect("the table can be removed");
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let calls = fields.next()?.parse().ok()?;
            Some((fields.next()?.to_owned(), calls))
        })
        .filter(|(name, _)| name != "total")
        .collect()
}

/// What one program did in one process: from its exec, or the process' birth, to the next exec or
/// the end.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// None before the process' first exec: what its parent runs.
    pub program: Option<PathBuf>,
    pub calls: Counts,
}

/// What `strace -ff` sees of a command and all that it starts.
///
/// # Panics
/// If strace cannot be run.
pub fn strace_images(words: &[String], directory: &Path) -> Vec<Image> {
    let logs = tempfile::tempdir().expect("a temporary directory");
    let mut strace = Command::new(find_program("strace").expect("strace is required by the test"));
    strace
        .args(["-ff", "-qq", "-e", "signal=none", "-o"])
        .arg(logs.path().join("log"))
        .args(words)
        .current_dir(directory);
    command::run(strace).expect_code(0);
    let logs = std::fs::read_dir(logs.path()).expect("strace writes its logs");
    logs.flatten()
        .flat_map(|log| images(&std::fs::read(log.path()).expect("a readable log")))
        .collect()
}

/// The images in the log of one process.
fn images(log: &[u8]) -> Vec<Image> {
    let mut images = vec![Image::default()];
    for line in String::from_utf8_lossy(log).lines() {
        // Else it tells of a signal or of the end.
        let Some((name, rest)) = line.split_once('(') else {
            continue;
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            continue;
        }
        let image = images.last_mut().expect("there is one from the start");
        *image.calls.entry(name.to_owned()).or_default() += 1;
        if name == "execve" && rest.ends_with(" = 0") {
            let path = rest.split('"').nth(1).expect("the path is in quotes");
            let path = std::fs::canonicalize(path).expect("what was executed is there");
            images.push(Image {
                program: Some(path),
                calls: Counts::new(),
            });
        }
    }
    images
}
