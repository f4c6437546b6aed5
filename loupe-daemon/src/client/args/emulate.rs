//! Arguments of `loupe emulate`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};

/// Run a workload as another OS would treat it, or under a seccomp profile
///
/// Everything outside of the profile fails, what it fakes is faked, all at once. If the test
/// fails then, tells which syscall broke it first, in the order of first calls.
///
/// Exits with 0 when the workload passes, with 1 when it fails, with 3 when it cannot be said.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("system").args(["profile", "os", "plan"]).required(true).multiple(true)),
    after_help = "\
Examples:
  loupe export seccomp --reduced nginx > nginx.json
  loupe emulate --profile nginx.json nginx.toml
  loupe emulate --os kerla --all nginx.toml         what it lacks for nginx
  loupe plan --os kerla --json > plan.json
  loupe emulate --plan plan.json --step 3 nginx.toml"
)]
pub struct Emulate {
    /// A seccomp profile (OCI JSON) or a systemd drop-in with SystemCallFilter=
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["os", "plan"])]
    pub profile: Option<PathBuf>,

    /// An OS: the name of a profile (`loupe os list`), or the file of one
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,

    /// The OS of this plan (`loupe plan --json`), once its steps are done
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub plan: Option<PathBuf>,

    /// Of the plan, the last step that is done [default: all]
    #[arg(long, value_name = "N", requires = "plan")]
    pub step: Option<usize>,

    /// Go on after the first that breaks it: name everything that keeps it from passing
    #[arg(long)]
    pub all: bool,

    /// Replays of each policy [default: what the workload file says, else 3]
    #[arg(long, value_name = "N", value_parser = super::at_least_one::<u32>)]
    pub replicas: Option<u32>,

    /// Replays at a time [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = super::at_least_one::<usize>)]
    pub jobs: Option<usize>,

    /// Print the result as JSON (schema loupe.emulation/1)
    #[arg(long)]
    pub json: bool,

    /// The workload file (docs/workloads.md)
    #[arg(value_name = "WORKLOAD.toml", value_hint = ValueHint::FilePath)]
    pub workload: PathBuf,
}
