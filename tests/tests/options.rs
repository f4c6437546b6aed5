//! What the options of `loupe analyze` change, and what they must not change.

use loupe_tests::analysis::Analysis;
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{PORT, Scene};

fn analyze(scene: &Scene, path: &std::path::Path, options: &[&str], code: i32) -> Analysis {
    let mut words = vec!["analyze", path.to_str().expect("a plain path"), "--json"];
    words.extend(options);
    Analysis::new(scene.run(&words).expect_code(code).json())
}

/// What was done to the application, and whether the test noticed.
fn checks(analysis: &Analysis) -> Vec<(String, Option<bool>)> {
    let checks = analysis.0["test_check"].as_array().expect("checks");
    checks
        .iter()
        .map(|check| {
            let what = check["what"].as_str().expect("a sentence").to_owned();
            (what, check["noticed"].as_bool())
        })
        .collect()
}

/// A server workload with this test.
fn server(scene: &Scene, test: &str) -> std::path::PathBuf {
    scene.write(
        "server.toml",
        &format!(
            "application = \"server\"\nworkload = \"w\"\nmode = \"server\"\n\
             command = [\"./victim\", \"serve\", \"{PORT}\"]\ntest = {test:?}\n"
        ),
    )
}

#[test]
fn a_test_that_looks_only_once_does_not_notice_a_death_later_on() {
    require!(Replays);
    let scene = Scene::new();
    // Asks once, then rests for longer than it had asked.
    let once = format!("./probe echo {PORT} && sleep 0.2");
    let path = server(&scene, &once);
    let analysis = analyze(&scene, &path, &["--check-test", "--no-joint"], 1);
    let noticed: Vec<Option<bool>> = checks(&analysis).into_iter().map(|(_, n)| n).collect();
    assert_eq!(&noticed[..2], [Some(true), Some(false)], "{:#}", analysis.0);
    scene.assert_nothing_left();
}

#[test]
fn a_test_that_looks_all_the_time_notices_everything() {
    require!(Replays);
    let scene = Scene::new();
    let often = format!("for i in 1 2 3 4 5 6 7 8; do ./probe echo {PORT} || exit 1; done");
    let path = server(&scene, &often);
    let analysis = analyze(&scene, &path, &["--check-test", "--no-joint"], 0);
    let checks = checks(&analysis);
    assert_eq!(checks.len(), 3, "{checks:?}");
    assert!(
        checks.iter().all(|(_, noticed)| *noticed == Some(true)),
        "{checks:?}"
    );
    scene.assert_nothing_left();
}

#[test]
fn replays_that_mostly_wait_run_beside_each_other() {
    require!(Replays);
    let scene = Scene::new();
    // So long that what else the host does is little beside it.
    let path = server(&scene, &format!("sleep 0.5; ./probe echo {PORT}"));
    let analysis = analyze(&scene, &path, &["--no-joint"], 0);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    assert!(
        analysis.number("jobs") > cpus,
        "{}",
        analysis.number("jobs")
    );
    let alone = analyze(
        &scene,
        &path,
        &["--no-joint", "--fresh", "--jobs", "1", "--replicas", "1"],
        0,
    );
    assert_eq!(alone.number("jobs"), 1);
    for row in alone.0["features"].as_array().expect("a table") {
        let name = row["feature"].as_str().expect("a name");
        assert_eq!(analysis.verdict(name), row["verdict"].as_str(), "{name}");
    }
    scene.assert_nothing_left();
}

#[test]
fn the_papers_way_gives_the_same_verdicts_by_one_replay_each() {
    require!(Replays);
    let scene = Scene::new();
    let path = scene.workload(victim("accepts-enosys"));
    let usual = analyze(&scene, &path, &["--no-joint"], 0);
    let paper = analyze(&scene, &path, &["--paper-mode"], 0);
    let features = paper.0["features"].as_array().expect("a table");
    assert_eq!(paper.number("replays"), 1 + 2 * features.len() as u64);
    for row in features {
        let name = row["feature"].as_str().expect("a name");
        assert_eq!(usual.verdict(name), row["verdict"].as_str(), "{name}");
    }
    scene.assert_nothing_left();
}
