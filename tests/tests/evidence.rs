//! What is no evidence is not taken for any: a workload that filters break, a target that takes
//! none, an engine that stood still, a process that somebody stopped or killed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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

/// The children of a process, its threads' too.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    // Gone meanwhile: it has none.
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids = lists.flat_map(|list| {
        let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect::<Vec<i32>>()
    });
    pids.collect()
}

/// The processes that keep a sandbox, of this `loupe`: its launcher's children.
fn keepers(loupe: u32) -> Vec<i32> {
    let launchers = children(loupe as i32).into_iter();
    launchers.flat_map(children).collect()
}

/// Everything that a process has started, and all that came of it.
fn descendants(pid: i32) -> Vec<i32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

fn send(pid: i32, signal: i32) -> bool {
    // SAFETY: takes no memory; one that is gone gives an error.
    unsafe { libc::kill(pid, signal) == 0 }
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
            killed += i32::from(send(*keeper, libc::SIGKILL));
        }
    }
    let finished = running.wait().expect_code(0);
    assert!(killed > 0, "{}", finished.stderr);
    let analysis = Analysis::new(finished.json());
    assert_eq!(analysis.verdict("sched_getparam"), Some("fake"));
    scene.assert_nothing_left();
}

#[test]
fn a_launcher_or_keeper_that_somebody_stops_or_kills_costs_no_verdict() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("pauses-on-error"));
    let path = workload.to_str().expect("a plain path");
    let launcher: fn(u32) -> Vec<i32> = |loupe| children(loupe as i32);
    for (find, signal) in [
        (launcher, libc::SIGSTOP),
        (launcher, libc::SIGKILL),
        (keepers, libc::SIGSTOP),
    ] {
        let words = ["analyze", path, "--fresh", "--json", "--no-joint"];
        let running = command::start(scene.loupe(&words));
        let mut met = false;
        while !met && !running.ends_within(Duration::from_millis(150)) {
            let found = find(running.pid());
            met = found.first().is_some_and(|pid| send(*pid, signal));
        }
        assert!(met, "{}", running.wait().stderr);
        let analysis = Analysis::new(running.wait().expect_code(0).json());
        assert_eq!(analysis.verdict("sched_getparam"), Some("fake"));
        scene.assert_nothing_left();
    }
}

#[test]
fn an_application_that_somebody_kills_before_its_target_runs_costs_no_verdict() {
    require!(Replays);
    let scene = Scene::new();
    let command = format!("sleep 0.05; exec ./victim pauses-on-error {RESULT}");
    let workload = scene.write("late.toml", &batch(&command));
    let path = workload.to_str().expect("a plain path");
    let words = ["analyze", path, "--json", "--no-joint", "--no-pseudo-files"];
    let running = command::start(scene.loupe(&words));
    let is_shell = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| ["sh", "dash", "bash"].contains(&name.trim()))
    };
    let mut killed = 0;
    while killed < 3 && !running.ends_within(Duration::from_millis(20)) {
        let shell = descendants(running.pid() as i32).into_iter().find(is_shell);
        killed += i32::from(shell.is_some_and(|pid| send(pid, libc::SIGKILL)));
    }
    let finished = running.wait().expect_code(0);
    assert_eq!(killed, 3, "{}", finished.stderr);
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
