//! `loupe list`.

use loupe_common::wire::{Failure, Reply, Request};

use crate::backend::Viewer;
use crate::client::args::{Global, List};
use crate::client::door::{self, Door, Need};
use crate::client::{Ending, output, talk};
use crate::report;
use crate::store::Listed;

pub async fn run(global: &Global, args: &List) -> Result<Ending, Failure> {
    let list: Vec<Listed> = match door::choose(global, Need::Results).await? {
        Door::Daemon => match talk::ask(global.socket(), &Request::List).await? {
            Reply::Listed { entries } => talk::value(entries)?,
            other => return Err(talk::unexpected(&other)),
        },
        Door::Here => match door::library(global)? {
            Ok(library) => library.list(Viewer::Everything)?,
            // One that was asked for by name should be there.
            Err(path) if global.db.is_some() => {
                return Err(Failure::usage(format!(
                    "there is no database at {}",
                    path.display()
                )));
            }
            Err(_) => Vec::new(),
        },
    };
    match args.json {
        true => output::print_json(&report::list_json(&list))?,
        false => output::print(&report::list_table(&list, output::style()))?,
    }
    Ok(Ending::OK)
}
