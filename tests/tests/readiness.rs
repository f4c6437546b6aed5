//! When a server is ready and a job over, where that is hard to tell.

use std::fs;

use loupe_tests::analysis::Analysis;
use loupe_tests::command::Finished;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{PORT, RESULT, Scene};
use serde_json::Value;

const USAGE: i32 = 2;
const INVALID: i32 = 3;

/// Analyzes a workload of a mode, with these further lines, in as few replays as can be.
fn analyze(scene: &Scene, mode: &str, lines: &str) -> Finished {
    let text = format!("application = \"w\"\nworkload = \"waits\"\nmode = {mode:?}\n{lines}\n");
    scene.write("waits.toml", &text);
    scene.run(&[
        "analyze",
        "waits.toml",
        "--json",
        "--replicas",
        "1",
        "--no-pseudo-files",
        "--depth",
        "syscall",
    ])
}

/// The lines of a server and its test.
fn server(victim: &str, test: &str, more: &str) -> String {
    format!("command = [\"./victim\", {victim}]\ntest = [\"./probe\", {test:?}, {PORT:?}]\n{more}")
}

/// A server is measured, if this syscall is required.
#[track_caller]
fn expect_served(victim: &str, test: &str, required: &str) -> Analysis {
    let scene = Scene::new();
    let finished = analyze(&scene, "server", &server(victim, test, ""));
    let analysis = Analysis::new(finished.expect_code(0).json());
    assert_eq!(analysis.verdict(required), Some("required"));
    scene.assert_nothing_left();
    analysis
}

