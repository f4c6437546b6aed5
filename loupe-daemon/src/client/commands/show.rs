//! `loupe show APP`.

use loupe_common::wire::Failure;

use crate::client::args::{Global, Show};
use crate::client::{Ending, measured, output};
use crate::report::{self, Telling};

pub async fn run(global: &Global, args: &Show) -> Result<Ending, Failure> {
    let (application, workload) = args.subject.names();
    let stored = measured::stored(global, application, workload).await?;
    match args.json {
        true => output::print_json(&stored.analysis)?,
        false => {
            let telling = Telling {
                id: Some(stored.id),
                finished_ms: Some(stored.finished_ms),
                full: args.full,
            };
            let text = report::analysis_table(&stored.analysis, telling, output::style());
            output::print(&text)?;
        }
    }
    Ok(Ending::OK)
}
