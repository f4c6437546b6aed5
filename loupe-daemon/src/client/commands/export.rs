//! `loupe export FORMAT APP…`; the forms other than the paper's data set are in `profiles`.

use loupe_common::exit;
use loupe_common::wire::Failure;

use super::profiles;
use crate::backend::not_analyzed;
use crate::client::args::{Export, ExportFormat, ExportLoupedb, Global};
use crate::client::{Ending, measured, output};
use crate::loupedb::{self, LoupedbError};
use crate::store::StoredAnalysis;
use crate::text::printable;

pub async fn run(global: &Global, args: &Export) -> Result<Ending, Failure> {
    match &args.format {
        ExportFormat::Loupedb(args) => export(global, args).await,
        ExportFormat::Seccomp(filter) => profiles::seccomp(global, filter).await,
        ExportFormat::Systemd(filter) => profiles::systemd(global, filter).await,
        ExportFormat::C(applications) => profiles::c(global, applications).await,
        ExportFormat::Rust(applications) => profiles::rust(global, applications).await,
    }
}

async fn export(global: &Global, args: &ExportLoupedb) -> Result<Ending, Failure> {
    let results = measured::results(global, None).await?;
    let chosen = chosen(&results, &args.applications)?;
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

/// All workloads of the applications that are named; without a name, all there are.
pub(super) fn chosen<'a>(
    results: &'a [StoredAnalysis],
    wanted: &[String],
) -> Result<Vec<&'a StoredAnalysis>, Failure> {
    if wanted.is_empty() {
        return Ok(results.iter().collect());
    }
    let mut chosen: Vec<&StoredAnalysis> = Vec::new();
    for name in wanted {
        let (application, workload) = match name.split_once('/') {
            Some((application, workload)) => (application, Some(workload)),
            None => (name.as_str(), None),
        };
        let mut found = results
            .iter()
            .filter(|stored| {
                stored.analysis.application == application
                    && workload.is_none_or(|workload| stored.analysis.workload == workload)
            })
            .peekable();
        if found.peek().is_none() {
            return Err(not_analyzed(application, workload));
        }
        for stored in found {
            if !chosen.iter().any(|other| other.id == stored.id) {
                chosen.push(stored);
            }
        }
    }
    Ok(chosen)
}
