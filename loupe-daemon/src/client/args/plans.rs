//! The arguments of the commands that measure nothing: data sets in and out, OS profiles, gaps,
//! plans, figures, differences.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::loupedb::{Choice, LoupedbError};
use crate::plan::WorkloadKind;

/// Read a data set of somebody else's measurements into the database
///
/// The database is written directly, not by the daemon.
#[derive(Debug, Args)]
pub struct Import {
    #[command(subcommand)]
    pub format: ImportFormat,
}

#[derive(Debug, Subcommand)]
pub enum ImportFormat {
    Loupedb(ImportLoupedb),
}

/// Read the paper's data set: APP/WORKLOAD/RUN/data/*.csv and *.syscalls
///
/// Each run is imported whole or not at all; what is odd in its files is told. The OS profiles are
/// kept for --os (see `loupe os list`). Exits with 1 when something could not be imported.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe import loupedb ~/loupedb
  loupe import loupedb ~/loupedb --run lua/benchmark-lua-test/5b48cb66be56e21425e0d1b0328c9cfc")]
pub struct ImportLoupedb {
    /// The data set
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,

    /// Of a workload that has several runs, take this one, not the last by name; may be repeated
    #[arg(long, value_name = "APP/WORKLOAD/RUN", value_parser = choice)]
    pub run: Vec<Choice>,

    /// Print JSON (schema loupe.import/1)
    #[arg(long)]
    pub json: bool,
}

/// Write results for other programs
///
/// Several applications are put together: a syscall that any of them needs is let through, or
/// has to be implemented.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe export seccomp nginx > nginx.json            docker run --security-opt seccomp=nginx.json
  loupe export seccomp --reduced nginx > nginx.json
  loupe export systemd nginx > /etc/systemd/system/nginx.service.d/syscalls.conf
  loupe export gramine nginx >> nginx.manifest.template
  loupe export c nginx redis > loupe_syscalls.h
  loupe emulate --profile nginx.json nginx.toml      tries a profile")]
pub struct Export {
    #[command(subcommand)]
    pub format: ExportFormat,
}

#[derive(Debug, Subcommand)]
pub enum ExportFormat {
    Loupedb(ExportLoupedb),
    /// Write a seccomp profile for containers (OCI runtime specification, Docker, Podman)
    Seccomp(super::Filter),
    /// Write a drop-in with SystemCallFilter= for a systemd service
    Systemd(super::Filter),
    /// Write what Gramine is to mock, for its manifest: sys.debug__mock_syscalls
    Gramine(super::Mocked),
    /// Write a C header with one line per syscall, the start of a dispatch table
    C(super::Written),
    /// Write a Rust module with one line per syscall, the start of a dispatch table
    Rust(super::Written),
}

/// Write the newest verdicts in the layout of the paper's data set
///
/// Nothing that is there is overwritten.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe export loupedb out nginx redis
  loupe export loupedb out --all           everything in the database")]
pub struct ExportLoupedb {
    /// Where to
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,

    #[command(flatten)]
    pub applications: super::export::Exported,
}

/// Show, compare and keep OS profiles: what an OS implements, stubs and fakes
///
/// A profile is a file (a list of names, TOML or JSON with `implement`, `stub` and `fake`,
/// Asterinas' SCML, or a directory of that) or the name of one that was kept. They are kept in the
/// directory `os` beside the database, or in $LOUPE_OS_DIR.
#[derive(Debug, Args)]
pub struct Os {
    #[command(subcommand)]
    pub command: OsCommand,
}

#[derive(Debug, Subcommand)]
pub enum OsCommand {
    List(OsList),
    Show(OsShow),
    Diff(OsDiff),
    Compare(OsCompare),
    Import(OsImport),
    Export(OsExport),
}

/// List the profiles that are built in, and those that are kept
#[derive(Debug, Args)]
pub struct OsList {
    /// Print JSON (schema loupe.os-list/1)
    #[arg(long)]
    pub json: bool,
}

/// Print a profile as TOML: what it says of each syscall, notes, and where the facts are from
#[derive(Debug, Args)]
pub struct OsShow {
    /// A file, or the name of a profile; NAME@DATE or NAME@COMMIT where several have it
    #[arg(value_name = "OS")]
    pub os: String,

    /// Print JSON instead of TOML; both can be read again
    #[arg(long)]
    pub json: bool,
}

/// Tell what two profiles answer differently
#[derive(Debug, Args)]
pub struct OsDiff {
    /// A file, or the name of a profile
    #[arg(value_name = "OS")]
    pub from: String,

    /// Another one
    #[arg(value_name = "OS")]
    pub to: String,

    /// Print JSON (schema loupe.os-diff/1)
    #[arg(long)]
    pub json: bool,
}

/// Tell of several OSes how many applications run, what to implement next, who has new calls
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe os compare
  loupe os compare gvisor kerla ./myos.toml --apps nginx,redis
  loupe os compare --workload bench --markdown       docs/oses.md is that")]
pub struct OsCompare {
    /// Files, or names of profiles [default: all that are built in]
    #[arg(value_name = "OS")]
    pub oses: Vec<String>,

    /// Applications, APP or APP/WORKLOAD, separated by commas [default: all]
    #[arg(long, value_name = "APP,…", value_delimiter = ',')]
    pub apps: Vec<String>,

