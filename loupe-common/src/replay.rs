//! The record of one replay: what was asked, what happened, what the application printed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::feature::Feature;
use crate::host_class::HostClass;
use crate::policy::Policy;
use crate::trace::Trace;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// `exit(code)`.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

impl ExitStatus {
    pub fn success(self) -> bool {
        self == ExitStatus::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit status {code}"),
            ExitStatus::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why a replay counts as failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Failure {
    /// The test said no.
    Test { status: ExitStatus },
    /// The test was still running at its time limit.
    TestTimeout { limit_ms: u64 },
    /// The application ended before it could be tested (server), or badly (batch).
    Died { status: ExitStatus },
    /// The application was neither ready nor gone at its time limit.
    StartTimeout { limit_ms: u64 },
    /// A batch run did not end in time.
    RunTimeout { limit_ms: u64 },
    /// Nothing in the application can go on: every thread waits for another.
    Hung { after_ms: u64 },
    /// It repeated itself, while nothing else in the replay moved.
    Livelock { after_ms: u64 },
    /// It computed far longer than the baseline ever did, and was overdue.
    Runaway { cpu_ms: u64, limit_ms: u64 },
    /// It came to the end of what a replay may use.
    LimitReached { what: Limited, limit: u64 },
}

/// What a replay may use so much of and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limited {
    /// Processes and threads.
    Processes,
    /// Memory of all processes, in MiB.
    Memory,
    /// What is written to the sandbox's file systems, in MiB.
    Files,
}

impl Failure {
    /// Whether the clock had a say in it, so that a host that stood still may be what failed.
    pub fn is_by_time(&self) -> bool {
        match self {
            Failure::Test { .. } | Failure::Died { .. } | Failure::LimitReached { .. } => false,
            Failure::TestTimeout { .. }
            | Failure::StartTimeout { .. }
            | Failure::RunTimeout { .. }
            | Failure::Hung { .. }
            | Failure::Livelock { .. }
            | Failure::Runaway { .. } => true,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Test { status } => write!(f, "the test failed ({status})"),
            Failure::TestTimeout { limit_ms } => {
                write!(f, "the test did not end within {limit_ms} ms")
            }
            Failure::Died { status } => write!(f, "the application ended ({status})"),
            Failure::StartTimeout { limit_ms } => {
                write!(f, "the application was not ready within {limit_ms} ms")
            }
            Failure::RunTimeout { limit_ms } => {
                write!(f, "the application did not end within {limit_ms} ms")
            }
            Failure::Hung { after_ms } => {
                write!(
                    f,
                    "the application hung (every thread waiting, seen after {after_ms} ms)"
                )
            }
            Failure::Livelock { after_ms } => {
                write!(
                    f,
                    "the application repeated itself without getting anywhere (seen after \
                     {after_ms} ms)"
                )
            }
            Failure::LimitReached { what, limit } => match what {
                Limited::Processes => write!(
                    f,
                    "limit reached: {limit} processes and threads (`limits.processes`)"
                ),
                Limited::Memory => {
                    write!(f, "limit reached: {limit} MiB of memory (`limits.memory`)")
                }
                Limited::Files => write!(
                    f,
                    "limit reached: {limit} MiB of files, all that a sandbox may write"
                ),
            },
            Failure::Runaway { cpu_ms, limit_ms } => {
                write!(
                    f,
                    "it was overdue and had used {cpu_ms} ms of CPU time, over its limit of \
                     {limit_ms} ms"
                )
            }
        }
    }
}

/// What a replay says about its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Outcome {
    /// The test passed.
    Passed,
    Failed(Failure),
    /// The measurement cannot be used (events were lost, the filter could not be installed).
    Invalid {
        why: String,
    },
}

impl Outcome {
    pub fn passed(&self) -> bool {
        matches!(self, Outcome::Passed)
    }

    pub fn failed(&self) -> bool {
        matches!(self, Outcome::Failed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed => f.write_str("passed"),
            Outcome::Failed(failure) => write!(f, "failed: {failure}"),
            Outcome::Invalid { why } => write!(f, "invalid: {why}"),
        }
    }
}

/// The end of what a process printed, and how much it printed in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct OutputTail {
    /// At most [`OutputTail::LIMIT`] bytes, invalid UTF-8 replaced.
    pub tail: String,
    pub total_bytes: u64,
}

impl OutputTail {
    /// Bytes of output that a replay keeps per process.
    pub const LIMIT: usize = 4096;
}

