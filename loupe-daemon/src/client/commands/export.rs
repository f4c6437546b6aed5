//! `loupe export FORMAT APP…`; the forms other than the paper's data set are in `profiles`.

use std::collections::BTreeMap;

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict, Trial};
use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::verdict::Verdict;
use loupe_common::wire::Failure;

use super::profiles;
use crate::client::args::{Export, ExportFormat, ExportLoupedb, Global};
use crate::client::measured::Sources;
use crate::client::{Ending, output};
use crate::loupedb::{self, LoupedbError};
use crate::plan::Need;
use crate::plan::need::PROFILE_PREFIX;
use crate::report;
use crate::store::StoredAnalysis;
use crate::text::printable;

pub async fn run(global: &Global, args: &Export) -> Result<Ending, Failure> {
    match &args.format {
        ExportFormat::Loupedb(args) => export(global, args).await,
        ExportFormat::Seccomp(filter) => profiles::seccomp(global, filter).await,
        ExportFormat::Systemd(filter) => profiles::systemd(global, filter).await,
        ExportFormat::Gramine(mocked) => profiles::gramine(global, mocked).await,
        ExportFormat::C(applications) => profiles::c(global, applications).await,
        ExportFormat::Rust(applications) => profiles::rust(global, applications).await,
    }
}

async fn export(global: &Global, args: &ExportLoupedb) -> Result<Ending, Failure> {
    let names = &args.applications;
    names.check()?;
    let sources = Sources::find(global, &names.names).await?;
    let (others, used) = sources.split(&names.names);
    let used: Vec<StoredAnalysis> = used.iter().map(as_analysis).collect();
    let mut chosen = match others.is_empty() && !used.is_empty() {
        true => Vec::new(),
        false => sources.every(&others)?,
    };
    chosen.extend(&used);
    if chosen.is_empty() {
        return Err(Failure::usage(
            "there is no finished analysis in the database",
        ));
    }
    for stored in &chosen {
        let written = loupedb::write(&args.directory, stored).map_err(|error| {
            let code = match error {
                LoupedbError::Write { .. } => exit::LOUPE_FAILED,
                _ => exit::USAGE,
            };
            Failure::from_error(code, &error).explained(error.hint(), None)
        })?;
        let about = output::json_text(&report::provenance_json(&[stored]))?;
        let path = written.directory.join("provenance.json");
        std::fs::write(&path, about).map_err(|error| {
            Failure::internal(format!("cannot write {}", path.display())).because(Some(&error))
        })?;
        for remark in &written.remarks {
            let place = written.directory.display();
            output::note(&printable(&format!("{place}: {remark}")));
        }
    }
    let place = args.directory.display().to_string();
    output::print(&format!(
        "Wrote {} runs to {}.\n",
        chosen.len(),
        printable(&place)
    ))?;
    Ok(Ending::OK)
}

/// A profile as an analysis that came to no verdict: the format has no other word for what is only
/// known to be used.
fn as_analysis(need: &Need) -> StoredAnalysis {
    let row = |feature: &Feature| FeatureVerdict {
        feature: feature.clone(),
        kind: feature.kind().to_owned(),
        verdict: Verdict::Undecided,
        calls: 0,
        seen_in: 0,
        stub: Trial::default(),
        fake: Trial::default(),
        plausible: None,
        errnos: BTreeMap::new(),
        basis: Basis::Measured,
        harness: false,
        error_bound: None,
    };
    let application = need
        .application
        .strip_prefix(PROFILE_PREFIX)
        .unwrap_or(&need.application);
    StoredAnalysis {
        id: 0,
        fingerprint: String::new(),
        choice: None,
        started_ms: 0,
        // Its name in the data set: one that is exported again has grown.
        finished_ms: crate::now_ms().cast_signed(),
        analysis: Analysis {
            application: application.to_owned(),
            workload: need.workload.clone(),
            features: need
                .of_syscalls()
                .used
                .iter()
                .chain(need.pseudo_files())
                .map(row)
                .collect(),
            ..Analysis::default()
        },
    }
}
