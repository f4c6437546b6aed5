//! `loupe diff A B`.

use std::path::Path;

use loupe_common::analysis::{Analysis, SCHEMA};
use loupe_common::exit;
use loupe_common::wire::Failure;

use super::report::write;
use crate::client::args::{Diff, Global};
use crate::client::{Ending, measured, output};
use crate::plan::change::Difference;
use crate::report::{self, Entry};
use crate::store::StoredAnalysis;

pub async fn run(global: &Global, args: &Diff) -> Result<Ending, Failure> {
    let from = side(global, &args.from).await?;
    let to = side(global, &args.to).await?;
    let difference = Difference::between(&from.analysis, &to.analysis, [from.id, to.id]);
    if let Some(path) = &args.html {
        let [from, to] = [&from, &to].map(|side| Entry {
            analysis: &side.analysis,
            finished_ms: side.finished_ms,
            evidence: Vec::new(),
        });
        let page =
            report::difference_page(&difference, [&from, &to], crate::now_ms().cast_signed());
        write(path, &page)?;
        output::note(&format!("{}", path.display()));
    }
    let text = match (args.json, args.csv) {
        (true, _) => output::json_text(&difference)?,
        (_, true) => report::difference_csv(&difference),
        // A page is enough of a result.
        _ if args.html.is_some() => String::new(),
        _ => report::difference_table(&difference, output::style()),
    };
    output::print(&text)?;
    Ok(match difference.newly_required.is_empty() {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// One of the two that are compared.
struct Side {
    /// In the database; of a file neither is known.
    id: Option<i64>,
    finished_ms: Option<i64>,
    analysis: Analysis,
}

impl From<StoredAnalysis> for Side {
    fn from(stored: StoredAnalysis) -> Side {
        Side {
            id: Some(stored.id),
            finished_ms: Some(stored.finished_ms),
            analysis: stored.analysis,
        }
    }
}

/// One side: a file, or what a name means.
async fn side(global: &Global, word: &str) -> Result<Side, Failure> {
    if word.ends_with(".json") {
        return Ok(Side {
            id: None,
            finished_ms: None,
            analysis: from_file(Path::new(word))?,
        });
    }
    Ok(measured::stored(global, word, None).await?.into())
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
