//! `loupe report`.

use std::path::Path;

use loupe_common::analysis::{Analysis, FeatureVerdict, Trial};
use loupe_common::policy::Action;
use loupe_common::profile::Profile;
use loupe_common::trace::Trace;
use loupe_common::wire::{Failure, Reply, Request};

use super::plan_file;
use crate::backend::Library;
use crate::client::args::{Global, Report};
use crate::client::door::{self, Door, Need as Purpose};
use crate::client::measured::Sources;
use crate::client::{Ending, measured, output, services, talk};
use crate::plan::because::explain;
use crate::plan::distance::Distances;
use crate::plan::{Named, OsProfile, Plan, Strategy, WorkloadKind, make};
use crate::report::{self, Entry, Explanation, Figures, Page, Shown, System};
use crate::store::{StoredAnalysis, StoredReplay};
use crate::text::counted;

pub async fn run(global: &Global, args: &Report) -> Result<Ending, Failure> {
    let plans = args.plan.iter().map(|path| plan_file::read(path));
    let mut plans: Vec<Plan> = plans.collect::<Result<_, _>>()?;
    let systems = args.os.iter().map(|name| measured::os(global, name));
    let mut systems: Vec<OsProfile> = systems.collect::<Result<_, _>>()?;
    let sources = Sources::find(global, &args.applications.names).await?;
    let (names, profiles) = profiles(global, args, &sources).await?;
    let mut stored = match names.is_empty() && !profiles.is_empty() {
        true => Vec::new(),
        false => sources.every(&names)?,
    };
    if let Some(kind) = args.workload
        && !stored.is_empty()
    {
        let chosen = sources.choose_among(&stored, kind)?.needs;
        stored.retain(|stored| {
            let mut ids = chosen.iter().map(|named| named.need.standing.id);
            ids.any(|id| id == stored.id)
        });
    }
    if stored.is_empty() && profiles.is_empty() {
        return Err(
            Failure::usage("there is no finished analysis in the database")
                .hint("`loupe analyze WORKLOAD.toml` makes one"),
        );
    }
    let analyses: Vec<&Analysis> = stored.iter().map(|stored| &stored.analysis).collect();
    let figures = Figures::of(analyses.iter().copied());
    let needs = match stored.is_empty() {
        true => Vec::new(),
        false => sources.choose_among(&stored, WorkloadKind::Any)?.needs,
    };
    for profile in &systems {
        sources.say_not_asked(profile, needs.iter().map(|named| &named.need));
    }
    if !systems.is_empty() {
        plans.extend(planned(&systems, &needs));
    }
    // A plan that was made elsewhere brings what it starts from.
    for profile in plans.iter().filter_map(|plan| plan.profile.as_ref()) {
        if !systems.iter().any(|system| system.name == profile.name) {
            systems.push(profile.clone());
        }
    }
    if let Some(directory) = &args.svg {
        draw(directory, &figures, &plans)?;
    }
    if let Some(path) = &args.html {
        let source = Source::find(global).await?;
        let systems = distances(systems, &needs);
        let mut entries = Vec::new();
        for stored in stored {
            entries.push(Entry {
                analysis: &stored.analysis,
                finished_ms: Some(stored.finished_ms),
                evidence: evidence(&source, stored).await?,
            });
        }
        let page = Page {
            entries,
            systems: &systems,
            plans: &plans,
            profiles: &profiles,
            written_ms: crate::now_ms().cast_signed(),
        };
        let html = page.html().map_err(|error| {
            Failure::internal("the page cannot be written").because(Some(&error))
        })?;
        write(path, &html)?;
        let mut what = vec![counted(analyses.len() as u64, "workload")];
        if !profiles.is_empty() {
            what.push(counted(profiles.len() as u64, "profile"));
        }
        output::note(&format!(
            "{}: {}, {}",
            path.display(),
            what.join(", "),
            crate::text::bytes(html.len() as u64)
        ));
    }
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&report::summary_json(&figures))?,
        (_, true) => report::verdicts_csv(&analyses),
        // A page or plots are enough of a result.
        _ if args.html.is_some() || args.svg.is_some() => return Ok(Ending::OK),
        _ => report::summary_table(&figures, output::style()),
    };
    output::print(&text)?;
    Ok(Ending::OK)
}

/// Of the names those that are no profiles', and the profiles, which only the page shows.
async fn profiles(
    global: &Global,
    args: &Report,
    sources: &Sources,
) -> Result<(Vec<String>, Vec<Profile>), Failure> {
    let all = args.applications.names.iter().cloned();
    let (named, others): (Vec<String>, Vec<String>) =
        all.partition(|name| sources.profiles(name).is_some());
    if !named.is_empty() && (args.html.is_none() || args.json || args.csv || args.svg.is_some()) {
        return Err(Failure::usage("a report shows profiles on its page only")
            .hint("--html FILE alone writes it; `loupe profile show` prints them"));
    }
    let mut profiles: Vec<Profile> = Vec::new();
    for name in &named {
        for profile in services::named(global, name, None).await? {
            if !profiles.contains(&profile) {
                profiles.push(profile);
            }
        }
    }
    Ok((others, profiles))
}

