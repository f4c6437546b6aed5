//! `loupe gap --os OS APP`.

use loupe_common::wire::Failure;

use crate::backend::not_analyzed;
use crate::client::args::{Gap as Args, Global};
use crate::client::{Ending, measured, output};
use crate::plan::gap::Gap;
use crate::report;
use crate::store::StoredAnalysis;

pub async fn run(global: &Global, args: &Args) -> Result<Ending, Failure> {
    let profile = measured::profile(global, &args.os)?;
    let (application, workload) = args.subject.names();
    let results = measured::results(global, None).await?;
    let stored = one(&results, application, workload)?;
    let gap = Gap::between(&profile, &stored.analysis);
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&gap)?,
        (_, true) => report::gap_csv(&gap),
        _ => report::gap_table(&gap, output::style()),
    };
    output::print(&text)?;
    Ok(Ending::OK)
}

fn one<'a>(
    results: &'a [StoredAnalysis],
    application: &str,
    workload: Option<&str>,
) -> Result<&'a StoredAnalysis, Failure> {
    let found: Vec<&StoredAnalysis> = results
        .iter()
        .filter(|stored| {
            stored.analysis.application == application
                && workload.is_none_or(|workload| stored.analysis.workload == workload)
        })
        .collect();
    match found.as_slice() {
        [] => Err(not_analyzed(application, workload)),
        [only] if only.analysis.features.is_empty() => Err(Failure::usage(format!(
            "{application}/{} has no verdicts: its workload used nothing",
            only.analysis.workload
        ))),
        [only] => Ok(only),
        several => {
            let workloads: Vec<&str> = several
                .iter()
                .map(|stored| stored.analysis.workload.as_str())
                .collect();
            Err(Failure::usage(format!(
                "{application} has several workloads: {}",
                workloads.join(", ")
            ))
            .hint(format!(
                "name one of them, as in {application}/{}",
                workloads[0]
            )))
        }
    }
}
