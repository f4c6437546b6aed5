//! The command line's definition: the one source of arguments, help, manual and completions.

mod analyze;
mod emulate;
mod export;
mod fleet;
mod list;
mod moment;
mod plan;
mod plans;
mod probe;
mod profile;
mod report;
mod source;
mod study;
mod trace;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueHint};
use loupe_common::feature::{Depth, Feature, UnknownFeature};
use loupe_common::policy::Action;
use loupe_common::wire::{DEFAULT_SOCKET, JobId};

pub use analyze::{Analyze, Measuring};
pub use emulate::Emulate;
pub use export::{Applications, Filter, Mocked, Written};
pub use fleet::{
    Fleet, FleetAddHost, FleetCommand, FleetDrift, FleetExport, FleetGap, FleetHosts, FleetHub,
    FleetImport, FleetInit, FleetMetrics, FleetPlan, FleetReport, FleetShow, FleetShowPayload,
    FleetWho, HostIdentity, Newcomers, ProfileExport,
};
pub use list::{Gc, List, Rm};
pub use moment::Moment;
pub use plan::Plan;
pub use plans::{
    Diff, Export, ExportFormat, ExportLoupedb, Gap, Import, ImportFormat, ImportLoupedb, Os,
    OsCommand, OsCompare, OsDiff, OsExport, OsExportFormat, OsImport, OsList, OsShow, Stats,
};
pub use probe::Probe;
pub use profile::{
    Profile, ProfileAdd, ProfileCommand, ProfileDiff, ProfileRemove, ProfileShow, ProfileStatus,
    ProfileTop, ProfileWatch, with_suffix,
};
pub use report::Report;
pub use source::{Source, Try};
pub use study::Study;
pub use trace::Trace;
pub use verify::VerifyOs;

/// Measures which Linux features an application needs.
///
/// Loupe replays an application's workload with one syscall after the other left out: stubbed
/// (it fails with ENOSYS) or faked (it returns 0 and does nothing). What the workload still
/// passes without is what an OS need not implement.
#[derive(Debug, Parser)]
#[command(
    name = "loupe",
    version = crate::VERSION,
    max_term_width = 100,
    after_help = "\
Examples:
  loupe doctor                              what this host can do, and the cure for what not
  loupe trace ls -l                         the syscalls of a command
  loupe run --stub futex --fake brk ls      a command without futex and brk
  loupe analyze nginx.toml                  which syscalls nginx needs, and why
  loupe study workloads/                    the same of all workload files there
  loupe explain nginx futex                 the evidence for one verdict
  loupe plan --os myos.toml                 what an OS is to implement next
  loupe profile add nginx.service           what a service really uses, from now on

Exit codes: 0 works, 1 a finding, 2 usage, 3 the measurement is invalid, 125 Loupe failed,
126 and 127 the command cannot be executed or found. `run` and `trace` end as the command does."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Use this database, without the daemon [default: $LOUPE_DB, else /var/lib/loupe/loupe.db for
    /// root, else $XDG_STATE_HOME/loupe/loupe.db]
    #[arg(long, value_name = "PATH", global = true, value_hint = ValueHint::FilePath)]
    pub db: Option<PathBuf>,

    /// What is used without that option.
    #[arg(skip)]
    pub usual_db: Option<UsualDatabase>,

    /// Use colours: where standard output is a terminal and NO_COLOR is not set (auto), or as told
    /// [default: auto]
    #[arg(long, value_name = "WHEN", global = true)]
    pub color: Option<Color>,

    /// Print in this form; what has a table can be CSV and Markdown, too
    #[arg(long, value_name = "FORM", global = true)]
    pub format: Option<Form>,

    /// Write the result to this file, not to standard output
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Work in this process, even if the daemon runs
    #[arg(long, global = true)]
    pub local: bool,

    /// Use the daemon at this socket, and fail where none answers [default:
    /// /run/loupe/louped.sock, if there is a daemon]
    #[arg(long = "socket", value_name = "PATH", global = true, env = "LOUPE_SOCKET",
          value_hint = ValueHint::FilePath)]
    pub chosen_socket: Option<PathBuf>,

    /// Say more on standard error; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// For programs; `docs/schemas` says what is in it
    Json,
    /// A row a line
    Csv,
    /// With tables of Markdown
    Markdown,
    /// An event a line, as JSON
    Jsonl,
    /// Log records of OpenTelemetry, as JSON
    Otlp,
}

/// A database that is used where no option says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsualDatabase {
    pub path: PathBuf,
    /// What says so, for people.
    pub said_by: &'static str,
}

