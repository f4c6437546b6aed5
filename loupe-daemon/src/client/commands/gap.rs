//! `loupe gap --os OS`, with an application or without.

use loupe_common::exit;
use loupe_common::wire::Failure;

use crate::client::args::{Gap as Args, Global};
use crate::client::measured::Sources;
use crate::client::{Ending, measured, output};
use crate::plan::distance::Distances;
use crate::plan::gap::Gap;
use crate::plan::{Need, WorkloadKind};
use crate::report;
use crate::store::StoredAnalysis;
use crate::text::printable;

pub async fn run(global: &Global, args: &Args) -> Result<Ending, Failure> {
    let profile = measured::os(global, &args.os)?;
    let named = args.application.iter().chain(&args.require);
    let sources = Sources::find(global, named).await?;
    let (text, good) = match &args.application {
        Some(name) => {
            let gap = match sources.profiles(name) {
                Some(needs) => {
                    let need = only(name, needs)?;
                    sources.say_not_asked(&profile, std::iter::once(&need));
                    Gap::to_use(&profile, &need)
                }
                None => {
                    let stored = sources.one(name, args.workload.as_deref())?;
                    has_verdicts(stored)?;
                    let need = Need::asked_of_os(&stored.analysis);
                    sources.say_not_asked(&profile, std::iter::once(&need));
                    Gap::between(&profile, &stored.analysis)
                }
            };
            let text = match (args.json, args.csv) {
                (true, _) => output::json_text(&gap)?,
                (_, true) => report::gap_csv(&gap),
                _ => report::gap_table(&gap, output::style()),
            };
            (text, gap.runs())
        }
        None => {
            let selection = sources.choose(&args.require, kind(args)?)?;
            let required = !args.require.is_empty();
            let needs = selection.needs.iter().map(|named| &named.need);
            sources.say_not_asked(&profile, needs);
            let distances = Distances::of(&profile, &selection.needs, required);
            let text = match (args.json, args.csv) {
                (true, _) => output::json_text(&distances)?,
                (_, true) => report::distances_csv(&distances),
                _ => report::distances_table(&distances, &args.os, output::style()),
            };
            (text, distances.kept())
        }
    };
    output::print(&text)?;
    Ok(match good {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// The one profile that the name fits, as an OS is asked for it.
fn only(name: &str, needs: &[Need]) -> Result<Need, Failure> {
    match needs {
        [only] => Ok(only.clone().without_restart()),
        several => Err(Failure::usage(format!(
            "{} fits {} profiles",
            printable(name),
            several.len()
        ))
        .hint("name one of them, or ask for all with --require")),
    }
}

/// Which kind of workload counts where no application is named.
fn kind(args: &Args) -> Result<WorkloadKind, Failure> {
    let Some(word) = &args.workload else {
        return Ok(WorkloadKind::default());
    };
    word.parse().map_err(|what| {
        Failure::usage(format!("--workload without an application {what}"))
            .hint(format!("name the application, as in APP/{word}"))
    })
}

fn has_verdicts(stored: &StoredAnalysis) -> Result<(), Failure> {
    let analysis = &stored.analysis;
    match analysis.features.is_empty() {
        false => Ok(()),
        true => Err(Failure::usage(format!(
            "{}/{} has no verdicts: its workload used nothing",
            analysis.application, analysis.workload
        ))),
    }
}
