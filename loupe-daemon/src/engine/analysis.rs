//! One analysis from its beginning to its result in the store.

use std::sync::Arc;
use std::time::Instant;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Depth;
use loupe_common::progress::Progress;
use loupe_common::provenance::Provenance;
use loupe_common::replay::Replay;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, How};
use super::phases::Phases;
use super::recording::{Recording, Shared};
use super::slots::Cpus;
use super::stages::Stages;
use super::{
    AnalyzeError, AnalyzeOptions, Engine, EngineError, Finished, Identity, MOST_MEASURED, Natives,
    ProgressSink, fingerprint, parallel, provenance, script, test_check,
};
use crate::explore::{self, Effort, ExploreError, ExploreOptions, ImpactOptions, Subject};
use crate::replay::{Heartbeat, Kind, Pace, PrepareError, Prepared, Workload};
use crate::run::Cancel;
use crate::store::Store;
use crate::tracer::Attachment;

/// Replicas of the baseline that are watched for pseudo-files: two, to tell what is always used
/// from what is not, and the others are as fast as without.
const WATCHED: u32 = 2;

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
    ) -> Result<Finished, AnalyzeError> {
        if options.unless_done
            && let Some(finished) = self.done(store, workload, identity, options)?
        {
            return Ok(finished);
        }
        let order = (store, workload, identity);
        let attempted = match self.attempt(order, options, &progress, &cancel).await {
            Err(error @ AnalyzeError::Explore(ExploreError::Crowded { .. }))
                if options.jobs.is_none() =>
            {
                let text = format!("{error}: beginning anew with one for each CPU");
                progress(Progress::Notice { text });
                let options = AnalyzeOptions {
                    jobs: Some(self.cpus().numbers().len()),
                    ..options.clone()
                };
                self.attempt(order, &options, &progress, &cancel).await
            }
            result => result,
        };
        // Also where it was a replay before the analysis proper.
        attempted.map_err(|error| match error {
            cancelled if cancelled.is_cancelled() => AnalyzeError::Cancelled,
            other => other,
        })
    }

    /// The same analysis, if the database has it already.
    fn done(
        &self,
        store: &Arc<Store>,
        workload: &Workload,
        identity: &Identity,
        options: &AnalyzeOptions,
    ) -> Result<Option<Finished>, AnalyzeError> {
        let prepared = Prepared::new(workload, identity)?;
        let fingerprint = fingerprint::of(&prepared, identity, options)?;
        let digest = options.digest();
        let found = store.finished_like(identity.uid, workload, &fingerprint, &digest)?;
        Ok(found.map(|found| Finished {
            id: found.id,
            analysis: found.analysis,
            kept: true,
        }))
    }

    async fn attempt(
        &self,
        (store, workload, identity): (&Arc<Store>, &Workload, &Identity),
        options: &AnalyzeOptions,
        progress: &ProgressSink,
        cancel: &CancellationToken,
    ) -> Result<Finished, AnalyzeError> {
        let fingerprint = |prepared: &Prepared| fingerprint::of(prepared, identity, options);
        let order = Order {
            store,
            workload,
            identity,
            fresh: options.fresh,
            how: how(options),
        };
        let session = self.open(&order, fingerprint)?;
        let recording = &session.recording;
        let prepared = &recording.0.bench.prepared;
        let (provenance, script) = tokio::task::block_in_place(|| {
            let provenance = provenance::of(prepared, identity, crate::now_ms().cast_signed());
            (provenance, script::remark(prepared, identity))
        });
        let provenance = provenance?;
        if let Some(text) = script {
            progress(Progress::Notice { text });
        }
        let measured = measure(
            recording,
            workload,
            options,
            &session.cpus,
            progress,
            &session.stop.0,
        );
        let analysis = match session.until(cancel, measured).await {
            Ok(analysis) => Analysis {
                provenance: Some(Provenance {
                    options_digest: Some(options.digest()),
                    ..provenance
                }),
                ..analysis
            },
            Err(error) => {
                if error.is_final() {
                    store.abandon_analysis(recording.0.run.id)?;
                }
                return Err(error);
            }
        };
        let id = recording.0.run.id;
        store.finish_analysis(id, &analysis)?;
        Ok(Finished {
            id,
            analysis,
            kept: false,
        })
    }

    /// Everything that replays of a workload take.
    pub(super) fn open(
        &self,
        order: &Order<'_>,
        fingerprint: impl FnOnce(&Prepared) -> Result<String, PrepareError>,
    ) -> Result<Opened, AnalyzeError> {
        let prepared = Prepared::new(order.workload, order.identity)?;
        let tracer = tokio::task::block_in_place(|| self.tracer()).map_err(EngineError::from)?;
        let attached = tracer.attach().map_err(EngineError::from)?;
        let fingerprint = fingerprint(&prepared)?;
        let owner = order.identity.uid;
        let run =
            order
                .store
                .begin_analysis_of(owner, order.workload, &fingerprint, order.fresh)?;
        let stop = Cancel::new().map_err(EngineError::from)?;
        let cpus = self.cpus();
        let heartbeat = Heartbeat::start(&cpus.numbers());
        let launcher = Arc::clone(&self.launcher);
        let bench = Bench::new(prepared, order.how, (launcher, tracer), heartbeat);
        let shared = Shared::new(order.store, run, bench, stop.clone());
        Ok(Opened {
            recording: Recording(Arc::new(shared)),
            cpus,
            stop: StopOnDrop(stop),
            _attached: attached,
        })
    }
}

