//! An analysis from the client's side: its progress, and its result.

use loupe_common::analysis::{Analysis, TestCheck};
use loupe_common::exit;
use loupe_common::verdict::Verdict;
use loupe_common::wire::{Failure, Reply};

use crate::client::progress::Display;
use crate::client::talk::{self, Talk};
use crate::client::{Ending, output};
use crate::report::{self, Telling};

/// Follows a job of the daemon to its result.
pub async fn to_the_end(talk: &mut Talk, display: &Display) -> Result<Analysis, Failure> {
    loop {
        match talk.next().await? {
            Reply::Queued { job, ahead: 0 } => tracing::info!(%job, "running"),
            Reply::Queued { job, ahead } => {
                display.line(&format!("job {job} waits for {ahead} others"));
            }
            Reply::Progress { event, .. } => display.show(&event),
            Reply::Skipped { lost, .. } => tracing::info!(lost, "too slow for all the progress"),
            Reply::Analysis { analysis, .. } => return Ok(*analysis),
            other => return Err(talk::unexpected(&other)),
        }
    }
}

/// Prints a result; the exit code says whether every verdict was reached, and the test noticed
/// every sabotage.
pub fn print(analysis: &Analysis, json: bool, telling: Telling) -> Result<Ending, Failure> {
    match json {
        true => output::print_json(analysis)?,
        false => output::print(&report::analysis_table(analysis, telling, output::style()))?,
    }
    Ok(Ending::Code(exit_code(analysis)))
}

/// Whether every verdict was reached, and the test noticed every sabotage.
pub fn exit_code(analysis: &Analysis) -> u8 {
    let undecided = analysis
        .features
        .iter()
        .any(|row| row.verdict == Verdict::Undecided);
    let blind = |check: &TestCheck| check.noticed == Some(false);
    match undecided || analysis.test_check.iter().any(blind) {
        true => exit::FINDING,
        false => exit::OK,
    }
}
