//! One analysis: hands the requests of `explore` to runners, and records what they bring.

use std::sync::{Arc, Mutex};

use loupe_common::analysis::Analysis;
use loupe_common::policy::Policy;
use loupe_common::replay::Replay;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::slots::{Slot, Slots};
use super::{
    AnalyzeError, AnalyzeOptions, Engine, EngineError, Identity, ProgressSink, fingerprint,
};
use crate::explore::{
    self, ExploreOptions, ImpactOptions, Recorded, ReplayError, Replayer, Request, Subject,
};
use crate::launcher::Launcher;
use crate::lock;
use crate::replay::{BaselineFacts, Cancel, Job, Mode, Prepared, ReplayFailure, Runner, Workload};
use crate::store::{AnalysisRun, Store};
use crate::tracer::Tracer;

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
        let prepared = Prepared::new(workload, identity)?;
        let tracer = tokio::task::block_in_place(|| self.tracer()).map_err(EngineError::from)?;
        let _attached = tracer.attach().map_err(EngineError::from)?;
        let cpus = allowed_cpus();
        let jobs = options.jobs.unwrap_or(cpus.len()).max(1);
        let fingerprint = fingerprint::of(&prepared, identity);
        let fresh = options.fresh;
        let run = store.begin_analysis_of(identity.uid, workload, &fingerprint, fresh)?;
        let stop = Cancel::new().map_err(|source| EngineError::Io {
            what: "eventfd",
            source,
        })?;
        let recording = Recording(Arc::new(Shared {
            store: Arc::clone(store),
            run,
            prepared,
            launcher: Arc::clone(&self.launcher),
            tracer: tracer.clone(),
            idle: Mutex::default(),
            slots: Slots::new(jobs, &cpus),
            facts: Mutex::default(),
            test_checked: Mutex::new(false),
            sample: options.impact.is_some(),
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
            impact: options.impact.map(|replays| ImpactOptions {
                replays: replays.clamp(2, MOST_MEASURED),
                jobs: jobs.min(cpus.len()),
            }),
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
                    store.abandon_analysis(recording.0.run.id)?;
                }
                return Err(error);
            }
        };
        store.finish_analysis(recording.0.run.id, &analysis)?;
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

/// A replayer that remembers: what the database has is not run again.
struct Recording(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    run: AnalysisRun,
    prepared: Prepared,
    launcher: Arc<Launcher>,
    tracer: Tracer,
    /// Runners that run nothing, by the CPU that their next sandbox is made for.
    idle: Mutex<Vec<(usize, Runner)>>,
    slots: Arc<Slots>,
    facts: Mutex<BaselineFacts>,
    /// Whether the test was seen to fail without the application.
    test_checked: Mutex<bool>,
    /// Memory and descriptors are wanted.
    sample: bool,
    stop: Cancel,
}

impl Replayer for Recording {
    async fn replay(&self, request: &Request) -> Result<Recorded, ReplayError> {
        let shared = Arc::clone(&self.0);
        let request = request.clone();
        let slot = self.0.slots.take().await;
        let outcome = tokio::task::spawn_blocking(move || shared.replay(&request, &slot)).await;
        match outcome {
            Ok(result) => Ok(result?),
            Err(panic) => Err(AnalyzeError::from(EngineError::Panicked(panic.to_string())).into()),
        }
    }

    fn waiting(&self) -> usize {
        self.0.slots.waiting()
    }

    fn more_waiting(&self) -> impl Future<Output = ()> + Send {
        self.0.slots.changed()
    }
}

impl Shared {
    fn replay(&self, request: &Request, slot: &Slot) -> Result<Recorded, AnalyzeError> {
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
        let runner = self.runner(slot.cpu);
        let result = self.run(&runner, &request.policy, slot);
        lock(&self.idle).push((slot.cpu, runner));
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

    /// A runner for this CPU; as many as are needed at a time are made.
    fn runner(&self, cpu: usize) -> Runner {
        let mut idle = lock(&self.idle);
        let found = idle.iter().rposition(|(of, _)| *of == cpu);
        match found {
            Some(index) => idle.swap_remove(index).1,
            None => Runner::new(Arc::clone(&self.launcher), self.tracer.clone()),
        }
    }

    fn run(&self, runner: &Runner, policy: &Policy, slot: &Slot) -> Result<Replay, AnalyzeError> {
        let replay = self.run_job(runner, policy, slot, true)?;
        self.learn(&replay);
        if policy.is_empty() && replay.outcome.passed() {
            self.check_test(runner, slot)?;
        }
        Ok(replay)
    }

    fn run_job(
        &self,
        runner: &Runner,
        policy: &Policy,
        slot: &Slot,
        start_application: bool,
    ) -> Result<Replay, ReplayFailure> {
        let facts = lock(&self.facts).clone();
        runner.replay(&Job {
            prepared: &self.prepared,
            policy,
            facts: &facts,
            cpu: Some(slot.cpu),
            cancel: &self.stop,
            start_application,
            sample: self.sample,
            on_waiting: &|| slot.give_up(),
        })
    }

    fn learn(&self, replay: &Replay) {
        if replay.policy.is_empty() && replay.outcome.passed() {
            lock(&self.facts).add(replay);
        }
    }

    /// A server's test that passes without the server would make every verdict "any". (A
    /// batch application is also judged by its exit status.)
    fn check_test(&self, runner: &Runner, slot: &Slot) -> Result<(), AnalyzeError> {
        if self.prepared.workload.mode != Mode::Server {
            return Ok(());
        }
        if std::mem::replace(&mut *lock(&self.test_checked), true) {
            return Ok(());
        }
        let replay = self.run_job(runner, &Policy::baseline(), slot, false)?;
        if replay.outcome.passed() {
            return Err(AnalyzeError::TestIgnoresApplication {
                output: replay.test_output.tail,
            });
        }
        Ok(())
    }
}
