//! `loupe fleet`: many hosts. The database is a file of whoever asks: the daemon has nothing to do
//! with it.

mod ask;
mod export;
mod found;
mod hub;
mod import;
mod payload;
mod report;

use std::path::PathBuf;

use loupe_common::wire::Failure;

pub use payload::export;

use crate::client::Ending;
use crate::client::args::{Fleet as Args, FleetCommand, Global};
use crate::client::door;
use crate::fleet::{Fleet, FleetError};
use crate::store::StoreError;

pub async fn run(global: &Global, args: &Args) -> Result<Ending, Failure> {
    door::here_only(global, "asking a fleet")?;
    match &args.command {
        FleetCommand::Import(import) => import::run(global, args, import),
        FleetCommand::Hosts(hosts) => ask::hosts(global, args, hosts),
        FleetCommand::Who(who) => ask::who(global, args, who),
        FleetCommand::Show(show) => ask::show(global, args, show),
        FleetCommand::Drift(drift) => ask::drift(global, args, drift),
        FleetCommand::Gap(gap) => ask::gap(global, args, gap),
        FleetCommand::Plan(plan) => ask::plan(global, args, plan),
        FleetCommand::Export(export) => export::run(global, args, export),
        FleetCommand::Metrics(metrics) => ask::metrics(global, args, metrics),
        FleetCommand::Report(report) => report::run(global, args, report),
        FleetCommand::ShowPayload(payload) => payload::show(global, payload),
        FleetCommand::Init(init) => found::init(init),
        FleetCommand::AddHost(add) => found::add_host(add),
        FleetCommand::Hub(hub) => hub::run(global, args, hub).await,
    }
}

/// A file beside the ordinary database.
fn beside_database(global: &Global, name: &str) -> Result<PathBuf, Failure> {
    Ok(door::database(global)?.with_file_name(name))
}

fn database(global: &Global, args: &Args) -> Result<PathBuf, Failure> {
    match &args.fleet_db {
        // An empty variable is as good as none.
        Some(path) if !path.as_os_str().is_empty() => Ok(path.clone()),
        _ => beside_database(global, crate::fleet::DATABASE),
    }
}

fn open(path: &std::path::Path) -> Result<Fleet, Failure> {
    Fleet::open(path).map_err(|error| store_failure(&error))
}

fn store_failure(error: &StoreError) -> Failure {
    let hint = error.hint().map(|hint| {
        // The same file is named by another option here.
        hint.replace("--db PATH", "--fleet-db PATH")
            .replace(": finished replays are kept", "")
    });
    Failure::from_error(error.exit_code(), error).explained(hint, None)
}

fn fleet_failure(error: &FleetError) -> Failure {
    let code = match error {
        FleetError::Write { .. } | FleetError::NoMachineId { .. } => {
            loupe_common::exit::LOUPE_FAILED
        }
        _ => loupe_common::exit::USAGE,
    };
    Failure::from_error(code, error).explained(error.hint().map(str::to_owned), None)
}
