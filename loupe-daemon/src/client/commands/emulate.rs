//! `loupe emulate --profile FILE WORKLOAD.toml`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use loupe_common::emulation::Emulation;
use loupe_common::exit;
use loupe_common::policy::Policy;
use loupe_common::wire::{Failure, code};
use tokio_util::sync::CancellationToken;

use super::{plan_file, profile_host};
use crate::backend::emulate_here;
use crate::client::args::{Emulate, Global};
use crate::client::door;
use crate::client::progress::Display;
use crate::client::signals::Signals;
use crate::client::{Ending, measured, output};
use crate::engine::EmulateOptions;
use crate::formats;
use crate::plan::OsProfile;
use crate::replay::Workload;
use crate::report;

pub async fn run(global: &Global, args: &Emulate) -> Result<Ending, Failure> {
    let workload = Workload::load(&args.workload).map_err(|error| {
        Failure::from_error(exit::USAGE, &error).hint("docs/workloads.md describes workload files")
    })?;
    let (os, policy) = system(global, args).await?;
    let options = EmulateOptions {
        os,
        policy,
        all: args.all,
        jobs: args.jobs,
        replicas: args.replicas,
    };
    match emulated(global, &workload, &options).await? {
        Ok(emulation) => {
            match args.json {
                true => output::print_json(&emulation)?,
                false => output::print(&report::emulation(&emulation, output::style()))?,
            }
            Ok(Ending::Code(code_of(&emulation)))
        }
        Err(signal) => Ok(Ending::Code(exit::by_signal(signal))),
    }
}

fn code_of(emulation: &Emulation) -> u8 {
    match emulation.passed {
        Some(true) => exit::OK,
        Some(false) => exit::FINDING,
        None => exit::INVALID,
    }
}

/// Runs it in this process; `Err` inside: a signal ended it.
pub(super) async fn emulated(
    global: &Global,
    workload: &Workload,
    options: &EmulateOptions,
) -> Result<Result<Emulation, i32>, Failure> {
    door::root_here(global, "emulating")?;
    let database = door::database(global)?;
    let mut signals = Signals::catch()?;
    let display = Arc::new(Display::new(global.verbose > 0));
    let cancel = CancellationToken::new();
    let told = Arc::clone(&display);
    let progress = Arc::new(move |event| told.show(&event));
    let running = emulate_here(&database, workload, options, progress, cancel.clone());
    let told = |_| display.line("stopping: waiting until nothing of the running replays is left");
    let (ended, interrupted) = signals.interrupting(running, &cancel, told).await;
    display.finish();
    match (ended, interrupted) {
        (Ok(emulation), _) => Ok(Ok(emulation)),
        (Err(failure), Some(signal)) if failure.code == code::CANCELLED => Ok(Err(signal)),
        (Err(failure), _) => Err(failure),
    }
}

/// Finds what is emulated: its name, and what it leaves out.
async fn system(global: &Global, args: &Emulate) -> Result<(String, Policy), Failure> {
    let Some(path) = &args.profile else {
        return planned(global, args).await;
    };
    let text = read(path)?;
    let profile = formats::read_profile(&text, &profile_host::ask()).map_err(|error| {
        let hint = error.hint();
        Failure::usage(format!("{} cannot be used", path.display()))
            .because(Some(&error))
            .explained(hint, None)
    })?;
    for note in &profile.notes {
        output::note(&crate::text::printable(note));
    }
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok((name, profile.policy()))
}

/// An OS, as it is or after some steps of a plan.
async fn planned(global: &Global, args: &Emulate) -> Result<(String, Policy), Failure> {
    let named = match &args.os {
        Some(name) => Some(measured::os(global, name)?),
        None => None,
    };
    let Some(path) = &args.plan else {
        let profile = named.unwrap_or_default();
        let policy = left_out(global, &profile).await?;
        return Ok((profile.name, policy));
    };
    let plan = plan_file::read(path)?;
    let profile: OsProfile = plan.profile.clone().or(named).ok_or_else(|| {
        Failure::usage(format!(
            "{} does not say what it starts from",
            path.display()
        ))
        .hint("name the profile with --os")
    })?;
    let last = plan.steps.len().saturating_sub(1);
    let step = args.step.unwrap_or(last);
    if step > last {
        return Err(Failure::usage(format!(
            "the plan has no step {step}: its last one is {last}"
        )));
    }
    let done = plan.steps.get(..=step).unwrap_or(&plan.steps);
    let after = profile.after(done);
    let name = format!("{} after step {step}", plan.os);
    Ok((name, left_out(global, &after).await?))
}

/// What an OS leaves out. Of pseudo-files that are in no list of its profile, those are known that any
/// analysis has seen.
pub(super) async fn left_out(global: &Global, profile: &OsProfile) -> Result<Policy, Failure> {
    let files = match profile.speaks_of_pseudo_files() {
        true => measured::pseudo_files(global).await?,
        false => BTreeSet::new(),
    };
    Ok(formats::left_out(profile, &files))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read {}", path.display())).because(Some(&error))
    })
}
