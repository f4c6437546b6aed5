//! Protocol tests on a real socket, with a scripted backend behind it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as Blocking;
use std::path::PathBuf;

use loupe_common::progress::Progress;
use loupe_common::wire::{MAX_LINE, SUPPORTED};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::fake::{Fake, Step, Steps, analysis};
use super::*;

mod bad_input;
mod runs;

/// A daemon on a socket of its own.
struct Daemon {
    path: PathBuf,
    steps: Arc<Steps>,
    backend: Arc<Fake>,
    server: Arc<Server<Fake>>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Daemon {
        Daemon::with(Limits::default(), |_| {})
    }

    fn with(limits: Limits, prepare: impl FnOnce(&mut Fake)) -> Daemon {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let (mut fake, steps) = Fake::scripted();
        prepare(&mut fake);
        let backend = Arc::new(fake);
        let stop = CancellationToken::new();
        let server = Server::new(Arc::clone(&backend), limits).expect("a server");
        Daemon {
            serving: tokio::spawn(Arc::clone(&server).serve(listener, stop.clone())),
            server,
            path,
            steps,
            backend,
            stop,
            _directory: directory,
        }
    }

    async fn connect(&self) -> Talk {
        let stream = UnixStream::connect(&self.path).await.expect("it listens");
        let (reader, writer) = link::split(stream);
        Talk { reader, writer }
    }

    /// Sends one line on a new connection.
    async fn ask(&self, request: Value) -> Talk {
        let talk = self.connect().await;
        talk.say(request).await;
        talk
    }
}

/// A client of a [`Daemon`], in raw JSON.
struct Talk {
    reader: link::LinkReader,
    writer: link::LinkWriter,
}

impl Talk {
    async fn say(&self, line: Value) {
        let line = format!("{line}\n");
        self.writer.send(line.as_bytes()).await.expect("sent");
    }

    async fn hear(&mut self) -> Value {
        let line = self.reader.next_line().await.expect("a good line");
        serde_json::from_slice(&line.expect("not the end")).expect("JSON")
    }

    /// The next reply, which must be of this kind.
    async fn hear_a(&mut self, kind: &str) -> Value {
        let reply = self.hear().await;
        assert_eq!(reply["reply"], kind, "{reply}");
        assert_eq!(reply["loupe"], 1);
        reply
    }

    async fn hear_the_end(mut self) {
        let line = self.reader.next_line().await.expect("no half line");
        assert_eq!(line, None);
    }

    /// An error, then the end.
    async fn hear_error(mut self) -> Value {
        let error = self.hear_a("error").await;
        self.hear_the_end().await;
        error
    }
}

fn analyze(application: &str) -> Value {
    json!({
        "loupe": 1, "request": "analyze", "base": "/",
        "workload": {"application": application, "workload": "w", "mode": "batch",
                     "command": ["true"], "test": ["true"]},
    })
}

#[tokio::test]
async fn hello_names_the_release_and_the_versions() {
    let daemon = Daemon::start();
    let mut talk = daemon.ask(json!({"loupe": 1, "request": "hello"})).await;
    let hello = talk.hear_a("hello").await;
    assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(hello["supported"], json!(SUPPORTED));
    assert_eq!(hello["pid"], std::process::id());
    talk.hear_the_end().await;
}

#[tokio::test]
async fn whether_it_still_accepts_is_answered_by_the_loop_that_does() {
    let (fake, _steps) = Fake::scripted();
    let server = Server::new(Arc::new(fake), Limits::default()).expect("a server");
    let mut asked = std::pin::pin!(server.comes_round());
    assert!(futures::poll!(&mut asked).is_pending(), "it does not serve");

    let daemon = Daemon::start();
    for _ in 0..3 {
        daemon.server.comes_round().await;
    }
    daemon.stop.cancel();
    daemon.serving.await.expect("it ends");
    let mut asked = std::pin::pin!(daemon.server.comes_round());
    assert!(futures::poll!(&mut asked).is_pending(), "it has ended");
}

#[tokio::test]
async fn an_analysis_streams_its_progress_and_ends_with_the_result() {
    let daemon = Daemon::start();
    let mut talk = daemon.ask(analyze("nginx")).await;
    let queued = talk.hear_a("queued").await;
    assert_eq!((&queued["job"], &queued["ahead"]), (&json!(1), &json!(0)));
    assert_eq!(daemon.steps.started().await, "nginx");
    let replayed = json!({
        "progress": "replayed", "id": 5, "policy": {"futex": "stub"}, "wall_us": 12, "cpu_us": 7,
        "outcome": {"result": "failed", "reason": "test", "status": {"code": 1}},
        "reused": false,
    });
    let event: Progress = serde_json::from_value(replayed.clone()).expect("readable");
    daemon.steps.send(Step::Tell(event)).await;
    assert_eq!(talk.hear_a("progress").await["event"], replayed);
    daemon.steps.send(Step::Finish).await;
    let result = talk.hear_a("analysis").await;
    assert_eq!(result["analysis"]["application"], "nginx");
    talk.hear_the_end().await;
}

