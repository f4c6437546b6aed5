//! One engine behind both front doors: the client's own process and the daemon.
//!
//! Puts tracer, launcher, replays, analysis and store together. It prints nothing.

mod analysis;
mod bench;
mod command;
mod emulate;
mod error;
mod fingerprint;
mod package;
mod parallel;
mod phases;
mod provenance;
mod recording;
mod script;
mod slots;
mod spreading;
mod stages;
mod test_check;
mod trial;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use loupe_common::analysis::Analysis;
use loupe_common::feature::Depth;
use loupe_common::policy::Policy;
use loupe_common::progress::Progress;
use loupe_common::replay::ExitStatus;
use loupe_common::trace::Trace;
use loupe_common::word::Word;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::executable::Digest;
use crate::launcher::Launcher;
pub use crate::launcher::protocol::Identity;
use crate::replay::MOST_REPLICAS;
use crate::tracer::{Tracer, TracerError};
use crate::{cgroup, lock};
pub use analysis::how;
pub use bench::How;
pub use emulate::EmulateOptions;
pub use error::{AnalyzeError, EngineError};
pub use package::{Content, Package, Packages, Shipped};
use slots::Cpus;
pub use spreading::{analyze_spread, done_spread};
pub use trial::Trial;
pub use worker::{HostWorker, host_class, user_identity};

/// More replays at a time than any host can run.
const MOST_JOBS: u64 = 65_535;

/// Replays of each way whose impact is measured.
const MOST_MEASURED: u32 = 1000;

/// How an analysis is done.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct AnalyzeOptions {
    /// Replays at a time; `None`: as many as leave the baseline's duration as it is, at least
    /// one per core.
    pub jobs: Option<usize>,
    /// Never more than this many; the daemon's to say, not its clients'.
    #[serde(skip)]
    pub most_jobs: Option<usize>,
    /// Overrides the workload file's number of replicas.
    pub replicas: Option<u32>,
    /// Forget the finished replays of this workload and start anew.
    pub fresh: bool,
    /// If the database has the same analysis already, that is the result.
    pub unless_done: bool,
    /// Let every replica be of one feature alone.
    pub exhaustive: bool,
    /// Instead of a number of replicas: go on until a decision is right with this chance.
    pub confidence: Option<f64>,
    /// Where a feature cannot be stubbed with ENOSYS, try other errnos too.
    pub errnos: bool,
    /// A pass that looks wrong counts as a failure.
    pub strict: bool,
    /// How far required syscalls are opened.
    pub depth: Depth,
    /// Leave out the joint policy.
    pub no_joint: bool,
    /// How long the search for the joint policy may take, in times that the workload itself takes;
    /// `None`: as long as what came before it.
    pub effort: Option<Natives>,
    /// Look for no pseudo-files, and leave none out.
    pub no_pseudo_files: bool,
    /// Measure plausible fakes too.
    pub plausible: bool,
    /// Hide the vDSO from the target.
    pub no_vdso: bool,
    /// Try the test against sabotage first.
    pub check_test: bool,
    /// Work as the paper's prototype does, to compare with it.
    pub paper_mode: bool,
    /// Measure what leaving each feature out costs, where that works, by so many replays each.
    pub impact: Option<u32>,
}

/// Times that a workload itself takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Natives {
    /// As many as it takes.
    All,
    Most(u32),
}

impl std::str::FromStr for Natives {
    type Err = String;

    fn from_str(text: &str) -> Result<Natives, String> {
        match text {
            "all" => Ok(Natives::All),
            number => number
                .parse()
                .map(Natives::Most)
                .map_err(|_| "expected a whole number, or `all`".to_owned()),
        }
    }
}

impl AnalyzeOptions {
    /// The same for options that bring the same verdicts: how many replays run at a time and what
    /// is known already does not matter.
    pub fn digest(&self) -> String {
        let decisive = AnalyzeOptions {
            jobs: None,
            fresh: false,
            unless_done: false,
            ..self.clone()
        };
        let mut digest = Digest::default();
        // Serializing plain strings and numbers to a string cannot fail.
        let text = serde_json::to_string(&decisive).unwrap_or_default();
        digest.text(text.as_bytes());
        digest.finish()
    }

