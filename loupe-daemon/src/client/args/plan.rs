//! The arguments of `loupe plan`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use loupe_common::feature::Feature;

use super::plans::Which;
use crate::plan::Strategy;
use crate::plan::part::Until;

/// Plan what an OS is to implement, stub and fake next, and which applications that unlocks
///
/// The plan is sound: whoever does exactly what its steps say, in their order, with everything
/// else failing with ENOSYS, has each application's measured need met at its step and ever after.
/// A part of a plan (--next, --steps, --until, --goal) is as sound for what it unlocks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe plan --os Kerla --workload bench
  loupe plan --os ./myos.toml --next                 the next step, and why
  loupe plan --os ./myos.toml --goal nginx,redis     until these run
  loupe plan --os ./myos.toml --until 50% --markdown > TODO.md
  loupe plan --os ./myos.toml --what-if openat,futex what would run with these
  loupe plan --os ./myos.toml --apps nginx,redis,sqlite --json > plan.json
  loupe plan --check plan.json

Strategies: area (default) implements in the order in which applications run soonest; work counts
what settles conflicts too; paper is the published greedy rule. docs/plans.md says more.
With --check: exits with 1 when an application does not run as promised.")]
pub struct Plan {
    /// The OS profile: a file, or a name from `loupe os list`
    #[arg(long, value_name = "OS", required_unless_present = "check")]
    pub os: Option<String>,

    /// The applications, or APP/WORKLOAD, separated by commas [default: all in the database]
    #[arg(
        long,
        value_name = "APP,…",
        value_delimiter = ',',
        conflicts_with = "check"
    )]
    pub apps: Vec<String>,

    #[command(flatten)]
    pub which: Which,

    /// Show the next step only, and what speaks for it (in JSON as --steps 1)
    #[arg(long, conflicts_with_all = ["steps", "until", "check", "verify", "csv"])]
    pub next: bool,

    /// Show the first N steps that implement something
    #[arg(long, value_name = "N", conflicts_with_all = ["until", "check"])]
    pub steps: Option<usize>,

    /// Plan until so many of the applications run: a percentage, or their number
    #[arg(long, value_name = "50%|N", conflicts_with = "check")]
    pub until: Option<Until>,

    /// Plan for these (APP or APP/WORKLOAD, separated by commas) only, and tell who else runs then
    #[arg(
        long,
        value_name = "APP,…",
        value_delimiter = ',',
        conflicts_with = "check"
    )]
    pub goal: Vec<String>,

    /// Make no plan, but tell what would run with these implemented (futex, fcntl:F_GETLK, /proc/stat)
    #[arg(long, value_name = "FEATURE,…", value_delimiter = ',', value_parser = super::feature,
          conflicts_with_all = ["next", "steps", "until", "goal", "weights", "strategy", "check",
                                "verify", "csv", "markdown", "issues"])]
    pub what_if: Vec<Feature>,

    /// How much each application counts: a TOML file with `[applications]` and `nginx = 10`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "check")]
    pub weights: Option<PathBuf>,

    /// How the order is found
    #[arg(long, value_name = "area|work|paper", default_value = "area")]
    pub strategy: Strategy,

    /// Make no plan, but replay this one (JSON) literally and tell what runs when
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub check: Option<PathBuf>,

    /// Run these workloads, each as the OS would run it after the step that promises it, and tell
    /// whether the promises hold (needs root)
    #[arg(long, value_name = "WORKLOAD.toml", num_args = 1..,
          conflicts_with_all = ["csv", "check"], value_hint = ValueHint::FilePath)]
    pub verify: Vec<PathBuf>,

    /// With --verify: run them on the OS itself, by the `[runner]` of the profile, where a filter takes
    /// away what the OS does not have yet
    #[arg(long, requires = "verify")]
    pub on_runner: bool,

    /// Name the stubs as well, which are no work
    #[arg(long, conflicts_with_all = ["json", "csv", "markdown", "next", "what_if", "check"])]
    pub full: bool,

    /// Print JSON (schema loupe.plan/1, with --check loupe.plan-check/1, with --what-if
    /// loupe.what-if/1)
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print CSV
    #[arg(long)]
    pub csv: bool,

    /// Print a checklist in Markdown, with reasons and the command that accepts each step
    #[arg(long, conflicts_with_all = ["json", "csv", "check", "verify"])]
    pub markdown: bool,

    /// Write a Markdown file for each step that is work, into this directory; nothing that is
    /// there is overwritten
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath,
          conflicts_with_all = ["json", "csv", "markdown", "check", "verify", "full"])]
    pub issues: Option<PathBuf>,
}