/// The place that replays are read from.
enum Source<'a> {
    Daemon(&'a Global),
    Here(Library),
}

impl Source<'_> {
    async fn find(global: &Global) -> Result<Source<'_>, Failure> {
        match door::choose(global, Purpose::Results).await? {
            Door::Daemon => Ok(Source::Daemon(global)),
            Door::Here => Library::open(&door::database(global)?).map(Source::Here),
        }
    }
}

/// The best plan for each OS, and the published one.
fn planned(systems: &[OsProfile], needs: &[Named]) -> Vec<Plan> {
    let weights = Default::default();
    let strategies = [Strategy::Area, Strategy::Paper];
    let plans = systems
        .iter()
        .flat_map(|os| strategies.map(|strategy| (os, strategy)))
        .map(|(os, strategy)| {
            let mut plan = make(os, needs, strategy, &weights);
            explain(&mut plan, os, needs);
            plan
        });
    plans.collect()
}

/// How far each of them is from each application; nothing without analyses.
fn distances(systems: Vec<OsProfile>, needs: &[Named]) -> Vec<System> {
    if needs.is_empty() {
        return Vec::new();
    }
    let with_distances = systems.into_iter().map(|profile| System {
        distances: Distances::of(&profile, needs, false),
        profile,
    });
    with_distances.collect()
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::usage(format!("cannot write {}", path.display())).because(Some(&error))
    })
}

fn draw(directory: &Path, figures: &Figures, plans: &[Plan]) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| {
        Failure::usage(format!("cannot make {}", directory.display())).because(Some(&error))
    })?;
    for drawing in report::drawings(figures, plans, true) {
        let path = directory.join(format!("{}.svg", drawing.name));
        write(&path, &drawing.svg)?;
        output::note(&format!("{}", path.display()));
    }
    Ok(())
}

/// One replay of each way that was tried on each feature: the first that failed where it does not
/// work, else the first.
async fn evidence(source: &Source<'_>, stored: &StoredAnalysis) -> Result<Vec<Shown>, Failure> {
    let mut found = Vec::new();
    let baseline: Vec<StoredReplay> = match source {
        Source::Here(library) if stored.analysis.origin.is_none() => library.baseline(stored.id)?,
        _ => Vec::new(),
    };
    let passed = baseline.iter().filter(|one| one.replay.outcome.passed());
    let baseline: Vec<&Trace> = passed.map(|one| &one.replay.trace).collect();
    for row in &stored.analysis.features {
        let library = match source {
            Source::Here(library) => library,
            Source::Daemon(global) => {
                found.extend(told(global, stored, row).await?);
                continue;
            }
        };
        for (action, trial) in row.trials() {
            let mut best: Option<Shown> = None;
            for id in &trial.replays {
                let Some(replay) = library.replay(*id)? else {
                    continue;
                };
                let shown = Shown::new(&row.feature, action, *id, &replay, &baseline);
                if is_telling(trial, replay.outcome.passed()) {
                    best = Some(shown);
                    break;
                }
                best.get_or_insert(shown);
            }
            found.extend(best);
        }
    }
    Ok(found)
}

/// Whether it shows what the trial came to.
fn is_telling(trial: &Trial, passed: bool) -> bool {
    passed == (trial.works == Some(true))
}

/// Asks the daemon for the same.
async fn told(
    global: &Global,
    stored: &StoredAnalysis,
    row: &FeatureVerdict,
) -> Result<Vec<Shown>, Failure> {
    if row.trials().all(|(_, trial)| trial.replays.is_empty()) {
        return Ok(Vec::new());
    }
    let request = Request::Explain {
        application: stored.id.to_string(),
        workload: None,
        feature: row.feature.clone(),
    };
    let story: Explanation = match talk::ask(global.socket(), &request).await? {
        Reply::Explained { evidence } => talk::value(evidence)?,
        other => return Err(talk::unexpected(&other)),
    };
    let trials: Vec<(Action, &Trial)> = row.trials().collect();
    let shown = story.trials.iter().filter_map(|told| {
        let (_, trial) = trials.iter().find(|(action, _)| *action == told.action)?;
        let mut replays = told.replays.iter();
        let telling = replays.find(|replay| is_telling(trial, replay.outcome.passed()));
        let replay = telling.or(told.replays.first())?;
        Some(Shown {
            feature: row.feature.clone(),
            action: told.action,
            replay: replay.id,
            outcome: replay.outcome.to_string(),
            output: report::last_words(&replay.application_output, &replay.test_output),
            injections: replay.injections,
            difference: replay
                .difference
                .as_ref()
                .map_or(String::new(), ToString::to_string),
        })
    });
    Ok(shown.collect())
}
