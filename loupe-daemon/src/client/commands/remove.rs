//! `loupe rm` and `loupe gc`: analyses leave the database.

use loupe_common::wire::Failure;

use crate::backend::{Library, not_analyzed};
use crate::client::args::{Gc, Global, Rm};
use crate::client::{Ending, door, measured, output};
use crate::store::{Cleared, Removal, Selector};
use crate::text::{bytes, counted, printable};

pub async fn rm(global: &Global, args: &Rm) -> Result<Ending, Failure> {
    let library = library(global, "removing").await?;
    let mut all = Cleared::default();
    let mut add = |cleared: Cleared| {
        all.analyses += cleared.analyses;
        all.replays += cleared.replays;
    };
    if args.imported {
        add(library.remove(Removal::Imported)?);
    }
    for name in &args.names {
        let wanted = Selector::parse(name, None);
        if !wanted.is_exact() && wanted.workload.is_none() {
            let shown = printable(name);
            return Err(Failure::usage(format!(
                "{shown} may be several analyses: which of them is to go?"
            ))
            .hint(format!(
                "`loupe list {shown}` has their numbers; {shown}/WORKLOAD is all of a workload"
            )));
        }
        let cleared = library.remove(Removal::Named(&wanted))?;
        if cleared.analyses == 0 {
            let failure = not_analyzed(name, None);
            return Err(measured::nearer(global, failure, name, None).await);
        }
        add(cleared);
    }
    output::print(&format!("Removed {}.\n", told(all)))?;
    Ok(Ending::OK)
}

pub async fn gc(global: &Global, args: &Gc) -> Result<Ending, Failure> {
    let library = library(global, "cleaning up").await?;
    let cleared = library.remove(Removal::Unused { keep: args.keep })?;
    output::print(&format!(
        "Removed {}; the database is {} smaller.\n",
        told(cleared),
        bytes(cleared.bytes)
    ))?;
    Ok(Ending::OK)
}

fn told(cleared: Cleared) -> String {
    let analyses = match cleared.analyses {
        1 => "1 analysis".to_owned(),
        many => format!("{many} analyses"),
    };
    format!("{analyses} with {}", counted(cleared.replays, "replay"))
}

async fn library(global: &Global, what: &str) -> Result<Library, Failure> {
    let path = door::own_database(global, what).await?;
    match path.exists() {
        true => Library::open(&path),
        false => Err(door::no_database(&path)),
    }
}
