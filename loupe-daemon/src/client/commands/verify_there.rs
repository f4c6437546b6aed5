//! `loupe plan --verify --on-runner`: each application is run on the OS itself, of which a filter
//! leaves its target what the OS has after the step that promises it, and after the step before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use loupe_common::exit;
use loupe_common::policy::Policy;
use loupe_common::wire::Failure;
use tokio_util::sync::CancellationToken;

use super::emulate::left_out;
use super::verify::promised;
use super::verify_os::{ended, logs, runner, started, starts};
use crate::client::args::Global;
use crate::client::signals::Interruption;
use crate::client::{Ending, door, output};
use crate::inject;
use crate::plan::os::OsRunner;
use crate::plan::{OsProfile, Plan};
use crate::replay::Workload;
use crate::replay::cut::Cut;
use crate::replay::elsewhere::UNCUT;
use crate::report::{self, FollowedThere, PlanVerifyThere, RanThere};
use crate::text::printable;

/// Of one run, in seconds.
const LIMIT_SECONDS: u64 = 120;

pub async fn run(
    global: &Global,
    plan: &Plan,
    profile: &OsProfile,
    files: &[PathBuf],
    json: bool,
) -> Result<Ending, Failure> {
    let interruption = Interruption::catch()?;
    let followed = follow(global, plan, profile, (files, json), interruption.stop()).await;
    ended(followed, &interruption)
}

async fn follow(
    global: &Global,
    plan: &Plan,
    profile: &OsProfile,
    (files, json): (&[PathBuf], bool),
    stop: &CancellationToken,
) -> Result<Ending, Failure> {
    let promised = promised(plan, files)?;
    let runner = runner(profile)?;
    door::root_here(global, "running programs on another OS")?;
    starts(profile, &runner.command, stop)?;
    let own = std::env::current_exe()
        .map_err(|error| Failure::internal("cannot find this program").because(Some(&error)))?;
    let mut applications = Vec::new();
    for (workload, step) in promised {
        let mut tried = Vec::new();
        // The step before it, where there is one, and the step.
        for step in step.saturating_sub(1)..=step {
            let name = format!("{}/{}", workload.application, workload.workload);
            output::note(&printable(&format!("running {name} after step {step}")));
            let done = plan.steps.get(..=step).unwrap_or(&plan.steps);
            let policy = left_out(global, &profile.after(done)).await?;
            tried.push(there(&own, runner, &workload, &policy, stop)?);
        }
        let after = tried.pop();
        applications.extend(after.map(|after| FollowedThere {
            application: workload.application.clone(),
            workload: workload.workload.clone(),
            step,
            before: tried.pop(),
            after,
        }));
    }
    let told = PlanVerifyThere::of(&plan.os, applications);
    match json {
        true => output::print_json(&told)?,
        false => output::print(&report::followed_there(&told, output::style()))?,
    }
    Ok(match told.kept {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// One run, with what the policy takes away.
fn there(
    own: &Path,
    runner: &OsRunner,
    workload: &Workload,
    policy: &Policy,
    stop: &CancellationToken,
) -> Result<RanThere, Failure> {
    let filter = inject::instructions(policy)
        .map_err(|error| Failure::usage("this OS cannot be made").because(Some(&error)))?;
    let cut = Cut::of(workload, own, &filter).map_err(|error| {
        let what = format!("the target of {} gets no filter", workload.application);
        Failure::usage(printable(&what)).because(Some(&error))
    })?;
    let logs = logs()?;
    let limit = Duration::from_secs(LIMIT_SECONDS);
    let ran = started(
        &runner.command,
        workload,
        Some(&cut),
        logs.path(),
        (limit, stop),
    )?;
    if ran.code == Some(UNCUT) {
        let what = format!(
            "the target of {} never got its filter",
            workload.application
        );
        return Err(Failure::usage(printable(&what))
            .explained(Some(ran.output), None)
            .hint("its command has to start it by its name, and not by a path"));
    }
    Ok(RanThere {
        passed: ran.passed,
        timed_out: ran.timed_out,
        seconds: ran.seconds,
        output: match ran.passed {
            true => String::new(),
            false => ran.output,
        },
    })
}