    /// What the types cannot say; for options that did not come from the command line.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: Option<u64>, least: u64, most: u64| match value {
            Some(value) if !(least..=most).contains(&value) => Err(format!(
                "`{name}` must be at least {least} and at most {most}"
            )),
            _ => Ok(()),
        };
        within("jobs", self.jobs.map(|jobs| jobs as u64), 1, MOST_JOBS)?;
        let most = u64::from(MOST_REPLICAS);
        within("replicas", self.replicas.map(u64::from), 1, most)?;
        let most = u64::from(MOST_MEASURED);
        within("impact", self.impact.map(u64::from), 2, most)?;
        match self.confidence {
            // NaN is none either.
            Some(chance) if !(chance > 0.5 && chance < 1.0) => {
                Err("`confidence` must be above 0.5 and below 1".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// An analysis that is done, and the number under which the database has it.
#[derive(Clone, Debug)]
pub struct Finished {
    pub id: i64,
    pub analysis: Analysis,
    /// The database had it already.
    pub kept: bool,
}

/// Analyses at a time of somebody who wants several: while one of them has only a few replays to run,
/// the CPUs are not idle. More than a few only need memory.
pub fn usual_at_once() -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    cpus.clamp(2, 4)
}

/// Called with every step of a running analysis; must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// A command that is run once, here, without a sandbox, under a policy and a trace.
#[derive(Clone, Debug)]
pub struct RunRequest {
    pub command: Vec<Word>,
    /// The whole environment of the command.
    pub environment: Vec<(Word, Word)>,
    pub directory: PathBuf,
    /// The binary that is traced and injected into; `None`: the command's own.
    pub target: Option<PathBuf>,
    pub policy: Policy,
    /// Measure the time in each call too.
    pub latency: bool,
    /// Look out for pseudo-files too; those of the policy are in any case.
    pub pseudo_files: bool,
    /// Hide the vDSO from the target.
    pub no_vdso: bool,
    pub identity: Identity,
    /// As in [`CommandSpec`](crate::launcher::protocol::CommandSpec).
    pub ignored_signals: u64,
}

/// Influence on a command that runs.
#[derive(Debug)]
pub struct RunControl {
    /// Ends the command: SIGTERM, and five seconds later SIGKILL.
    pub cancel: CancellationToken,
    /// Signals to pass on to the command.
    pub signals: mpsc::Receiver<i32>,
}

/// One finished call, for `loupe trace --stream`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StreamedCall {
    pub time_ns: u64,
    pub pid: u32,
    pub tid: u32,
    /// `futex`, or `i386:240` for a call of another ABI.
    pub name: String,
    pub args: [u64; 6],
    pub result: i64,
    pub duration_ns: Option<u64>,
    /// The file that it names, as the application wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What came of a [`RunRequest`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RunReport {
    pub exit: ExitStatus,
    pub trace: Trace,
    /// Times that each rule of the policy answered a call; every rule is present.
    pub injections: std::collections::BTreeMap<loupe_common::feature::Feature, u64>,
    pub target_execs: u64,
    /// What was executed where the target never was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executed: Vec<String>,
    pub wall_us: u64,
}

/// The engine. Starts its launcher at once and loads the in-kernel programs when they are
/// first needed.
pub struct Engine {
    launcher: Arc<Launcher>,
    tracer: Mutex<Option<Tracer>>,
    /// Shared by all that replays at a time.
    cpus: Mutex<Arc<Cpus>>,
}

impl Engine {
    pub fn start() -> Result<Engine, EngineError> {
        cgroup::remove_orphans()?;
        Ok(Engine {
            launcher: Arc::new(Launcher::start()?),
            tracer: Mutex::default(),
            cpus: Mutex::new(Cpus::new(&allowed_cpus())),
        })
    }

    /// The CPUs that replays share. Where nobody uses them, they are looked up anew: who runs this
    /// process may have given it others.
    fn cpus(&self) -> Arc<Cpus> {
        let mut cpus = lock(&self.cpus);
        let allowed = allowed_cpus();
        if Arc::strong_count(&cpus) == 1 && cpus.numbers() != allowed {
            *cpus = Cpus::new(&allowed);
        }
        Arc::clone(&cpus)
    }

    /// Loads the in-kernel programs now. Blocks.
    pub fn load(&self) -> Result<(), TracerError> {
        self.tracer().map(drop)
    }

    /// The loaded in-kernel programs. Blocks while they are loaded.
    fn tracer(&self) -> Result<Tracer, TracerError> {
        let mut tracer = lock(&self.tracer);
        if let Some(tracer) = &*tracer {
            return Ok(tracer.clone());
        }
        let loaded = Tracer::load()?;
        Ok(tracer.insert(loaded).clone())
    }
}

/// The CPUs that this process may use.
fn allowed_cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_else(|_| CpuSet::new());
    let cpus: Vec<usize> = (0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

impl Drop for Engine {
    fn drop(&mut self) {
        cgroup::remove_stuck();
    }
}
