//! Arguments of `loupe export`: what is exported.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use loupe_common::errno::Errno;
use loupe_common::wire::Failure;

/// A profile.
#[derive(Debug, Args)]
pub struct Filter {
    /// Leave out, too, what the applications can do without: it fails with ENOSYS
    #[arg(long)]
    pub reduced: bool,

    /// What syscalls fail with that the applications never call
    #[arg(long, value_name = "ERRNO", default_value = "ENOSYS")]
    pub errno: Errno,

    #[command(flatten)]
    pub written: Written,
}

/// Mocks of Gramine.
#[derive(Debug, Args)]
pub struct Mocked {
    /// The Gramine that is meant: a profile, as for `loupe gap --os`
    #[arg(long, value_name = "OS", default_value = "gramine")]
    pub os: String,

    /// Mock all that the applications can do without, and not only what Gramine lacks
    #[arg(long)]
    pub everything: bool,

    #[command(flatten)]
    pub written: Written,
}

/// What is written, and where.
#[derive(Debug, Args)]
pub struct Written {
    #[command(flatten)]
    pub applications: Exported,

    /// Write to this file, not to standard output; what it was measured on is in
    /// FILE.provenance.json then
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// What is exported: it is named, because all that was ever analysed is hardly ever meant.
#[derive(Debug, Args)]
pub struct Exported {
    /// Applications, each as APP, APP/WORKLOAD or exactly (APP@124, 124): all of them, with all their
    /// workloads, put together
    #[arg(value_name = "APP")]
    pub names: Vec<String>,

    /// All that was ever analysed
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

impl Exported {
    /// Refuses where nothing is named.
    pub fn check(&self) -> Result<(), Failure> {
        match self.names.is_empty() && !self.all {
            false => Ok(()),
            true => Err(Failure::usage(
                "for which applications? All that was ever analysed, put together, would let through \
                 and ask for what any of it calls",
            )
            .hint("name them (`loupe list` shows which there are), or say --all")),
        }
    }
}

/// Which analyses.
#[derive(Debug, Args)]
pub struct Applications {
    /// Applications, each as APP, APP/WORKLOAD or exactly (APP@124, APP~1) [default: all]
    #[arg(value_name = "APP")]
    pub names: Vec<String>,
}
