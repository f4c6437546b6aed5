//! The same with real workers: a `louped` each, in a network namespace of its own, and `loupe study`. The
//! tests sleep, so that two CPUs do not hide what four hosts would do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loupe_tests::binaries;
use loupe_tests::command;
use loupe_tests::fleet::Fleet;
use loupe_tests::network::Network;
use loupe_tests::scene::{RESULT, Scene};

/// Applications of a study.
const STUDIED: usize = 8;
/// How many workers there are, one after the other.
const WORKERS: [usize; 2] = [1, 4];
/// Seconds that a test sleeps.
const TEST_S: f64 = 0.4;
/// What a study asks for.
const OPTIONS: [&str; 3] = ["--json", "--no-joint", "--no-pseudo-files"];

fn workload(scene: &Scene, name: &str) -> PathBuf {
    let victim = binaries::victim();
    scene.write(
        &format!("{name}.toml"),
        &format!(
            "application = {name:?}\nworkload = \"sleeps\"\nmode = \"batch\"\n\
             command = [{victim:?}, \"accepts-enosys\", {RESULT:?}]\n\
             test = [\"sh\", \"-c\", \"sleep {TEST_S}; grep -q . {RESULT}\"]\n"
        ),
    )
}

/// Studies these, and tells how long that took and how many replays it was.
fn study(scene: &Scene, fleet: &Fleet<'_>, paths: &[&Path]) -> (Duration, u64) {
    // Each has a database of its own: nothing is kept of another.
    let database = scene.database();
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(format!(
            "{}{suffix}",
            database.display()
        )));
    }
    let began = Instant::now();
    let told = command::run(fleet.study(paths, &OPTIONS))
        .expect_code(0)
        .json();
    let took = began.elapsed();
    let rows = told["workloads"].as_array().expect("a list");
    let replays = rows.iter().map(|row| row["replays"].as_u64().unwrap_or(0));
    (took, replays.sum())
}

pub fn run() {
    let scene = Scene::new();
    let networks: Vec<Network> = (0..WORKERS[1]).map(|_| Network::lay()).collect();
    let names: Vec<String> = (0..networks.len()).map(|at| format!("w{at}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut fleet = Fleet::found_of(networks[0].host(), &scene, (&[], &words));
    fleet.start_server();
    let paths: Vec<PathBuf> = (0..STUDIED)
        .map(|at| workload(&scene, &format!("sleeps{at}")))
        .collect();
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    println!("{STUDIED} applications on real workers; a test sleeps {TEST_S} s");
    let mut workers = Vec::new();
    let mut alone = None;
    for count in WORKERS {
        while workers.len() < count {
            let at = workers.len();
            let mut worker = fleet.worker(&names[at]);
            worker.enter(&networks[at]);
            worker.start_working(1);
            workers.push(worker);
        }
        // What cannot be spread: an analysis that has all workers.
        let (serial, _) = study(&scene, &fleet, &paths[..1]);
        let (took, replays) = study(&scene, &fleet, &paths);
        super::tell(count, (took, serial), replays, &mut alone);
    }
    for mut worker in workers {
        worker.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    }
}
