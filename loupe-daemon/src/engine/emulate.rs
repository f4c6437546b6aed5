//! A workload run as another OS would treat it.

use std::sync::Arc;
use std::time::Instant;

use loupe_common::emulation::{Emulation, SCHEMA};
use loupe_common::policy::Policy;
use loupe_common::replay::Replay;
use tokio_util::sync::CancellationToken;

use super::analysis::{Opened, Order};
use super::bench::How;
use super::{AnalyzeError, AnalyzeOptions, Engine, Identity, ProgressSink, fingerprint};
use crate::explore::{self, Emulated, ExploreOptions};
use crate::inject;
use crate::replay::Workload;
use crate::store::Store;

/// What is to be emulated, and how.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct EmulateOptions {
    /// What the OS is called.
    pub os: String,
    /// What it does not do.
    pub policy: Policy,
    /// Go on after the first thing that breaks the workload, until it passes.
    pub all: bool,
    /// Replays at a time; `None`: one per core.
    pub jobs: Option<usize>,
    /// Overrides the workload file's number of replicas.
    pub replicas: Option<u32>,
}

impl Engine {
    /// Emulates. Its replays stay in the database under an analysis of their own, which is never
    /// finished nor continued: they say nothing about single features.
    pub async fn emulate(
        &self,
        store: &Arc<Store>,
        workload: &Workload,
        identity: &Identity,
        options: &EmulateOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Emulation, AnalyzeError> {
        let order = Order {
            store,
            workload,
            identity,
            fresh: true,
            how: How::default(),
        };
        let usual = AnalyzeOptions::default();
        let session = self.open(&order, |prepared| {
            let text = fingerprint::of(prepared, identity, &usual)?;
            Ok(format!("emulation\n{text}"))
        })?;
        let begin = Instant::now();
        let result = session
            .until(&cancel, measure(&session, workload, options, &progress))
            .await;
        store.abandon_analysis(session.recording.0.run.id)?;
        let found = result?;
        let failed = match found.failure {
            Some(id) => store.replay(id)?,
            None => None,
        };
        Ok(Emulation {
            schema: SCHEMA.to_owned(),
            application: workload.application.clone(),
            workload: workload.workload.clone(),
            os: options.os.clone(),
            passed: found.passed,
            runs: found.runs,
            passes: found.passes,
            replay_ids: found.replay_ids,
            failure: failed.as_ref().map(|replay| replay.outcome.to_string()),
            output: failed.as_ref().map(printed),
            left_out: options.policy.len() as u64,
            answered: found.answered,
            broken: found.broken,
            complete: found.complete,
            suspicious: found.suspicious,
            replays: found.replays,
            wall_seconds: begin.elapsed().as_secs_f64(),
        })
    }
}

async fn measure(
    session: &Opened,
    workload: &Workload,
    options: &EmulateOptions,
    progress: &ProgressSink,
) -> Result<Emulated, AnalyzeError> {
    let cpus = session.cpus.numbers().len();
    let jobs = options.jobs.unwrap_or(cpus).max(1);
    session.recording.0.set_slots(session.cpus.slots(jobs));
    let replicas = options.replicas.unwrap_or(workload.replica_count());
    let explore_options = ExploreOptions {
        jobs,
        cpus,
        replicas,
        baseline_replicas: replicas.max(2),
        notifies: inject::notifies(&options.policy),
        ..ExploreOptions::default()
    };
    let on_progress = |step| progress(step);
    let emulated = explore::emulate(
        &session.recording,
        &options.policy,
        options.all,
        &explore_options,
        &on_progress,
    );
    Ok(emulated.await?)
}

/// The last words of the application, then of the test.
fn printed(replay: &Replay) -> String {
    let output = [&replay.application_output, &replay.test_output];
    let output = output.map(|output| output.tail.trim_end());
    output.join("\n").trim_matches('\n').to_owned()
}
