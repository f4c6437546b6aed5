//! `loupe profile diff NAME`: against an earlier time, or against a workload.

use std::path::Path;

use loupe_common::exit;
use loupe_common::wire::{Failure, code};

use crate::client::args::{Global, Moment, ProfileDiff};
use crate::client::{Ending, measured, output, services};
use crate::plan::Service;
use crate::plan::coverage::Coverage;
use crate::plan::drift::{Drift, DriftError};
use crate::replay::Workload;
use crate::report;
use crate::text::{date, printable, signed};

pub async fn run(global: &Global, args: &ProfileDiff) -> Result<Ending, Failure> {
    // Read first: it is the user's, and soon found to be wrong.
    let named = args.workload.as_deref().map(workload).transpose()?;
    let profiles = services::named(global, &args.name, None).await?;
    let services = Service::all(&profiles);
    let service = match services.as_slice() {
        [only] => only,
        several => return Err(several_fit(&args.name, several)),
    };
    let (text, found) = match (named, args.since) {
        (Some((application, workload)), _) => {
            let stored = measured::stored(global, &application, workload.as_deref()).await?;
            let coverage = Coverage::of(service, &stored.analysis);
            let text = match args.json {
                true => output::json_text(&coverage)?,
                false => report::profile_coverage(&coverage, output::style()),
            };
            (text, !coverage.missing.is_empty())
        }
        (None, since) => {
            // One of the two was given.
            let since = since.map_or(0, Moment::unix_ms);
            let drift = Drift::since(service, since, args.operations)
                .map_err(|error| incomparable(&error))?;
            let text = match args.json {
                true => output::json_text(&drift)?,
                false => report::profile_drift(&drift, output::style()),
            };
            (text, !drift.new.is_empty())
        }
    };
    output::print(&text)?;
    Ok(match found {
        true => Ending::Code(exit::FINDING),
        false => Ending::OK,
    })
}

/// The application and the workload of a file, or of `APP/WORKLOAD`.
fn workload(word: &str) -> Result<(String, Option<String>), Failure> {
    if word.ends_with(".toml") {
        let workload = Workload::load(Path::new(word)).map_err(|error| {
            Failure::from_error(exit::USAGE, &error)
                .hint("docs/workloads.md describes workload files")
        })?;
        return Ok((workload.application, Some(workload.workload)));
    }
    Ok((word.to_owned(), None))
}

fn several_fit(name: &str, services: &[Service<'_>]) -> Failure {
    const MOST_NAMES: usize = 5;
    let names: Vec<String> = services
        .iter()
        .take(MOST_NAMES)
        .map(|service| printable(service.name))
        .collect();
    let more = match services.len() > MOST_NAMES {
        true => ", …",
        false => "",
    };
    Failure::usage(format!(
        "{} fits {} profiles: {}{more}",
        printable(name),
        services.len(),
        names.join(", ")
    ))
    .hint("name one of them")
}

fn incomparable(error: &DriftError) -> Failure {
    let message = printable(&error.to_string());
    match error {
        DriftError::NothingBefore { from_ms, .. } => Failure::usage(message).hint(format!(
            "observation began at {} (UTC): name a later moment with --since",
            date(signed(*from_ms))
        )),
        DriftError::NothingSince { until_ms, .. } => {
            Failure::new(code::FAILED, exit::INVALID, message).hint(format!(
                "it was last observed at {} (UTC); `loupe profile status` tells whether it is \
                     watched and runs",
                date(signed(*until_ms))
            ))
        }
    }
}
