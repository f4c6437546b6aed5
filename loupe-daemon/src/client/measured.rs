//! What the commands that only calculate begin with: results from the database or the daemon,
//! OS profiles, and a choice among applications.

use loupe_common::exit;
use loupe_common::wire::{Failure, Reply, Request, code};

use super::args::Global;
use super::door::{self, Door, Need as Purpose};
use super::output::note;
use super::talk;
use crate::backend::Viewer;
use crate::plan::os::{OsError, OsProfile, Remark, Shelf, default_shelf};
use crate::plan::{Need, SelectError, Selection, WorkloadKind, select};
use crate::store::StoredAnalysis;

/// The newest results of every workload, or the one of this id.
pub async fn results(
    global: &Global,
    analysis: Option<i64>,
) -> Result<Vec<StoredAnalysis>, Failure> {
    match door::choose(global, Purpose::Results).await? {
        Door::Daemon => {
            let request = Request::Results { analysis };
            match talk::ask(global.socket(), &request).await? {
                Reply::Results { entries } => talk::value(entries),
                other => Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.results(Viewer::Everything, analysis),
            Err(path) if global.db.is_some() => Err(Failure::usage(format!(
                "there is no database at {}",
                path.display()
            ))),
            Err(_) => Ok(Vec::new()),
        },
    }
}

/// A choice among results; what is to be said about it is said.
pub fn choose(
    results: &[StoredAnalysis],
    wanted: &[String],
    kind: WorkloadKind,
) -> Result<Selection, Failure> {
    let needs = results
        .iter()
        .map(|stored| Need::asked_of_os(&stored.analysis))
        .collect();
    let selection = select::select(needs, wanted, kind).map_err(|error| select_failure(&error))?;
    for text in &selection.notes {
        note(text);
    }
    Ok(selection)
}

fn select_failure(error: &SelectError) -> Failure {
    Failure::new(code::NOT_FOUND, exit::USAGE, error.to_string()).explained(error.hint(), None)
}

/// The shelf that profiles are kept on.
pub fn shelf(global: &Global) -> Result<Shelf, Failure> {
    Ok(default_shelf(&door::database(global)?))
}

/// A profile by its file or name; what is odd about it is said.
pub fn profile(global: &Global, wanted: &str) -> Result<OsProfile, Failure> {
    let read = shelf(global)?
        .find(wanted)
        .map_err(|error| os_failure(&error))?;
    remark(&read.remarks);
    Ok(read.profile)
}

pub fn os_failure(error: &OsError) -> Failure {
    let code = match error {
        OsError::Write { .. } => exit::LOUPE_FAILED,
        _ => exit::USAGE,
    };
    Failure::from_error(code, error).explained(error.hint(), None)
}

pub fn remark(remarks: &[Remark]) {
    for remark in remarks {
        note(&crate::text::printable(&remark.to_string()));
    }
}
