//! Studies whose replays run on workers: the verdicts are those of one host, whatever is killed meanwhile,
//! and nobody has workers run anything but who has the key for that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use loupe_tests::binaries;
use loupe_tests::command;
use loupe_tests::daemon::wait_until;
use loupe_tests::fleet::Fleet;
use loupe_tests::ground_truth::victim;
use loupe_tests::random::Random;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::{RESULT, Scene};

use super::{intruder, size};

/// Few replays, and every verdict.
const QUICK: [&str; 3] = ["--json", "--no-joint", "--replicas=2"];

/// What is studied, by application.
const STUDIED: [&str; 3] = ["accepts-enosys", "must-fail", "brings"];

/// Workload files; one of them brings a file, and has its test in a script beside it.
fn workloads(scene: &Scene) -> Vec<PathBuf> {
    let mut paths: Vec<_> = STUDIED[..2]
        .iter()
        .map(|name| scene.workload(victim(name)))
        .collect();
    scene.write("brought", "what is brought\n");
    scene.write(
        "test.sh",
        &format!("grep -q brought /tmp/there && \"$1\" works {RESULT}\n"),
    );
    paths.push(scene.write(
        "brings.toml",
        &format!(
            "application = \"brings\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [\"./victim\", \"accepts-eperm\", {RESULT:?}]\n\
             test = [\"sh\", \"test.sh\", \"./probe\"]\n\
             [[files]]\nfrom = \"brought\"\nto = \"/tmp/there\"\n"
        ),
    ));
    paths
}

/// The verdicts that a database has of an application.
fn verdicts(database: &Path, application: &str) -> BTreeMap<String, String> {
    let mut loupe = Command::new(binaries::loupe());
    loupe
        .args(["show", application, "--json", "--db"])
        .arg(database);
    let shown = command::run(loupe).expect_code(0).json();
    let rows = shown["features"].as_array().expect("a list").iter();
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().expect("a word").to_owned();
    rows.map(|row| (word(row, "feature"), word(row, "verdict")))
        .collect()
}

/// Those of a study without workers, by application.
fn verdicts_of_this_host(scene: &Scene, paths: &[&Path]) -> Vec<BTreeMap<String, String>> {
    let database = scene.path("local.db");
    let mut alone = Command::new(binaries::loupe());
    alone
        .args(["study", "--local", "--db"])
        .arg(&database)
        .args(QUICK)
        .args(paths);
    command::run(alone).expect_code(0);
    let applications = STUDIED.iter();
    applications
        .map(|application| verdicts(&database, application))
        .collect()
}

fn replays_kept(database: &Path) -> u64 {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg(database).arg("SELECT count(*) FROM replays");
    command::run(sqlite).stdout.trim().parse().unwrap_or(0)
}

#[test]
fn a_study_on_workers_has_the_verdicts_of_this_host_although_a_worker_and_the_server_are_killed() {
    require!(Replays, Program("nats-server"), Program("sqlite3"));
    let scene = Scene::new();
    let mut fleet = Fleet::found_with_workers(&scene, &["a"], &["w1", "w2"]);
    let paths = workloads(&scene);
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    fleet.start_server();
    let (mut dies, mut stays) = (fleet.worker("w1"), fleet.worker("w2"));
    dies.start_working(1);
    stays.start_working(2);
    let studying = command::start(fleet.study(&paths, &QUICK));
    let database = scene.database();
    let after = |count: u64| {
        wait_until("some replays are kept", || {
            replays_kept(&database) >= count || studying.ends_within(Duration::ZERO)
        });
        assert!(
            !studying.ends_within(Duration::ZERO),
            "it has ended already"
        );
    };
    after(3);
    dies.stop(libc::SIGKILL);
    after(10);
    // The server forgets what it has said it keeps; a worker that begins anew asks for it again.
    fleet.stop_server(libc::SIGKILL);
    stays.stop(libc::SIGKILL);
    fleet.lose_stream("LOUPE_FILES");
    fleet.start_server();
    stays.start_working(2);
    let study = studying.wait().expect_code(0).json();
    for row in study["workloads"].as_array().expect("a list") {
        assert_eq!(row["outcome"], "measured", "{row:#}");
    }
    // Again, nothing is measured again.
    let again = command::run(fleet.study(&paths, &QUICK)).expect_code(0);
    for row in again.json()["workloads"].as_array().expect("a list") {
        assert_eq!(row["outcome"], "kept", "{row:#}");
    }
    assert_eq!(intruder::jobs_left(&fleet), 0);
    stays.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    let expected = verdicts_of_this_host(&scene, &paths);
    for (application, expected) in STUDIED.iter().zip(expected) {
        let spread = verdicts(&database, application);
        assert!(spread.len() > 5, "{spread:#?}");
        assert_eq!(spread, expected, "{application}");
    }
}

