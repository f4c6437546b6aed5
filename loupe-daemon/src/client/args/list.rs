//! Arguments of the commands about the database as a whole: what is in it, and what is to go.

use clap::Args;

use super::at_least_one;

/// List what was analysed
///
/// Of each workload the analysis that its name means: measured here before imported, newest before
/// older. With a name: all of that application, with their numbers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe list
  loupe list nginx                         its history; then: loupe show 124, loupe show nginx~1")]
pub struct List {
    /// The application, or APP/WORKLOAD
    #[arg(value_name = "APP")]
    pub name: Option<String>,

    /// Print JSON (schema loupe.list/1)
    #[arg(long)]
    pub json: bool,
}

/// Remove analyses from the database, with their replays
///
/// The database is written directly, not by the daemon.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe rm 124
  loupe rm nginx/wrk nginx~1               all of a workload; the one before the newest
  loupe rm --imported")]
pub struct Rm {
    /// Numbers of analyses (`loupe list APP` has them), APP@124, APP~1, or APP/WORKLOAD for all of it
    #[arg(value_name = "ANALYSIS", required_unless_present = "imported")]
    pub names: Vec<String>,

    /// All that was imported
    #[arg(long, conflicts_with = "names")]
    pub imported: bool,
}

/// Make the database smaller: remove what can serve nobody any more
///
/// That is what was given up, and what was interrupted and has been measured anew since. The database is
/// written directly, not by the daemon.
#[derive(Debug, Args)]
pub struct Gc {
    /// Keep of each workload only the newest N analyses that were measured, and the newest N imported
    #[arg(long, value_name = "N", value_parser = at_least_one::<u32>)]
    pub keep: Option<u32>,
}
