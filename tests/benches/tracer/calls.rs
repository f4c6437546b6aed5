//! Nanoseconds per `getppid`, in a traced process and in one that nobody traces.

use std::path::Path;

use loupe_daemon::benchmarks::{ReplayCgroup, TraceOptions, Tracer};

use crate::getppid::{self, median};

const CALLS: u64 = 1_000_000;
const ROUNDS: usize = 9;

fn nanoseconds(cgroup: Option<&Path>) -> f64 {
    getppid::nanoseconds(CALLS, cgroup)
}

struct Row {
    title: &'static str,
    samples: Vec<f64>,
}

pub fn run() {
    let titles = [
        "nothing attached",
        "empty pair attached",
        "loupe, traced process",
        "loupe, other process",
        "loupe with times, traced process",
        "loupe with times, other process",
    ];
    let mut rows = titles.map(|title| Row {
        title,
        samples: Vec::new(),
    });
    for _ in 0..ROUNDS {
        let mut column = Vec::new();
        column.push(nanoseconds(None));
        {
            let floor = Tracer::load().expect("the programs load");
            floor.attach_empty_pair().expect("the empty pair attaches");
            column.push(nanoseconds(None));
        }
        let tracer = Tracer::load().expect("the programs load");
        for latency in [false, true] {
            let cgroup = ReplayCgroup::create().expect("cgroups can be made");
            let options = TraceOptions {
                latency,
                stream: false,
            };
            let trace = tracer.open(&cgroup, options).expect("the trace opens");
            column.push(nanoseconds(Some(&cgroup.target())));
            column.push(nanoseconds(None));
            let trace = trace.finish().expect("the trace can be read");
            assert_eq!(trace.lost.total(), 0, "lost: {:?}", trace.lost);
            cgroup.remove().expect("the cgroup is empty");
        }
        for (row, sample) in rows.iter_mut().zip(column) {
            row.samples.push(sample);
        }
    }
    println!("\ngetppid, ns per call, median of {ROUNDS} interleaved rounds of {CALLS} calls");
    let medians: Vec<f64> = rows
        .iter_mut()
        .map(|row| median(&mut row.samples))
        .collect();
    let floor = medians[1] - medians[0];
    for (row, ns) in rows.iter().zip(&medians) {
        let added = ns - medians[0];
        println!(
            "{:34} {ns:7.1}   added {added:7.1}   {:5.2} of the empty pair",
            row.title,
            added / floor
        );
    }
}
