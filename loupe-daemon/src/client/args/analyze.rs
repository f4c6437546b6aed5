//! Arguments of `loupe analyze`, and how is measured, which `loupe study` takes too.

use clap::Args;
use loupe_common::feature::Depth;

use super::{Parallel, Source, at_least_one, chance, depth, parallel};
use crate::engine::{AnalyzeOptions, Natives};

/// Analyse a workload: which syscalls can be stubbed, which faked, which are required
///
/// Finished replays are kept: an analysis that was interrupted goes on where it stopped when it
/// is started again. Ctrl-C waits until nothing of the running replays is left.
///
/// Exits with 1 when a verdict could not be reached or the test does not notice a sabotage, with 3 when the workload cannot be
/// measured (its test fails or flaps without any injection, or events were lost).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe analyze nginx.toml
  loupe analyze --name redis --test 'redis-cli ping | grep -q PONG' -- redis-server --port 6379
  loupe analyze nginx.toml --jobs 4 --json > nginx.json
  loupe analyze redis.toml --detach        then: loupe jobs, loupe watch JOB")]
pub struct Analyze {
    #[command(flatten)]
    pub source: Source,

    #[command(flatten)]
    pub measuring: Measuring,

    /// Forget the replays of an interrupted analysis and begin anew
    #[arg(long)]
    pub fresh: bool,

    /// Print every row and remark, not only what decides
    #[arg(long, conflicts_with = "json")]
    pub full: bool,

    /// Print the result as JSON (schema loupe.analysis/1)
    #[arg(long)]
    pub json: bool,

    /// Leave it to the daemon and print the job's number
    #[arg(long, conflicts_with_all = ["local", "db"])]
    pub detach: bool,
}

/// How a workload is measured.
#[derive(Debug, Args)]
pub struct Measuring {
    /// Replays at a time; auto: as many as do not make the workload itself take longer, at
    /// least one per core [default: auto]
    #[arg(short, long, value_name = "N|auto", value_parser = parallel)]
    pub jobs: Option<Parallel>,

    /// Replays of each policy [default: what the workload file says, else 3]
    #[arg(long, value_name = "N", value_parser = at_least_one::<u32>)]
    pub replicas: Option<u32>,

    /// Let every replica be of one syscall alone, instead of confirming together what passed
    /// alone
    #[arg(long)]
    pub exhaustive: bool,

    /// Repeat each replay until its verdict is right with this chance, such as 0.99; measures a
    /// workload that fails now and then, too
    #[arg(long, value_name = "P", value_parser = chance, conflicts_with = "replicas")]
    pub confidence: Option<f64>,

    /// Where a syscall or operation cannot fail with ENOSYS, try EPERM, EINVAL, EOPNOTSUPP (ioctl:
    /// ENOTTY, socket options: ENOPROTOOPT) too; where a pseudo-file must be there, EACCES, EPERM
    #[arg(long)]
    pub errnos: bool,

    /// Count a pass that looks wrong (nothing sent, a tenth of the calls) as a failure
    #[arg(long)]
    pub strict: bool,

    /// How far to open required syscalls: not at all; each operation of a vectored one (fcntl:
    /// F_SETFD); and each flag (mmap: MAP_POPULATE)
    #[arg(long, value_name = "LEVEL", default_value = "operation", value_parser = depth())]
    pub depth: Depth,

    /// Do not look for what can be left out all at once
    #[arg(long)]
    pub no_joint: bool,

    /// Look no longer for what can be left out all at once than N runs of the workload itself take, or
    /// until there is nothing better [default: as long as the single verdicts took]
    #[arg(long, value_name = "N|all", conflicts_with = "no_joint")]
    pub effort: Option<Natives>,

    /// Leave pseudo-files (in /proc, /sys and /dev) out of the analysis
    #[arg(long)]
    pub no_pseudo_files: bool,

    /// Fake each syscall plausibly, too: it does nothing and returns what a success would (a
    /// count, an id, a descriptor)
    #[arg(long)]
    pub plausible: bool,

    /// Hide the vDSO from the application, so that the calls that it answers (clock_gettime,
    /// gettimeofday, time, getcpu) are measured
    #[arg(long)]
    pub no_vdso: bool,

    /// Try the test against sabotage first (application absent, killed half-way, its reads
    /// fail), and tell what it does not notice
    #[arg(long)]
    pub check_test: bool,

    /// Work as the paper's prototype did, to compare with it: one replay after the other, each
    /// syscall once each way, a sleep of 0.4 s before each test, limits of 4 s
    #[arg(long, conflicts_with_all = ["jobs", "replicas", "confidence", "exhaustive"])]
    pub paper_mode: bool,

    /// Measure what each syscall costs to do without: speed (the workload file's `metric`), CPU
    /// time, memory, descriptors; by 10 replays of each way that works, or as many as given
    #[arg(long, value_name = "REPLAYS", num_args = 0..=1, require_equals = true,
          default_missing_value = "10", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub impact: Option<u32>,
}

impl Measuring {
    pub fn options(&self) -> AnalyzeOptions {
        AnalyzeOptions {
            jobs: self.jobs.and_then(Parallel::count),
            most_jobs: None,
            replicas: self.replicas,
            fresh: false,
            unless_done: false,
            exhaustive: self.exhaustive,
            confidence: self.confidence,
            errnos: self.errnos,
            strict: self.strict,
            depth: self.depth,
            no_joint: self.no_joint,
            effort: self.effort,
            no_pseudo_files: self.no_pseudo_files,
            plausible: self.plausible,
            no_vdso: self.no_vdso,
            check_test: self.check_test,
            paper_mode: self.paper_mode,
            impact: self.impact,
        }
    }
}
