//! What a profile costs: nanoseconds per `getppid` in a watched process and in others, beside a pair
//! of raw-tracepoint programs that do nothing, in interleaved rounds. And what it loses at the
//! highest rate; and what is left of real servers' throughput.
//!
//! `cargo xtask bench profile -- [calls] [flood] [servers]`; all where none is named.

#[path = "../tracer/getppid.rs"]
mod getppid;
mod servers;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use loupe_common::feature::Feature;
use loupe_daemon::benchmarks::profiler::{Profiler, ProfilerBounds, Watch};
use loupe_daemon::benchmarks::{ReplayCgroup, Tracer};

use getppid::{caller, median};

const CALLS: u64 = 1_000_000;
const ROUNDS: usize = 15;
const FLOOD_CALLS: u64 = 5_000_000;

fn main() {
    getppid::serve_if_asked();
    let parts: [(&str, fn()); 3] = [
        ("calls", calls),
        ("flood", flood),
        ("servers", servers::run),
    ];
    let chosen: Vec<String> = std::env::args().collect();
    let is_chosen = |name: &str| chosen.iter().any(|word| word == name);
    let all = !parts.iter().any(|(name, _)| is_chosen(name));
    for (name, run) in parts {
        if all || is_chosen(name) {
            run();
        }
    }
}

fn nanoseconds(cgroup: Option<&Path>) -> f64 {
    getppid::nanoseconds(CALLS, cgroup)
}

/// A profiler that watches a cgroup of its own among a thousand others.
struct Watched {
    profiler: Profiler,
    cgroup: ReplayCgroup,
}

impl Watched {
    fn new() -> Watched {
        let profiler = Profiler::load(&ProfilerBounds::default()).expect("the programs load");
        let cgroup = ReplayCgroup::create().expect("cgroups can be made");
        let id = cgroup.target_id().expect("it is there");
        profiler.watch(id, id, Watch::Count).expect("room");
        for other in 0..1000 {
            let other = u64::MAX - other;
            profiler.watch(other, other, Watch::Count).expect("room");
        }
        Watched { profiler, cgroup }
    }

    fn directory(&self) -> PathBuf {
        self.cgroup.target()
    }

    fn end(self) {
        let Watched { profiler, cgroup } = self;
        let lost = profiler.lost().expect("readable").total();
        assert_eq!(lost, 0, "something was lost");
        cgroup.remove().expect("the cgroup is empty");
    }
}

fn calls() {
    let titles = [
        "nothing attached",
        "empty pair attached",
        "profile, watched process",
        "profile, other process",
        "profile between windows",
        "profile, cost measured, watched",
        "profile, cost measured, other",
    ];
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); titles.len()];
    let watched = Watched::new();
    let directory = watched.directory();
    for _ in 0..ROUNDS {
        let mut column = Vec::new();
        column.push(nanoseconds(None));
        {
            let floor = Tracer::load().expect("the programs load");
            floor.attach_empty_pair().expect("the empty pair attaches");
            column.push(nanoseconds(None));
        }
        let window = watched.profiler.open_window().expect("attached");
        column.push(nanoseconds(Some(&directory)));
        column.push(nanoseconds(None));
        drop(window);
        column.push(nanoseconds(Some(&directory)));
        let window = watched.profiler.open_window().expect("attached");
        let meter = watched.profiler.measure_cost().expect("measured");
        column.push(nanoseconds(Some(&directory)));
        column.push(nanoseconds(None));
        drop((meter, window));
        for (row, sample) in rows.iter_mut().zip(column) {
            row.push(sample);
        }
    }
    watched.end();
    println!("\ngetppid, ns per call, median of {ROUNDS} interleaved rounds of {CALLS} calls");
    let medians: Vec<f64> = rows.iter_mut().map(|row| median(row)).collect();
    let floor = medians[1] - medians[0];
    for (title, ns) in titles.iter().zip(&medians) {
        let added = ns - medians[0];
        println!(
            "{title:34} {ns:7.1}   added {added:7.1}   {:5.2} of the empty pair",
            added / floor
        );
    }
}

/// Calls as fast as all cores can make them: nothing may be lost, and every call counted.
fn flood() {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let watched = Watched::new();
    let window = watched.profiler.open_window().expect("attached");
    let directory = watched.directory();
    let begin = Instant::now();
    let children: Vec<_> = (0..cores)
        .map(|_| {
            let mut command = caller(FLOOD_CALLS, Some(&directory));
            command.stdout(Stdio::null()).spawn().expect("starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("can be waited for").success());
    }
    let seconds = begin.elapsed().as_secs_f64();
    drop(window);
    let getppid: Feature = "getppid".parse().expect("a syscall");
    let all = watched.profiler.counts().expect("readable");
    let counts = all.values().filter_map(|slot| slot.calls.get(&getppid));
    let counted: u64 = counts.map(|counts| counts.calls).sum();
    let lost: u64 = all.values().map(|slot| slot.lost.total()).sum();
    // Each caller warms up with a tenth.
    let made = (FLOOD_CALLS + FLOOD_CALLS / 10) * cores as u64;
    println!(
        "\n{cores} processes at full speed: {made} calls made, {counted} counted, {lost} lost, {:.1} million a second",
        made as f64 / seconds / 1e6
    );
    assert_eq!((made, lost), (counted, 0), "calls were not counted");
    watched.end();
}
