//! `loupe os list`, `show`, `diff`, `compare`, `import`, `export`. Profiles are files of whoever asks: the daemon has
//! nothing to do with them.

use std::collections::BTreeSet;

use loupe_common::wire::Failure;
use serde_json::json;

use crate::client::args::{
    Global, OsCommand, OsCompare, OsDiff, OsExport, OsExportFormat, OsImport, OsList, OsShow,
};
use crate::client::measured::{Sources, os_failure, profile, remark, shelf};
use crate::client::{Ending, measured, output};
use crate::plan::compare::Comparison;
use crate::plan::os::{self, OsDifference};
use crate::report::{self, Rows};
use crate::text::shell_word;

pub async fn run(global: &Global, command: &OsCommand) -> Result<Ending, Failure> {
    match command {
        OsCommand::List(args) => list(global, args),
        OsCommand::Show(args) => show(global, args),
        OsCommand::Diff(args) => diff(global, args),
        OsCommand::Compare(args) => compare(global, args).await,
        OsCommand::Import(args) => import(global, args),
        OsCommand::Export(args) => export(global, args),
    }
}

async fn compare(global: &Global, args: &OsCompare) -> Result<Ending, Failure> {
    let oses = match args.oses.as_slice() {
        [] => os::built_in().map_err(|error| os_failure(&error))?,
        named => {
            let named = named.iter().map(|name| measured::os(global, name));
            named.collect::<Result<Vec<_>, _>>()?
        }
    };
    let sources = Sources::find(global, &args.apps).await?;
    let needs = sources.choose(&args.apps, args.which.workload)?.needs;
    let comparison = Comparison::of(&oses, &needs);
    let text = match (args.json, args.markdown) {
        (true, _) => output::json_text(&comparison)?,
        (_, true) => {
            let words: Vec<String> = std::env::args().skip(1).collect();
            report::comparison_markdown(&comparison, &as_typed(&words))
        }
        _ => report::comparison_table(&comparison, output::style()),
    };
    output::print(&text)?;
    Ok(Ending::OK)
}

/// The command as it was typed, from the verb on: where the database is, is nobody's business.
fn as_typed(words: &[String]) -> String {
    let from = words.iter().position(|word| word == "os").unwrap_or(0);
    let words = words[from..].iter().map(|word| shell_word(word));
    format!("loupe {}", words.collect::<Vec<_>>().join(" "))
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
                    "verified": os.verified,
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
    let style = output::style();
    match (args.json, style.rows) {
        (true, _) => output::print_json(&profile)?,
        (_, Rows::Csv | Rows::Markdown) => output::print(&report::os_table(&profile, style))?,
        (_, Rows::Fitting | Rows::Whole) => output::print(&os::to_toml(&profile))?,
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
    let base = match &args.base {
        Some(name) => Some(profile(global, name)?),
        None => None,
    };
    let mut profiles = Vec::new();
    // All are read before the first is kept.
    for file in &args.files {
        if args.probe {
            os::check_probed(file).map_err(|error| os_failure(&error))?;
        }
        let mut read = os::read_over(file, base.as_ref()).map_err(|error| os_failure(&error))?;
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

fn export(global: &Global, args: &OsExport) -> Result<Ending, Failure> {
    let OsExportFormat::Scml(wanted) = &args.format;
    let written = os::to_scml(&profile(global, &wanted.os)?);
    if let Some(unsaid) = &written.unsaid {
        output::note(unsaid);
    }
    output::print(&written.text)?;
    Ok(Ending::OK)
}
