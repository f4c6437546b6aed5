//! Where a workload comes from: a file, standard input, or the command line itself. With it the
//! arguments of `loupe try`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// A workload.
#[derive(Debug, Default, Args)]
pub struct Source {
    /// The workload file (docs/workloads.md); `-` reads it from standard input
    #[arg(value_name = "WORKLOAD.toml", value_hint = ValueHint::FilePath,
          required_unless_present = "command",
          conflicts_with_all = ["command", "name", "test", "batch", "save"])]
    pub file: Option<PathBuf>,

    /// Without a file: the application's name, or APP/WORKLOAD [default: the command's own]
    #[arg(long, value_name = "APP", requires = "command")]
    pub name: Option<String>,

    /// Without a file: the test, for `sh -c`; it fails when the application does not work
    #[arg(long, value_name = "COMMAND", requires = "command", value_hint = ValueHint::CommandString)]
    pub test: Option<String>,

    /// Without a file: the command runs to its end, then comes the test [default: it is a server]
    #[arg(long, requires = "command")]
    pub batch: bool,

    /// Keep what the command line says as a workload file; one that is there is not overwritten
    #[arg(long, value_name = "FILE", requires = "command", value_hint = ValueHint::FilePath)]
    pub save: Option<PathBuf>,

    /// Without a file: the application's command, after `--`
    #[arg(last = true, value_name = "COMMAND", requires = "test",
          value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<String>,
}

/// Run a workload once, as an analysis runs it, and show everything that happens
///
/// Shows what application and test print, when the application was ready, what it uses, and whether
/// the test notices an application that is not there. For a workload whose baseline fails, or that
/// is new. Needs root.
///
/// Exits with 0 when the test passes, and fails without the application; with 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe try redis.toml
  loupe try redis.toml --shell              a shell in the same sandbox, to look around
  loupe try --test 'redis-cli ping | grep -q PONG' -- redis-server --port 6379")]
pub struct Try {
    #[command(flatten)]
    pub source: Source,

    /// Start nothing but a shell in the sandbox, with the workload's environment and directory
    #[arg(long, conflicts_with = "json")]
    pub shell: bool,

    /// Print JSON (schema loupe.try/1)
    #[arg(long)]
    pub json: bool,
}