/// What the options say of every replay.
pub fn how(options: &AnalyzeOptions) -> How {
    How {
        pace: match options.paper_mode {
            true => Pace::Paper,
            false => Pace::Events,
        },
        sample: options.impact.is_some(),
        watched: match options.no_pseudo_files || options.paper_mode {
            true => 0,
            false => WATCHED,
        },
        hide_vdso: options.no_vdso,
    }
}

/// What is to be replayed.
pub(super) struct Order<'a> {
    pub store: &'a Arc<Store>,
    pub workload: &'a Workload,
    pub identity: &'a Identity,
    /// Finished replays of an interrupted one like it do not count.
    pub fresh: bool,
    pub how: How,
}

/// A workload whose replays can be run.
pub(super) struct Opened {
    pub recording: Recording,
    pub cpus: Arc<Cpus>,
    /// Also when the caller drops this: the replays' threads must not go on.
    stop: StopOnDrop,
    _attached: Attachment,
}

impl Opened {
    /// Waits for something that replays. When `cancel` fires, the replays are ended first.
    pub async fn until<T>(
        &self,
        cancel: &CancellationToken,
        measured: impl Future<Output = Result<T, AnalyzeError>>,
    ) -> Result<T, AnalyzeError> {
        tokio::pin!(measured);
        tokio::select! {
            result = &mut measured => result,
            () = cancel.cancelled() => {
                self.stop.0.cancel();
                measured.await
            }
        }
    }
}

/// The parts of an analysis in their order.
async fn measure(
    recording: &Recording,
    workload: &Workload,
    options: &AnalyzeOptions,
    cpus: &Arc<Cpus>,
    progress: &ProgressSink,
    stop: &Cancel,
) -> Result<Analysis, AnalyzeError> {
    let begin = Instant::now();
    let phases = Arc::new(Phases::begin(explore::BASELINE));
    let progress: &ProgressSink = &{
        let (told, phases) = (Arc::clone(progress), Arc::clone(&phases));
        let stages = Stages::of(options);
        Arc::new(move |step| {
            phases.note(&step);
            told(stages.number(step));
        })
    };
    let jobs = match (options.paper_mode, options.jobs) {
        (true, _) => 1,
        (false, Some(jobs)) => jobs,
        (false, None) => parallel::find(recording, cpus, options.most_jobs, progress).await?,
    };
    let jobs = jobs.min(options.most_jobs.unwrap_or(jobs)).max(1);
    recording.0.set_slots(cpus.slots(jobs));
    let first = parallel::first(recording, &cpus.slots(1)).await?;
    let cpu_count = cpus.numbers().len();
    let test_check = match options.check_test {
        true => test_check::run(recording, &first, progress).await?,
        false => Vec::new(),
    };
    let subject = Subject {
        application: workload.application.clone(),
        workload: workload.workload.clone(),
    };
    let explore_options = explore_options(options, workload, &first, jobs, cpu_count);
    let has_baseline = Notify::new();
    let on_progress = |step| {
        if matches!(&step, Progress::Phase { name, .. } if name != explore::BASELINE) {
            has_baseline.notify_one();
        }
        progress(step);
    };
    let explored = explore::analyze(recording, &subject, &explore_options, &on_progress);
    let explored = async {
        let explored = explored.await;
        has_baseline.notify_one();
        explored
    };
    // The baseline's replays have the CPUs to themselves.
    let checked = async {
        has_baseline.notified().await;
        recording.check_test(&first).await
    };
    let mut analysis = match options.paper_mode {
        true => explored.await?,
        false => beside(explored, checked, stop).await?,
    };
    analysis.wall_seconds = begin.elapsed().as_secs_f64();
    analysis.jobs = jobs as u64;
    analysis.cpus = cpu_count as u64;
    analysis.phases = phases.costs();
    analysis.suite = workload.kind == Kind::Suite;
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

/// How the analysis of a workload is done whose first replay was this, with so many replays at a time on
/// so many CPUs.
pub(super) fn explore_options(
    options: &AnalyzeOptions,
    workload: &Workload,
    first: &Replay,
    jobs: usize,
    cpus: usize,
) -> ExploreOptions {
    let replicas = options.replicas.unwrap_or(workload.replica_count());
    let usual = ExploreOptions {
        jobs,
        cpus,
        replicas,
        baseline_replicas: replicas.max(2),
        confidence: options.confidence,
        exhaustive: options.exhaustive,
        crowd: match parallel::is_busy(first) {
            true => (jobs as f64 / cpus.max(1) as f64).max(1.0),
            false => 1.0,
        },
        errnos: options.errnos,
        plausible: options.plausible,
        strict: options.strict,
        controls: true,
        notifies: options.plausible,
        joint: !options.no_joint,
        effort: match options.effort {
            None => Effort::AsMuchAgain { jobs: jobs as u64 },
            Some(Natives::All) => Effort::All,
            Some(Natives::Most(natives)) => Effort::Natives(natives),
        },
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
            controls: false,
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
