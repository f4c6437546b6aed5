//! Arguments of `loupe trace`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};
use loupe_common::profile::Target;

use super::moment::length;
use super::profile::{cgroup, container, process, unit};

/// Print the syscalls of a command, or of what runs already: calls, errors, time
///
/// The command has standard input, output and error for itself; the summary goes to standard
/// error when it has ended, or to a file (-o). Loupe ends as the command does: with its exit
/// status, or by the same signal.
///
/// With --unit, --pid, --cgroup or --container nothing is started: what runs already is observed until
/// Ctrl-C or the end of --duration, and the summary goes to standard output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe trace ls -l
  loupe trace --stream -o calls.txt redis-server --port 0
  loupe trace --json -o trace.json make -j4
  loupe trace --target /usr/sbin/nginx prove t/       only nginx, wherever it is started
  loupe trace --unit nginx.service --duration 60s     what runs already")]
pub struct Trace {
    /// One line per call, as it ends; then the summary
    #[arg(long, conflicts_with = "running")]
    pub stream: bool,

    /// Below each vectored syscall, its operations (fcntl: F_SETFD) and flags (mmap: + MAP_FIXED)
    #[arg(long, conflicts_with = "stream")]
    pub operations: bool,
    /// Look out for the pseudo-files that are used, too (each call that names a file takes some
    /// microseconds longer)
    #[arg(long, conflicts_with = "running")]
    pub pseudo_files: bool,

    /// Print JSON (schema loupe.trace/1); with --stream, one object a line, the summary last
    #[arg(long)]
    pub json: bool,

    /// Write to this file instead of standard error
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// The binary that counts, with what it starts, wherever in the command it is executed
    /// [default: the command's own]
    #[arg(long, value_name = "BINARY", value_hint = ValueHint::ExecutablePath,
          conflicts_with = "running")]
    pub target: Option<PathBuf>,

    /// Hide the vDSO from the binary that counts, so that the calls that it answers
    /// (clock_gettime, gettimeofday, time, getcpu) become syscalls
    #[arg(long, conflicts_with = "running")]
    pub no_vdso: bool,

    #[command(flatten)]
    pub running: Running,

    /// The command and its arguments; options before it are Loupe's, those behind it its own
    #[arg(trailing_var_arg = true, required_unless_present = "running", value_name = "COMMAND",
          value_hint = ValueHint::CommandWithArguments)]
    #[arg(conflicts_with = "running")]
    pub command: Vec<OsString>,
}

/// Something that runs already, for `loupe trace`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("running").args(["unit", "pid", "cgroup", "container"])))]
pub struct Running {
    /// Observe what this unit of systemd calls, instead of a command (needs root)
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub unit: Option<Target>,

    /// Observe the cgroup that this process is in
    #[arg(long, value_name = "N", value_parser = process)]
    pub pid: Option<Target>,

    /// Observe a cgroup and what lies below it
    #[arg(long, value_name = "PATH", value_parser = cgroup, value_hint = ValueHint::DirPath)]
    pub cgroup: Option<Target>,

    /// Observe a container, by its name or (the beginning of) its id
    #[arg(long, value_name = "NAME|ID", value_parser = container)]
    pub container: Option<Target>,

    /// Observe for so long (60s, 5m) [default: until Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = length, requires = "running")]
    pub duration: Option<u64>,
}

impl Running {
    /// Which one, if any.
    pub fn target(&self) -> Option<&Target> {
        let all = [&self.unit, &self.pid, &self.cgroup, &self.container];
        all.into_iter().flatten().next()
    }
}