    #[command(flatten)]
    pub which: Which,

    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,

    /// Print JSON (schema loupe.os-compare/1)
    #[arg(long)]
    pub json: bool,
}

/// Keep profiles under their names
///
/// Files that know all of an OS: Loupe's own TOML and JSON, lists of names, SCML, tables with a
/// status (gvisor.status.tsv). Files that know what was seen: gVisor's log of unsupported calls,
/// what `strace -f` wrote, the report of LTP's runner (kirk --json-report), what the probe printed; they
/// are put over --base.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe os import myos.toml
  loupe os import myos.status.tsv --name myos
  loupe os import runsc.log.boot.txt --name gvisor-here      over the built-in gvisor
  loupe os import kirk.json --base linux-6.1 --name mine
  loupe os import strace.log --base gvisor --name seen
  loupe os import --probe out.json --base gvisor --name gvisor-here   docs/probe.md")]
pub struct OsImport {
    /// Files, or directories of SCML files
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,

    /// Keep it under this name [default: what the file says, or its own name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The files are what `loupe-probe` printed on that OS, and nothing else
    #[arg(long)]
    pub probe: bool,

    /// What is known before: an OS whose answers stay where the file says nothing
    #[arg(long, value_name = "OS")]
    pub base: Option<String>,

    /// Replace one that is there and differs
    #[arg(long)]
    pub force: bool,
}

/// Write a profile in another language
///
/// `loupe os show` writes Loupe's own, TOML and JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe os export scml asterinas
  loupe os export scml ./myos.toml --output myos.scml")]
pub struct OsExport {
    #[command(subcommand)]
    pub format: OsExportFormat,
}

#[derive(Debug, Subcommand)]
pub enum OsExportFormat {
    Scml(OsExportScml),
}

/// Write Asterinas' SCML: the calls that the OS implements, down to operations and flags
///
/// What SCML has no words for (errnos, fakes, pseudo-files, notes) is written as comments, and told.
#[derive(Debug, Args)]
pub struct OsExportScml {
    /// A file, or the name of a profile
    #[arg(value_name = "OS")]
    pub os: String,
}

/// Tell what an OS lacks for an application, or how far it is from each
///
/// With an application: what is to be implemented and faked for it; exits with 1 when anything is
/// missing. Without: how many run today, and what each of the others lacks, nearest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe gap --os Kerla nginx
  loupe gap --os ./myos.toml redis/suite --json
  loupe gap --os ./myos.toml                          how far it is from each
  loupe gap --os ./myos.toml --require nginx,redis    a gate for CI: exits with 1 if one does not run

Without an application, --workload is bench, suite or any, as in `loupe plan`.")]
pub struct Gap {
    /// The OS profile: a file, or a name from `loupe os list`
    #[arg(long, value_name = "OS")]
    pub os: String,

    /// The application, or APP/WORKLOAD [default: all in the database]
    #[arg(value_name = "APP")]
    pub application: Option<String>,

    /// The workload, where the application has several; without an application the kind: bench,
    /// suite or any
    #[arg(short, long, value_name = "WORKLOAD")]
    pub workload: Option<String>,

    /// Look at these (APP or APP/WORKLOAD, separated by commas), and exit with 1 when one of them
    /// does not run
    #[arg(
        long,
        value_name = "APP,…",
        value_delimiter = ',',
        conflicts_with = "application"
    )]
    pub require: Vec<String>,

    /// Print JSON (schema loupe.gap/1, without an application loupe.distances/1)
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print CSV
    #[arg(long)]
    pub csv: bool,
}

/// Which applications, and with which of their workloads.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// Workloads that count: bench (all but suites), suite (named suite…), or any (a benchmark
    /// where there is one, else a suite)
    #[arg(long, value_name = "bench|suite|any", default_value = "any")]
    pub workload: WorkloadKind,
}

/// Print figures of a set of applications: used, required, ratios, unions, the half-way point
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe stats --workload bench
  loupe stats nginx redis --csv")]
pub struct Stats {
    /// Applications, or APP/WORKLOAD [default: all]
    #[arg(value_name = "APP")]
    pub applications: Vec<String>,

    #[command(flatten)]
    pub which: Which,

    /// Print JSON (schema loupe.stats/1)
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print CSV
    #[arg(long)]
    pub csv: bool,
}

/// Tell what changed between two analyses: features gained, lost, verdicts changed
///
/// Exits with 1 when something is required that was not before: a gate for CI.
#[derive(Debug, Args)]
#[command(after_help = "\
Each side is APP, APP/WORKLOAD, the number of an analysis (`loupe list APP` has it), APP~1 (the one
before), or a file that `loupe show --json` wrote (FILE.json).

Examples:
  loupe diff nginx~1 nginx                 what is new since the last time
  loupe diff nginx-1.22 nginx-1.24
  loupe diff before.json nginx
  loupe diff 12 17 --json
  loupe diff 12 17 --html changed.html")]
pub struct Diff {
    /// Before
    #[arg(value_name = "A")]
    pub from: String,

    /// After
    #[arg(value_name = "B")]
    pub to: String,

    /// Print JSON (schema loupe.diff/1)
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print CSV
    #[arg(long)]
    pub csv: bool,

    /// Write a page to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
}

fn choice(text: &str) -> Result<Choice, LoupedbError> {
    text.parse()
}
