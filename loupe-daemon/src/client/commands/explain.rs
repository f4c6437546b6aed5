//! `loupe explain APP FEATURE`.

use loupe_common::wire::{Failure, Reply, Request};

use crate::backend::Viewer;
use crate::client::args::{Explain, Global};
use crate::client::door::{self, Door, Need};
use crate::client::{Ending, measured, output, talk};
use crate::report::{self, Explanation};

pub async fn run(global: &Global, args: &Explain) -> Result<Ending, Failure> {
    let (application, workload) = args.subject.names();
    // Which one is meant is decided, and said, in one place.
    let meant = measured::stored(global, application, workload)
        .await?
        .id
        .to_string();
    let (application, workload) = (meant.as_str(), None);
    let told: Explanation = match door::choose(global, Need::Results).await? {
        Door::Daemon => {
            let request = Request::Explain {
                application: application.to_owned(),
                workload: workload.map(str::to_owned),
                feature: args.feature.clone(),
            };
            match talk::ask(global.socket(), &request).await? {
                Reply::Explained { evidence } => talk::value(evidence)?,
                other => return Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => {
                library.explain(Viewer::Everything, application, workload, &args.feature)?
            }
            Err(path) => return Err(door::not_analyzed_at(&path, application, workload)),
        },
    };
    match args.json {
        true => output::print_json(&report::explain_json(&told))?,
        false => output::print(&report::explain(&told, output::style()))?,
    }
    Ok(Ending::OK)
}
