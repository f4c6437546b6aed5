//! Every verdict of the table of truth comes out of Loupe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loupe_tests::analysis::Analysis;
use loupe_tests::ground_truth::{Need, Truth, VICTIMS, Victim};
use loupe_tests::require;
use loupe_tests::requirement::{Requirement, all_present};
use loupe_tests::scene::Scene;

#[test]
fn every_verdict_of_the_table_comes_out() {
    require!(Requirement::Replays);
    check_all(&["--jobs", "1"]);
}

#[test]
fn every_verdict_comes_out_in_parallel_on_a_loaded_machine() {
    require!(Requirement::Replays);
    let load = Load::start();
    // Alone, where the other test lets groups confirm: both must come to the truth.
    check_all(&["--jobs", "4", "--exhaustive", "--replicas", "2"]);
    drop(load);
}

#[test]
fn calls_of_other_abis_are_told_apart() {
    require!(Requirement::Replays);
    let scene = Scene::new();
    let mut expected = vec![("x32-call", "x32:110"), ("unknown-number", "native:32767")];
    if all_present("i386 calls", &[Requirement::I386]) {
        expected.extend([("i386-calls", "i386:20"), ("i386-calls", "i386:39")]);
    }
    for (name, call) in expected {
        let analysis = analyze(&scene, loupe_tests::ground_truth::victim(name), &[]);
        let foreign = analysis.foreign();
        assert!(
            foreign.iter().any(|seen| seen == call),
            "{name}: {foreign:?}"
        );
    }
    scene.assert_nothing_left();
}

#[test]
fn a_way_around_the_injection_is_warned_of() {
    require!(Requirement::Replays);
    let scene = Scene::new();
    let analysis = analyze(&scene, loupe_tests::ground_truth::victim("io-uring"), &[]);
    assert!(
        analysis.warnings().contains("io_uring"),
        "{}",
        analysis.warnings()
    );
}

fn analyze(scene: &Scene, victim: &Victim, options: &[&str]) -> Analysis {
    let workload = scene.workload(victim);
    let path = workload.to_str().expect("a plain path");
    let words = [&["analyze", path, "--json", "--no-joint"][..], options].concat();
    let finished = scene.run(&words);
    // 1: a verdict was not reached; the caller looks which.
    assert!(matches!(finished.code(), Some(0 | 1)), "{finished:#?}");
    Analysis::new(finished.json())
}

fn check_all(options: &[&str]) {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for victim in VICTIMS {
        if victim.needs == Need::I386 && !all_present(victim.name, &[Requirement::I386]) {
            continue;
        }
        let analysis = analyze(&scene, victim, options);
        for undecided in analysis.undecided() {
            let known = victim.rows.iter().find(|row| row.syscall == undecided);
            if known.is_none_or(|row| row.truth != Truth::Unknowable) {
                let warnings = analysis.warnings();
                wrong.push(format!(
                    "{}: {undecided} is undecided: {warnings}",
                    victim.name
                ));
            }
        }
        for row in victim.rows {
            let found = analysis.verdict(row.syscall);
            if !row.truth.admits(found) {
                wrong.push(format!(
                    "{}: {} is {:?} and came out as {found:?}: {}",
                    victim.name,
                    row.syscall,
                    row.truth,
                    analysis
                        .row(row.syscall)
                        .unwrap_or(&serde_json::Value::Null)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    scene.assert_nothing_left();
}

/// Keeps every CPU busy beside the replays.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start() -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let cpus = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = (0..cpus)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        Load { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