impl Global {
    /// The database that is used without the daemon, and what says so. Who has said which daemon it is
    /// to be means no database.
    pub fn chosen_db(&self) -> Option<(&Path, &'static str)> {
        if let Some(path) = &self.db {
            return Some((path, "--db"));
        }
        let usual = self.usual_db.as_ref().filter(|_| !self.insists_on_daemon());
        usual.map(|usual| (usual.path.as_path(), usual.said_by))
    }

    /// What services use is louped's to know: only an option says otherwise.
    pub fn of_services(&self) -> Global {
        Global {
            usual_db: None,
            ..self.clone()
        }
    }

    /// Where the daemon is.
    pub fn socket(&self) -> &Path {
        match &self.chosen_socket {
            Some(chosen) if self.insists_on_daemon() => chosen,
            _ => Path::new(DEFAULT_SOCKET),
        }
    }

    /// Somebody has said which daemon it is to be: no other and no database will do. (An empty
    /// variable is as good as none.)
    pub fn insists_on_daemon(&self) -> bool {
        let chosen = self.chosen_socket.as_ref();
        chosen.is_some_and(|path| !path.as_os_str().is_empty())
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Doctor(Doctor),
    Trace(Trace),
    Run(Run),
    Try(Try),
    Analyze(Analyze),
    Study(Study),
    List(List),
    Rm(Rm),
    Gc(Gc),
    Show(Show),
    Explain(Explain),
    Emulate(Emulate),
    Verify(VerifyOs),
    Probe(Probe),
    Report(Report),
    Diff(Diff),
    Stats(Stats),
    Os(Os),
    Gap(Gap),
    Plan(Plan),
    Import(Import),
    Export(Export),
    Jobs(Jobs),
    Cancel(Cancel),
    Watch(Watch),
    Profile(Profile),
    Fleet(Fleet),
    Schema(Schema),
}

/// Check what this host can do, and tell the cure for what it cannot
///
/// Exits with 1 when something that Loupe needs is missing.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON (schema loupe.doctor/1)
    #[arg(long)]
    pub json: bool,
}

/// Run a command once with syscalls or pseudo-files stubbed or faked
///
/// When it has ended, standard error tells how often each injection fired. Loupe ends as the
/// command does: with its exit status, or by the same signal.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe run --stub futex memcached -h
  loupe run --stub openat=EPERM --fake brk cat /etc/hostname
  loupe run --stub fcntl:F_SETFD --fake ioctl:TCGETS bash -c true
  loupe run --stub 'ioctl:*=ENOTTY' ls     all operations of ioctl that have no name
  loupe run --stub /proc/cpuinfo --fake /dev/urandom nproc
  loupe run --fake getpid=plausible sh -c 'echo $$'
  loupe run --stub sendfile --target /usr/sbin/nginx sh -c './start.sh; ./test.sh'")]
pub struct Run {
    /// Let a syscall, or an operation or flag of one, fail with ENOSYS or the errno given, or a
    /// pseudo-file (a path in /proc, /sys or /dev) be missing; may be repeated
    #[arg(long, value_name = "FEATURE[=ERRNO]", value_parser = stub)]
    pub stub: Vec<(Feature, Action)>,

    /// Let a syscall, or an operation or flag of one, return 0 and do nothing, or a syscall return
    /// what a success returns (=plausible), or a pseudo-file be empty; may be repeated
    #[arg(long, value_name = "FEATURE[=plausible]", value_parser = fake)]
    pub fake: Vec<(Feature, Action)>,

    /// Write a report (schema loupe.run/1) to this file, or to standard output (-)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,

    #[command(flatten)]
    pub what: What,
}

/// A command, and the part of it that counts.
#[derive(Debug, Args)]
pub struct What {
    /// The binary that counts, with what it starts, wherever in the command it is executed
    /// [default: the command's own]
    #[arg(long, value_name = "BINARY", value_hint = ValueHint::ExecutablePath)]
    pub target: Option<PathBuf>,

    /// Hide the vDSO from the binary that counts, so that the calls that it answers
    /// (clock_gettime, gettimeofday, time, getcpu) become syscalls
    #[arg(long)]
    pub no_vdso: bool,

    /// The command and its arguments; options before it are Loupe's, those behind it its own
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND",
          value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Print the verdicts on an application
///
/// A name means an analysis that was measured here before one that was imported, the newest before
/// older ones, a benchmark before a test suite; if there was a choice, it is said.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe show nginx
  loupe show nginx/wrk --json
  loupe show nginx~1                       the one before (`loupe list nginx` has all)
  loupe show 124                           by its number")]
pub struct Show {
    #[command(flatten)]
    pub subject: Subject,

    /// Print every row and remark, not only what decides
    #[arg(long, conflicts_with = "json")]
    pub full: bool,

