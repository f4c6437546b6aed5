//! `loupe fleet hosts`, `who`, `show`, `drift`, `gap` and `plan`: questions about all hosts that have
//! told anything.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::wire::{Failure, code};
use serde_json::json;

use super::{database, open, store_failure};
use crate::client::args::{
    Fleet as Args, FleetDrift, FleetGap, FleetHosts, FleetMetrics, FleetPlan, FleetShow, FleetWho,
    Global,
};
use crate::client::{Ending, measured, output, services};
use crate::fleet::{Fleet, is_named_operation};
use crate::plan::because::explain;
use crate::plan::make::Weights;
use crate::plan::{self, Named, Strategy};
use crate::report::{self, MetricsForm, Rows};
use crate::store::StoreError;
use crate::text::printable;

const HOUR_MS: u64 = 3_600_000;

/// The database that is there: a question makes none.
pub(super) fn there(global: &Global, args: &Args) -> Result<Fleet, Failure> {
    let path = database(global, args)?;
    match path.exists() {
        true => open(&path),
        false => Err(Failure::usage(format!(
            "there is no fleet's database at {}",
            path.display()
        ))
        .hint(
            "`loupe fleet import FILE…` makes it from what `loupe profile export --bundle FILE` \
             wrote on each host; --fleet-db PATH names another",
        )),
    }
}

pub(super) fn answered<T>(answer: Result<T, StoreError>) -> Result<T, Failure> {
    answer.map_err(|error| store_failure(&error))
}

pub fn hosts(global: &Global, args: &Args, hosts: &FleetHosts) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let (rows, refused) = (answered(fleet.hosts())?, answered(fleet.refused())?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    let now_ms = now.map_or(0, |now| now.as_millis() as u64);
    match hosts.json {
        true => output::print_json(&json!({
            "schema": "loupe.fleet-hosts/1",
            "hosts": rows,
            "refused": refused,
        }))?,
        false => output::print(&report::fleet_hosts(
            &rows,
            &refused,
            now_ms,
            output::style(),
        ))?,
    }
    Ok(Ending::OK)
}

pub fn who(global: &Global, args: &Args, who: &FleetWho) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    if matches!(who.feature, Feature::Operation(_)) && !is_named_operation(&who.feature) {
        let whole = who.feature.whole();
        return Err(Failure::usage(format!(
            "hosts tell of operations that have a name, not of flags or numbers: {}",
            who.feature
        ))
        .hint(format!("`loupe fleet who {whole}`")));
    }
    let answer = answered(fleet.who(&who.feature.to_string()))?;
    match who.json {
        true => output::print_json(&answer)?,
        false => output::print(&report::fleet_who(&answer, output::style()))?,
    }
    Ok(Ending::OK)
}

pub fn show(global: &Global, args: &Args, show: &FleetShow) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let units = answered(fleet.show(&show.name))?;
    if units.is_empty() {
        let names = answered(fleet.names())?;
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let near = services::perhaps(&show.name, &names);
        let message = format!("no host has told of {}{near}", printable(&show.name));
        return Err(Failure::new(code::NOT_FOUND, exit::USAGE, message)
            .hint("`loupe fleet show '*'` shows all that was told of"));
    }
    match show.json {
        true => output::print_json(&json!({ "schema": "loupe.fleet-show/1", "units": units }))?,
        false => output::print(&report::fleet_shown(&units, output::style()))?,
    }
    Ok(Ending::OK)
}

pub fn drift(global: &Global, args: &Args, drift: &FleetDrift) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let hour = drift.since.unix_ms() / HOUR_MS;
    let answer = answered(fleet.drift(u32::try_from(hour).unwrap_or(u32::MAX)))?;
    let unwritable =
        |error| Failure::internal("the events cannot be written").because(Some(&error));
    match (drift.json, drift.jsonl, drift.otlp) {
        (true, _, _) => output::print_json(&answer)?,
        (_, true, _) => output::print(&report::drift_lines(&answer).map_err(unwritable)?)?,
        (_, _, true) => {
            let text = report::drift_otlp(&answer, crate::now_ms());
            output::print(&text.map_err(unwritable)?)?;
        }
        _ => output::print(&report::fleet_drift(&answer, output::style()))?,
    }
    Ok(Ending::OK)
}

pub fn metrics(global: &Global, args: &Args, metrics: &FleetMetrics) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let (rows, refused) = (answered(fleet.hosts())?, answered(fleet.refused())?);
    let form = match metrics.textfile {
        true => MetricsForm::Prometheus,
        false => MetricsForm::OpenMetrics,
    };
    let text = report::hub_metrics(&rows, &refused, crate::now_ms(), form)
        .map_err(|error| Failure::internal("metrics cannot be written").because(Some(&error)))?;
    output::print(&text)?;
    Ok(Ending::OK)
}

pub fn gap(global: &Global, args: &Args, gap: &FleetGap) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let os = measured::os(global, &gap.os)?;
    let answer = answered(fleet.gap(&os))?;
    match gap.json {
        true => output::print_json(&answer)?,
        false => output::print(&report::fleet_gap(&answer, output::style()))?,
    }
    Ok(match answer.lacking.is_empty() {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

pub fn plan(global: &Global, args: &Args, plan: &FleetPlan) -> Result<Ending, Failure> {
    let fleet = there(global, args)?;
    let os = measured::os(global, &plan.os)?;
    let needs = answered(fleet.needs())?;
    let weights: Weights = match plan.weights {
        Some(_) => needs
            .iter()
            .map(|(named, hosts)| (named.name.clone(), *hosts))
            .collect(),
        None => Weights::new(),
    };
    let needs: Vec<Named> = needs.into_iter().map(|(named, _)| named).collect();
    let mut made = plan::make(&os, &needs, Strategy::default(), &weights);
    explain(&mut made, &os, &needs);
    let style = output::style();
    match (plan.json, style.rows) {
        (true, _) => output::print_json(&made)?,
        (_, Rows::Csv) => output::print(&report::plan_csv(&made))?,
        _ => output::print(&report::plan_table(&made, false, style))?,
    }
    Ok(Ending::OK)
}
