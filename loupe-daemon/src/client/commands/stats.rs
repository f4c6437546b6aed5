//! `loupe stats [APP…]`.

use loupe_common::wire::Failure;

use crate::client::args::{Global, Stats};
use crate::client::{Ending, measured, output};
use crate::plan::statistics::statistics;
use crate::plan::{Named, Need};
use crate::report;

pub async fn run(global: &Global, args: &Stats) -> Result<Ending, Failure> {
    let results = measured::results(global, None).await?;
    let mut selection = measured::choose(&results, &args.applications, args.which.workload)?;
    let analyses: Vec<_> = results.iter().map(|stored| &stored.analysis).collect();
    // What was measured of each feature alone: joint policies would mix two kinds of figures.
    for Named { need, .. } in &mut selection.needs {
        let analysis = analyses.iter().find(|analysis| {
            analysis.application == need.application && analysis.workload == need.workload
        });
        if let Some(analysis) = analysis {
            *need = Need::single(analysis);
        }
    }
    let figures = statistics(&selection.needs, &analyses);
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&figures)?,
        (_, true) => report::statistics_csv(&figures),
        _ => report::statistics_table(&figures, output::style()),
    };
    output::print(&text)?;
    Ok(Ending::OK)
}
