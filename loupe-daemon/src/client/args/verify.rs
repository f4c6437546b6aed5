//! Arguments of `loupe verify`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Predict which workloads run on an OS, run them there, and say how often that was right
///
/// An application is predicted to pass when its newest analysis lacks nothing of the OS profile. Then
/// its workload is really run by what the profile names as its runner. Exits with 1 when a
/// prediction was wrong.
///
/// There is no sandbox but the OS's own: where that shares the host's files, what a workload
/// writes stays there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe analyze nginx.toml && loupe verify --os gvisor nginx.toml
  loupe verify --os ./mine.toml --json *.toml

gVisor is Debian's package runsc.")]
pub struct VerifyOs {
    /// An OS whose profile names a runner: a file, or a name from `loupe os list`
    #[arg(long, value_name = "OS")]
    pub os: String,

    /// The time that one workload may take there
    #[arg(long, value_name = "SECONDS", default_value = "120")]
    pub time_limit: u64,

    /// Print JSON (schema loupe.os-verify/1)
    #[arg(long)]
    pub json: bool,

    /// The workload files (docs/workloads.md)
    #[arg(value_name = "WORKLOAD.toml", required = true, value_hint = ValueHint::FilePath)]
    pub workloads: Vec<PathBuf>,
}
