//! One engine behind both front doors: the client's own process and the daemon.
//!
//! Puts tracer, launcher, replays, analysis and store together. It prints nothing.

use std::path::PathBuf;
use std::sync::Arc;

use loupe_common::policy::Policy;
use loupe_common::progress::Progress;
use loupe_common::replay::ExitStatus;
use loupe_common::trace::Trace;

/// Whose rights a workload runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// How an analysis is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct AnalyzeOptions {
    /// Replays at a time; `None`: one per core.
    pub jobs: Option<usize>,
    /// Overrides the workload file's number of replicas.
    pub replicas: Option<u32>,
    /// Forget the finished replays of this workload and start anew.
    pub fresh: bool,
}

/// Called with every step of a running analysis; must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// A command that is run once, here, without a sandbox, under a policy and a trace.
#[derive(Clone, Debug)]
pub struct RunRequest {
    pub command: Vec<String>,
    /// The whole environment of the command.
    pub environment: Vec<(String, String)>,
    pub directory: PathBuf,
    /// The binary that is traced and injected into; `None`: the command's own.
    pub target: Option<PathBuf>,
    pub policy: Policy,
    /// Measure the time in each call too.
    pub latency: bool,
    pub identity: Identity,
}

/// One finished call, for `loupe trace --stream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedCall {
    pub time_ns: u64,
    pub pid: u32,
    pub tid: u32,
    /// `futex`, or `i386:240` for a call of another ABI.
    pub name: String,
    pub args: [u64; 6],
    pub result: i64,
    pub duration_ns: Option<u64>,
}

/// What came of a [`RunRequest`].
#[derive(Clone, Debug)]
pub struct RunReport {
    pub exit: ExitStatus,
    pub trace: Trace,
    /// Times that each rule of the policy answered a call; every rule is present.
    pub injections: std::collections::BTreeMap<loupe_common::feature::Feature, u64>,
    pub target_execs: u64,
    pub wall_us: u64,
}
