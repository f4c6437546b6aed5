//! The daemon as a service: jobs that outlive it, users that have turns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use loupe_tests::analysis::Analysis;
use loupe_tests::command;
use loupe_tests::daemon::{Daemon, wait_until};
use loupe_tests::member::NOBODY;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};
use serde_json::Value;

/// A batch workload that adds a byte to a file of the host each time that it runs; the file and
/// it.
fn counting(scene: &Scene) -> (PathBuf, PathBuf) {
    let counter = scene.write("counter", "");
    let script = format!("exec ./victim records {RESULT} {}", counter.display());
    let path = scene.write(
        "records.toml",
        &format!(
            "application = \"records\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = {script:?}\ntarget = \"./victim\"\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\nwritable = [{counter:?}]\n"
        ),
    );
    (counter, path)
}

/// A quick one under this name.
fn quick(scene: &Scene, name: &str) -> String {
    let path = scene.write(
        &format!("{name}.toml"),
        &format!(
            "application = {name:?}\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [\"./victim\", \"uname\", {RESULT:?}]\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n"
        ),
    );
    path.to_str().expect("a plain path").to_owned()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).expect("the file is there").len()
}

fn jobs(daemon: &Daemon<'_>) -> Vec<Value> {
    let list = daemon.run(&["jobs", "--json"]).expect_code(0).json();
    list["jobs"].as_array().expect("a list").clone()
}

fn verdicts(analysis: &Analysis) -> BTreeMap<String, String> {
    let rows = analysis.0["features"].as_array().expect("a list");
    let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
    rows.iter()
        .map(|row| (text(row, "feature"), text(row, "verdict")))
        .collect()
}

/// Orders an analysis that nobody waits for; the number of its job.
fn detached(daemon: &Daemon<'_>, path: &str) -> u64 {
    let printed = daemon.run(&["analyze", path, "--detach"]).expect_code(0);
    printed.stdout.trim().parse().expect("a number")
}

#[test]
fn a_detached_job_goes_on_when_louped_was_stopped_and_when_it_was_killed() {
    require!(Replays);
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        let scene = Scene::new();
        let (counter, path) = counting(&scene);
        let path = path.to_str().expect("a plain path");
        let daemon = Daemon::start(&scene);
        let id = detached(&daemon, path);
        wait_until("the workload was started", || length(&counter) >= 15);
        daemon.stop(signal);
        scene.assert_nothing_left();

        let daemon = Daemon::start(&scene);
        let there = jobs(&daemon);
        assert_eq!(there.len(), 1, "{there:#?}");
        assert_eq!(there[0]["id"], id);
        let number = id.to_string();
        let analysis = daemon.analysis(&["watch", &number, "--json"]);
        assert!(analysis.number("replays_reused") >= 10, "{:#}", analysis.0);
        let there = jobs(&daemon);
        assert_eq!(
            (&there[0]["id"], &there[0]["state"]),
            (&Value::from(id), &Value::from("finished"))
        );
        // As if nothing had come between.
        let fresh = daemon.analysis(&["analyze", path, "--fresh", "--json"]);
        assert_eq!(verdicts(&analysis), verdicts(&fresh));
        daemon.stop(libc::SIGTERM).expect_code(0);

        // Ended jobs stay, with their results; numbers are not used again.
        let daemon = Daemon::start(&scene);
        let again = daemon.analysis(&["watch", &number, "--json"]);
        assert_eq!(verdicts(&again), verdicts(&analysis));
        assert!(detached(&daemon, &quick(&scene, "new")) > id + 1);
        daemon.stop(libc::SIGTERM).expect_code(0);
        scene.assert_nothing_left();
    }
}

#[test]
fn a_user_with_one_job_waits_only_for_those_of_another_users_many_that_run() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    // More than run at once.
    let many: Vec<String> = (0..6).map(|n| quick(&scene, &format!("many{n}"))).collect();
    let single = quick(&scene, "single");
    for path in &many {
        detached(&daemon, path);
    }
    let client = daemon.client_of(NOBODY, &["analyze", &single, "--detach"]);
    command::run(client).expect_code(0);
    wait_until("all have ended", || {
        let ended = |job: &Value| job["ended"].is_u64();
        jobs(&daemon).iter().all(ended)
    });
    let there = jobs(&daemon);
    assert!(
        there.iter().all(|job| job["state"] == "finished"),
        "{there:#?}"
    );
    // Results have numbers in the order of their beginnings.
    let list = daemon.run(&["list", "--json"]).expect_code(0).json();
    let mut began: Vec<(u64, String)> = list["analyses"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let name = one["application"].as_str().expect("text").to_owned();
            (one["analysis"].as_u64().expect("a number"), name)
        })
        .collect();
    began.sort();
    // Of one user, as many run at once as there are CPUs, from two to four.
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let place = began.iter().position(|(_, name)| name == "single");
    let at_most = at_once.clamp(2, 4);
    assert!(place.is_some_and(|place| place <= at_most), "{began:?}");
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn a_job_that_is_cancelled_in_its_first_replay_is_cancelled_and_not_failed() {
    require!(Replays);
    let scene = Scene::new();
    let begun = scene.write("begun", "");
    let script = format!("echo > {} && exec ./victim hangs -", begun.display());
    let path = scene.write(
        "hangs.toml",
        &format!(
            "application = \"hangs\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = {script:?}\ntarget = \"./victim\"\ntest = \"true\"\n\
             limits.run = 86400.0\nwritable = [{begun:?}]\n"
        ),
    );
    let daemon = Daemon::start(&scene);
    let id = detached(&daemon, path.to_str().expect("a plain path")).to_string();
    wait_until("the workload was started", || length(&begun) > 0);
    daemon.run(&["cancel", &id]).expect_code(0);
    wait_until("the job has ended", || jobs(&daemon)[0]["ended"].is_u64());
    assert_eq!(jobs(&daemon)[0]["state"], "cancelled");
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}
