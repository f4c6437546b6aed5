//! The shapes of the documents that reports put together as they print them: for their schemas, and for
//! nothing else. The tests compare every document with its schema.

use std::collections::BTreeMap;

use loupe_common::analysis::{Origin, TestCheck};
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::profile::{Profile, ProfileEvent, ProfileStatus};
use loupe_common::provenance::Provenance;
use loupe_common::replay::{ExitStatus, Replay};
use loupe_common::trace::{ForeignCall, Lost};
use loupe_common::verdict::Verdict;
use loupe_common::word::Word;
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::{Curve, Heat, Summary};

#[derive(Serialize, JsonSchema)]
pub struct List {
    schema: String,
    analyses: Vec<Listed>,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    analysis: i64,
    application: String,
    workload: String,
    /// Whether it was measured elsewhere.
    imported: bool,
    provenance: Option<Provenance>,
    /// `finished`, `running` or `interrupted`
    state: String,
    started: String,
    finished: Option<String>,
    replays: u64,
    verdicts: Option<BTreeMap<Verdict, u64>>,
}

#[derive(Serialize, JsonSchema)]
pub struct Provenances {
    schema: String,
    analyses: Vec<Measured>,
}

#[derive(Serialize, JsonSchema)]
struct Measured {
    analysis: i64,
    application: String,
    workload: String,
    imported: Option<Origin>,
    provenance: Option<Provenance>,
}

#[derive(Serialize, JsonSchema)]
pub struct Trial {
    schema: String,
    application: String,
    workload: String,
    /// It passed, and the test notices that there is no application.
    good: bool,
    replay: Replay,
    absent: TestCheck,
}

#[derive(Serialize, JsonSchema)]
pub struct Trace {
    schema: String,
    wall_seconds: f64,
    total_calls: u64,
    calls: Vec<Call>,
    first_seen: Vec<Feature>,
    foreign: Vec<ForeignCall>,
    forks: u64,
    execs: u64,
    exits: u64,
    lost: Lost,
    vdso: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    io_uring: Option<Vec<Submitted>>,
    /// Absent where they were not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pseudo_files: Option<Vec<PseudoFile>>,
    /// These three are absent where it was running already, or stand beside the trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<Word>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<ExitStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_execs: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Call {
    syscall: String,
    calls: u64,
    failed: u64,
    errors: BTreeMap<Errno, u64>,
    latency: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<Vec<Part>>,
}

#[derive(Serialize, JsonSchema)]
struct Part {
    feature: Feature,
    kind: String,
    calls: u64,
    failed: u64,
    errors: BTreeMap<Errno, u64>,
}

#[derive(Serialize, JsonSchema)]
struct Latency {
    calls: u64,
    total_ns: u64,
    average_ns: u64,
    p99_at_most_ns: u64,
    max_ns: u64,
    log2_buckets: Vec<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Submitted {
    operation: String,
    submitted: u64,
}

#[derive(Serialize, JsonSchema)]
struct PseudoFile {
    path: String,
    calls: u64,
}

#[derive(Serialize, JsonSchema)]
pub struct Profiles {
    schema: String,
    since_ms: Option<u64>,
    profiles: Vec<Profile>,
}

#[derive(Serialize, JsonSchema)]
pub struct Event {
    schema: String,
    #[serde(flatten)]
    event: ProfileEvent,
}

#[derive(Serialize, JsonSchema)]
pub struct Status {
    schema: String,
    #[serde(flatten)]
    status: ProfileStatus,
}

#[derive(Serialize, JsonSchema)]
pub struct Report {
    schema: String,
    applications: Vec<Summary>,
    used: usize,
    required: usize,
    cumulative: Cumulative,
    syscalls: Vec<Heat>,
}

#[derive(Serialize, JsonSchema)]
struct Cumulative {
    with_verdicts: Curve,
    without_verdicts: Curve,
    by_static_analysis: Option<Curve>,
}
