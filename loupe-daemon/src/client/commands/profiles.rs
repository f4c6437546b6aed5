//! `loupe export seccomp|systemd|gramine|c|rust APP…`.

use std::path::PathBuf;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use loupe_common::wire::Failure;
use serde_json::Value;

use crate::client::args::{Filter, Global, Mocked, Written};
use crate::client::measured::Sources;
use crate::client::{Ending, measured, output};
use crate::formats::{self, Class, Extent, Needs, Profile, Starter};
use crate::plan::Need;
use crate::report;
use crate::text::printable;

pub async fn seccomp(global: &Global, filter: &Filter) -> Result<Ending, Failure> {
    let (needs, profile) = profile(global, filter, Starter::Container).await?;
    let text = formats::write_oci(&profile).map_err(|error| {
        Failure::internal("the profile cannot be written").because(Some(&error))
    })?;
    write(&filter.written, &text, &needs)
}

pub async fn systemd(global: &Global, filter: &Filter) -> Result<Ending, Failure> {
    let (needs, profile) = profile(global, filter, Starter::Service).await?;
    let of = &needs.needs;
    let text = formats::write_drop_in(&profile, &of.applications, &of.measured_on);
    write(&filter.written, &text, &needs)
}

pub async fn gramine(global: &Global, mocked: &Mocked) -> Result<Ending, Failure> {
    let os = measured::os(global, &mocked.os)?;
    let needs = of_an_os(global, &mocked.written).await?;
    let mocks = formats::gramine_mocks(&needs.needs, &os, mocked.everything);
    let lacking: Vec<String> = mocks.lacking.iter().map(Feature::to_string).collect();
    if !lacking.is_empty() {
        output::note(&printable(&format!(
            "mocks are not enough: {} does not have {}",
            os.name,
            lacking.join(", ")
        )));
    }
    write(&mocked.written, &mocks.text, &needs)
}

pub async fn c(global: &Global, written: &Written) -> Result<Ending, Failure> {
    let needs = of_an_os(global, written).await?;
    let text = formats::c_header(&needs.needs, Arch::NATIVE);
    write(written, &text, &needs)
}

pub async fn rust(global: &Global, written: &Written) -> Result<Ending, Failure> {
    let needs = of_an_os(global, written).await?;
    let text = formats::rust_table(&needs.needs, Arch::NATIVE);
    write(written, &text, &needs)
}

/// What is needed, and what that was measured on.
struct Collected {
    needs: Needs,
    provenance: Value,
}

/// Prints it, or writes it to a file, beside which is what it was measured on.
fn write(written: &Written, text: &str, needs: &Collected) -> Result<Ending, Failure> {
    let Some(path) = &written.output else {
        output::print(text)?;
        return Ok(Ending::OK);
    };
    let mut beside = path.clone().into_os_string();
    beside.push(".provenance.json");
    let about = output::json_text(&needs.provenance)?;
    for (path, text) in [(path, text), (&PathBuf::from(beside), &about)] {
        std::fs::write(path, text).map_err(|error| {
            Failure::usage(format!("cannot write {}", path.display())).because(Some(&error))
        })?;
    }
    Ok(Ending::OK)
}

/// Collects the needs of the named applications; without a name, of all.
async fn needs(global: &Global, names: &[String]) -> Result<Collected, Failure> {
    let sources = Sources::find(global, names).await?;
    let (others, used) = sources.split(names);
    // Without any name: all that was analysed. With profiles alone: nothing of that.
    let chosen = match others.is_empty() && !used.is_empty() {
        true => Vec::new(),
        false => sources.every(&others)?,
    };
    if chosen.is_empty() && used.is_empty() {
        return Err(
            Failure::usage("there is no finished analysis in the database")
                .hint("`loupe analyze WORKLOAD.toml` makes one"),
        );
    }
    let analyses: Vec<&Analysis> = chosen.iter().map(|stored| &stored.analysis).collect();
    let needs = Needs::of(analyses, &used);
    if !used.is_empty() {
        let names: Vec<String> = used.iter().map(Need::name).collect();
        output::note(&printable(&format!(
            "all that was seen in use counts as needed, and nothing else: {}",
            names.join(", ")
        )));
    }
    let provenance = report::provenance_json(&chosen);
    Ok(Collected { needs, provenance })
}

/// For a table that somebody builds an OS by, who would wonder what else it takes.
async fn of_an_os(global: &Global, written: &Written) -> Result<Collected, Failure> {
    written.applications.check()?;
    let collected = needs(global, &written.applications.names).await?;
    let needs = &collected.needs;
    if needs.vdso {
        output::note(&format!(
            "the vDSO may have answered some of {}, which are then not listed: an OS without one has \
             to implement them (`loupe analyze --no-vdso` measures them)",
            formats::VDSO.join(", ")
        ));
    }
    Ok(collected)
}

async fn profile(
    global: &Global,
    filter: &Filter,
    starter: Starter,
) -> Result<(Collected, Profile), Failure> {
    filter.written.applications.check()?;
    let collected = needs(global, &filter.written.applications.names).await?;
    let needs = &collected.needs;
    let extent = match filter.reduced {
        true => Extent::Reduced,
        false => Extent::Full,
    };
    if filter.reduced && !needs.not_joint.is_empty() {
        output::note(&format!(
            "what may be left out of {} was never seen to work all at once, only each by itself: \
             try the profile with `loupe emulate --profile FILE WORKLOAD.toml`",
            printable(&needs.not_joint.join(", "))
        ));
    }
    let fakes: Vec<String> = needs
        .of_class(Class::Fake)
        .map(|row| row.feature.to_string())
        .collect();
    if filter.reduced && !fakes.is_empty() {
        output::note(&format!(
            "let through, because it may not fail, although nothing has to be done: {}",
            fakes.join(", ")
        ));
    }
    if needs.vdso {
        output::note(&format!(
            "let through, because a vDSO may have answered them, unseen: {} (`loupe analyze \
             --no-vdso` measures them)",
            formats::VDSO.join(", ")
        ));
    }
    let profile = Profile::of(needs, extent, filter.errno, starter);
    Ok((collected, profile))
}
