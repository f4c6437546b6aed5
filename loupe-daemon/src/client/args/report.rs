//! Arguments of `loupe report`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::Applications;
use crate::plan::WorkloadKind;

/// Report on applications: a page, plots, tables
///
/// Without an option, prints a table of the applications. The page holds everything: the answer,
/// who needs what, plans, the evidence, the figures; it is one file, and loads nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe report                                   a table of all applications
  loupe report --html report.html                the page of all applications
  loupe report --html nginx.html nginx redis     of two
  loupe report --html report.html --os kerla
  loupe report --html host.html 'profile:*'      what services really use
  loupe report --svg plots/                      the figures alone
  loupe report --workload bench                  one workload of each
  loupe report --csv > verdicts.csv              a line for each verdict")]
pub struct Report {
    /// Write the page to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,

    /// Write each figure as a file into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub svg: Option<PathBuf>,

    /// Show this plan too (from `loupe plan --json`); several for one OS share a figure
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub plan: Vec<PathBuf>,

    /// Plan for this OS and show the plan, ours and the paper's; may be repeated
    #[arg(long, value_name = "OS")]
    pub os: Vec<String>,

    /// One workload of each application: a benchmark, its test suite, or either [default: all
    /// workloads]
    #[arg(long, value_name = "bench|suite|any")]
    pub workload: Option<WorkloadKind>,

    /// Print the numbers as JSON (schema loupe.report/1)
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print every verdict as CSV
    #[arg(long)]
    pub csv: bool,

    #[command(flatten)]
    pub applications: Applications,
}
