//! The report of the Linux Test Project's runner (`kirk --json-report`): which tests of a syscall
//! pass. A test is one of the syscall that its name begins with: `accept4_01`, `dup201`.

use std::collections::BTreeMap;
use std::path::Path;

use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;
use serde::Deserialize;

use super::{Findings, Remark};
use crate::plan::need::Answer;
use crate::plan::os::OsError;

#[derive(Deserialize)]
struct Report {
    results: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    test_fqn: String,
    /// `pass`, `fail`, `brok`, `warn`, `conf`, `skip`.
    status: String,
    #[serde(default)]
    test: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    log: String,
}

/// Tests that are named by what a C library calls, and not by the syscall behind it.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("getdents", "getdents64"),
    ("posix_fadvise", "fadvise64"),
    ("pread", "pread64"),
    ("pwrite", "pwrite64"),
    ("readdir", "getdents64"),
    ("recv", "recvfrom"),
    ("sbrk", "brk"),
    ("send", "sendto"),
    ("sigaction", "rt_sigaction"),
    ("sigpending", "rt_sigpending"),
    ("sigprocmask", "rt_sigprocmask"),
    ("sigsuspend", "rt_sigsuspend"),
    ("sigtimedwait", "rt_sigtimedwait"),
    ("signal", "rt_sigaction"),
    ("sockioctl", "ioctl"),
    ("umount", "umount2"),
    ("wait", "wait4"),
    ("waitpid", "wait4"),
];

/// What a log says where the OS does not have the call.
const LACKING: &[&str] = &["ENOSYS", "not implemented", "not supported on your arch"];

pub(super) fn is_report(text: &str) -> bool {
    text.contains("\"test_fqn\"") && serde_json::from_str::<Report>(text).is_ok()
}

#[derive(Default)]
struct Tally {
    passed: usize,
    /// Those that did not, of those that could run.
    failed: Vec<String>,
    lacking: bool,
}

pub(super) fn read(path: &Path, text: &str) -> Result<Findings, OsError> {
    let report: Report = serde_json::from_str(text).map_err(|error| OsError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        what: error.to_string(),
    })?;
    let mut calls: BTreeMap<Feature, Tally> = BTreeMap::new();
    let mut others: Vec<String> = Vec::new();
    for test in report.results {
        let Some(syscall) = syscall_of(&test.test_fqn) else {
            others.push(test.test_fqn);
            continue;
        };
        let tally = calls.entry(syscall.into()).or_default();
        let lacks = LACKING.iter().any(|word| test.test.log.contains(word));
        match test.status.as_str() {
            "pass" => tally.passed += 1,
            // It needs what is not there: a right, a device, or the call itself.
            "conf" | "skip" => tally.lacking |= lacks,
            _ => {
                tally.lacking |= lacks;
                tally.failed.push(test.test_fqn);
            }
        }
    }
    let mut found = Findings::default();
    let mut untried: Vec<String> = Vec::new();
    for (feature, tally) in calls {
        let all = tally.passed + tally.failed.len();
        let answer = match (tally.passed, tally.failed.len()) {
            (0, 0) if !tally.lacking => {
                untried.push(feature.to_string());
                continue;
            }
            (0, failed) => {
                if failed > 0 && !tally.lacking {
                    let note = format!("none of {all} LTP tests passes");
                    found.notes.insert(feature.clone(), note);
                }
                Answer::Stub
            }
            (_, 0) => Answer::Implement,
            (passed, _) => {
                let note = format!(
                    "{passed} of {all} LTP tests pass; not {}",
                    tally.failed.join(", ")
                );
                found.notes.insert(feature.clone(), note);
                found.partial.push(feature.clone());
                Answer::Implement
            }
        };
        found.answers.insert(feature, answer);
    }
    let mut told = |names: Vec<String>, what: &str| {
        if !names.is_empty() {
            let what = format!("{} {what}: {}", names.len(), names.join(", "));
            found.remarks.push(Remark::new(path, None, what));
        }
    };
    told(others, "tests are named like no syscall, and left out");
    told(
        untried,
        "syscalls had no test that could run, and are left out",
    );
    Ok(found)
}

/// The syscall of a test, by its name.
fn syscall_of(test: &str) -> Option<Syscall> {
    let is_rest = |rest: &str| {
        let rest = rest.strip_prefix('_').unwrap_or(rest);
        rest.starts_with(|first: char| first.is_ascii_digit())
    };
    // The longest name goes first: `dup201` is one of dup2.
    (1..=test.len()).rev().find_map(|end| {
        let (name, rest) = (test.get(..end)?, test.get(end..)?);
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == name);
        let name = other.map_or(name, |(_, syscall)| syscall);
        Syscall::from_name(name).filter(|_| rest.is_empty() || is_rest(rest))
    })
}
