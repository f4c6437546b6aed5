//! `loupe plan --verify`: each application that a workload file is given for is run as the OS
//! would run it after the step that promises it, and after the step before.

use std::path::{Path, PathBuf};

use loupe_common::exit;
use loupe_common::wire::Failure;

use super::emulate::{emulated, left_out};
use crate::client::args::Global;
use crate::client::{Ending, output};
use crate::engine::EmulateOptions;
use crate::plan::{OsProfile, Plan};
use crate::replay::Workload;
use crate::report::{self, Followed, PlanVerify};

/// Runs them one after the other and prints what came of it.
pub async fn run(
    global: &Global,
    plan: &Plan,
    profile: &OsProfile,
    files: &[PathBuf],
    json: bool,
) -> Result<Ending, Failure> {
    let promised = promised(plan, files)?;
    let mut followed = Vec::new();
    for (workload, step) in promised {
        let mut tried = Vec::new();
        // The step before it, where there is one, and the step.
        for step in step.saturating_sub(1)..=step {
            let done = plan.steps.get(..=step).unwrap_or(&plan.steps);
            let options = EmulateOptions {
                os: format!("{} after step {step}", plan.os),
                policy: left_out(global, &profile.after(done)).await?,
                ..EmulateOptions::default()
            };
            match emulated(global, &workload, &options).await? {
                Ok(emulation) => tried.push(emulation),
                Err(signal) => return Ok(Ending::Code(exit::by_signal(signal))),
            }
        }
        let after = tried.pop();
        followed.extend(after.map(|emulation| Followed {
            step,
            before: tried.pop(),
            emulation,
        }));
    }
    let text = match json {
        true => output::json_text(&PlanVerify {
            schema: "loupe.plan-verify/1",
            os: &plan.os,
            kept: followed
                .iter()
                .all(|one| one.emulation.passed == Some(true)),
            applications: &followed,
        })?,
        false => report::followed(&followed, output::style()),
    };
    output::print(&text)?;
    let results = || followed.iter().map(|one| one.emulation.passed);
    Ok(if results().any(|passed| passed == Some(false)) {
        Ending::Code(exit::FINDING)
    } else if results().any(|passed| passed.is_none()) {
        Ending::Code(exit::INVALID)
    } else {
        Ending::OK
    })
}

/// The workloads, each with the step that promises it.
pub(super) fn promised(plan: &Plan, files: &[PathBuf]) -> Result<Vec<(Workload, usize)>, Failure> {
    let mut promised = Vec::new();
    for file in files {
        let workload = Workload::load(file).map_err(|error| {
            Failure::from_error(exit::USAGE, &error)
                .hint("docs/workloads.md describes workload files")
        })?;
        let step = step_of(plan, &workload, file)?;
        promised.push((workload, step));
    }
    Ok(promised)
}

/// The step that promises this workload.
fn step_of(plan: &Plan, workload: &Workload, file: &Path) -> Result<usize, Failure> {
    let full = format!("{}/{}", workload.application, workload.workload);
    let is_it = |name: &String| {
        let plain = *name == workload.application
            && plan
                .applications
                .get(name)
                .is_none_or(|other| *other == workload.workload);
        plain || *name == full
    };
    let mut steps = plan.steps.iter();
    steps
        .position(|step| step.unlocks.iter().any(is_it))
        .ok_or_else(|| {
            Failure::usage(format!(
                "the plan promises nothing about {full} ({})",
                file.display()
            ))
            .hint("a plan knows the workloads that were analysed when it was made")
        })
}
