//! `loupe fleet report --html FILE`.

use loupe_common::wire::Failure;

use super::ask::{answered, there};
use crate::client::args::{Fleet as Args, FleetReport, Global};
use crate::client::commands::report::write;
use crate::client::measured::os_failure;
use crate::client::{Ending, measured, output};
use crate::plan::OsProfile;
use crate::plan::os::built_in;
use crate::report::FleetPage;
use crate::text::{bytes, counted};

pub fn run(global: &Global, args: &Args, report: &FleetReport) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let oses: Vec<OsProfile> = match report.os.as_slice() {
        [] => built_in().map_err(|error| os_failure(&error))?,
        named => {
            let named = named.iter().map(|name| measured::os(global, name));
            named.collect::<Result<_, _>>()?
        }
    };
    let (hosts, units) = (answered(fleet.hosts())?, answered(fleet.overview())?);
    let page = FleetPage {
        hosts: &hosts,
        units: &units,
        gaps: &answered(fleet.gaps(&oses))?,
        asked: report.os.len(),
        written_ms: crate::now_ms(),
    };
    let html = page
        .html()
        .map_err(|error| Failure::internal("the page cannot be written").because(Some(&error)))?;
    write(&report.html, &html)?;
    output::note(&format!(
        "{}: {}, {}, {}",
        report.html.display(),
        counted(hosts.len() as u64, "host"),
        counted(units.len() as u64, "unit"),
        bytes(html.len() as u64)
    ));
    Ok(Ending::OK)
}