#[tokio::test]
async fn the_workload_runs_with_the_callers_identity() {
    let daemon = Daemon::start();
    let mut talk = daemon.ask(analyze("nginx")).await;
    talk.hear_a("queued").await;
    daemon.steps.started().await;
    let seen = daemon.backend.identity.lock().expect("no panic").clone();
    let seen = seen.expect("an analysis began");
    assert_eq!(seen.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(seen.gid, nix::unistd::getegid().as_raw());
    let own = nix::unistd::getgroups().expect("known");
    assert_eq!(seen.groups.len(), own.len());
}

#[tokio::test]
async fn watchers_come_and_go_and_the_last_one_to_leave_ends_the_job() {
    let daemon = Daemon::start();
    let mut submitter = daemon.ask(analyze("nginx")).await;
    submitter.hear_a("queued").await;
    daemon.steps.started().await;
    let watch = json!({"loupe": 1, "request": "watch", "job": 1});
    let mut watcher = daemon.ask(watch.clone()).await;
    watcher.hear_a("queued").await;
    drop(submitter);
    let notice = Progress::Notice {
        text: "still here".to_owned(),
    };
    daemon.steps.send(Step::Tell(notice)).await;
    let told = watcher.hear_a("progress").await;
    assert_eq!(told["event"]["text"], "still here");
    drop(watcher);
    daemon.steps.cancelled().await;
    let mut late = daemon.ask(watch).await;
    late.hear_a("queued").await;
    daemon.steps.send(Step::Finish).await;
    assert_eq!(late.hear_error().await["code"], code::CANCELLED);
}

#[tokio::test]
async fn a_detached_job_outlives_its_client() {
    let daemon = Daemon::start();
    let mut request = analyze("nginx");
    request["detach"] = json!(true);
    let mut talk = daemon.ask(request).await;
    talk.hear_a("queued").await;
    talk.hear_the_end().await;
    daemon.steps.started().await;
    let mut watcher = daemon
        .ask(json!({"loupe": 1, "request": "watch", "job": 1}))
        .await;
    watcher.hear_a("queued").await;
    daemon.steps.send(Step::Finish).await;
    watcher.hear_a("analysis").await;
}

#[tokio::test]
async fn a_client_that_says_nothing_more_still_gets_its_result() {
    let daemon = Daemon::start();
    let mut stream = Blocking::connect(&daemon.path).expect("it listens");
    writeln!(stream, "{}", analyze("nginx")).expect("sent");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("half closed");
    daemon.steps.started().await;
    daemon.steps.send(Step::Finish).await;
    let read = tokio::task::spawn_blocking(move || {
        let mut all = String::new();
        stream.read_to_string(&mut all).map(|_| all)
    });
    let all = read.await.expect("no panic").expect("readable");
    let last = all.lines().last().expect("replies");
    assert!(last.contains("\"reply\":\"analysis\""), "{all}");
}

#[tokio::test]
async fn cancel_works_on_the_own_connection_and_from_another() {
    let daemon = Daemon::start();
    let mut own = daemon.ask(analyze("nginx")).await;
    own.hear_a("queued").await;
    daemon.steps.started().await;
    own.say(json!({"loupe": 1, "request": "cancel"})).await;
    daemon.steps.cancelled().await;
    daemon.steps.send(Step::Finish).await;
    assert_eq!(own.hear_error().await["code"], code::CANCELLED);

    let mut other = daemon.ask(analyze("redis")).await;
    other.hear_a("queued").await;
    daemon.steps.started().await;
    let cancel = json!({"loupe": 1, "request": "cancel", "job": 2});
    let mut canceller = daemon.ask(cancel.clone()).await;
    canceller.hear_a("cancelling").await;
    canceller.hear_the_end().await;
    daemon.steps.cancelled().await;
    daemon.steps.send(Step::Finish).await;
    assert_eq!(other.hear_error().await["code"], code::CANCELLED);
    let again = daemon.ask(cancel).await.hear_error().await;
    let message = again["message"].as_str().expect("text");
    assert!(message.contains("already ended"), "{again}");
}

#[tokio::test]
async fn a_watchers_cancel_without_a_job_does_not_touch_the_job() {
    let daemon = Daemon::start();
    let mut submitter = daemon.ask(analyze("nginx")).await;
    submitter.hear_a("queued").await;
    daemon.steps.started().await;
    let mut watcher = daemon
        .ask(json!({"loupe": 1, "request": "watch", "job": 1}))
        .await;
    watcher.hear_a("queued").await;
    watcher.say(json!({"loupe": 1, "request": "cancel"})).await;
    daemon.steps.send(Step::Finish).await;
    submitter.hear_a("analysis").await;
    watcher.hear_a("analysis").await;
}

#[tokio::test]
async fn a_client_that_shares_its_job_leaves_it_to_the_other() {
    let daemon = Daemon::start();
    let mut one = daemon.ask(analyze("nginx")).await;
    one.hear_a("queued").await;
    let mut other = daemon.ask(analyze("nginx")).await;
    assert_eq!(other.hear_a("queued").await["job"], 1);
    daemon.steps.started().await;
    one.say(json!({"loupe": 1, "request": "cancel"})).await;
    let left = one.hear_error().await;
    assert_eq!(left["code"], code::CANCELLED);
    daemon.steps.send(Step::Finish).await;
    other.hear_a("analysis").await;
}

#[tokio::test]
async fn jobs_are_listed() {
    let daemon = Daemon::start();
    let mut running = daemon.ask(analyze("nginx")).await;
    running.hear_a("queued").await;
    let mut waiting = daemon.ask(analyze("redis")).await;
    assert_eq!(waiting.hear_a("queued").await["ahead"], 1);
    let mut talk = daemon.ask(json!({"loupe": 1, "request": "jobs"})).await;
    let jobs = talk.hear_a("jobs").await["jobs"].clone();
    let brief: Vec<_> = jobs
        .as_array()
        .expect("a list")
        .iter()
        .map(|job| (job["application"].clone(), job["state"].clone()))
        .collect();
    assert_eq!(
        brief,
        [
            (json!("nginx"), json!("running")),
            (json!("redis"), json!("queued"))
        ]
    );
}

#[tokio::test]
async fn a_result_longer_than_a_line_goes_through() {
    let warning = "\"long\" ".repeat(MAX_LINE / 3);
    let mut big = analysis("nginx");
    big.warnings = vec![warning.clone()];
    let stored = crate::store::StoredAnalysis {
        choice: None,
        id: 1,
        fingerprint: "f".to_owned(),
        started_ms: 1,
        finished_ms: 2,
        analysis: big,
    };
    let daemon = Daemon::with(Limits::default(), |fake| fake.stored = Some(stored));
    let show = json!({"loupe": 1, "request": "show", "application": "nginx"});
    let mut talk = daemon.ask(show).await;
    let mut assembler = loupe_common::wire::Assembler::default();
    let reply = loop {
        let line = talk.reader.next_line().await.expect("short lines");
        let line = line.expect("not the end yet");
        if let Some(reply) = assembler.push(&line).expect("good parts") {
            break reply;
        }
    };
    let Reply::Shown { analysis } = reply else {
        panic!("{reply:?}");
    };
    assert_eq!(analysis["analysis"]["warnings"][0], json!(warning));
    talk.hear_the_end().await;
}

#[tokio::test]
async fn results_come_all_at_once_or_one_by_its_id() {
    let stored = crate::store::StoredAnalysis {
        choice: None,
        id: 7,
        fingerprint: "f".to_owned(),
        started_ms: 1,
        finished_ms: 2,
        analysis: analysis("nginx"),
    };
    let daemon = Daemon::with(Limits::default(), |fake| fake.stored = Some(stored));
    for (wanted, found) in [(json!(null), 1), (json!(7), 1), (json!(8), 0)] {
        let results = json!({"loupe": 1, "request": "results", "analysis": wanted});
        let reply = daemon.ask(results).await.hear_a("results").await;
        let entries = reply["entries"].as_array().expect("a list");
        assert_eq!(entries.len(), found, "{wanted}");
    }
}

#[tokio::test]
async fn what_is_not_in_the_database_is_said_with_a_cure() {
    let daemon = Daemon::start();
    let show = json!({"loupe": 1, "request": "show", "application": "nginx"});
    let error = daemon.ask(show).await.hear_error().await;
    assert_eq!(error["code"], code::NOT_FOUND);
    assert_eq!(error["exit_code"], 2);
    assert!(
        error["hint"]
            .as_str()
            .expect("a cure")
            .contains("loupe list")
    );
}

#[tokio::test]
async fn a_stopping_daemon_cleans_up_says_so_and_ends() {
    let daemon = Daemon::start();
    let idle = daemon.connect().await;
    let mut running = daemon.ask(analyze("nginx")).await;
    running.hear_a("queued").await;
    let mut waiting = daemon.ask(analyze("redis")).await;
    waiting.hear_a("queued").await;
    daemon.steps.started().await;
    daemon.stop.cancel();
    daemon.steps.cancelled().await;
    assert_eq!(waiting.hear_error().await["code"], code::CANCELLED);
    assert_eq!(idle.hear_error().await["code"], code::STOPPING);
    assert!(!daemon.serving.is_finished(), "the clean-up is not done");
    daemon.steps.send(Step::Finish).await;
    assert_eq!(running.hear_error().await["code"], code::CANCELLED);
    daemon.serving.await.expect("no panic");
    assert!(Blocking::connect(&daemon.path).is_err());
}