/// Where the time of a replay went, in microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize,
)]
pub struct Timing {
    /// Waiting for a sandbox (0 when one stood ready).
    pub sandbox_us: u64,
    /// From the application's start until it was ready, or ended, without `calm_us`.
    pub ready_us: u64,
    /// The time after that in which nothing happened any more, and Loupe waited to be sure of it. It
    /// is none of the workload's: later replays, of which it is known what to wait for, do without.
    #[serde(default)]
    pub calm_us: u64,
    pub test_us: u64,
    /// From the request to stop until nothing of the tree was left.
    pub stop_us: u64,
    /// All of it, without `calm_us`.
    pub wall_us: u64,
}

/// What the application's process tree used.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize,
)]
pub struct Usage {
    /// CPU time of the target's cgroup, user and system.
    pub cpu_us: u64,
    /// CPU time of everything in the sandbox, the test and the sandbox's making included.
    #[serde(default)]
    pub total_cpu_us: u64,
    /// The part of `total_cpu_us` from before the test.
    #[serde(default)]
    pub start_cpu_us: u64,
    /// Calls of the target before the test.
    #[serde(default)]
    pub start_calls: u64,
    /// The largest resident set of any one process of the command, as far as its processes
    /// waited for each other, in KiB.
    pub max_rss_kib: u64,
    /// What the process that became the command had resident before: the kernel never tells
    /// less than that as the largest, so a smaller command's own is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_rss_kib: Option<u64>,
    /// Of a server: the peak resident sets of the target's processes when the test was over,
    /// added up, in KiB. Of a batch application: the largest, as above. Absent: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_kib: Option<u64>,
    /// Of a server: descriptors that the target's processes had open when the test was over.
    /// Absent: not looked at, or no process was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// Replays that ran at a time, this one among them, where they were more than CPUs; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crowd: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// Whether `peak_memory_kib` is only what Loupe itself needs to start a command.
    pub fn peak_is_our_own(&self) -> bool {
        // Between asking and the `execve` some more pages are touched.
        let most = self.start_rss_kib.map(|kib| kib + kib / 16);
        most.is_some_and(|most| self.peak_memory_kib.is_some_and(|peak| peak <= most))
    }
}

/// A replay of the baseline that tells whether the measuring itself changes the workload.
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
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Under a filter that answers no call.
    Filter,
    /// Under a filter that notifies a supervisor, which lets every call go on.
    Listener,
    /// Under no filter at all.
    Bare,
    /// As the baseline is, among more replays than there are CPUs.
    Crowd,
    /// As the baseline is, between a failure by time and its confirmation: whether the host still
    /// lets the workload pass.
    Host,
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Control::Filter => "under a filter that answers no call",
            Control::Listener => "under a listener that lets every call go on",
            Control::Bare => "under no filter at all",
            Control::Crowd => "beside more others than there are CPUs",
            Control::Host => "to see whether the host still lets the workload pass",
        })
    }
}

/// What a replay ran under, beside its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Conditions {
    /// It is a control, and no replica of the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// Why no filter could be put on the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Time of the replay in which the host stood still, in milliseconds, where that made a
    /// failure void.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stood_still_ms: u64,
    /// What kind of host it ran on, where it was one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Box<HostClass>>,
}

impl Conditions {
    /// Nothing is to be said.
    pub fn is_usual(&self) -> bool {
        *self == Conditions::default()
    }
}

/// One run of the workload under one policy.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Replay {
    pub policy: Policy,
    pub outcome: Outcome,
    /// How the application's first process ended; absent where Loupe ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_exit: Option<ExitStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_exit: Option<ExitStatus>,
    pub application_output: OutputTail,
    pub test_output: OutputTail,
    pub trace: Trace,
    /// Times that each rule of the policy answered a call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub injections: BTreeMap<Feature, u64>,
    /// Times that the target binary was started in the tree.
    pub target_execs: u64,
    pub timing: Timing,
    pub usage: Usage,
    /// The workload's own metric, where its test prints one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<f64>,
    /// Of a server: whether a `listen` of the target succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listened: Option<bool>,
    /// Of a server: times that a `listen` of the target had succeeded when it was ready.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub listens: u64,
    /// Of a batch application: names of what its command had left, asleep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    #[serde(default, skip_serializing_if = "Conditions::is_usual")]
    pub conditions: Conditions,
}
