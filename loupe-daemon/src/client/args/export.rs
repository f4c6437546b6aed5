//! Arguments of `loupe export seccomp`, `systemd`, `c` and `rust`.

use clap::Args;
use loupe_common::errno::Errno;

/// A profile.
#[derive(Debug, Args)]
pub struct Filter {
    /// Leave out, too, what the applications can do without: it fails with ENOSYS
    #[arg(long)]
    pub reduced: bool,

    /// What syscalls fail with that the applications never call
    #[arg(long, value_name = "ERRNO", default_value = "ENOSYS")]
    pub errno: Errno,

    /// Applications, each as APP or APP/WORKLOAD: the profile is for all of them together
    #[arg(value_name = "APP")]
    pub names: Vec<String>,

    /// One profile for all that was ever analysed
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

/// Which analyses.
#[derive(Debug, Args)]
pub struct Applications {
    /// Applications, each as APP or APP/WORKLOAD [default: all]
    #[arg(value_name = "APP")]
    pub names: Vec<String>,
}
