//! Bad input gets a message with cause and cure, the documented exit code, and leaves nothing.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use loupe_tests::analysis::Analysis;
use loupe_tests::binaries;
use loupe_tests::command::{self, Finished};
use loupe_tests::ground_truth::victim;
use loupe_tests::member::NOBODY;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::{PORT, RESULT, Scene};

const USAGE: i32 = 2;
const INVALID: i32 = 3;
const OWN_FAILURE: i32 = 125;
const NOT_FOUND: i32 = 127;

/// A batch workload of which a test replaces what it is about.
const BATCH: &str = r#"application = "bad"
workload = "bad"
mode = "batch"
command = ["./victim", "uname", "/tmp/victim-result"]
test = ["./probe", "works", "/tmp/victim-result"]
"#;

/// The same for a server.
fn server(command: &str, test: &str) -> String {
    format!(
        "application = \"bad\"\nworkload = \"bad\"\nmode = \"server\"\n\
         command = {command}\ntest = {test}\n"
    )
}

/// Analyses a workload file with this text, and checks that nothing is left.
fn analyze(text: &str) -> Finished {
    let scene = Scene::new();
    scene.write("bad.toml", text);
    let finished = scene.run(&["analyze", "bad.toml", "--json"]);
    scene.assert_nothing_left();
    finished
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    require!(Replays);
    let text = BATCH.replace("mode", "moode = 1\nmode");
    analyze(&text)
        .expect_code(USAGE)
        .expect_message(&["bad.toml:3:1", "moode"]);
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    require!(Replays);
    let text = BATCH.replace("\"batch\"", "7");
    analyze(&text)
        .expect_code(USAGE)
        .expect_message(&["bad.toml:3:8"]);
}

#[test]
fn text_that_is_no_toml_is_named_with_its_place() {
    require!(Replays);
    analyze("application = \n")
        .expect_code(USAGE)
        .expect_message(&["bad.toml:1:"]);
}

#[test]
fn a_missing_workload_file_is_named() {
    require!(Replays);
    let scene = Scene::new();
    let finished = scene.run(&["analyze", "absent.toml"]);
    finished
        .expect_code(USAGE)
        .expect_message(&["absent.toml", "no such file"]);
    scene.assert_nothing_left();
}

#[test]
fn a_missing_binary_is_named() {
    require!(Replays);
    let text = BATCH.replace("./victim", "./absent");
    analyze(&text)
        .expect_code(NOT_FOUND)
        .expect_message(&["./absent"]);
}

#[test]
fn a_missing_test_program_is_named() {
    require!(Replays);
    let text = BATCH.replace("./probe", "./absent");
    analyze(&text)
        .expect_code(NOT_FOUND)
        .expect_message(&["./absent"]);
}

#[test]
fn a_test_that_never_passes_is_shown() {
    require!(Replays);
    let text = BATCH.replace("[\"./probe\", \"works\"", "[\"./probe\", \"weeps\"");
    // The test's own words must be shown.
    analyze(&text)
        .expect_code(INVALID)
        .expect_message(&["usage: probe"]);
}

#[test]
fn a_test_that_passes_without_the_server_is_refused() {
    require!(Replays);
    let text = server(
        &format!("[\"./victim\", \"serve\", \"{PORT}\"]"),
        "[\"/bin/true\"]",
    );
    analyze(&text)
        .expect_code(INVALID)
        .expect_message(&["test passes", "never started"]);
}

/// The exit status of a batch application is part of the judgement, so its test may be `true`.
#[test]
fn a_batch_is_judged_by_its_exit_status_too() {
    require!(Replays);
    let text = BATCH.replace(
        "[\"./probe\", \"works\", \"/tmp/victim-result\"]",
        "\"true\"",
    );
    let analysis = Analysis::new(analyze(&text).expect_code(0).json());
    assert_eq!(analysis.verdict("uname"), Some("required"));
}

#[test]
fn an_application_that_never_listens_is_named() {
    require!(Replays);
    let test = format!("[\"./probe\", \"echo\", \"{PORT}\"]");
    let text = server(
        &format!("[\"./victim\", \"serve-nobody\", \"{PORT}\"]"),
        &test,
    );
    analyze(&text)
        .expect_code(INVALID)
        .expect_message(&["listen"]);
}

#[test]
fn an_application_that_dies_at_once_is_named() {
    require!(Replays);
    let test = format!("[\"./probe\", \"echo\", \"{PORT}\"]");
    analyze(&server("[\"./victim\", \"exits\", \"-\", \"9\"]", &test))
        .expect_code(INVALID)
        .expect_message(&["exit status 9"]);
}

#[test]
fn a_test_that_hangs_is_ended() {
    require!(Replays);
    let text = server(
        &format!("[\"./victim\", \"serve\", \"{PORT}\"]"),
        "[\"./victim\", \"hangs\"]",
    );
    analyze(&format!("{text}limits.test = 0.5\n"))
        .expect_code(INVALID)
        .expect_message(&["500 ms"]);
}

