//! `loupe show APP`.

use loupe_common::wire::{Failure, Reply, Request};

use crate::backend::Viewer;
use crate::client::args::{Global, Show};
use crate::client::door::{self, Door, Need};
use crate::client::{Ending, output, talk};
use crate::report;
use crate::store::StoredAnalysis;

pub async fn run(global: &Global, args: &Show) -> Result<Ending, Failure> {
    let (application, workload) = args.subject.names();
    let stored: StoredAnalysis = match door::choose(global, Need::Results).await? {
        Door::Daemon => {
            let request = Request::Show {
                application: application.to_owned(),
                workload: workload.map(str::to_owned),
            };
            match talk::ask(global.socket(), &request).await? {
                Reply::Shown { analysis } => talk::value(analysis)?,
                other => return Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.show(Viewer::Everything, application, workload)?,
            Err(path) => return Err(door::not_analyzed_at(&path, application, workload)),
        },
    };
    match args.json {
        true => output::print_json(&stored.analysis)?,
        false => output::print(&report::analysis_table(&stored.analysis, output::style()))?,
    }
    Ok(Ending::OK)
}
