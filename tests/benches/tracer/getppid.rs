//! A process that calls `getppid`, and how long it took for one. For benchmarks that ask what is
//! attached costs.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use loupe_daemon::benchmarks::move_process;

/// First argument of the process that makes the calls; then calls and cgroup ("" for none).
const ARGUMENT: &str = "__calls";

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
pub fn caller(calls: u64, cgroup: Option<&Path>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(ARGUMENT)
        .arg(calls.to_string())
        .arg(cgroup.unwrap_or(Path::new("")));
    command
}

/// Nanoseconds a call, of so many.
pub fn nanoseconds(calls: u64, cgroup: Option<&Path>) -> f64 {
    let output = caller(calls, cgroup).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a time")
}

pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
