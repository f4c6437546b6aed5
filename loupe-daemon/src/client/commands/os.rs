//! `loupe os list`, `show`, `diff`, `import`. Profiles are files of whoever asks: the daemon has
//! nothing to do with them.

use std::collections::BTreeSet;

use loupe_common::wire::Failure;
use serde_json::json;

use crate::client::args::{Global, OsCommand, OsDiff, OsImport, OsList, OsShow};
use crate::client::measured::{os_failure, profile, remark, shelf};
use crate::client::{Ending, output};
use crate::plan::os::{self, OsDifference};
use crate::report;

pub fn run(global: &Global, command: &OsCommand) -> Result<Ending, Failure> {
    match command {
        OsCommand::List(args) => list(global, args),
        OsCommand::Show(args) => show(global, args),
        OsCommand::Diff(args) => diff(global, args),
        OsCommand::Import(args) => import(global, args),
    }
}

fn list(global: &Global, args: &OsList) -> Result<Ending, Failure> {
    let shelf = shelf(global)?;
    let profiles = shelf.all().map_err(|error| os_failure(&error))?;
    for (read, _) in &profiles {
        remark(&read.remarks);
    }
    let profiles: Vec<_> = profiles
        .into_iter()
        .map(|(read, origin)| (read.profile, origin))
        .collect();
    if args.json {
        let rows: Vec<_> = profiles
            .iter()
            .map(|(os, origin)| {
                let errors = os.error.values().map(BTreeSet::len);
                json!({
                    "name": os.name,
                    "title": os.title,
                    "origin": origin,
                    "arch": os.arch,
                    "implement": os.implement.len(),
                    "partial": os.partial.len(),
                    "stub": os.stub.len(),
                    "fake": os.fake.len(),
                    "error": errors.sum::<usize>(),
                    "kill": os.kill.len(),
                    "unknown": os.unknown,
                    "source": os.source,
                })
            })
            .collect();
        output::print_json(&json!({ "schema": "loupe.os-list/1", "profiles": rows }))?;
    } else {
        let place = shelf.directory();
        output::print(&report::os_list(&profiles, place, output::style()))?;
    }
    Ok(Ending::OK)
}

fn show(global: &Global, args: &OsShow) -> Result<Ending, Failure> {
    let profile = profile(global, &args.os)?;
    match args.json {
        true => output::print_json(&profile)?,
        false => output::print(&os::to_toml(&profile))?,
    }
    Ok(Ending::OK)
}

fn diff(global: &Global, args: &OsDiff) -> Result<Ending, Failure> {
    let (from, to) = (profile(global, &args.from)?, profile(global, &args.to)?);
    let difference = OsDifference::between(&from, &to);
    match args.json {
        true => output::print_json(&difference)?,
        false => output::print(&report::os_difference(&difference, output::style()))?,
    }
    Ok(Ending::OK)
}

fn import(global: &Global, args: &OsImport) -> Result<Ending, Failure> {
    if args.name.is_some() && args.files.len() > 1 {
        return Err(Failure::usage(
            "--name is for one file, and these are several",
        ));
    }
    let shelf = shelf(global)?;
    let mut profiles = Vec::new();
    // All are read before the first is kept.
    for file in &args.files {
        let mut read = os::read(file).map_err(|error| os_failure(&error))?;
        remark(&read.remarks);
        if let Some(name) = &args.name {
            read.profile.name.clone_from(name);
        }
        profiles.push(read.profile);
    }
    for profile in &profiles {
        let new = shelf
            .keep(profile, args.force)
            .map_err(|error| os_failure(&error))?;
        let what = match new {
            true => "Kept",
            false => "Already there:",
        };
        output::print(&format!(
            "{what} {} ({} implemented, {} stubbed, {} faked).\n",
            crate::text::printable(&profile.name),
            profile.implement.len(),
            profile.stub.len(),
            profile.fake.len()
        ))?;
    }
    Ok(Ending::OK)
}
