//! `loupe verify --os OS WORKLOAD.toml…`: predictions, and what really happens on that OS.

use std::path::Path;
use std::time::Duration;

use loupe_common::analysis::Analysis;
use loupe_common::errno::Errno;
use loupe_common::exit;
use loupe_common::syscalls::Syscall;
use loupe_common::wire::Failure;
use tokio_util::sync::CancellationToken;

use crate::client::args::{Global, VerifyOs};
use crate::client::measured::Sources;
use crate::client::signals::Interruption;
use crate::client::{Ending, door, measured, output};
use crate::plan::gap::Gap;
use crate::plan::need::Need;
use crate::plan::os::{self, OsProfile, OsRunner};
use crate::plan::prediction::{self, FailingCall, Matrix, Verified};
use crate::replay::Workload;
use crate::replay::cut::Cut;
use crate::replay::elsewhere::{self, Elsewhere, Logs};
use crate::report;
use crate::store::StoredAnalysis;
use crate::text::printable;

/// Whether the runner starts anything, in seconds.
const TRIAL_SECONDS: u64 = 60;

pub async fn run(global: &Global, args: &VerifyOs) -> Result<Ending, Failure> {
    let interruption = Interruption::catch()?;
    let verified = verify(global, args, interruption.stop()).await;
    ended(verified, &interruption)
}

/// What was interrupted has ended what it ran, and removed its directories.
pub(super) fn ended(
    result: Result<Ending, Failure>,
    interruption: &Interruption,
) -> Result<Ending, Failure> {
    match (result, interruption.signal()) {
        (Err(_), Some(signal)) => Ok(Ending::Code(exit::by_signal(signal))),
        (result, _) => result,
    }
}

