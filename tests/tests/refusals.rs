//! Where this host forbids what Loupe needs, it says so in one sentence with the cure, before
//! anything is loaded or started; and `louped` is not ready.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use loupe_tests::binaries;
use loupe_tests::command::{self, Finished};
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;

/// As root without the right to load programs that trace, which a container has not.
fn without_perfmon(command: &Command) -> Command {
    let mut less = Command::new("setpriv");
    less.args(["--bounding-set", "-perfmon", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        less.current_dir(directory);
    }
    less
}

#[track_caller]
fn assert_one_sentence(finished: &Finished) {
    let lines: Vec<&str> = finished
        .stderr
        .lines()
        // What louped logs.
        .filter(|line| !line.contains(" INFO ") && !line.contains(" WARN "))
        .collect();
    assert_eq!(lines.len(), 2, "{}", finished.stderr);
    assert!(
        lines[0].contains("Loupe cannot work here: privileges: root without CAP_PERFMON"),
        "{}",
        finished.stderr
    );
    assert!(lines[1].starts_with("  hint: "), "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
}

#[test]
fn what_this_host_forbids_is_refused_before_anything_is_started() {
    require!(Replays, Program("setpriv"));
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let workload = workload.to_str().expect("a plain path");
    let touched = scene.path("touched");
    let touch = touched.to_str().expect("a plain path");
    for words in [
        vec!["trace", "--", "touch", touch],
        vec!["run", "--stub", "uname", "--", "touch", touch],
        vec!["analyze", workload],
    ] {
        let finished = command::run(without_perfmon(&scene.loupe(&words))).expect_code(125);
        assert_one_sentence(&finished);
    }
    // Neither the file nor a database.
    scene.assert_nothing_left();
    assert!(!scene.database().exists());
}

#[test]
fn a_daemon_that_cannot_work_fails_and_is_never_ready() {
    require!(Replays, Program("setpriv"));
    let scene = Scene::new();
    let notify = scene.write("notify", "");
    std::fs::remove_file(&notify).expect("its name is free");
    let manager = UnixDatagram::bind(&notify).expect("a service manager's socket");
    manager.set_nonblocking(true).expect("a socket");
    let mut louped = Command::new(binaries::louped());
    louped
        .arg("--socket")
        .arg(scene.path("louped.sock"))
        .arg("--db")
        .arg(scene.database());
    let mut louped = without_perfmon(&louped);
    louped.env("NOTIFY_SOCKET", &notify);
    let finished = command::run(louped).expect_code(125);
    assert_one_sentence(&finished);
    let mut told = String::new();
    let mut message = [0; 4096];
    while let Ok(length) = manager.recv(&mut message) {
        told.push_str(&String::from_utf8_lossy(&message[..length]));
        told.push('\n');
    }
    assert!(!told.contains("READY=1"), "{told}");
    assert!(
        told.contains("STATUS=Loupe cannot work here: privileges"),
        "{told}"
    );
    scene.assert_nothing_left();
}