#[test]
fn what_one_worker_lacks_another_runs_and_what_all_lack_ends_the_analysis() {
    require!(Replays, Program("nats-server"), Program("unshare"));
    let scene = Scene::new();
    let mut fleet = Fleet::found_with_workers(&scene, &[], &["lacks", "has"]);
    fleet.start_server();
    let tools = scene.path("tools");
    std::fs::create_dir(&tools).expect("a directory");
    let tool = tools.join("tool");
    std::fs::copy(binaries::victim(), &tool).expect("copied");
    let path = scene.write(
        "tool.toml",
        &format!(
            "application = \"tool\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [{tool:?}, \"accepts-enosys\", {RESULT:?}]\n\
             test = [\"grep\", \"-q\", \".\", {RESULT:?}]\n"
        ),
    );
    let (mut lacks, mut has) = (fleet.worker("lacks"), fleet.worker("has"));
    lacks.lacks(&tools);
    lacks.start_working(1);
    has.start_working(1);
    let study = command::run(fleet.study(&[&path], &QUICK))
        .expect_code(0)
        .json();
    assert_eq!(study["workloads"][0]["outcome"], "measured", "{study:#}");
    has.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    scene.forget(&scene.database());
    let finished = command::run(fleet.study(&[&path], &QUICK));
    let study = finished.json();
    assert_eq!(study["workloads"][0]["outcome"], "failed", "{study:#}");
    let why = study["workloads"][0]["failure"].to_string();
    assert!(why.contains("lacks: ") && why.contains("tool"), "{why}");
    lacks.stop(libc::SIGTERM).expect("it ran").expect_code(0);
}

#[test]
fn kills_of_workers_the_server_and_who_asks_change_no_verdict() {
    require!(Replays, Program("nats-server"));
    let scene = Scene::new();
    let mut fleet = Fleet::found_with_workers(&scene, &[], &["w1", "w2"]);
    let paths = workloads(&scene);
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let expected = verdicts_of_this_host(&scene, &paths);
    fleet.start_server();
    let mut workers = ["w1", "w2"].map(|name| fleet.worker(name));
    for worker in &mut workers {
        worker.start_working(1);
    }
    let mut random = Random::of_now();
    let mut faults = [0; 3];
    for _ in 0..size(1, 20) {
        let mut studying = command::start(fleet.study(&paths, &QUICK));
        for _ in 0..size(5, 12) {
            if studying.ends_within(random.milliseconds_below(3_000)) {
                break;
            }
            let which = random.below(faults.len());
            faults[which] += 1;
            match which {
                0 => {
                    let worker = &mut workers[random.below(2)];
                    worker.stop(libc::SIGKILL);
                    worker.start_working(1);
                }
                1 => {
                    fleet.stop_server(libc::SIGKILL);
                    fleet.start_server();
                }
                // The same command goes on from what is kept.
                _ => {
                    let again = || command::start(fleet.study(&paths, &QUICK));
                    studying.signal(libc::SIGKILL);
                    drop(studying.wait());
                    studying = again();
                }
            }
        }
        studying.wait().expect_code(0);
        for (application, expected) in STUDIED.iter().zip(&expected) {
            assert_eq!(
                &verdicts(&scene.database(), application),
                expected,
                "{application}"
            );
        }
        scene.forget(&scene.database());
    }
    println!("kills of workers, the server, who asks: {faults:?}");
}

#[test]
fn a_worker_runs_what_is_signed_by_the_coordinator_and_nothing_else() {
    require!(Replays, Program("nats-server"));
    let scene = Scene::new();
    let mut fleet = Fleet::found_with_workers(&scene, &["a"], &["w1", "w2"]);
    fleet.start_server();
    let mut worker = fleet.worker("w1");
    worker.start_working(1);
    let path = scene.workload(victim("accepts-enosys"));
    let jobs = intruder::listen_to_jobs(&fleet, || {
        command::run(fleet.study(&[&path], &QUICK)).expect_code(0);
    });
    assert_eq!(intruder::offer_jobs(&fleet, &jobs), 1);
    let worked = intruder::try_as_worker(&fleet, "w2", "w1");
    assert_eq!(worked, Vec::<String>::new());
    worker.stop(libc::SIGTERM).expect("it ran").expect_code(0);
}