async fn verify(
    global: &Global,
    args: &VerifyOs,
    stop: &CancellationToken,
) -> Result<Ending, Failure> {
    let profile = measured::os(global, &args.os)?;
    let runner = runner(&profile)?;
    let mut workloads = Vec::new();
    for file in &args.workloads {
        workloads.push(Workload::load(file).map_err(|error| {
            Failure::from_error(exit::USAGE, &error)
                .hint("docs/workloads.md describes workload files")
        })?);
    }
    let full = |workload: &Workload| format!("{}/{}", workload.application, workload.workload);
    let names: Vec<String> = workloads.iter().map(full).collect();
    let sources = Sources::find(global, &names).await?;
    // All are known before the first is run.
    let mut analysed: Vec<&StoredAnalysis> = Vec::new();
    for name in &names {
        analysed.push(sources.one(name, None)?);
    }
    door::root_here(global, "running programs on another OS")?;
    starts(&profile, &runner.command, stop)?;
    let limit = Duration::from_secs(args.time_limit);
    let mut verified = Vec::new();
    for (workload, stored) in workloads.iter().zip(analysed) {
        output::note(&printable(&format!("running {}", full(workload))));
        verified.push(really(
            &profile,
            runner,
            workload,
            &stored.analysis,
            (limit, stop),
        )?);
    }
    let matrix = Matrix::of(&profile.name, verified);
    match args.json {
        true => output::print_json(&matrix)?,
        false => output::print(&report::verified_table(&matrix, output::style()))?,
    }
    Ok(match matrix.right == matrix.count {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// How a program is run there.
pub(super) fn runner(profile: &OsProfile) -> Result<&OsRunner, Failure> {
    profile.runner.as_ref().ok_or_else(|| {
        Failure::usage(format!(
            "the profile {} does not say how to run a program there",
            printable(&profile.name)
        ))
        .hint("give it a [runner] with `command` (docs/plans.md)")
    })
}

pub(super) fn logs() -> Result<Logs, Failure> {
    Logs::new().map_err(|error| {
        Failure::internal("cannot make a directory for logs").because(Some(&error))
    })
}

/// A runner that starts nothing would make every application fail.
pub(super) fn starts(
    profile: &OsProfile,
    runner: &[String],
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let logs = logs()?;
    let limit = Duration::from_secs(TRIAL_SECONDS);
    let trial = elsewhere::run(runner, &["true".to_owned()], logs.path(), limit, stop);
    let told = match trial {
        Ok(trial) if trial.passed => return Ok(()),
        Ok(trial) if trial.timed_out => "it took too long".to_owned(),
        Ok(trial) => trial.output,
        Err(error) => error.to_string(),
    };
    let last = told.lines().rev().find(|line| !line.trim().is_empty());
    Err(Failure::usage(format!(
        "the runner of {} does not start `true`: {}",
        printable(&profile.name),
        printable(last.unwrap_or("it printed nothing"))
    ))
    .hint(
        "is it installed? (gVisor: `apt-get install runsc`; QEMU: \
           `apt-get install qemu-user-static`)",
    ))
}

fn really(
    profile: &OsProfile,
    runner: &OsRunner,
    workload: &Workload,
    analysis: &Analysis,
    (limit, stop): (Duration, &CancellationToken),
) -> Result<Verified, Failure> {
    let gap = Gap::between(profile, analysis);
    let logs = logs()?;
    let ran = started(&runner.command, workload, None, logs.path(), (limit, stop))?;
    let missing = prediction::missing(&gap, analysis, profile);
    let predicted = missing.is_empty();
    let right = predicted == ran.passed;
    Ok(Verified {
        application: workload.application.clone(),
        workload: workload.workload.clone(),
        predicted,
        missing,
        really: ran.passed,
        timed_out: ran.timed_out,
        seconds: ran.seconds,
        unsupported: match right {
            true => Vec::new(),
            false => unsupported(profile, logs.path()),
        },
        failing: match predicted && !ran.passed && !runner.trace.is_empty() {
            true => FailingCall::beside(
                &Need::asked_of_os(analysis),
                last_failures(&runner.trace, workload, (limit, stop))?,
            ),
            false => Vec::new(),
        },
        output: match right {
            true => String::new(),
            false => ran.output,
        },
    })
}

pub(super) fn started(
    runner: &[String],
    workload: &Workload,
    cut: Option<&Cut>,
    logs: &Path,
    (limit, stop): (Duration, &CancellationToken),
) -> Result<Elsewhere, Failure> {
    let script = elsewhere::script(workload, cut);
    let words = ["/bin/sh".to_owned(), "-c".to_owned(), script];
    elsewhere::run(runner, &words, logs, limit, stop)
        .map_err(|error| Failure::internal("the runner could not be started").because(Some(&error)))
}

/// Of another run, with a trace.
fn last_failures(
    runner: &[String],
    workload: &Workload,
    (limit, stop): (Duration, &CancellationToken),
) -> Result<Vec<(Syscall, Errno)>, Failure> {
    let logs = logs()?;
    started(runner, workload, None, logs.path(), (limit, stop))?;
    let unreadable = |error: std::io::Error| {
        Failure::internal("the trace of the OS cannot be read").because(Some(&error))
    };
    let mut trace = String::new();
    for entry in std::fs::read_dir(logs.path()).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let bytes = std::fs::read(path).map_err(unreadable)?;
        trace.push_str(&String::from_utf8_lossy(&bytes));
    }
    Ok(os::failing(&trace))
}

/// What the OS logged that it does not support, of what its profile has.
fn unsupported(profile: &OsProfile, logs: &Path) -> Vec<loupe_common::feature::Feature> {
    let Ok(entries) = std::fs::read_dir(logs) else {
        return Vec::new();
    };
    let mut all = std::collections::BTreeSet::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        // A log that is none says nothing.
        if let Ok(said) = os::read_over(&path, Some(profile)) {
            let lacks = os::OsDifference::between(profile, &said.profile).changes;
            all.extend(lacks.into_iter().map(|change| change.feature));
            let partial = said.profile.partial.difference(&profile.partial);
            all.extend(partial.cloned());
        }
    }
    all.into_iter().collect()
}