#[test]
fn a_batch_that_hangs_is_ended() {
    require!(Replays);
    let text = BATCH.replace("\"uname\"", "\"hangs\"");
    analyze(&format!("{text}limits.run = 0.5\n")).expect_code(INVALID);
}

#[test]
fn a_workload_that_fails_at_every_second_start_is_refused() {
    require!(Replays);
    let scene = Scene::new();
    let counter = scene.write("counter", "");
    let text = format!(
        "{}writable = [{counter:?}]\n",
        BATCH.replace(
            "[\"./victim\", \"uname\", \"/tmp/victim-result\"]",
            &format!("[\"./victim\", \"alternates\", \"{RESULT}\", {counter:?}]"),
        )
    );
    scene.write("bad.toml", &text);
    scene
        .run(&["analyze", "bad.toml", "--jobs", "1"])
        .expect_code(INVALID)
        .expect_message(&["of 3"]);
    scene.assert_nothing_left();
}

#[test]
fn a_target_that_is_never_started_is_named() {
    require!(Replays);
    let text = BATCH.replace("command = [", "target = \"./probe\"\ncommand = [");
    let finished = analyze(&text);
    assert!(
        matches!(finished.code(), Some(USAGE | INVALID)),
        "{finished:?}"
    );
    finished.expect_message(&["probe", "never"]);
}

#[test]
fn without_root_and_daemon_the_cure_is_told() {
    require!(Replays, Program("setpriv"));
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let mut command = Command::new(scene.loupe_for_everyone());
    command
        .args(["analyze", "--local", "--db"])
        .arg("/tmp/loupe-test-nobody.db")
        .arg(&workload)
        .current_dir(scene.directory())
        .uid(NOBODY)
        .gid(NOBODY);
    let finished = command::run(command).expect_code(OWN_FAILURE);
    finished.expect_message(&["root", "louped"]);
    for suffix in ["", "-wal", "-shm", "-claims"] {
        drop(std::fs::remove_file(format!(
            "/tmp/loupe-test-nobody.db{suffix}"
        )));
    }
    scene.assert_nothing_left();
}

#[test]
fn without_the_kernels_type_information_the_cure_is_told() {
    require!(Replays, Program("unshare"));
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let loupe = binaries::loupe();
    let script = format!(
        "mount -n -t tmpfs none /sys/kernel/btf && exec {} analyze --local --db {} {}",
        loupe.display(),
        scene.database().display(),
        workload.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "/bin/sh", "-c", &script]);
    command::run(command)
        .expect_code(OWN_FAILURE)
        .expect_message(&["BTF"]);
    scene.assert_nothing_left();
}

#[test]
fn a_full_disk_for_the_database_is_told() {
    require!(Replays, Program("unshare"));
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let small = scene.path("small");
    std::fs::create_dir(&small).expect("a directory");
    let script = format!(
        "mount -n -t tmpfs -o size=64k none {0} && exec {1} analyze --local --db {0}/loupe.db {2}",
        small.display(),
        binaries::loupe().display(),
        workload.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "/bin/sh", "-c", &script]);
    command::run(command)
        .expect_code(OWN_FAILURE)
        .expect_message(&["full"]);
    std::fs::remove_dir(&small).expect("nothing is in it");
    scene.assert_nothing_left();
}

#[test]
fn a_database_that_is_none_is_told() {
    require!(Replays);
    let scene = Scene::new();
    scene.write(
        "loupe.db",
        "this is no database, however long it may be, and never was one\n",
    );
    let finished = scene.run(&["list"]);
    finished
        .expect_code(OWN_FAILURE)
        .expect_message(&["loupe.db"]);
}

#[test]
fn an_unknown_application_is_told() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("unknown-number"));
    scene
        .run(&["list"])
        .expect_code(USAGE)
        .expect_message(&["no database", "loupe.db"]);
    let path = workload.to_str().expect("a plain path");
    scene
        .run(&["analyze", path, "--replicas", "1"])
        .expect_code(0);
    for words in [&["show", "absent"][..], &["explain", "absent", "futex"]] {
        scene
            .run(words)
            .expect_code(USAGE)
            .expect_message(&["absent"]);
    }
    scene.assert_nothing_left();
}

#[test]
fn a_socket_that_nobody_answers_at_is_told() {
    require!(Replays);
    let scene = Scene::new();
    let socket = scene.path("louped.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let mut command = Command::new(binaries::loupe());
    command
        .args(["jobs", "--socket"])
        .arg(&socket)
        .current_dir(scene.directory());
    command::run(command)
        .expect_code(OWN_FAILURE)
        .expect_message(&["louped.sock"]);
    assert!(Path::new(&socket).exists());
}
