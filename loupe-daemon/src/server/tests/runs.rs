//! `run`: the client's own descriptors, signals and end.

use std::fs::File;
use std::os::fd::AsFd as _;

use super::*;

/// Sends `run` with `input` as standard input; the file that is standard output.
async fn run(daemon: &Daemon, command: &[&str], input: &str, stream: bool) -> (Talk, File) {
    let mut stdin = tempfile::tempfile().expect("a file");
    write!(stdin, "{input}").expect("written");
    std::io::Seek::rewind(&mut stdin).expect("seekable");
    let stdout = tempfile::tempfile().expect("a file");
    let talk = daemon.connect().await;
    let line = json!({
        "loupe": 1, "request": "run", "command": command, "directory": "/", "stream": stream,
    });
    let descriptors = [stdin.as_fd(), stdout.as_fd(), stdout.as_fd()];
    talk.writer
        .send_with(format!("{line}\n").as_bytes(), &descriptors)
        .await
        .expect("sent");
    (talk, stdout)
}

fn content(mut file: File) -> String {
    let mut text = String::new();
    std::io::Seek::rewind(&mut file).expect("seekable");
    file.read_to_string(&mut text).expect("readable");
    text
}

#[tokio::test]
async fn a_command_runs_on_the_clients_descriptors() {
    let daemon = Daemon::start();
    let (mut talk, stdout) = run(&daemon, &["copy"], "hello", false).await;
    let ran = talk.hear_a("ran").await;
    assert_eq!(ran["report"]["exit"], json!({"code": 7}));
    talk.hear_the_end().await;
    assert_eq!(content(stdout), "hello");
    let seen = daemon.backend.identity.lock().expect("no panic").clone();
    let own = nix::unistd::geteuid().as_raw();
    assert_eq!(seen.expect("it ran").uid, own);
}

#[tokio::test]
async fn every_streamed_call_comes_before_the_report() {
    let daemon = Daemon::start();
    let input = "x".repeat(20_000);
    let (mut talk, _stdout) = run(&daemon, &["copy"], &input, true).await;
    let mut calls = 0;
    let report = loop {
        let reply = talk.hear().await;
        match reply["calls"].as_array() {
            Some(batch) => calls += batch.len(),
            None => break reply,
        }
    };
    assert_eq!((calls, &report["reply"]), (20_000, &json!("ran")));
}

#[tokio::test]
async fn signals_are_passed_on_and_impossible_ones_are_not() {
    let daemon = Daemon::start();
    let (mut talk, _stdout) = run(&daemon, &["wait"], "", false).await;
    for signal in [0, -1, 65, i32::MAX] {
        talk.say(json!({"loupe": 1, "request": "signal", "signal": signal}))
            .await;
    }
    talk.say(json!({"loupe": 1, "request": "signal", "signal": 15}))
        .await;
    let ran = talk.hear_a("ran").await;
    assert_eq!(ran["report"]["exit"], json!({"signal": 15}));
}

#[tokio::test]
async fn a_run_ends_with_its_client() {
    let daemon = Daemon::start();
    let (talk, _stdout) = run(&daemon, &["wait"], "", false).await;
    drop(talk);
    daemon.steps.cancelled().await;
}

#[tokio::test]
async fn a_run_ends_with_the_daemon_and_the_client_learns_it() {
    let daemon = Daemon::start();
    let (talk, _stdout) = run(&daemon, &["wait"], "", false).await;
    while daemon.backend.identity.lock().expect("no panic").is_none() {
        tokio::task::yield_now().await;
    }
    daemon.stop.cancel();
    daemon.steps.cancelled().await;
    assert_eq!(talk.hear_error().await["code"], code::CANCELLED);
    daemon.serving.await.expect("no panic");
}

#[tokio::test]
async fn a_run_without_its_descriptors_is_refused() {
    let daemon = Daemon::start();
    let line = json!({"loupe": 1, "request": "run", "command": ["x"], "directory": "/"});
    let error = daemon.ask(line).await.hear_error().await;
    let message = error["message"].as_str().expect("text");
    assert!(message.contains("3 descriptors"), "{message}");
}

#[tokio::test]
async fn a_run_that_makes_no_sense_is_refused() {
    let daemon = Daemon::start();
    for (command, expected) in [(&[][..], "empty"), (&["a\0b"], "NUL")] {
        let (talk, _stdout) = run(&daemon, command, "", false).await;
        let error = talk.hear_error().await;
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(expected), "{message}");
    }
}
