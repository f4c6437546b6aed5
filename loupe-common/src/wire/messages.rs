//! Requests and replies. Unknown fields are ignored on both sides.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failure;
use crate::analysis::Analysis;
use crate::feature::Feature;
use crate::policy::Policy;
use crate::profile::{ProfileAnswer, ProfileEvent, ProfileRequest};
use crate::progress::Progress;
use crate::word::Word;

/// The number of a job: its own for good, also after a restart of the daemon.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(JobId)
    }
}

/// An analysis that the daemon shall do. The client has read the workload file, with the
/// rights of its caller; the daemon reads no file on the caller's behalf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnalyzeRequest {
    /// The workload file's content.
    pub workload: Value,
    /// Absolute path of the directory that relative paths of the workload start from.
    pub base: String,
    /// Options of the analysis; absent ones have their defaults.
    #[serde(default)]
    pub options: Value,
    /// Go on when no client watches any more.
    #[serde(default)]
    pub detach: bool,
}

/// A command that the daemon shall run once, with the three descriptors that come with the
/// line (`SCM_RIGHTS`: standard input, output, error).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOnce {
    pub command: Vec<Word>,
    /// The whole environment of the command.
    #[serde(default)]
    pub environment: Vec<(Word, Word)>,
    /// Absolute path.
    pub directory: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Word>,
    #[serde(default)]
    pub policy: Policy,
    /// Measure the time in each call too.
    #[serde(default)]
    pub latency: bool,
    /// Look out for pseudo-files too.
    #[serde(default)]
    pub pseudo_files: bool,
    /// Hide the vDSO from the command.
    #[serde(default)]
    pub no_vdso: bool,
    /// Send every call as it ends.
    #[serde(default)]
    pub stream: bool,
    /// Signals that the command ignores from its start; bit `n - 1` is signal `n`.
    #[serde(default)]
    pub ignored_signals: u64,
}

/// What a client asks for: the first line of its connection, and the only one but for
/// `cancel` (without a job) and `signal`, which may follow `analyze` and `run`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Is anybody there?
    Hello,
    Analyze(AnalyzeRequest),
    Run(RunOnce),
    /// The newest analysis of every workload, or all of this application (or `APP/WORKLOAD`).
    List {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
    },
    /// The finished analysis that is meant of every workload, or the one of this id.
    Results {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        analysis: Option<i64>,
    },
    /// `application` is a name that may say which one: `124`, `nginx/wrk`, `nginx@124`, `nginx~1`.
    Show {
        application: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload: Option<String>,
    },
    Explain {
        application: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload: Option<String>,
        feature: Feature,
    },
    Jobs,
    /// As a first line: cancel that job. After `analyze` or `run`, without a job: cancel
    /// what this connection asked for.
    Cancel {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
    Watch {
        job: JobId,
    },
    /// After `run`: send this signal to the command.
    Signal {
        signal: i32,
    },
    /// What the host's services really use.
    Profile(ProfileRequest),
}

pub(super) const REQUESTS: &[&str] = &[
    "hello", "analyze", "run", "list", "results", "show", "explain", "jobs", "cancel", "watch",
    "signal", "profile",
];

/// Where a job is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    /// Cancelled, and still cleaning up.
    Stopping,
    Finished,
    Failed,
    Cancelled,
}

impl JobState {
    /// Nothing will happen to the job any more.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            JobState::Finished | JobState::Failed | JobState::Cancelled
        )
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Stopping => "stopping",
            JobState::Finished => "finished",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        })
    }
}

/// One row of `loupe jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct JobInfo {
    pub id: JobId,
    /// Whose job it is.
    pub uid: u32,
    pub application: String,
    pub workload: String,
    pub state: JobState,
    pub detached: bool,
    /// Seconds since the epoch.
    pub submitted: u64,
    /// When it ended, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Jobs that run before it, if nothing changes; 0 unless it is queued.
    pub ahead: usize,
    /// Clients that follow it now.
    #[serde(default)]
    pub watchers: usize,
    /// The part of the analysis that it is in; empty before the first.
    #[serde(default)]
    pub phase: String,
    pub done: u64,
    pub running: u64,
    /// An estimate.
    pub left: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the daemon answers. `queued`, `progress`, `skipped` and `calls` are followed by more
/// replies; every other one is the last of its connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    Hello {
        /// Release of the daemon.
        version: String,
        supported: Vec<u32>,
        pid: u32,
    },
    /// The job exists; so many others run before it.
    Queued {
        job: JobId,
        ahead: usize,
    },
    Progress {
        job: JobId,
        event: Progress,
    },
    /// The client reads too slowly: so many progress replies were left out.
    Skipped {
        job: JobId,
        lost: u64,
    },
    /// A finished job's result.
    Analysis {
        job: JobId,
        /// Its number in the database.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<i64>,
        /// It was there already, and was not measured now.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
        analysis: Box<Analysis>,
    },
    /// Calls of a streamed run.
    Calls {
        calls: Vec<Value>,
    },
    /// A finished run.
    Ran {
        report: Value,
    },
    Listed {
        entries: Value,
    },
    Results {
        entries: Value,
    },
    Shown {
        analysis: Value,
    },
    Explained {
        evidence: Value,
    },
    Jobs {
        jobs: Vec<JobInfo>,
    },
    /// The job is being cancelled; its watchers learn when it is gone.
    Cancelling {
        job: JobId,
    },
    Profile(ProfileAnswer),
    /// Followed by more, until the client hangs up.
    ProfileEvent(ProfileEvent),
    Error(Failure),
    /// A piece of the text of a reply that is longer than a line may be.
    Part {
        text: String,
        last: bool,
    },
}

pub(super) const REPLIES: &[&str] = &[
    "hello",
    "queued",
    "progress",
    "skipped",
    "analysis",
    "calls",
    "ran",
    "listed",
    "results",
    "shown",
    "explained",
    "jobs",
    "cancelling",
    "profile",
    "profile_event",
    "error",
    "part",
];
