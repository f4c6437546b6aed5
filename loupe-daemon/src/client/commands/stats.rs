//! `loupe stats [APP…]`.

use loupe_common::wire::Failure;

use crate::client::args::{Global, Stats};
use crate::client::measured::Sources;
use crate::client::{Ending, output};
use crate::plan::statistics::statistics;
use crate::plan::{Named, Need};
use crate::report;

pub async fn run(global: &Global, args: &Stats) -> Result<Ending, Failure> {
    let sources = Sources::find(global, &args.applications).await?;
    let mut selection = sources.choose(&args.applications, args.which.workload)?;
    let results = &sources.results;
    let analyses: Vec<_> = results.iter().map(|stored| &stored.analysis).collect();
    // What was measured of each feature alone: joint policies would mix two kinds of figures.
    for Named { need, .. } in &mut selection.needs {
        let mut stored = results.iter();
        if let Some(stored) = stored.find(|stored| stored.id == need.standing.id) {
            *need = Need::single(&stored.analysis).standing_as(need.standing);
        }
        *need = need.of_syscalls();
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
