//! For tests: a backend that does what the test tells it, step by step.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loupe_common::analysis::{self, Analysis};
use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::profile::{ProfileAnswer, ProfileEvent, ProfileRequest};
use loupe_common::progress::Progress;
use loupe_common::replay::ExitStatus;
use loupe_common::wire::{Failure, code};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, RunControl, Viewer, not_analyzed, not_used, store_failure};
use crate::engine::{
    AnalyzeOptions, Finished, Identity, ProgressSink, RunReport, RunRequest, StreamedCall,
};
use crate::replay::Workload;
use crate::report::Explanation;
use crate::store::{JobBook, Listed, Store, StoredAnalysis};

/// What the running analysis does next.
#[derive(Debug)]
pub enum Step {
    Tell(Progress),
    /// Ends: well, or as cancelled where it was cancelled.
    Finish,
    Fail(Failure),
    Panic,
}

/// A backend whose analyses follow [`Steps`].
#[derive(Debug)]
pub struct Fake {
    steps: Mutex<mpsc::Receiver<Step>>,
    started: mpsc::UnboundedSender<String>,
    cancelled: mpsc::UnboundedSender<()>,
    /// Where the jobs are, and what came of them.
    pub store: Arc<Store>,
    /// The store's, unless it is somebody else's.
    _directory: Option<tempfile::TempDir>,
    /// What [`Backend::show`] knows.
    pub stored: Option<StoredAnalysis>,
    /// The options of all analyses, in their order.
    pub options: std::sync::Mutex<Vec<AnalyzeOptions>>,
    /// The identity of the last analysis or run.
    pub identity: std::sync::Mutex<Option<Identity>>,
}

/// The test's side of a [`Fake`].
#[derive(Debug)]
pub struct Steps {
    steps: mpsc::Sender<Step>,
    started: Mutex<mpsc::UnboundedReceiver<String>>,
    cancelled: Mutex<mpsc::UnboundedReceiver<()>>,
}

impl Steps {
    pub async fn send(&self, step: Step) {
        self.steps.send(step).await.expect("the backend lives");
    }

    /// Waits for the start of an analysis; its application.
    pub async fn started(&self) -> String {
        let mut started = self.started.lock().await;
        started.recv().await.expect("the backend lives")
    }

    /// Waits until a running analysis has seen that it is cancelled.
    pub async fn cancelled(&self) {
        let mut cancelled = self.cancelled.lock().await;
        cancelled.recv().await.expect("the backend lives");
    }

    /// Waits until the analysis has taken every step that was sent.
    pub async fn settled(&self) {
        while self.steps.capacity() < self.steps.max_capacity() {
            tokio::task::yield_now().await;
        }
        // The last step was taken; the analysis asks for the next only when it is done.
        tokio::task::yield_now().await;
    }
}

impl Fake {
    pub fn scripted() -> (Fake, Arc<Steps>) {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut fake, steps) = Fake::at(&directory.path().join("loupe.db"));
        fake._directory = Some(directory);
        (fake, steps)
    }

    /// With this database.
    pub fn at(database: &Path) -> (Fake, Arc<Steps>) {
        let (steps, steps_receiver) = mpsc::channel(16);
        let (started, started_receiver) = mpsc::unbounded_channel();
        let (cancelled, cancelled_receiver) = mpsc::unbounded_channel();
        let fake = Fake {
            steps: Mutex::new(steps_receiver),
            started,
            cancelled,
            store: Arc::new(Store::open(database).expect("the store opens")),
            _directory: None,
            stored: None,
            options: std::sync::Mutex::default(),
            identity: std::sync::Mutex::default(),
        };
        let steps = Steps {
            steps,
            started: Mutex::new(started_receiver),
            cancelled: Mutex::new(cancelled_receiver),
        };
        (fake, Arc::new(steps))
    }

    /// Keeps a result, as the engine does.
    fn finished(&self, workload: &Workload, identity: &Identity) -> Finished {
        let analysis = analysis(&workload.application);
        let run = self
            .store
            .begin_analysis_of(identity.uid, workload, "f", true);
        let id = run.expect("the store works").id;
        let kept = self.store.finish_analysis(id, &analysis);
        kept.expect("the store works");
        Finished {
            id,
            analysis,
            kept: false,
        }
    }

    fn remember(&self, identity: &Identity) {
        *self.identity.lock().expect("no panic holds it") = Some(identity.clone());
    }
}

pub fn identity(uid: u32) -> Identity {
    Identity {
        uid,
        gid: uid,
        groups: vec![uid],
    }
}

pub fn workload(application: &str) -> Workload {
    let text = format!(
        "application = {application:?}\nworkload = \"w\"\nmode = \"batch\"\n\
         command = [\"true\"]\ntest = [\"true\"]\n"
    );
    Workload::parse(&text, Path::new("w.toml"), PathBuf::from("/")).expect("valid")
}

