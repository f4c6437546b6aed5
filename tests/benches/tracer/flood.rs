//! Calls as fast as all cores can make them: nothing may be lost, and every call counted.

use std::time::Instant;

use loupe_common::feature::Feature;
use loupe_daemon::benchmarks::{ReplayCgroup, TraceOptions, Tracer};

use crate::getppid;

const CALLS: u64 = 5_000_000;

pub fn run() {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let tracer = Tracer::load().expect("the programs load");
    let cgroup = ReplayCgroup::create().expect("cgroups can be made");
    let trace = tracer
        .open(&cgroup, TraceOptions::default())
        .expect("the trace opens");
    let begin = Instant::now();
    let children: Vec<_> = (0..cores)
        .map(|_| {
            let mut command = getppid::caller(CALLS, Some(&cgroup.target()));
            command
                .stdout(std::process::Stdio::null())
                .spawn()
                .expect("starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("can be waited for").success());
    }
    let seconds = begin.elapsed().as_secs_f64();
    let trace = trace.finish().expect("the trace can be read");
    cgroup.remove().expect("the cgroup is empty");
    let getppid: Feature = "getppid".parse().expect("a syscall");
    let counted = trace.calls.get(&getppid).map_or(0, |counts| counts.calls);
    // Each caller warms up with a tenth.
    let made = (CALLS + CALLS / 10) * cores as u64;
    println!(
        "\n{cores} processes at full speed: {made} calls made, {counted} counted, {} lost, {:.1} million a second",
        trace.lost.total(),
        made as f64 / seconds / 1e6
    );
    assert_eq!(made, counted, "calls were not counted");
}