    /// Print JSON (schema loupe.analysis/1)
    #[arg(long)]
    pub json: bool,
}

/// Tell why a syscall got its verdict: replays, exit statuses, output, differences
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe explain nginx futex
  loupe explain nginx epoll_ctl:EPOLL_CTL_MOD
  loupe explain nginx futex --workload wrk --json")]
pub struct Explain {
    #[command(flatten)]
    pub subject: Subject,

    /// The syscall, or an operation or flag of one (fcntl:F_SETFD)
    #[arg(value_name = "FEATURE", value_parser = feature)]
    pub feature: Feature,

    /// Print JSON (schema loupe.explain/1)
    #[arg(long)]
    pub json: bool,
}

/// An application and, where it has several, one of its workloads.
#[derive(Debug, Args)]
pub struct Subject {
    /// The application, APP/WORKLOAD, or exactly: APP@124, 124, APP~1 (the one before)
    #[arg(value_name = "APP")]
    pub application: String,

    /// The workload, where the application has several
    #[arg(short, long, value_name = "WORKLOAD")]
    pub workload: Option<String>,
}

impl Subject {
    /// The name, and the workload that was named apart.
    pub fn names(&self) -> (&str, Option<&str>) {
        (&self.application, self.workload.as_deref())
    }
}

/// List the daemon's jobs
#[derive(Debug, Args)]
pub struct Jobs {
    /// Print JSON (schema loupe.jobs/1)
    #[arg(long)]
    pub json: bool,
}

/// Cancel a job of the daemon
#[derive(Debug, Args)]
pub struct Cancel {
    /// Its number, from `loupe jobs`
    #[arg(value_name = "JOB")]
    pub job: JobId,
}

/// Print the JSON Schema of what a command prints as JSON, or name all schemas
#[derive(Debug, Args)]
pub struct Schema {
    /// As documents name it in `schema` (loupe.gap/1), or the word in the middle (gap)
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Follow a job of the daemon to its end; any number of clients can
#[derive(Debug, Args)]
pub struct Watch {
    /// Its number, from `loupe jobs`
    #[arg(value_name = "JOB")]
    pub job: JobId,

    /// Print the result as JSON (schema loupe.analysis/1)
    #[arg(long)]
    pub json: bool,
}

fn depth() -> impl TypedValueParser<Value = Depth> {
    PossibleValuesParser::new(Depth::NAMES).try_map(|name| name.parse::<Depth>())
}

fn feature(text: &str) -> Result<Feature, UnknownFeature> {
    text.parse()
}

/// `futex`, or `getpid=plausible`.
fn fake(text: &str) -> Result<(Feature, Action), String> {
    let (feature, action) = match text.split_once('=') {
        None => (text, Action::Fake),
        Some((feature, "plausible")) => (feature, Action::Plausible),
        Some((_, other)) => return Err(format!("a fake is none or `plausible`, not `{other}`")),
    };
    match feature.parse() {
        Ok(feature) => Ok((feature, action)),
        Err(error) => Err(UnknownFeature::to_string(&error)),
    }
}

/// `futex`, or `futex=EPERM`.
fn stub(text: &str) -> Result<(Feature, Action), String> {
    let Some((feature, errno)) = text.split_once('=') else {
        let feature: Feature = text
            .parse()
            .map_err(|error: UnknownFeature| error.to_string())?;
        return Ok((feature, Action::STUB));
    };
    let feature: Feature = feature
        .parse()
        .map_err(|error: UnknownFeature| error.to_string())?;
    let errno = errno
        .parse()
        .map_err(|error: loupe_common::errno::UnknownErrno| error.to_string())?;
    Ok((feature, Action::Stub(errno)))
}

/// How many replays run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallel {
    Auto,
    Count(usize),
}

impl Parallel {
    pub fn count(self) -> Option<usize> {
        match self {
            Parallel::Auto => None,
            Parallel::Count(count) => Some(count),
        }
    }
}

fn parallel(text: &str) -> Result<Parallel, String> {
    match text {
        "auto" => Ok(Parallel::Auto),
        _ => at_least_one(text)
            .map(Parallel::Count)
            .map_err(|error| format!("{error}, or auto")),
    }
}

fn at_least_one<N: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, String> {
    match text.parse::<N>() {
        Ok(number) if number >= N::from(1) => Ok(number),
        _ => Err("a whole number of at least 1 is needed".to_owned()),
    }
}

/// Above one half and below one.
fn chance(text: &str) -> Result<f64, String> {
    let chance: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if chance > 0.5 && chance < 1.0 {
        Ok(chance)
    } else {
        Err("must be above 0.5 and below 1".to_owned())
    }
}
