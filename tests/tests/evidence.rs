//! What is no evidence is not taken for any: a workload that filters break, a target that takes
//! none, an engine that stood still, a keeper that was killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use loupe_tests::analysis::Analysis;
use loupe_tests::command::{self, Finished};
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::{RESULT, Scene};

const INVALID: i32 = 3;

/// A batch workload that works when it leaves its result.
fn batch(command: &str) -> String {
    format!(
        "application = \"evidence\"\nworkload = \"evidence\"\nmode = \"batch\"\n\
         command = \"{command}\"\ntarget = \"./victim\"\ntest = [\"./probe\", \"works\", \
         \"{RESULT}\"]\n"
    )
}

fn analyze(scene: &Scene, text: &str, options: &[&str]) -> Finished {
    scene.write("evidence.toml", text);
    let words = ["analyze", "evidence.toml", "--json", "--fresh"];
    scene.run(&[&words[..], options].concat())
}

/// A copy of the victim with these permissions.
fn copy(scene: &Scene, name: &str, mode: u32) {
    let bytes = fs::read(scene.victim()).expect("the victim");
    // Written by the scene, so that it is the test's.
    scene.write(name, "");
    let path = scene.path(name);
    fs::write(&path, bytes).expect("a copy");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
}

#[test]
fn a_workload_that_needs_a_set_uid_helper_is_refused_with_the_reason() {
    require!(Replays, Program("runuser"));
    let scene = Scene::new();
    copy(&scene, "helper", 0o4755);
    let command = format!("runuser -u nobody -- ./victim run ./helper is-root {RESULT}");
    for options in [&[][..], &["--no-pseudo-files"]] {
        analyze(&scene, &batch(&command), options)
            .expect_code(INVALID)
            .expect_message(&[
                "under a filter that answers no call",
                "no_new_privs",
                "set-uid",
            ]);
    }
    scene.assert_nothing_left();
}

#[test]
fn a_launcher_that_forbids_filters_is_named_after_a_few_replays() {
    require!(Replays);
    let scene = Scene::new();
    copy(&scene, "launcher", 0o755);
    let command = format!("./launcher without-filters ./victim uname {RESULT}");
    for options in [&[][..], &["--no-pseudo-files"]] {
        let refused = analyze(&scene, &batch(&command), options)
            .expect_code(INVALID)
            .expect_message(&[
                "no filter can be put on the target",
                "not permitted",
                "seccomp(2)",
            ]);
        let replays = refused.stderr.matches("invalid").count();
        assert!(replays < 20, "{}", refused.stderr);
    }
    scene.assert_nothing_left();
}

#[test]
fn an_engine_that_stands_still_now_and_then_finds_the_same_verdicts() {
    require!(Replays);
    let scene = Scene::new();
    for (name, feature) in [
        ("pauses-on-error", "sched_getparam"),
        ("spins-on-error", "sched_getscheduler"),
    ] {
        let workload = scene.workload(victim(name));
        let path = workload.to_str().expect("a plain path");
        let running = command::start(scene.loupe(&["analyze", path, "--json", "--no-joint"]));
        // Long enough to be seen as a gap; and the replays go on meanwhile.
        while !running.ends_within(Duration::from_millis(1200)) {
            running.signal(libc::SIGSTOP);
            std::thread::sleep(Duration::from_millis(300));
            running.signal(libc::SIGCONT);
        }
        let analysis = Analysis::new(running.wait().expect_code(0).json());
        assert_eq!(analysis.verdict(feature), Some("fake"), "{:#}", analysis.0);
        assert_eq!(analysis.undecided(), [""; 0]);
    }
    scene.assert_nothing_left();
}

/// The processes that keep a sandbox, of this `loupe`: its launcher's children.
fn keepers(loupe: u32) -> Vec<i32> {
    let children = |pid: &str| -> Vec<String> {
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        // Gone meanwhile: it has none.
        let list = list.unwrap_or_default();
        list.split_whitespace().map(str::to_owned).collect()
    };
    // The launcher is started by the main thread.
    let launchers = children(&loupe.to_string()).into_iter();
    let keepers = launchers.flat_map(|launcher| children(&launcher));
    keepers.filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn a_killed_keeper_costs_its_replay_and_not_the_analysis() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("pauses-on-error"));
    let path = workload.to_str().expect("a plain path");
    let running = command::start(scene.loupe(&["analyze", path, "--json", "--no-joint"]));
    let mut killed = 0;
    while !running.ends_within(Duration::from_millis(300)) {
        if let (Some(keeper), true) = (keepers(running.pid()).first(), killed < 4) {
            // SAFETY: takes no memory; one that is gone gives an error.
            killed += i32::from(unsafe { libc::kill(*keeper, libc::SIGKILL) } == 0);
        }
    }
    let finished = running.wait().expect_code(0);
    assert!(killed > 0, "{}", finished.stderr);
    let analysis = Analysis::new(finished.json());
    assert_eq!(analysis.verdict("sched_getparam"), Some("fake"));
    scene.assert_nothing_left();
}

#[test]
fn passes_in_which_nothing_was_called_are_shown_apart() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("at-exit"));
    let path = workload.to_str().expect("a plain path");
    let analysis = scene
        .run(&["analyze", path, "--json"])
        .expect_code(0)
        .json();
    let analysis = Analysis::new(analysis);
    for row in analysis.0["features"].as_array().expect("rows") {
        for way in ["stub", "fake"] {
            let trial = &row[way];
            assert!(
                trial["passes"].as_u64() <= trial["runs"].as_u64(),
                "{row:#}"
            );
            let called = trial["injections"].as_u64() > Some(0);
            assert_eq!(called, trial["runs"].as_u64() > Some(0), "{row:#}");
        }
    }
}
