//! `loupe import loupedb DIR`.

use loupe_common::exit;
use loupe_common::wire::Failure;
use serde_json::json;

use crate::backend::Library;
use crate::client::args::{Global, Import, ImportFormat, ImportLoupedb};
use crate::client::door;
use crate::client::{Ending, measured, output};
use crate::loupedb::{self, DataSet};
use crate::plan::os::OsError;
use crate::store;
use crate::text::printable;

pub async fn run(global: &Global, args: &Import) -> Result<Ending, Failure> {
    match &args.format {
        ImportFormat::Loupedb(args) => import(global, args).await,
    }
}

async fn import(global: &Global, args: &ImportLoupedb) -> Result<Ending, Failure> {
    let database = door::own_database(global, "importing").await?;
    let set = loupedb::read(&args.directory, &args.run)
        .map_err(|error| Failure::from_error(exit::USAGE, &error).explained(error.hint(), None))?;
    let fingerprints: Vec<String> = set
        .runs
        .iter()
        .map(|run| format!("{}:{}", loupedb::FORMAT, run.name))
        .collect();
    let imports: Vec<store::Import<'_>> = set
        .runs
        .iter()
        .zip(&fingerprints)
        .map(|(run, fingerprint)| store::Import {
            fingerprint,
            analysis: &run.analysis,
        })
        .collect();
    let new = Library::open(&database)?.import(&imports)?;
    let refused = keep_profiles(global, &set)?;
    measured::remark(&set.remarks);
    for damage in &set.damaged {
        let (of, remark) = (printable(&damage.of), damage.remark.to_string());
        output::note(&format!("not imported: {of}: {}", printable(&remark)));
    }
    let told = Told {
        set: &set,
        new: new.iter().filter(|new| **new).count(),
    };
    match args.json {
        true => output::print_json(&told.json())?,
        false => output::print(&told.text())?,
    }
    Ok(match set.damaged.is_empty() && !refused {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// `true`: one of them could not be kept.
fn keep_profiles(global: &Global, set: &DataSet) -> Result<bool, Failure> {
    let shelf = measured::shelf(global)?;
    let mut refused = false;
    for profile in &set.profiles {
        match shelf.keep(profile, false) {
            Ok(_) => {}
            // Somebody may have gone on working on it.
            Err(error @ (OsError::Taken { .. } | OsError::BadName { .. })) => {
                output::note(&format!("not imported: {error}"));
                refused = true;
            }
            Err(error) => return Err(measured::os_failure(&error)),
        }
    }
    Ok(refused)
}

struct Told<'a> {
    set: &'a DataSet,
    new: usize,
}

impl Told<'_> {
    /// Runs in which a call is known to be the tool's own.
    fn harness(&self) -> usize {
        let runs = self.set.runs.iter();
        runs.filter(|run| run.analysis.features.iter().any(|row| row.harness))
            .count()
    }

    fn text(&self) -> String {
        let set = self.set;
        let known = match set.runs.len() - self.new {
            0 => String::new(),
            known => format!(" ({known} of them were there already)"),
        };
        let damaged = match set.damaged.len() {
            0 => String::new(),
            damaged => format!("; {damaged} not imported"),
        };
        let harness = match self.harness() {
            0 => String::new(),
            runs => format!(
                "In {runs} of them the execve is only that of the tool that measured (harness): gap \
                 and plan leave it out.\n"
            ),
        };
        format!(
            "Imported {} runs{known} of {} applications, and {} OS profiles{damaged}.\n{harness}",
            set.runs.len(),
            set.applications().len(),
            set.profiles.len(),
        )
    }

    fn json(&self) -> serde_json::Value {
        let set = self.set;
        let runs: Vec<String> = set.runs.iter().map(|run| run.name.to_string()).collect();
        let profiles: Vec<&str> = set.profiles.iter().map(|os| os.name.as_str()).collect();
        let damaged: Vec<_> = set
            .damaged
            .iter()
            .map(|damage| json!({ "of": damage.of, "why": damage.remark }))
            .collect();
        json!({
            "schema": "loupe.import/1",
            "applications": set.applications().len(),
            "runs": runs,
            "new": self.new,
            "harness": self.harness(),
            "profiles": profiles,
            "remarks": set.remarks,
            "damaged": damaged,
        })
    }
}