/// The baseline passes, and so does a replay without a call that is not made.
#[track_caller]
fn expect_passes(mode: &str, lines: &str) {
    let scene = Scene::new();
    scene.write(
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    let text = format!("application = \"w\"\nworkload = \"waits\"\nmode = {mode:?}\n{lines}\n");
    scene.write("waits.toml", &text);
    scene
        .run(&["emulate", "--profile", "profile.json", "waits.toml"])
        .expect_code(0);
    scene.assert_nothing_left();
}

#[track_caller]
fn expect_ready(victim: &str, more: &str) {
    expect_passes("server", &server(victim, "echo", more));
}

#[test]
fn a_datagram_server_that_ticks_is_ready() {
    require!(Replays);
    let victim = format!("\"serve-datagrams\", {PORT:?}");
    expect_served(&victim, "echo-datagrams", "bind");
}

/// Else a server whose start takes 0.5 s of it would look as if it waited, and many of its replays
/// would run at a time.
#[test]
fn the_time_that_loupe_waits_to_be_sure_is_none_of_the_replays() {
    require!(Replays);
    let scene = Scene::new();
    let victim = format!("\"serve-datagrams\", {PORT:?}");
    let finished = analyze(&scene, "server", &server(&victim, "echo-datagrams", ""));
    let analysis = finished.expect_code(0).json();
    let mut rows = analysis["features"].as_array().expect("rows").iter();
    let passes = rows.find(|row| row["stub"]["works"] == true);
    let passes = passes.and_then(|row| row["feature"].as_str());
    let told = scene.run(&["explain", "w", passes.expect("one that passes"), "--json"]);
    let told = told.expect_code(0).json();
    let trials = told["trials"].as_array().expect("trials").iter();
    let replays = trials.flat_map(|trial| trial["replays"].as_array().expect("replays"));
    let timings: Vec<&Value> = replays.map(|replay| &replay["timing"]).collect();
    let micros = |timing: &Value, key: &str| timing[key].as_u64().expect("microseconds");
    let waited = |timing: &&&Value| micros(timing, "calm_us") > 0;
    let waited: Vec<&&Value> = timings.iter().filter(waited).collect();
    assert!(!waited.is_empty(), "{timings:#?}");
    for timing in waited {
        let parts = ["sandbox_us", "ready_us", "test_us", "stop_us"];
        let known: u64 = parts.iter().map(|part| micros(timing, part)).sum();
        let rest = micros(timing, "wall_us").saturating_sub(known);
        assert!(rest < micros(timing, "calm_us"), "{timing:#}");
    }
    scene.assert_nothing_left();
}

#[test]
fn a_server_whose_real_port_opens_second_is_ready_when_it_does() {
    require!(Replays);
    let victim = format!("\"serve-second\", {PORT:?}, \"7778\"");
    expect_ready(&victim, "");
}

/// It is silent for longer than a server that does not listen would have to be.
#[test]
fn silence_is_no_readiness_of_a_server_that_listens_otherwise() {
    require!(Replays);
    let victim = format!("\"serve-after-sleep\", {PORT:?}");
    let analysis = expect_served(&victim, "echo", "bind");
    assert_eq!(analysis.verdict("times"), Some("any"));
}

#[test]
fn a_server_that_is_given_its_socket_is_ready_whenever_it_is_started() {
    require!(Replays);
    let scene = Scene::new();
    fs::copy(scene.victim(), scene.write("start", "")).expect("a copy");
    let test = format!("test = [\"./probe\", \"echo\", {PORT:?}]\ntarget = \"./victim\"");
    let start = format!("\"./start\", \"starts-on-demand\", {PORT:?}");
    let on_demand =
        format!("command = [{start}, \"./victim\", \"serve-inherited\", \"-\"]\n{test}");
    let analysis = Analysis::new(analyze(&scene, "server", &on_demand).expect_code(0).json());
    assert_eq!(analysis.verdict("accept4"), Some("required"));
    assert_eq!(analysis.verdict("listen"), None);
    scene.assert_nothing_left();
}

#[test]
fn a_word_on_readiness_is_taken() {
    require!(Replays);
    let late = format!("\"serve-late\", {PORT:?}");
    let output = "ready = { output = '^serving$' }";
    expect_ready(&late, output);
    let command = format!("ready = {{ port = {PORT}, command = ['./probe', 'echo', {PORT:?}] }}");
    expect_ready(&late, &command);
    let second = format!("\"serve-second\", {PORT:?}, \"7778\"");
    expect_ready(&second, &format!("ready = {{ port = {PORT} }}"));
}

#[test]
fn a_word_that_never_comes_true_ends_at_the_time_limit() {
    require!(Replays);
    let scene = Scene::new();
    let more = "ready = { command = \"false\" }\nlimits = { start = 0.5 }";
    let lines = server(&format!("\"serve-late\", {PORT:?}"), "echo", more);
    analyze(&scene, "server", &lines)
        .expect_code(INVALID)
        .expect_message(&["not ready within 500 ms"]);
    analyze(&scene, "server", &lines.replace("\"false\"", "[]"))
        .expect_code(USAGE)
        .expect_message(&["waits.toml:6:9", "`ready.command` is empty"]);
    let lines = lines.replace("\"false\"", "[\"./absent\"]");
    analyze(&scene, "server", &lines)
        .expect_code(127)
        .expect_message(&["command of `ready`", "./absent"]);
    scene.assert_nothing_left();
}

/// The lines of a job.
fn job(victim: &str) -> String {
    format!(
        "command = [\"./victim\", {victim:?}, {RESULT:?}, {PORT:?}]\n\
         test = [\"./probe\", \"works\", {RESULT:?}]"
    )
}

#[test]
fn a_job_is_over_when_what_it_leaves_ticks_beside_a_socket() {
    require!(Replays);
    let scene = Scene::new();
    let finished = analyze(&scene, "batch", &job("leaves-server"));
    let analysis = Analysis::new(finished.expect_code(0).json());
    assert_eq!(analysis.verdict("openat"), Some("required"));
    let warnings = analysis.0["warnings"].to_string();
    assert!(warnings.contains("leaves victim, asleep"), "{warnings}");
    let explained = scene.run(&["explain", "w", "munmap"]).expect_code(0);
    let left = "left by the command, asleep: victim";
    assert!(explained.stdout.contains(left), "{}", explained.stdout);
    scene.assert_nothing_left();
}

#[test]
fn a_job_is_over_when_what_it_leaves_waits() {
    require!(Replays);
    expect_passes("batch", &job("leaves-sleeper"));
}
