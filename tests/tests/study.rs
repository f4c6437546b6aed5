//! Many workloads in one study: all of them are measured, a failing one ends none of the others, and an
//! interrupted study goes on where it stopped.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loupe_tests::analysis::Analysis;
use loupe_tests::command::{self, Finished, LIMIT};
use loupe_tests::daemon::Daemon;
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};
use serde_json::Value;

/// A workload that fails as it is.
fn failing(scene: &Scene) {
    scene.write(
        "hopeless.toml",
        "application = \"hopeless\"\nworkload = \"truth\"\nmode = \"batch\"\n\
         command = [\"./victim\", \"exits\", \"-\", \"0\"]\n\
         test = \"echo nothing works here; exit 1\"\n",
    );
}

/// A workload that works, and adds a byte to a file outside of its sandbox at each start.
fn recording(scene: &Scene, name: &str) -> PathBuf {
    let counter = scene.write(&format!("{name}.starts"), "");
    let script = format!("exec ./victim records {RESULT} {}", counter.display());
    scene.write(
        &format!("{name}.toml"),
        &format!(
            "application = {name:?}\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = {script:?}\ntarget = \"./victim\"\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n\
             writable = [{counter:?}]\n"
        ),
    );
    counter
}

fn starts(counter: &Path) -> u64 {
    std::fs::metadata(counter).expect("it is there").len()
}

/// What came of each workload, by the application's name or else the file's.
fn outcomes(finished: &Finished) -> Vec<(String, String)> {
    let json = finished.json();
    assert_eq!(json["schema"], "loupe.study/1");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = json["workloads"].as_array().expect("a list").iter();
    rows.map(|row| {
        let file = text(&row["file"]);
        let file = file.rsplit('/').next().unwrap_or_default().to_owned();
        (file, text(&row["outcome"]))
    })
    .collect()
}

fn expect_outcomes(finished: &Finished, expected: &[(&str, &str)]) {
    let found = outcomes(finished);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(file, outcome)| (file.as_str(), outcome.as_str()))
        .collect();
    assert_eq!(found, expected, "{finished:?}");
}

#[test]
fn one_that_fails_ends_none_of_the_others_and_what_is_done_is_not_done_again() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("accepts-enosys");
    let path = scene.workload(truth);
    let own = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    failing(&scene);
    let counter = recording(&scene, "records");
    scene.write("wrong.toml", "application = \"wrong\"\ncolour = \"blue\"\n");
    let page = scene.write("study.html", "");
    let directory = scene.directory().to_str().expect("a plain path").to_owned();
    let report = page.to_str().expect("a plain path").to_owned();
    let words = ["study", &directory, "--json", "--report", &report];
    let finished = scene.run(&words).expect_code(3);
    let mut expected = vec![
        (own.as_str(), "measured"),
        ("hopeless.toml", "failed"),
        ("records.toml", "measured"),
        ("wrong.toml", "unusable"),
    ];
    expected.sort_unstable();
    expect_outcomes(&finished, &expected);
    let failure = &finished.json()["workloads"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["application"] == "hopeless")
        .expect("a row")["failure"]
        .clone();
    let output = failure["output"].as_str().unwrap_or_default();
    assert!(output.contains("nothing works here"), "{failure}");
    finished.expect_message(&["wrong.toml:2:1", "colour"]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("records") && !page.contains("hopeless"));
    let shown = scene.run(&["show", truth.name, "--json"]).expect_code(0);
    assert_eq!(
        Analysis::new(shown.json()).verdict("getpriority"),
        Some("stub")
    );
    scene.assert_nothing_left();

    let before = starts(&counter);
    std::fs::remove_file(scene.path("wrong.toml")).expect("removed");
    let words = ["study", &directory, "--json"];
    let finished = scene.run(&words).expect_code(3);
    let mut expected = vec![
        (own.as_str(), "kept"),
        ("hopeless.toml", "failed"),
        ("records.toml", "kept"),
    ];
    expected.sort_unstable();
    expect_outcomes(&finished, &expected);
    assert_eq!(starts(&counter), before, "it was measured already");
    let other = ["study", &directory, "--json", "--no-joint", "--fail-fast"];
    let finished = scene.run(&other).expect_code(3);
    let measured = |(file, outcome): &(String, String)| file == "records.toml" && outcome == "kept";
    assert!(!outcomes(&finished).iter().any(measured), "other options");
}

#[test]
fn interrupted_it_leaves_nothing_and_goes_on_from_there() {
    require!(Replays);
    let scene = Scene::new();
    let counters = ["a", "b", "c"].map(|name| recording(&scene, name));
    let directory = scene.directory().to_str().expect("a plain path").to_owned();
    let words = [
        "study",
        &directory,
        "--json",
        "--jobs",
        "1",
        "--at-once",
        "2",
    ];
    let running = command::start(scene.loupe(&words));
    let deadline = Instant::now() + LIMIT;
    while starts(&counters[0]) < 12 || starts(&counters[1]) < 12 {
        assert!(!running.ends_within(Duration::ZERO), "it ended before");
        assert!(Instant::now() < deadline, "two do not run at once");
        std::thread::yield_now();
    }
    running.signal(libc::SIGINT);
    let finished = running.wait().expect_code(130);
    let finished = finished.expect_message(&["the same command goes on"]);
    let of_last = outcomes(&finished).pop().expect("three");
    assert_eq!(of_last, ("c.toml".to_owned(), "not_begun".to_owned()));
    scene.assert_nothing_left();
    let before = starts(&counters[0]);

    let finished = scene.run(&words).expect_code(0);
    for (file, outcome) in outcomes(&finished) {
        assert!(["measured", "kept"].contains(&outcome.as_str()), "{file}");
    }
    let replays = Analysis::new(scene.run(&["show", "a", "--json"]).expect_code(0).json());
    let reused = replays.number("replays_reused");
    // At most one was running, and one was just ending or waiting to start.
    assert!(reused + 2 >= before, "{before} starts, {reused} reused");
    scene.assert_nothing_left();
}

#[test]
fn the_daemon_measures_several_of_one_study_at_once() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    let counters = ["a", "b"].map(|name| recording(&scene, name));
    failing(&scene);
    let directory = scene.directory().to_str().expect("a plain path").to_owned();
    let words = ["study", &directory, "--json", "--jobs", "1"];
    let running = command::start(daemon.client(&words));
    let deadline = Instant::now() + LIMIT;
    let mut both = false;
    while !both {
        let begun = counters.each_ref().map(|counter| starts(counter) > 0);
        both = begun == [true, true];
        assert!(!running.ends_within(Duration::ZERO), "it ended before");
        assert!(Instant::now() < deadline, "two do not run at once");
        std::thread::yield_now();
    }
    let finished = running.wait().expect_code(3);
    let expected = [
        ("a.toml", "measured"),
        ("b.toml", "measured"),
        ("hopeless.toml", "failed"),
    ];
    expect_outcomes(&finished, &expected);
    let again = daemon.run(&words).expect_code(3);
    let expected = [
        ("a.toml", "kept"),
        ("b.toml", "kept"),
        ("hopeless.toml", "failed"),
    ];
    expect_outcomes(&again, &expected);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn a_directory_without_workloads_is_a_usage_error() {
    require!(Replays);
    let scene = Scene::new();
    let directory = scene.directory().to_str().expect("a plain path").to_owned();
    let finished = scene.run(&["study", &directory]).expect_code(2);
    finished.expect_message(&["there is no workload file (*.toml)", "hint:"]);
}
