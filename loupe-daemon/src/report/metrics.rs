//! Metrics of the daemon and of what units use, in the forms of Prometheus. Pure.
//!
//! Labels are bounded: a unit by its name, a syscall where that is asked for; never a process, never
//! a path. A unit's executables and their builds are one row.

mod hub;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;

use loupe_common::profile::{FleetStatus, ProfileStatus, SubjectKind};
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::profile::{Readings, SyscallCalls};
use units::{Label, Units};

pub use hub::hub_metrics;

/// In which form metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsForm {
    OpenMetrics,
    /// The older one, the only one that node_exporter reads from files.
    Prometheus,
}

impl MetricsForm {
    pub fn content_type(self) -> &'static str {
        match self {
            MetricsForm::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            MetricsForm::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// All that metrics are made of.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// What `--version` prints.
    pub version: &'a str,
    /// When the daemon was started, in milliseconds since the epoch.
    pub started_ms: u64,
    /// The configuration file is not the configuration in force.
    pub configuration_refused: bool,
    pub readings: &'a Readings,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Lost {
    what: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LostOf {
    kind: &'static str,
    unit: String,
    what: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SyscallOf {
    kind: &'static str,
    unit: String,
    syscall: String,
}

type Float = Gauge<f64, AtomicU64>;

/// The text of all metrics.
pub fn metrics(measured: &Measured<'_>, form: MetricsForm) -> Result<String, fmt::Error> {
    let Readings { status, syscalls } = measured.readings;
    let units = Units::of(&status.subjects);
    let mut registry = Registry::with_prefix("loupe");
    of_daemon(&mut registry, measured);
    of_profile(
        registry.sub_registry_with_prefix("profile"),
        status,
        units.left_out,
    );
    if let Some(fleet) = &status.fleet {
        of_fleet(registry.sub_registry_with_prefix("fleet"), fleet);
    }
    let registry_of_units = registry.sub_registry_with_prefix("unit");
    of_units(registry_of_units, &units);
    of_syscalls(registry_of_units, &units, syscalls);
    written(&registry, form)
}

fn written(registry: &Registry, form: MetricsForm) -> Result<String, fmt::Error> {
    let mut written = String::new();
    match form {
        MetricsForm::OpenMetrics => text::encode(&mut written, registry)?,
        MetricsForm::Prometheus => prometheus_text::encode(&mut written, registry)?,
    }
    Ok(written)
}

fn of_daemon(registry: &mut Registry, measured: &Measured<'_>) {
    let version = Info::new([("version".to_owned(), measured.version.to_owned())]);
    registry.register("build", "Release and commit of louped", version);
    let started = Float::default();
    started.set(measured.started_ms as f64 / 1e3);
    let help = "When louped was started, since the epoch";
    registry.register_with_unit("start_time", help, Unit::Seconds, started);
    let help = "Whether the configuration file is wrong, so that an earlier one is in force";
    let refused = u64::from(measured.configuration_refused);
    gauge(registry, "configuration_refused", help, refused);
}

fn of_profile(registry: &mut Registry, status: &ProfileStatus, left_out: u64) {
    let help = "Targets that are watched";
    gauge(registry, "targets", help, status.targets.len() as u64);
    let help = "Whether calls are counted right now";
    gauge(registry, "attached", help, u64::from(status.attached));
    let help = "Things that went wrong and go on";
    gauge(registry, "troubles", help, status.troubles.len() as u64);
    let help = "Units without rows of their own, as others were observed later and are enough";
    gauge(registry, "units_left_out", help, left_out);
    let help = "Part of the time in which calls are counted";
    ratio(registry, "duty", help, status.duty);
    if let Some(overhead) = status.overhead {
        let help = "Part of the CPU time of the host that observation costs, as measured";
        ratio(registry, "overhead", help, overhead);
    }
    let size = Gauge::<i64>::default();
    size.set(number(status.store_bytes));
    registry.register_with_unit("store", "Size of the database", Unit::Bytes, size);
    let lost = Family::<Lost, Counter>::default();
    for (what, number) in status.lost.kinds() {
        lost.get_or_create(&Lost { what }).inc_by(number);
    }
    let help = "What happened while it was observed and could not be kept";
    registry.register("lost", help, lost);
}

fn of_fleet(registry: &mut Registry, fleet: &FleetStatus) {
    let help = "Whether the fleet's server is reached";
    gauge(registry, "connected", help, u64::from(fleet.connected));
    let help = "Messages that wait: of an agent for the server, of a hub for itself";
    gauge(registry, "waiting_messages", help, fleet.backlog);
    let help = "Messages that the hub refused since its start";
    let refused = Counter::<u64>::default();
    refused.inc_by(fleet.refused);
    registry.register("refused_messages", help, refused);
    if let Some(last_ms) = fleet.last_ms {
        let last = Float::default();
        last.set(last_ms as f64 / 1e3);
        let help = "When the agent last told something, or the hub merged it, since the epoch";
        registry.register_with_unit("last_time", help, Unit::Seconds, last);
    }
}

fn of_units(registry: &mut Registry, units: &Units<'_>) {
    let features = Family::<Label, Gauge>::default();
    let new = Family::<Label, Gauge>::default();
    let processes = Family::<Label, Gauge>::default();
    let stable = Family::<Label, Gauge>::default();
    let known = Family::<Label, Float>::default();
    let gaps = Family::<Label, Float>::default();
    let observed = Family::<Label, Float>::default();
    let calls = Family::<Label, Counter>::default();
    let lost = Family::<LostOf, Counter>::default();
    for unit in &units.rows {
        let label = &unit.label;
        let set = |family: &Family<Label, Gauge>, value| {
            family.get_or_create(label).set(number(value));
        };
        set(&features, unit.features());
        set(&new, unit.new_features());
        set(&processes, unit.processes());
        set(&stable, u64::from(unit.is_stable()));
        let observation = unit.observation();
        let set_seconds = |family: &Family<Label, Float>, ms: u64| {
            family.get_or_create(label).set(ms as f64 / 1e3);
        };
        let length = |from_ms: u64, until_ms: u64| until_ms.saturating_sub(from_ms);
        set_seconds(&known, length(observation.from_ms, observation.until_ms));
        let all_gaps = observation.gaps.iter();
        set_seconds(
            &gaps,
            all_gaps.map(|gap| length(gap.from_ms, gap.until_ms)).sum(),
        );
        set_seconds(&observed, observation.observed_ms);
        calls.get_or_create(label).inc_by(unit.calls());
        for (what, number) in unit.lost().kinds() {
            let row = LostOf {
                kind: label.kind,
                unit: label.unit.clone(),
                what,
            };
            lost.get_or_create(&row).inc_by(number);
        }
    }
    let help = "Features that were seen in use, of each executable by itself";
    registry.register("features", help, features);
    registry.register("new_features", "Of these, first seen in the last hour", new);
    registry.register("processes", "Processes that are running now", processes);
    let help = "Whether hours of observation and a restart have brought nothing new";
    registry.register("stable", help, stable);
    let help = "Time from the first to the last moment that is known of";
    registry.register_with_unit("known", help, Unit::Seconds, known);
    let help = "Of this, the largest times in which nobody looked";
    registry.register_with_unit("gaps", help, Unit::Seconds, gaps);
    let help = "Of this, the time in which calls were counted";
    registry.register_with_unit("observed", help, Unit::Seconds, observed);
    let help = "Calls that were counted, since it is observed";
    registry.register("calls", help, calls);
    registry.register("lost", "What happened and could not be kept", lost);
}

fn of_syscalls(
    registry: &mut Registry,
    units: &Units<'_>,
    syscalls: &BTreeMap<(SubjectKind, String), SyscallCalls>,
) {
    if syscalls.is_empty() {
        return;
    }
    let family = Family::<SyscallOf, Counter>::default();
    for ((kind, name), calls) in syscalls {
        let Some(label) = units.label(*kind, name) else {
            continue;
        };
        for (syscall, calls) in calls {
            let row = SyscallOf {
                kind: label.kind,
                unit: label.unit.clone(),
                syscall: syscall.to_string(),
            };
            family.get_or_create(&row).inc_by(*calls);
        }
    }
    let help = "Calls of each syscall that were counted, since louped was started";
    registry.register("syscall_calls", help, family);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(number(value));
    registry.register(name, help, gauge);
}

fn ratio(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Float::default();
    gauge.set(value);
    registry.register_with_unit(name, help, Unit::Other("ratio".to_owned()), gauge);
}

/// Gauges are signed.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
