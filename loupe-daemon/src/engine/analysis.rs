//! One analysis: hands the requests of `explore` to runners, and records what they bring.

use std::sync::{Arc, Mutex};

use loupe_common::analysis::Analysis;
use loupe_common::policy::Policy;
use loupe_common::replay::Replay;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    AnalyzeError, AnalyzeOptions, Engine, EngineError, Identity, ProgressSink, fingerprint,
};
use crate::explore::{self, ExploreOptions, Recorded, ReplayError, Replayer, Request, Subject};
use crate::lock;
use crate::replay::{BaselineFacts, Cancel, Job, Mode, Prepared, ReplayFailure, Runner, Workload};
use crate::store::{AnalysisRun, Store};

impl Engine {
    /// Analyses a workload. When `cancel` fires, everything of the running replays is gone
    /// before this returns [`AnalyzeError::Cancelled`].
    pub async fn analyze(
        &self,
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
        let jobs = options.jobs.unwrap_or(cpus.len()).max(1);
        let fingerprint = fingerprint::of(&prepared, identity);
        let fresh = options.fresh;
        let run = self
            .store
            .begin_analysis_of(identity.uid, workload, &fingerprint, fresh)?;
        let stop = Cancel::new().map_err(|source| EngineError::Io {
            what: "eventfd",
            source,
        })?;
        let workers = (0..jobs)
            .map(|index| Worker {
                runner: Runner::new(Arc::clone(&self.launcher), tracer.clone()),
                cpu: (jobs <= cpus.len()).then(|| cpus[index]),
            })
            .collect();
        let recording = Recording(Arc::new(Shared {
            store: Arc::clone(&self.store),
            run,
            prepared,
            idle: Mutex::new(workers),
            permits: Semaphore::new(jobs),
            facts: Mutex::default(),
            test_checked: Mutex::new(false),
            stop: stop.clone(),
        }));
        // Also when the caller drops this future: the replays' threads must not go on.
        let _stop_on_drop = StopOnDrop(stop.clone());
        let subject = Subject {
            application: workload.application.clone(),
            workload: workload.workload.clone(),
        };
        let explore_options = ExploreOptions {
            jobs,
            replicas: options.replicas.unwrap_or(workload.replica_count()),
            baseline_replicas: options.replicas.unwrap_or(workload.replica_count()).max(2),
            confidence: options.confidence,
            exhaustive: options.exhaustive,
            errnos: options.errnos,
            strict: options.strict,
            joint: !options.no_joint,
        };
        let on_progress = move |step| progress(step);
        let explored = explore::analyze(&recording, &subject, &explore_options, &on_progress);
        tokio::pin!(explored);
        let result = tokio::select! {
            result = &mut explored => result,
            () = cancel.cancelled() => {
                stop.cancel();
                explored.await
            }
        };
        let analysis = match result.map_err(AnalyzeError::from) {
            Ok(analysis) => analysis,
            Err(error) => {
                if error.is_final() {
                    self.store.abandon_analysis(recording.0.run.id)?;
                }
                return Err(error);
            }
        };
        self.store.finish_analysis(recording.0.run.id, &analysis)?;
        Ok(analysis)
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

struct Worker {
    runner: Runner,
    /// Replays that outnumber the CPUs are not pinned.
    cpu: Option<usize>,
}

/// A replayer that remembers: what the database has is not run again.
struct Recording(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    run: AnalysisRun,
    prepared: Prepared,
    idle: Mutex<Vec<Worker>>,
    permits: Semaphore,
    facts: Mutex<BaselineFacts>,
    /// Whether the test was seen to fail without the application.
    test_checked: Mutex<bool>,
    stop: Cancel,
}

impl Replayer for Recording {
    async fn replay(&self, request: &Request) -> Result<Recorded, ReplayError> {
        let shared = Arc::clone(&self.0);
        let request = request.clone();
        let _permit = self
            .0
            .permits
            .acquire()
            .await
            .map_err(|closed| ReplayError(closed.into()))?;
        let outcome = tokio::task::spawn_blocking(move || shared.replay(&request)).await;
        match outcome {
            Ok(result) => Ok(result?),
            Err(panic) => Err(AnalyzeError::from(EngineError::Panicked(panic.to_string())).into()),
        }
    }
}

impl Shared {
    fn replay(&self, request: &Request) -> Result<Recorded, AnalyzeError> {
        let found = self
            .store
            .find_replay(self.run.id, &request.policy, request.replica)?;
        if let Some((id, replay)) = found {
            self.learn(&replay);
            return Ok(Recorded {
                id,
                replay,
                reused: true,
            });
        }
        // There are as many workers as permits.
        let worker = lock(&self.idle).pop().ok_or(ReplayFailure::Cancelled)?;
        let result = self.run(&worker, &request.policy);
        lock(&self.idle).push(worker);
        let replay = result?;
        let id = self
            .store
            .record_replay(self.run.id, request.replica, &replay)?;
        Ok(Recorded {
            id,
            replay,
            reused: false,
        })
    }

    fn run(&self, worker: &Worker, policy: &Policy) -> Result<Replay, AnalyzeError> {
        let replay = self.run_job(worker, policy, true)?;
        self.learn(&replay);
        if policy.is_empty() && replay.outcome.passed() {
            self.check_test(worker)?;
        }
        Ok(replay)
    }

    fn run_job(
        &self,
        worker: &Worker,
        policy: &Policy,
        start_application: bool,
    ) -> Result<Replay, ReplayFailure> {
        let facts = lock(&self.facts).clone();
        worker.runner.replay(&Job {
            prepared: &self.prepared,
            policy,
            facts: &facts,
            cpu: worker.cpu,
            cancel: &self.stop,
            start_application,
        })
    }

    fn learn(&self, replay: &Replay) {
        if replay.policy.is_empty() && replay.outcome.passed() {
            lock(&self.facts).add(replay);
        }
    }

    /// A server's test that passes without the server would make every verdict "any". (A
    /// batch application is also judged by its exit status.)
    fn check_test(&self, worker: &Worker) -> Result<(), AnalyzeError> {
        if self.prepared.workload.mode != Mode::Server {
            return Ok(());
        }
        if std::mem::replace(&mut *lock(&self.test_checked), true) {
            return Ok(());
        }
        let replay = self.run_job(worker, &Policy::baseline(), false)?;
        if replay.outcome.passed() {
            return Err(AnalyzeError::TestIgnoresApplication {
                output: replay.test_output.tail,
            });
        }
        Ok(())
    }
}
