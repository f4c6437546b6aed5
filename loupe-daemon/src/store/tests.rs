//! What the tests of the store share: small made-up workloads, replays and results.

mod concurrency;
mod full_disk;
mod jobs;
mod kill;
mod migration;
mod owners;
mod profiles;
mod queries;
mod refusals;
mod resume;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loupe_common::analysis::{Basis, FeatureVerdict, SCHEMA, Trial};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{Conditions, ExitStatus, Failure, OutputTail, Timing, Usage};
use loupe_common::trace::{CallCounts, Trace};
use loupe_common::verdict::Verdict;

use super::*;

/// A database in a directory of its own, which goes with it.
struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("loupe.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.path()).expect("the store opens")
    }
}

/// What most tests ask for: one's own analyses, and everybody's results.
impl Store {
    fn begin_analysis(
        &self,
        workload: &Workload,
        fingerprint: &str,
        fresh: bool,
    ) -> Result<AnalysisRun, StoreError> {
        let owner = nix::unistd::geteuid().as_raw();
        self.begin_analysis_of(owner, workload, fingerprint, fresh)
    }

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        self.list_of(None)
    }

    fn latest_analysis(
        &self,
        application: &str,
        workload: Option<&str>,
    ) -> Result<Option<StoredAnalysis>, StoreError> {
        self.meant_by(None, &Selector::parse(application, workload))
    }

    /// How many replays are recorded of an analysis.
    fn recorded(&self, run: &AnalysisRun) -> u64 {
        let counts: Vec<i64> = self
            .rows(
                "SELECT count(*) FROM replays WHERE analysis = ?1",
                [run.id],
                |row| row.get(0),
            )
            .expect("readable");
        counts[0].unsigned_abs()
    }
}

fn workload(application: &str, name: &str) -> Workload {
    let text = format!(
        "application = {application:?}\nworkload = {name:?}\nmode = \"server\"\n\
         command = [\"{application}\"]\ntest = \"true\"\n"
    );
    Workload::parse(&text, Path::new("w.toml"), PathBuf::from("/")).expect("a valid workload")
}

fn feature(name: &str) -> Feature {
    name.parse().expect("a known feature")
}

fn single(name: &str, action: Action) -> Policy {
    Policy::single(feature(name), action)
}

/// A replay that used `read`, and passed or did not.
fn replay(policy: Policy, passed: bool) -> Replay {
    let outcome = if passed {
        Outcome::Passed
    } else {
        Outcome::Failed(Failure::Test {
            status: ExitStatus::Code(7),
        })
    };
    let counts = CallCounts {
        calls: 42,
        ..CallCounts::default()
    };
    Replay {
        injections: policy
            .iter()
            .map(|(feature, _)| (feature.clone(), 3))
            .collect(),
        policy,
        outcome,
        application_exit: None,
        test_exit: Some(ExitStatus::Code(if passed { 0 } else { 7 })),
        application_output: OutputTail {
            tail: "ready\n".to_owned(),
            total_bytes: 6,
        },
        test_output: OutputTail::default(),
        trace: Trace {
            calls: [(feature("read"), counts)].into(),
            first_seen: vec![feature("read")],
            ..Trace::default()
        },
        target_execs: 1,
        timing: Timing::default(),
        usage: Usage::default(),
        metric: None,
        listened: None,
        listens: 0,
        left: Vec::new(),
        conditions: Conditions::default(),
    }
}

fn result_of(application: &str, name: &str, verdicts: &[(&str, Verdict)]) -> Analysis {
    Analysis {
        schema: SCHEMA.to_owned(),
        application: application.to_owned(),
        workload: name.to_owned(),
        replays: 12,
        wall_seconds: 1.5,
        baseline_ms: 20.0,
        baseline_runs: 3,
        features: verdicts
            .iter()
            .map(|(name, verdict)| FeatureVerdict {
                feature: feature(name),
                kind: "syscall".to_owned(),
                verdict: *verdict,
                calls: 42,
                seen_in: 0,
                stub: Trial::default(),
                fake: Trial::default(),
                plausible: None,
                errnos: Default::default(),
                error_bound: None,
                basis: Basis::Measured,
                harness: false,
            })
            .collect(),
        ..Analysis::default()
    }
}

/// Says on the real standard error (the harness swallows `eprintln!`) what was not tested.
/// `LOUPE_TEST_NO_SKIP=1` makes a failure of it.
fn skip(test: &str, missing: &str) {
    assert!(
        std::env::var_os("LOUPE_TEST_NO_SKIP").is_none(),
        "{test} must not be skipped, but {missing}"
    );
    let message = format!("SKIPPED {test}: {missing}\n");
    std::io::stderr()
        .write_all(message.as_bytes())
        .expect("standard error is open");
}