pub fn analysis(application: &str) -> Analysis {
    // By its JSON, so that a field more in the result is none in the tests of the protocol.
    let json = serde_json::json!({
        "schema": analysis::SCHEMA, "application": application, "workload": "w", "replays": 0,
        "wall_seconds": 0.0, "baseline_ms": 0.0, "baseline_runs": 0, "features": [],
        "lost_events": 0,
    });
    serde_json::from_value(json).expect("an analysis")
}

fn report(exit: ExitStatus) -> RunReport {
    RunReport {
        exit,
        trace: Default::default(),
        injections: Default::default(),
        target_execs: 1,
        executed: Vec::new(),
        wall_us: 10,
    }
}

impl Backend for Fake {
    async fn analyze(
        &self,
        workload: Workload,
        identity: Identity,
        options: AnalyzeOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Finished, Failure> {
        self.remember(&identity);
        self.options
            .lock()
            .expect("no panic holds it")
            .push(options);
        let started = self.started.send(workload.application.clone());
        started.expect("the test listens");
        let mut steps = self.steps.lock().await;
        let mut told = false;
        loop {
            let step = tokio::select! {
                biased;
                () = cancel.cancelled(), if !told => {
                    told = true;
                    self.cancelled.send(()).expect("the test listens");
                    continue;
                }
                step = steps.recv() => step,
            };
            match step {
                Some(Step::Tell(event)) => progress(event),
                Some(Step::Fail(failure)) => return Err(failure),
                Some(Step::Panic) => panic!("as the test wants"),
                Some(Step::Finish) | None if cancel.is_cancelled() => {
                    return Err(Failure::new(
                        code::CANCELLED,
                        exit::LOUPE_FAILED,
                        "cancelled",
                    ));
                }
                Some(Step::Finish) | None => return Ok(self.finished(&workload, &identity)),
            }
        }
    }

    /// Copies standard input to standard output as the "command", one "call" a byte.
    async fn run(
        &self,
        request: RunRequest,
        [stdin, stdout, _stderr]: [OwnedFd; 3],
        calls: Option<mpsc::Sender<StreamedCall>>,
        mut control: RunControl,
    ) -> Result<RunReport, Failure> {
        self.remember(&request.identity);
        let exit = ExitStatus::Code(7);
        if request.command == ["wait"] {
            tokio::select! {
                () = control.cancel.cancelled() => {
                    let gone = Failure::new(code::CANCELLED, exit::LOUPE_FAILED, "cancelled");
                    self.cancelled.send(()).expect("the test listens");
                    return Err(gone);
                }
                signal = control.signals.recv() => {
                    return Ok(report(ExitStatus::Signal(signal.unwrap_or(0))));
                }
            }
        }
        let mut text = Vec::new();
        if request.command == ["nothing"] {
            drop((stdin, stdout));
            return Ok(report(exit));
        }
        let (mut from, mut to) = (std::fs::File::from(stdin), std::fs::File::from(stdout));
        std::io::Read::read_to_end(&mut from, &mut text).expect("readable");
        std::io::Write::write_all(&mut to, &text).expect("writable");
        if let Some(calls) = calls {
            for byte in text {
                let call = StreamedCall {
                    time_ns: 1,
                    pid: 2,
                    tid: 3,
                    name: char::from(byte).to_string(),
                    args: [u64::MAX; 6],
                    path: None,
                    result: -1,
                    duration_ns: None,
                };
                calls.send(call).await.expect("somebody reads");
            }
        }
        Ok(report(exit))
    }

    fn keep_jobs(&self) -> Result<JobBook, Failure> {
        self.store.keep_jobs().map_err(store_failure)
    }

    fn list(&self, _viewer: Viewer, _name: Option<&str>) -> Result<Vec<Listed>, Failure> {
        Ok(Vec::new())
    }

    fn results(
        &self,
        _viewer: Viewer,
        analysis: Option<i64>,
    ) -> Result<Vec<StoredAnalysis>, Failure> {
        let wanted = |stored: &StoredAnalysis| analysis.is_none_or(|id| stored.id == id);
        Ok(self.stored.clone().into_iter().filter(wanted).collect())
    }

    fn show(
        &self,
        _viewer: Viewer,
        application: &str,
        workload: Option<&str>,
    ) -> Result<StoredAnalysis, Failure> {
        self.stored
            .clone()
            .filter(|stored| stored.analysis.application == application)
            .ok_or_else(|| not_analyzed(application, workload))
    }

    fn explain(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
        feature: &Feature,
    ) -> Result<Explanation, Failure> {
        let stored = self.show(viewer, application, workload)?;
        Explanation::new(&stored, feature, &Default::default())
            .ok_or_else(|| not_used(&stored.analysis, feature))
    }

    fn profile(&self, _: &Identity, _: ProfileRequest) -> Result<ProfileAnswer, Failure> {
        Err(Failure::internal("this backend observes nothing"))
    }

    fn watch_profiles(
        &self,
        _: &Identity,
        _: Option<String>,
    ) -> Result<mpsc::Receiver<ProfileEvent>, Failure> {
        let (sender, receiver) = mpsc::channel(1);
        drop(sender);
        Ok(receiver)
    }
}
