//! `loupe fleet export --parquet DIR|FILE`.

use loupe_common::wire::Failure;

use super::ask::there;
use super::{fleet_failure, store_failure};
use crate::client::args::{Fleet as Args, FleetExport, Global};
use crate::client::{Ending, output};
use crate::fleet::TablesError;
use crate::text::{bytes, printable};

pub fn run(global: &Global, args: &Args, export: &FleetExport) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let written = fleet
        .export_tables(&export.parquet)
        .map_err(|error| match error {
            TablesError::Store(error) => store_failure(&error),
            TablesError::File(error) => fleet_failure(&error),
        })?;
    for path in written {
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let path = printable(&path.display().to_string());
        output::print(&format!("{path}: {}\n", bytes(size)))?;
    }
    Ok(Ending::OK)
}
