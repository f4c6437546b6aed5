//! `loupe diff A B`.

use std::path::Path;

use loupe_common::analysis::{Analysis, SCHEMA};
use loupe_common::exit;
use loupe_common::wire::Failure;

use crate::client::args::{Diff, Global};
use crate::client::{Ending, measured, output};
use crate::plan::change::Difference;
use crate::report;

pub async fn run(global: &Global, args: &Diff) -> Result<Ending, Failure> {
    let from = side(global, &args.from).await?;
    let to = side(global, &args.to).await?;
    let difference = Difference::between(&from.1, &to.1, [from.0, to.0]);
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&difference)?,
        (_, true) => report::difference_csv(&difference),
        _ => report::difference_table(&difference, output::style()),
    };
    output::print(&text)?;
    Ok(match difference.newly_required.is_empty() {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// One side: a file, the number of an analysis, or an application's newest.
async fn side(global: &Global, word: &str) -> Result<(Option<i64>, Analysis), Failure> {
    if word.ends_with(".json") {
        return Ok((None, from_file(Path::new(word))?));
    }
    if let Ok(id) = word.trim_start_matches('#').parse::<i64>() {
        let found = measured::results(global, Some(id)).await?.pop();
        return match found {
            Some(stored) => Ok((Some(stored.id), stored.analysis)),
            None => Err(
                Failure::usage(format!("there is no finished analysis {id}"))
                    .hint("`loupe list --json` has the numbers"),
            ),
        };
    }
    let (application, workload) = match word.split_once('/') {
        Some((application, workload)) => (application, Some(workload)),
        None => (word, None),
    };
    let stored = measured::stored(global, application, workload).await?;
    Ok((Some(stored.id), stored.analysis))
}

fn from_file(path: &Path) -> Result<Analysis, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {shown}")).because(Some(&error)))?;
    let hint = "`loupe show APP --json` writes one";
    let analysis: Analysis = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{shown} is no analysis: {error}")).hint(hint))?;
    match analysis.schema.as_str() {
        SCHEMA => Ok(analysis),
        other => Err(
            Failure::usage(format!("{shown} has the schema `{other}`, not `{SCHEMA}`")).hint(hint),
        ),
    }
}
