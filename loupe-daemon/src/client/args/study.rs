//! Arguments of `loupe study`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{Measuring, at_least_one};
use crate::engine::usual_at_once;

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
  loupe study workloads/ --json > study.json")]
pub struct Study {
    /// Workload files, and directories whose *.toml are all taken (not those below them)
    #[arg(value_name = "DIR|WORKLOAD.toml", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    #[command(flatten)]
    pub measuring: Measuring,

    /// Analyses at a time, which share the CPUs [default: one per core, at least 2, at most 4; with
    /// --paper-mode 1]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    pub at_once: Option<usize>,

    /// Measure anew what the database has already
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
    /// Analyses at a time.
    pub fn at_once(&self) -> usize {
        // Times are compared there.
        let usual = match self.measuring.paper_mode {
            true => 1,
            false => usual_at_once(),
        };
        self.at_once.unwrap_or(usual)
    }
}
