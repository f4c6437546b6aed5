//! `loupe plan`, whole or in part, and `loupe plan --check FILE`; `--verify` is in a file of its
//! own.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::wire::Failure;
use serde_json::json;

use super::{verify, verify_there};
use crate::client::args::{Global, Plan as Args};
use crate::client::measured::Sources;
use crate::client::{Ending, measured, output};
use crate::plan::because::explain;
use crate::plan::make::Weights;
use crate::plan::what_if::WhatIf;
use crate::plan::{self, Checked, Named, Need, OsProfile, Plan, WorkloadKind, weights};
use crate::report;
use crate::text::{counted, printable, shell_word};

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
    let profile = measured::os(global, os)?;
    let sources = Sources::find(global, args.apps.iter().chain(&args.goal)).await?;
    let world = sources.choose(&args.apps, args.which.workload)?.needs;
    if !args.what_if.is_empty() {
        sources.say_not_asked(&profile, world.iter().map(|named| &named.need));
        return what_if(args, &profile, &world);
    }
    let needs = match args.goal.is_empty() {
        true => world.clone(),
        false => sources.choose(&args.goal, args.which.workload)?.needs,
    };
    sources.say_not_asked(&profile, needs.iter().map(|named| &named.need));
    let weights = match &args.weights {
        Some(file) => read_weights(file, &needs)?,
        None => Weights::new(),
    };
    let made = part(args, &profile, &needs, &world, &weights);
    if let Some(directory) = &args.issues {
        return issues(directory, &report::plan_issues(&made, os));
    }
    if args.json && !args.verify.is_empty() {
        return follow(global, args, &made, &profile).await;
    }
    let style = output::style();
    let text = match args {
        Args { json: true, .. } => output::json_text(&made)?,
        Args { csv: true, .. } => report::plan_csv(&made),
        Args { markdown: true, .. } => report::plan_markdown(&made, os),
        Args { next: true, .. } => report::plan_next(&made, &again(args, os), style),
        _ => report::plan_table(&made, args.full, style),
    };
    output::print(&text)?;
    match args.verify.as_slice() {
        [] => Ok(Ending::OK),
        _ => {
            output::print("\n")?;
            follow(global, args, &made, &profile).await
        }
    }
}

/// Runs what the plan promises: as the OS would run it, or on the OS.
async fn follow(
    global: &Global,
    args: &Args,
    made: &Plan,
    profile: &OsProfile,
) -> Result<Ending, Failure> {
    match args.on_runner {
        true => verify_there::run(global, made, profile, &args.verify, args.json).await,
        false => verify::run(global, made, profile, &args.verify, args.json).await,
    }
}

/// The words of the command that say what is planned.
fn again(args: &Args, os: &str) -> String {
    let mut words = format!("--os {}", shell_word(os));
    if args.which.workload != WorkloadKind::default() {
        words.push_str(&format!(" --workload {}", args.which.workload));
    }
    for (option, names) in [("--apps", &args.apps), ("--goal", &args.goal)] {
        if !names.is_empty() {
            words.push_str(&format!(" {option} {}", shell_word(&names.join(","))));
        }
    }
    words
}

/// The plan with its reasons, as far as it was asked for. `world` is what reasons are counted
/// over.
fn part(
    args: &Args,
    profile: &OsProfile,
    needs: &[Named],
    world: &[Named],
    weights: &Weights,
) -> Plan {
    let mut made = plan::make(profile, needs, args.strategy, weights);
    let is_planned = |other: &Named| needs.iter().any(|named| named.need == other.need);
    let others: Vec<Named> = world
        .iter()
        .filter(|other| !is_planned(other))
        .cloned()
        .collect();
    made.note_others(profile, &others);
    let all: Vec<Named> = needs.iter().chain(&others).cloned().collect();
    explain(&mut made, profile, &all);
    let steps = match (args.next, args.steps, args.until) {
        (true, ..) => Some(1),
        (_, Some(steps), _) => Some(steps),
        (.., Some(until)) => Some(made.steps_until(until)),
        _ => None,
    };
    if let Some(steps) = steps {
        made.cut(steps, needs);
    }
    made
}

fn what_if(args: &Args, profile: &OsProfile, world: &[Named]) -> Result<Ending, Failure> {
    let features: BTreeSet<Feature> = args.what_if.iter().cloned().collect();
    let what = WhatIf::of(profile, world, &features);
    match args.json {
        true => output::print_json(&what)?,
        false => output::print(&report::what_if_table(&what, output::style()))?,
    }
    Ok(Ending::OK)
}

/// One file each.
fn issues(directory: &Path, issues: &[(String, String)]) -> Result<Ending, Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let failure = Failure::usage(format!("cannot write {}", path.display()));
        match error.kind() {
            ErrorKind::AlreadyExists => {
                failure.hint("nothing is overwritten: name another --issues")
            }
            _ => failure,
        }
        .because(Some(error))
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    for (name, text) in issues {
        let path = directory.join(name);
        let file = File::create_new(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| failed(&path, &error))?;
    }
    let count = counted(issues.len() as u64, "file");
    output::print(&format!(
        "Wrote {count} to {}.\n",
        printable(&directory.display().to_string())
    ))?;
    Ok(Ending::OK)
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("cannot read {}", file.display())).because(Some(&error))
    })
}

fn read_weights(file: &Path, needs: &[Named]) -> Result<Weights, Failure> {
    weights::read(&read(file)?, needs).map_err(|error| {
        Failure::usage(format!("{}:{error}", file.display())).explained(None, error.picture)
    })
}

async fn check(global: &Global, args: &Args, file: &Path) -> Result<Ending, Failure> {
    let plan: Plan = serde_json::from_str(&read(file)?).map_err(|error| {
        Failure::usage(format!("{} is no plan: {error}", file.display()))
            .hint("`loupe plan --json` writes one")
    })?;
    let profile = match &args.os {
        Some(os) => Some(measured::os(global, os)?),
        None => None,
    };
    let promised = plan.steps.iter().flat_map(|step| &step.unlocks);
    let planned_for = plan.applications.keys();
    let sources = Sources::find(global, promised.chain(planned_for)).await?;
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
                sources.profiles(name).is_none()
                    && !sources
                        .results
                        .iter()
                        .any(|stored| stored.analysis.application == application)
            };
            match names.iter().find(missing) {
                Some(stranger) => return Err(other_data(&format!("it promises {stranger}"))),
                None => sources.choose(&names, args.which.workload)?.needs,
            }
        }
        false => planned(&plan, &sources)?,
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
fn planned(plan: &Plan, sources: &Sources) -> Result<Vec<Named>, Failure> {
    plan.applications
        .iter()
        .map(|(name, workload)| {
            if let Some([need]) = sources.profiles(name) {
                return Ok(Named {
                    name: name.clone(),
                    need: need.clone().without_restart(),
                });
            }
            let application = name
                .strip_suffix(workload.as_str())
                .and_then(|head| head.strip_suffix('/'))
                .unwrap_or(name);
            let found = sources.results.iter().find(|stored| {
                stored.analysis.application == application && stored.analysis.workload == *workload
            });
            match found {
                Some(stored) => Ok(Named {
                    name: name.clone(),
                    need: Need::asked_of_os(&stored.analysis),
                }),
                None => Err(other_data(&format!("it is about {application}/{workload}"))),
            }
        })
        .collect()
}
