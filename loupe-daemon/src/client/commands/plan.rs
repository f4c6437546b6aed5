//! `loupe plan`, and `loupe plan --check FILE`; `--verify` is in a file of its own.

use std::path::Path;

use loupe_common::exit;
use loupe_common::wire::Failure;
use serde_json::json;

use super::verify;
use crate::client::args::{Global, Plan as Args};
use crate::client::{Ending, measured, output};
use crate::plan::make::Weights;
use crate::plan::{self, Checked, Named, Need, Plan, weights};
use crate::report;

pub async fn run(global: &Global, args: &Args) -> Result<Ending, Failure> {
    match &args.check {
        Some(file) => check(global, args, file).await,
        None => make(global, args).await,
    }
}

async fn make(global: &Global, args: &Args) -> Result<Ending, Failure> {
    let Some(os) = &args.os else {
        return Err(Failure::usage("an OS profile is needed: --os OS"));
    };
    let profile = measured::profile(global, os)?;
    let results = measured::results(global, None).await?;
    let selection = measured::choose(&results, &args.apps, args.which.workload)?;
    let weights = match &args.weights {
        Some(file) => read_weights(file, &selection.needs)?,
        None => Weights::new(),
    };
    let made = plan::make(&profile, &selection.needs, args.strategy, &weights);
    if args.json && !args.verify.is_empty() {
        return verify::run(global, &made, &profile, &args.verify, true).await;
    }
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&made)?,
        (_, true) => report::plan_csv(&made),
        _ => report::plan_table(&made, output::style()),
    };
    output::print(&text)?;
    match args.verify.as_slice() {
        [] => Ok(Ending::OK),
        files => {
            output::print("\n")?;
            verify::run(global, &made, &profile, files, false).await
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("cannot read {}", file.display())).because(Some(&error))
    })
}

fn read_weights(file: &Path, needs: &[Named]) -> Result<Weights, Failure> {
    weights::read(&read(file)?, needs)
        .map_err(|error| Failure::usage(format!("{}:{error}", file.display())))
}

async fn check(global: &Global, args: &Args, file: &Path) -> Result<Ending, Failure> {
    let plan: Plan = serde_json::from_str(&read(file)?).map_err(|error| {
        Failure::usage(format!("{} is no plan: {error}", file.display()))
            .hint("`loupe plan --json` writes one")
    })?;
    let profile = match &args.os {
        Some(os) => Some(measured::profile(global, os)?),
        None => None,
    };
    let results = measured::results(global, None).await?;
    let needs = match plan.applications.is_empty() {
        // Made elsewhere: it says no more than the names.
        true => {
            let names: Vec<String> = plan
                .steps
                .iter()
                .flat_map(|step| step.unlocks.clone())
                .collect();
            let missing = |name: &&String| {
                let (application, _) = name.split_once('/').unwrap_or((name.as_str(), ""));
                !results
                    .iter()
                    .any(|stored| stored.analysis.application == application)
            };
            match names.iter().find(missing) {
                Some(stranger) => return Err(other_data(&format!("it promises {stranger}"))),
                None => measured::choose(&results, &names, args.which.workload)?.needs,
            }
        }
        false => planned(&plan, &results)?,
    };
    let checks = plan::check(&plan, profile.as_ref(), &needs).map_err(|error| {
        Failure::usage(format!("{}: {error}", file.display())).explained(error.hint(), None)
    })?;
    let kept = checks.iter().all(|check| check.checked == Checked::Kept);
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&json!({
            "schema": "loupe.plan-check/1",
            "os": plan.os,
            "kept": kept,
            "applications": checks,
        }))?,
        (_, true) => report::check_csv(&checks),
        _ => report::check_table(&plan, &checks, output::style()),
    };
    output::print(&text)?;
    Ok(match kept {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

fn other_data(what: &str) -> Failure {
    let error = plan::CheckError::OtherData(format!("{what}, which is not among them"));
    Failure::usage(error.to_string()).explained(error.hint(), None)
}

/// The needs of the applications that the plan was made for, under the names that they have there.
fn planned(plan: &Plan, results: &[crate::store::StoredAnalysis]) -> Result<Vec<Named>, Failure> {
    plan.applications
        .iter()
        .map(|(name, workload)| {
            let application = name
                .strip_suffix(workload.as_str())
                .and_then(|head| head.strip_suffix('/'))
                .unwrap_or(name);
            let found = results.iter().find(|stored| {
                stored.analysis.application == application && stored.analysis.workload == *workload
            });
            match found {
                Some(stored) => Ok(Named {
                    name: name.clone(),
                    need: Need::of(&stored.analysis),
                }),
                None => Err(other_data(&format!("it is about {application}/{workload}"))),
            }
        })
        .collect()
}
