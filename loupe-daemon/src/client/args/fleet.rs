//! Arguments of `loupe fleet`, and of `loupe profile export`, which is a fleet's beginning.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use loupe_common::feature::Feature;

use super::moment::{Moment, moment};

/// Ask many hosts at once what their services use
///
/// Hosts tell what they know in files (`loupe profile export --bundle FILE`), which are imported here,
/// in any order and as often as one likes. docs/fleet.md is the manual, with what leaves a host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe profile export --bundle host7.loupe --salt fleet.salt    on each host
  loupe fleet import *.loupe                                     where they are put together
  loupe fleet show-payload --salt fleet.salt                     what would leave this host
  loupe fleet who io_uring_setup
  loupe fleet drift --since 7d
  loupe fleet gap --os ./myos.toml                               exits with 1 if anything is missing
  loupe fleet report --html fleet.html                           one page of all of it
  loupe fleet init DIR --server hub --host web1 --host web2      over a NATS server, instead of files
  loupe fleet hub tls://hub:4222 --credentials DIR/hub.credentials")]
pub struct Fleet {
    /// The fleet's database [default: fleet.db beside the ordinary database]
    #[arg(long, value_name = "PATH", global = true, env = "LOUPE_FLEET_DB",
          value_hint = ValueHint::FilePath)]
    pub fleet_db: Option<PathBuf>,

    #[command(subcommand)]
    pub command: FleetCommand,
}

#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    Import(FleetImport),
    Hosts(FleetHosts),
    Who(FleetWho),
    Show(FleetShow),
    Drift(FleetDrift),
    Gap(FleetGap),
    Plan(FleetPlan),
    Report(FleetReport),
    Export(FleetExport),
    Metrics(FleetMetrics),
    ShowPayload(FleetShowPayload),
    Init(FleetInit),
    AddHost(FleetAddHost),
    Hub(FleetHub),
}

/// Found a fleet that tells over a NATS server: keys, certificates, the server's configuration
///
/// The directory then holds what the server is started with (server/), one file for each host
/// (hosts/NAME.credentials) and worker (workers/NAME.credentials), one for the hub and, where there are
/// workers, one for who has them replay (coordinator.credentials). Whoever reads the directory is the fleet's owner.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet init fleet --server hub.example.org --host web1 --host web2
  loupe fleet init fleet --hosts names.txt
  loupe fleet init fleet --worker big1 --worker big2     for `loupe study --on URL`
  loupe fleet init fleet --host web1=$(ssh web1 cat /etc/machine-id)    as its files are known")]
pub struct FleetInit {
    /// The directory to make
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,

    /// A name or address by which hosts reach the server; may be given several times, and the first
    /// is what they are told [default: this host's name]; localhost and 127.0.0.1 are added
    #[arg(long = "server", value_name = "NAME")]
    pub servers: Vec<String>,

    /// The server's port
    #[arg(long, value_name = "PORT", default_value_t = 4222)]
    pub port: u16,

    #[command(flatten)]
    pub hosts: Newcomers,

    /// Print JSON (schema loupe.fleet-init/1)
    #[arg(long)]
    pub json: bool,
}

/// Add hosts and workers to a fleet that `loupe fleet init` has founded, or give them other keys
///
/// Writes the server's configuration anew; `nats-server --signal reload` has it read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet add-host fleet --host web3
  loupe fleet add-host fleet --worker big3
  loupe fleet add-host fleet --host web1 --renew         the key that it had is worthless
  loupe fleet add-host fleet --server 10.0.0.7           another address of the server")]
pub struct FleetAddHost {
    /// The directory of the fleet
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,

    #[command(flatten)]
    pub hosts: Newcomers,

    /// Another name or address of the server: its certificate is made anew
    #[arg(long = "server", value_name = "NAME")]
    pub servers: Vec<String>,

    /// Give hosts and workers that belong to the fleet already another key
    #[arg(long)]
    pub renew: bool,

    /// Print JSON (schema loupe.fleet-init/1)
    #[arg(long)]
    pub json: bool,
}

/// Hosts by name.
#[derive(Debug, Args)]
pub struct Newcomers {
    /// A host; with its machine id, it is the host that its files with the fleet's salt tell of
    #[arg(long = "host", value_name = "NAME[=MACHINE-ID]")]
    pub host: Vec<String>,

    /// A file with one such host a line; lines that begin with # are left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub hosts: Option<PathBuf>,

    /// A worker, which runs replays of studies; it need not be one of the hosts
    #[arg(long = "worker", value_name = "NAME")]
    pub workers: Vec<String>,
}

/// Take in what hosts tell over a NATS server, until Ctrl-C
///
/// `louped --hub URL` does the same in the background. Questions can be asked meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  loupe fleet hub tls://localhost:4222 --credentials fleet/hub.credentials")]
pub struct FleetHub {
    /// The server
    #[arg(value_name = "URL", value_parser = crate::server::check_fleet_address)]
    pub url: String,

    /// What `loupe fleet init` made for the hub
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
          default_value = "hub.credentials")]
    pub credentials: PathBuf,
}

/// List the hosts: when they were heard of last, kernel, version of Loupe, losses
#[derive(Debug, Args)]
pub struct FleetHosts {
    /// Print JSON (schema loupe.fleet-hosts/1)
    #[arg(long)]
    pub json: bool,
}

/// Tell which hosts, units, executables and versions use a feature, and since when
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet who io_uring_setup
  loupe fleet who fcntl:F_GETLK
  loupe fleet who /proc/self/maps --json")]
pub struct FleetWho {
    /// A syscall, an operation of one (fcntl:F_GETLK), a pseudo-file, or an operation of io_uring
    /// (io_uring:IORING_OP_READV)
    #[arg(value_name = "FEATURE", value_parser = super::feature)]
    pub feature: Feature,

