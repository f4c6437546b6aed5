//! One analysis from its beginning to its result in the store.

use std::sync::Arc;
use std::time::Instant;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Depth;
use loupe_common::progress::Progress;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::recording::{How, Recording, Shared};
use super::slots::Slots;
use super::{
    AnalyzeError, AnalyzeOptions, Engine, EngineError, Identity, ProgressSink, fingerprint,
    parallel, test_check,
};
use crate::explore::{self, ExploreError, ExploreOptions, ImpactOptions, Subject};
use crate::replay::{Cancel, Mode, Pace, Prepared, Workload};
use crate::store::Store;

/// With more replays at a time on each CPU than this, time goes by in waiting, not in computing.
const MANY_JOBS: usize = 2;

/// Replays of each way whose impact is measured.
const MOST_MEASURED: u32 = 1000;

impl Engine {
    /// Analyses a workload. When `cancel` fires, everything of the running replays is gone
    /// before this returns [`AnalyzeError::Cancelled`].
    pub async fn analyze(
        &self,
        store: &Arc<Store>,
        workload: &Workload,
        identity: &Identity,
        options: &AnalyzeOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Analysis, AnalyzeError> {
        let attempt = |options: AnalyzeOptions| {
            let (progress, cancel) = (Arc::clone(&progress), cancel.clone());
            async move {
                self.attempt(store, workload, identity, &options, progress, cancel)
                    .await
            }
        };
        match attempt(options.clone()).await {
            Err(error @ AnalyzeError::Crowded { .. }) if options.jobs.is_none() => {
                let text = format!("{error}: beginning anew with one for each CPU");
                progress(Progress::Notice { text });
                let jobs = Some(allowed_cpus().len());
                attempt(AnalyzeOptions {
                    jobs,
                    ..options.clone()
                })
                .await
            }
            result => result,
        }
    }

    async fn attempt(
        &self,
        store: &Arc<Store>,
        workload: &Workload,
        identity: &Identity,
        options: &AnalyzeOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Analysis, AnalyzeError> {
        let prepared = Prepared::new(workload, identity)?;
        let tracer = tokio::task::block_in_place(|| self.tracer()).map_err(EngineError::from)?;
        let _attached = tracer.attach().map_err(EngineError::from)?;
        let cpus = allowed_cpus();
        let fingerprint = fingerprint::of(&prepared, identity, options.paper_mode);
        let fresh = options.fresh;
        let run = store.begin_analysis_of(identity.uid, workload, &fingerprint, fresh)?;
        let stop = Cancel::new().map_err(|source| EngineError::Io {
            what: "eventfd",
            source,
        })?;
        let how = How {
            pace: match options.paper_mode {
                true => Pace::Paper,
                false => Pace::Events,
            },
            sample: options.impact.is_some(),
        };
        let launcher = Arc::clone(&self.launcher);
        let shared = Shared::new(store, run, prepared, launcher, tracer, stop.clone(), how);
        let recording = Recording(Arc::new(shared));
        // Also when the caller drops this future: the replays' threads must not go on.
        let _stop_on_drop = StopOnDrop(stop.clone());
        let measured = measure(&recording, workload, options, &cpus, &progress, &stop);
        tokio::pin!(measured);
        let result = tokio::select! {
            result = &mut measured => result,
            () = cancel.cancelled() => {
                stop.cancel();
                measured.await
            }
        };
        let analysis = match result {
            Ok(analysis) => analysis,
            Err(error) => {
                if error.is_final() {
                    store.abandon_analysis(recording.0.run.id)?;
                }
                return Err(error);
            }
        };
        store.finish_analysis(recording.0.run.id, &analysis)?;
        Ok(analysis)
    }
}

/// The parts of an analysis in their order.
async fn measure(
    recording: &Recording,
    workload: &Workload,
    options: &AnalyzeOptions,
    cpus: &[usize],
    progress: &ProgressSink,
    stop: &Cancel,
) -> Result<Analysis, AnalyzeError> {
    let begin = Instant::now();
    let jobs = match (options.paper_mode, options.jobs) {
        (true, _) => 1,
        (false, Some(jobs)) => jobs,
        (false, None) => parallel::find(recording, cpus, options.most_jobs, progress).await?,
    };
    let jobs = jobs.min(options.most_jobs.unwrap_or(jobs)).max(1);
    recording.0.set_slots(Slots::new(jobs, cpus));
    recording.0.crowd.set(jobs, cpus.len());
    let first = parallel::first(recording, cpus).await?;
    let test_check = match options.check_test {
        true => test_check::run(recording, &first, progress).await?,
        false => Vec::new(),
    };
    let subject = Subject {
        application: workload.application.clone(),
        workload: workload.workload.clone(),
    };
    let explore_options = explore_options(options, workload, jobs, cpus.len());
    let on_progress = |step| progress(step);
    let explored = explore::analyze(recording, &subject, &explore_options, &on_progress);
    let mut analysis = match options.paper_mode {
        true => explored.await?,
        false => beside(explored, recording.check_test(&first), stop).await?,
    };
    analysis.wall_seconds = begin.elapsed().as_secs_f64();
    analysis.jobs = jobs as u64;
    analysis.test_check = test_check;
    Ok(analysis)
}

/// Explores, and checks the test meanwhile. If that finds the test to be none, what is running
/// is ended first.
async fn beside(
    explored: impl Future<Output = Result<Analysis, ExploreError>>,
    checked: impl Future<Output = Result<(), AnalyzeError>>,
    stop: &Cancel,
) -> Result<Analysis, AnalyzeError> {
    let explored = async { explored.await.map_err(AnalyzeError::from) };
    let checked = async {
        let checked = checked.await;
        if checked.is_err() {
            stop.cancel();
        }
        checked
    };
    let (explored, checked) = tokio::join!(explored, checked);
    checked?;
    explored
}

fn explore_options(
    options: &AnalyzeOptions,
    workload: &Workload,
    jobs: usize,
    cpus: usize,
) -> ExploreOptions {
    let replicas = options.replicas.unwrap_or(workload.replica_count());
    let usual = ExploreOptions {
        jobs,
        replicas,
        baseline_replicas: replicas.max(2),
        confidence: options.confidence,
        exhaustive: options.exhaustive,
        alone_first: jobs > MANY_JOBS * cpus,
        probes: workload.mode == Mode::Server,
        errnos: options.errnos,
        strict: options.strict,
        joint: !options.no_joint,
        depth: options.depth,
        impact: options.impact.map(|replays| ImpactOptions {
            replays: replays.clamp(2, MOST_MEASURED),
            jobs: jobs.min(cpus),
        }),
    };
    match options.paper_mode {
        false => usual,
        true => ExploreOptions {
            replicas: 1,
            baseline_replicas: 1,
            exhaustive: true,
            joint: false,
            depth: Depth::Syscall,
            ..usual
        },
    }
}

struct StopOnDrop(Cancel);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
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
