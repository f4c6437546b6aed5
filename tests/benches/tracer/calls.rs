//! Nanoseconds per `getppid`, in a traced process and in one that nobody traces.

use std::process::Command;
use std::time::Instant;

use loupe_daemon::benchmarks::{ReplayCgroup, TraceOptions, Tracer, move_process};

/// First argument of the process that makes the calls; then calls and cgroup ("" for none).
const ARGUMENT: &str = "__calls";
const CALLS: u64 = 1_000_000;
const ROUNDS: usize = 9;

pub fn serve_if_asked() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ARGUMENT) {
        return;
    }
    let calls: u64 = args
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    if let Some(directory) = args.next().filter(|directory| !directory.is_empty()) {
        let own = std::process::id() as i32;
        move_process(own, directory.as_ref()).expect("the cgroup exists");
    }
    let measure = |calls: u64| {
        let begin = Instant::now();
        for _ in 0..calls {
            // SAFETY: takes no argument and has no effect.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        begin.elapsed().as_nanos() as f64 / calls as f64
    };
    measure(calls / 10);
    println!("{:.2}", measure(calls));
    std::process::exit(0);
}

/// A process that makes `calls` calls, in a cgroup or where it is.
pub fn caller(calls: u64, cgroup: Option<&ReplayCgroup>) -> Command {
    let directory = cgroup.map(|cgroup| cgroup.target().display().to_string());
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(ARGUMENT)
        .arg(calls.to_string())
        .arg(directory.unwrap_or_default());
    command
}

fn nanoseconds(cgroup: Option<&ReplayCgroup>) -> f64 {
    let output = caller(CALLS, cgroup).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a time")
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
            column.push(nanoseconds(Some(&cgroup)));
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

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
