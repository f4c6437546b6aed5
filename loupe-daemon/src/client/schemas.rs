//! The schemas of what commands print as JSON, from the types that they print: `loupe schema NAME`, and
//! `docs/schemas`, which a test keeps as the types are. Knows no values.

use std::fmt::Write as _;

use loupe_common::analysis::Analysis;
use loupe_common::emulation::Emulation;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::profile::TargetStatus;
use loupe_common::replay::ExitStatus;
use loupe_common::syscalls::Arch;
use loupe_common::wire::{Failure, JobInfo};
use loupe_common::word::Word;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::json;

use super::args::Schema as Args;
use super::{Ending, output};
use crate::plan;
use crate::plan::os::OsDifference;
use crate::{doctor, fleet, report};

/// A schema by the name that the document has in `schema`.
type Entry = (&'static str, fn(&mut SchemaGenerator) -> Schema);

const fn of<T: JsonSchema>(name: &'static str) -> Entry {
    (name, |generator| generator.root_schema_for::<T>())
}

/// All documents, by name.
const ALL: &[Entry] = &[
    of::<Analysis>("loupe.analysis/1"),
    of::<plan::change::Difference>("loupe.diff/1"),
    of::<plan::distance::Distances>("loupe.distances/1"),
    of::<doctor::Report>("loupe.doctor/1"),
    of::<Emulation>("loupe.emulation/1"),
    of::<report::Explanation>("loupe.explain/1"),
    of::<report::DriftEvent>("loupe.fleet-drift-event/1"),
    of::<fleet::FleetDrift>("loupe.fleet-drift/1"),
    of::<fleet::FleetGap>("loupe.fleet-gap/1"),
    of::<FleetHosts>("loupe.fleet-hosts/1"),
    of::<FleetImport>("loupe.fleet-import/1"),
    of::<FleetInit>("loupe.fleet-init/1"),
    of::<FleetShow>("loupe.fleet-show/1"),
    of::<fleet::Who>("loupe.fleet-who/1"),
    of::<plan::gap::Gap>("loupe.gap/1"),
    of::<Import>("loupe.import/1"),
    of::<Jobs>("loupe.jobs/1"),
    of::<report::shape::List>("loupe.list/1"),
    of::<plan::compare::Comparison>("loupe.os-compare/1"),
    of::<OsDifference>("loupe.os-diff/1"),
    of::<OsList>("loupe.os-list/1"),
    of::<plan::prediction::Matrix>("loupe.os-verify/1"),
    of::<PlanCheck>("loupe.plan-check/1"),
    of::<report::PlanVerifyThere>("loupe.plan-verify-there/1"),
    of::<crate::report::PlanVerify<'_>>("loupe.plan-verify/1"),
    of::<plan::Plan>("loupe.plan/1"),
    of::<plan::os::Probed>("loupe.probe/1"),
    of::<plan::coverage::Coverage>("loupe.profile-coverage/1"),
    of::<plan::drift::Drift>("loupe.profile-drift/1"),
    of::<report::shape::Event>("loupe.profile-event/1"),
    of::<report::shape::Status>("loupe.profile-status/1"),
    of::<ProfileTargets>("loupe.profile-targets/1"),
    of::<report::shape::Profiles>("loupe.profile/1"),
    of::<report::shape::Provenances>("loupe.provenance/1"),
    of::<report::shape::Report>("loupe.report/1"),
    of::<Run>("loupe.run/1"),
    of::<plan::statistics::Statistics>("loupe.stats/1"),
    of::<report::Study>("loupe.study/1"),
    of::<report::shape::Trace>("loupe.trace/1"),
    of::<report::shape::Trial>("loupe.try/1"),
    of::<plan::what_if::WhatIf>("loupe.what-if/1"),
];

/// The schema as JSON, with what the document says of itself.
fn document((name, make): &Entry) -> Schema {
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = make(&mut generator);
    schema.insert("title".to_owned(), json!(name));
    if let Some(properties) = schema.get_mut("properties") {
        properties["schema"] = json!({ "const": name });
    }
    schema
}

/// All of them, each as the text of a file, by the file's name.
pub fn files() -> Result<Vec<(String, String)>, Failure> {
    let file = |entry: &Entry| {
        let text = output::json_text(&document(entry))?;
        Ok((format!("{}.json", entry.0.replace('/', "-")), text))
    };
    ALL.iter().map(file).collect()
}

/// Prints one, or the names of all.
pub fn run(args: &Args) -> Result<Ending, Failure> {
    let Some(wanted) = &args.name else {
        let mut names = String::new();
        for (name, _) in ALL {
            // Writing to a String cannot fail.
            let _ = writeln!(names, "{name}");
        }
        output::print(&names)?;
        return Ok(Ending::OK);
    };
    let fits = |name: &str| {
        let plain = name.trim_start_matches("loupe.").trim_end_matches("/1");
        name == wanted || plain == wanted
    };
    match ALL.iter().find(|(name, _)| fits(name)) {
        Some(entry) => output::print_json(&document(entry))?,
        None => {
            return Err(Failure::usage(format!("there is no schema `{wanted}`"))
                .hint("`loupe schema` names them"));
        }
    }
    Ok(Ending::OK)
}

// What these commands put together as they print it. The tests compare every document with its schema.

#[derive(Serialize, JsonSchema)]
struct Jobs {
    schema: String,
    jobs: Vec<JobInfo>,
}

#[derive(Serialize, JsonSchema)]
struct ProfileTargets {
    schema: String,
    targets: Vec<TargetStatus>,
}

#[derive(Serialize, JsonSchema)]
struct OsList {
    schema: String,
    profiles: Vec<OsRow>,
}

/// How many features an OS answers how.
#[derive(Serialize, JsonSchema)]
struct OsRow {
    name: String,
    title: Option<String>,
    origin: plan::os::Origin,
    arch: Option<Arch>,
    implement: usize,
    partial: usize,
    stub: usize,
    fake: usize,
    error: usize,
    kill: usize,
    unknown: plan::os::Unknown,
    source: plan::os::Source,
    verified: Option<plan::os::OsVerified>,
}

#[derive(Serialize, JsonSchema)]
struct PlanCheck {
    schema: String,
    os: String,
    kept: bool,
    applications: Vec<plan::Check>,
}

#[derive(Serialize, JsonSchema)]
struct Import {
    schema: String,
    applications: usize,
    runs: Vec<String>,
    new: usize,
    harness: usize,
    profiles: Vec<String>,
    remarks: Vec<plan::os::Remark>,
    damaged: Vec<Damaged>,
}

#[derive(Serialize, JsonSchema)]
struct Damaged {
    of: String,
    why: plan::os::Remark,
}

#[derive(Serialize, JsonSchema)]
struct Run {
    schema: String,
    command: Vec<Word>,
    exit: ExitStatus,
    injections: Vec<Injected>,
    target_execs: u64,
    wall_seconds: f64,
    trace: report::shape::Trace,
}

#[derive(Serialize, JsonSchema)]
struct Injected {
    feature: Feature,
    action: Action,
    times: u64,
}

#[derive(Serialize, JsonSchema)]
struct FleetHosts {
    schema: String,
    hosts: Vec<fleet::HostRow>,
    refused: Vec<fleet::Refused>,
}

#[derive(Serialize, JsonSchema)]
struct FleetInit {
    schema: String,
    url: String,
    configuration: String,
    hub: String,
    hosts: Vec<Enrolled>,
    /// Of `loupe study --on`, where there are workers.
    coordinator: Option<String>,
    /// Those that got new keys.
    workers: Vec<Enrolled>,
}

/// A host's or worker's name, and the file that makes it one of the fleet.
#[derive(Serialize, JsonSchema)]
struct Enrolled {
    name: String,
    id: String,
    credentials: String,
}

#[derive(Serialize, JsonSchema)]
struct FleetShow {
    schema: String,
    units: Vec<fleet::Shown>,
}

#[derive(Serialize, JsonSchema)]
struct FleetImport {
    schema: String,
    bundles: usize,
    new_hosts: u64,
    subjects: FleetSubjects,
    damaged: Vec<DamagedFile>,
}

#[derive(Serialize, JsonSchema)]
struct FleetSubjects {
    new: u64,
    changed: u64,
    unchanged: u64,
}

#[derive(Serialize, JsonSchema)]
struct DamagedFile {
    file: String,
    why: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_schemas_in_the_documents_are_what_the_types_say() {
        let place = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas"));
        let mut there: BTreeSet<String> = std::fs::read_dir(place)
            .expect("docs/schemas")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        for (file, text) in files().expect("schemas") {
            let kept = std::fs::read_to_string(place.join(&file)).unwrap_or_default();
            assert!(
                kept == text,
                "docs/schemas/{file} is not what the types say: `loupe write-documents DIR` writes it to \
                 DIR/schemas"
            );
            there.remove(&file);
        }
        assert!(there.is_empty(), "no document has these: {there:?}");
    }

    #[test]
    fn each_schema_says_what_its_document_says_of_itself() {
        for entry in ALL {
            let schema = document(entry);
            let schema = schema.as_value();
            assert_eq!(
                schema["properties"]["schema"]["const"], entry.0,
                "{schema:#}"
            );
        }
        let names: BTreeSet<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
