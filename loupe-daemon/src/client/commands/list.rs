//! `loupe list`.

use loupe_common::wire::{Failure, Reply, Request};

use crate::backend::Viewer;
use crate::client::args::{Global, List};
use crate::client::door::{self, Door, Need};
use crate::client::{Ending, measured, output, talk};
use crate::report;
use crate::store::Listed;

pub async fn run(global: &Global, args: &List) -> Result<Ending, Failure> {
    let request = Request::List {
        application: args.name.clone(),
    };
    let list: Vec<Listed> = match door::choose(global, Need::Results).await? {
        Door::Daemon => match talk::ask(global.socket(), &request).await? {
            Reply::Listed { entries } => talk::value(entries)?,
            other => return Err(talk::unexpected(&other)),
        },
        Door::Here => match door::library(global)? {
            Ok(library) => library.list(Viewer::Everything, args.name.as_deref())?,
            // One that was asked for by name should be there.
            Err(path) if global.chosen_db().is_some() => return Err(door::no_database(&path)),
            Err(_) => Vec::new(),
        },
    };
    if let Some(name) = args.name.as_deref().filter(|_| list.is_empty()) {
        let everything = measured::Sources::find(global, []).await?;
        return Err(everything.not_there(name, None));
    }
    let text = match (args.json, &args.name) {
        (true, _) => output::json_text(&report::list_json(&list))?,
        (false, None) => report::list_table(&list, output::style()),
        (false, Some(_)) => report::history_table(&list, output::style()),
    };
    output::print(&text)?;
    Ok(Ending::OK)
}
