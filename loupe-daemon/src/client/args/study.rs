//! Arguments of `loupe study`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{Measuring, at_least_one};
use crate::engine::usual_at_once;
use crate::spread::HostFilter;

/// Analyse many workloads, several at once, with one table at the end
///
/// A file that is no workload, or an analysis that fails, ends none of the others. What the database
/// has already, of the same workload and files with the same options, is not measured again: a study
/// that was interrupted goes on when it is started again. Ctrl-C waits until nothing of the running
/// replays is left.
///
/// Exits with the greatest exit code of its analyses: 0 if all of them are done and every verdict was
/// reached.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe study workloads/                         every *.toml in it
  loupe study workloads/ redis.toml --jobs 4
  loupe study workloads/ --report study.html     and the page of what came out
  loupe study workloads/ --json > study.json
  loupe study workloads/ --on tls://hub:4222     on all workers of a fleet (docs/fleet.md)
  loupe study workloads/ --on tls://hub:4222 --hosts 'arch=x86_64 kernel>=6.1'")]
pub struct Study {
    /// Workload files, and directories whose *.toml are all taken (not those below them)
    #[arg(value_name = "DIR|WORKLOAD.toml", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub measuring: Measuring,

    /// Have the workers of the fleet at this NATS server replay; results are kept in the database here
    #[arg(long, value_name = "URL", value_parser = crate::server::check_fleet_address)]
    pub on: Option<String>,

    /// What `loupe fleet init` made for whoever has workers replay
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "on",
          default_value = "coordinator.credentials")]
    pub credentials: PathBuf,

    /// Replay only on workers of which all this is so: arch, kernel, libc, root (yes, no), compared by
    /// =, != and, where they are versions, by >=, <=, >, < [default: on the kind of host with most slots]
    #[arg(
        long,
        value_name = "CONDITIONS",
        requires = "on",
        default_value = "",
        hide_default_value = true
    )]
    pub hosts: HostFilter,

    /// Analyses at a time, which share the CPUs [default: one per core, at least 2, at most 4; with
    /// --paper-mode 1; with --on as many as workers replay at a time, at least 4, at most 64]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    pub at_once: Option<usize>,

    /// Measure anew what the database has already, also what was interrupted
    #[arg(long)]
    pub again: bool,

    /// Stop at the first analysis that fails; files that are no workloads do so before any
    #[arg(long)]
    pub fail_fast: bool,

    /// Write the page of all that was measured to this file at the end
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,

    /// Print JSON (schema loupe.study/1)
    #[arg(long)]
    pub json: bool,
}

impl Study {
    /// Analyses at a time, where workers replay so many at a time.
    pub fn at_once(&self, workers: Option<usize>) -> usize {
        let usual = match workers {
            // While one of them waits for its last replays, the others have some.
            Some(slots) => slots.clamp(4, 64),
            // Times are compared there.
            None if self.measuring.paper_mode => 1,
            None => usual_at_once(),
        };
        self.at_once.unwrap_or(usual)
    }
}
