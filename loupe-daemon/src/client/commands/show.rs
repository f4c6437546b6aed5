//! `loupe show APP`.

use loupe_common::wire::Failure;

use crate::client::args::{Global, Show};
use crate::client::{Ending, measured, output};
use crate::report;

pub async fn run(global: &Global, args: &Show) -> Result<Ending, Failure> {
    let (application, workload) = args.subject.names();
    let stored = measured::stored(global, application, workload).await?;
    match args.json {
        true => output::print_json(&stored.analysis)?,
        false => output::print(&report::analysis_table(&stored.analysis, output::style()))?,
    }
    Ok(Ending::OK)
}
