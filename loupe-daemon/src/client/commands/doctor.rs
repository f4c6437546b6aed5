//! `loupe doctor`.

use loupe_common::wire::{Failure, exit};

use crate::client::args::{Doctor, Global};
use crate::client::{Ending, door, output};
use crate::doctor::{Facts, judge, table};
use crate::tracer;

pub async fn run(global: &Global, args: &Doctor) -> Result<Ending, Failure> {
    let daemon = door::probe(global.socket()).await;
    let database = door::database(global).ok();
    let facts = Facts::of_this_host(tracer::EMBEDDED, database.as_deref(), daemon);
    let report = judge(&facts);
    match args.json {
        true => output::print_json(&report)?,
        false => output::print(&table(&report, output::style()))?,
    }
    Ok(match report.usable {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}