    /// Print JSON (schema loupe.fleet-who/1)
    #[arg(long)]
    pub json: bool,
}

/// Show what all hosts together saw a unit use, on how many each feature, and the outliers
///
/// An outlier is on at most 5 % of the unit's hosts, or on one of three or more.
#[derive(Debug, Args)]
pub struct FleetShow {
    /// The unit, container or executable, or a pattern
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Print JSON (schema loupe.fleet-show/1)
    #[arg(long)]
    pub json: bool,
}

/// Tell what units do since a moment that they did nowhere before, by version
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet drift --since 7d
  loupe fleet drift --since 1h --format otlp --output drift.jsonl    for a collector that reads files")]
pub struct FleetDrift {
    /// A time ago (7d, 12h) or a date (2026-11-01; UTC), by the hour
    #[arg(long, value_name = "AGO|DATE", value_parser = moment)]
    pub since: Moment,

    /// Print JSON (schema loupe.fleet-drift/1)
    #[arg(long, conflicts_with_all = ["jsonl", "otlp"])]
    pub json: bool,

    /// Print an event a line (schema loupe.fleet-drift-event/1)
    #[arg(long, conflicts_with = "otlp")]
    pub jsonl: bool,

    /// Print log records of OpenTelemetry (OTLP, as JSON)
    #[arg(long)]
    pub otlp: bool,
}

/// Tell which units would not run on an OS, on how many hosts, and what is missing most
///
/// All that a unit was seen to use counts as needed. Exits with 1 when anything is missing.
#[derive(Debug, Args)]
pub struct FleetGap {
    /// The OS profile: a file, or a name from `loupe os list`
    #[arg(long, value_name = "OS")]
    pub os: String,

    /// Print JSON (schema loupe.fleet-gap/1)
    #[arg(long)]
    pub json: bool,
}

/// Plan what an OS is to implement next for the units of the fleet
///
/// Each unit is one application, with all that it was seen to use anywhere.
#[derive(Debug, Args)]
pub struct FleetPlan {
    /// The OS profile: a file, or a name from `loupe os list`
    #[arg(long, value_name = "OS")]
    pub os: String,

    /// How much each unit counts: as many times as hosts run it [default: all alike]
    #[arg(long, value_name = "hosts")]
    pub weights: Option<FleetWeights>,

    /// Print JSON (schema loupe.plan/1)
    #[arg(long)]
    pub json: bool,
}

/// Write a page of the whole fleet: units by features, hosts by kernel, drift, what OSes lack
///
/// It is one file, and loads nothing. Everything in it is counted per unit, kernel or day, so it stays
/// small however many hosts there are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet report --html fleet.html
  loupe fleet report --html fleet.html --os gvisor --os ./myos.toml")]
pub struct FleetReport {
    /// Write the page to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: PathBuf,

    /// Tell what this OS lacks: a file, or a name from `loupe os list`; may be repeated [default: all
    /// that are built in]
    #[arg(long, value_name = "OS")]
    pub os: Vec<String>,
}

/// Write the fleet as tables for an analytics engine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet export --parquet tables/          hosts, subjects, sets, members, later, uses
  loupe fleet export --parquet uses.parquet     only who uses what, on how many hosts, since when")]
pub struct FleetExport {
    /// A directory to write all tables into, or a file (*.parquet) for the one flat table
    #[arg(long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub parquet: PathBuf,
}

/// Print the fleet's health as metrics (OpenMetrics): who was heard, losses, what waits, refusals
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet metrics
  loupe fleet metrics --textfile --output /var/lib/prometheus/node-exporter/loupe-fleet.prom")]
pub struct FleetMetrics {
    /// Print the older form, the only one that node_exporter reads from files
    #[arg(long)]
    pub textfile: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FleetWeights {
    Hosts,
}

/// Merge bundles of hosts into the fleet's database
///
/// Order does not matter, nor does it if one is imported again. Exits with 1 when a file could not
/// be imported; the others are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe fleet import *.loupe
  loupe fleet import host7.loupe --fleet-db /srv/fleet.db --json")]
pub struct FleetImport {
    /// Bundles, as `loupe profile export --bundle` writes them
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// Print JSON (schema loupe.fleet-import/1)
    #[arg(long)]
    pub json: bool,
}

/// Print as JSON exactly what a bundle of this host holds (schema loupe.bundle/2)
#[derive(Debug, Args)]
pub struct FleetShowPayload {
    #[command(flatten)]
    pub host: HostIdentity,
}

/// Write everything that a fleet is told of this host into one file
///
/// The database is read directly, not by the daemon: as root that is louped's own. What louped has
/// observed in the last minute may not be in it yet.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe profile export --bundle host7.loupe
  loupe profile export --bundle host7.loupe --salt fleet.salt --name host7")]
pub struct ProfileExport {
    /// The file to write, whole or not at all; one that is there is replaced
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub bundle: PathBuf,

    #[command(flatten)]
    pub host: HostIdentity,
}

/// Who the host is to the fleet.
#[derive(Debug, Args)]
pub struct HostIdentity {
    /// The fleet's salt, at least 16 random bytes, the same on all of its hosts: hosts are known by
    /// a hash of their machine id with it [default: fleet.salt beside the database, made if need be]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub salt: Option<PathBuf>,

    /// A name for this host, for people [default: none leaves]
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub name: Option<String>,

    /// What `loupe fleet init` made for this host: it is then who it is over the fleet's server, too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "salt")]
    pub credentials: Option<PathBuf>,
}

fn host_name(text: &str) -> Result<String, String> {
    match loupe_common::text::fault_of_name(text) {
        Some(fault) => Err(fault),
        None => Ok(text.to_owned()),
    }
}
