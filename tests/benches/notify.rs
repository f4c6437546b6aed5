//! What a call costs that a supervisor answers, and one that none does, beside it: against a
//! ping-pong over two eventfds between two processes, which is the least that asking another
//! process can cost. Everything is pinned to one CPU, as replays are.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use loupe_common::policy::Policy;
use loupe_daemon::benchmarks::{
    BaselineFacts, Cancel, Heartbeat, Identity, Job, Launcher, Pace, Part, Prepared, Runner,
    Tracer, Workload,
};
use loupe_tests::binaries;

/// Rounds of each measurement; the best counts, because only others can make it worse.
const ROUNDS: usize = 9;
const CALLS: usize = 20_000;

/// What a victim does, and under which policy.
struct Case {
    title: &'static str,
    words: &'static [&'static str],
    policy: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        title: "umask, as it is",
        words: &["asks-blindly", "/tmp/r"],
        policy: "{}",
    },
    Case {
        title: "umask, other calls notified",
        words: &["asks-blindly", "/tmp/r"],
        policy: r#"{"/proc/cpuinfo": "stub"}"#,
    },
    Case {
        title: "umask, faked plausibly",
        words: &["asks-blindly", "/tmp/r"],
        policy: r#"{"umask": "fake=plausible"}"#,
    },
    Case {
        title: "open + close, as it is",
        words: &["opens-blindly", "/tmp/r", "/proc/uptime"],
        policy: "{}",
    },
    Case {
        title: "open + close, looked at",
        words: &["opens-blindly", "/tmp/r", "/proc/uptime"],
        policy: r#"{"/proc/cpuinfo": "stub"}"#,
    },
    Case {
        title: "open + close of another file, looked at",
        words: &["opens-blindly", "/tmp/r", "/etc/passwd"],
        policy: r#"{"/proc/cpuinfo": "stub"}"#,
    },
    Case {
        title: "open, stubbed",
        words: &["opens-blindly", "/tmp/r", "/proc/uptime"],
        policy: r#"{"/proc/uptime": "stub"}"#,
    },
    Case {
        title: "open + close, faked",
        words: &["opens-blindly", "/tmp/r", "/proc/uptime"],
        policy: r#"{"/proc/uptime": "fake"}"#,
    },
];

fn main() {
    loupe_daemon::launcher_if_asked();
    let launcher = Arc::new(Launcher::start().expect("the launcher starts"));
    let tracer = Tracer::load().expect("the programs load (root, BTF, a BPF linker)");
    let _attached = tracer.attach().expect("the programs attach");
    let runner = Runner::new(launcher, tracer.clone());

    // In rounds, so that what else the host does meets all of them.
    let mut pings = f64::INFINITY;
    let mut costs = [(f64::INFINITY, f64::INFINITY); CASES.len()];
    for _ in 0..ROUNDS {
        pings = pings.min(ping_pong());
        for (case, (many, none)) in CASES.iter().zip(&mut costs) {
            *many = many.min(run(&runner, case, CALLS));
            *none = none.min(run(&runner, case, 0));
        }
    }
    println!("{CALLS} calls each, on one CPU, in a trace; the best of {ROUNDS}");
    println!("{:40} {pings:8.2} µs", "eventfd ping-pong of two processes");
    for (case, (many, none)) in CASES.iter().zip(costs) {
        // What many calls take longer than none.
        let cost = (many - none) / CALLS as f64;
        let ratio = cost / pings;
        println!(
            "{:40} {cost:8.2} µs   {ratio:5.2} of a ping-pong",
            case.title
        );
    }
}

/// Microseconds of a replay from start to end.
fn run(runner: &Runner, case: &Case, calls: usize) -> f64 {
    let victim = binaries::victim();
    let mut words = vec![victim.to_str().expect("a plain path").to_owned()];
    words.extend(case.words.iter().map(|word| (*word).to_owned()));
    words.push(calls.to_string());
    let text = format!(
        "application = \"victim\"\nworkload = \"bench\"\nmode = \"batch\"\n\
         command = {words:?}\ntest = [\"/bin/true\"]\n"
    );
    let base = PathBuf::from("/");
    let workload = Workload::parse(&text, &base, base.clone()).expect("a valid workload");
    let root = Identity {
        uid: 0,
        gid: 0,
        groups: vec![0],
    };
    let prepared = Prepared::new(&workload, &root).expect("the victim exists");
    let policy: Policy = serde_json::from_str(case.policy).expect("a policy");
    let cancel = Cancel::new().expect("an eventfd");
    let replay = runner
        .replay(&Job {
            prepared: &prepared,
            policy: &policy,
            facts: &BaselineFacts::default(),
            heartbeat: &Heartbeat::start(&[]),
            cpu: Some(0),
            cancel: &cancel,
            part: Part::Whole,
            pace: Pace::Events,
            watch: false,
            control: None,
            hide_vdso: false,
            sample: false,
            on_waiting: &|| (),
        })
        .expect("the replay runs");
    assert!(replay.outcome.passed(), "{}", replay.outcome);
    replay.timing.ready_us as f64
}

fn eventfd() -> OwnedFd {
    // SAFETY: makes a descriptor of our own, or fails.
    let descriptor = unsafe { libc::eventfd(0, 0) };
    assert!(descriptor >= 0, "an eventfd");
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn read(event: &OwnedFd) {
    let mut value = 0u64;
    // SAFETY: the kernel writes eight bytes, which outlive the call.
    let read = unsafe { libc::read(event.as_raw_fd(), (&raw mut value).cast(), 8) };
    assert_eq!(read, 8);
}

fn write(event: &OwnedFd) {
    // SAFETY: the kernel reads eight bytes, which outlive the call.
    let written = unsafe { libc::write(event.as_raw_fd(), (&raw const ONE).cast(), 8) };
    assert_eq!(written, 8);
}

static ONE: u64 = 1;

/// Microseconds of one round trip between two processes on one CPU.
fn ping_pong() -> f64 {
    let (ping, pong) = (eventfd(), eventfd());
    // SAFETY: the child only reads, writes and exits, which is async-signal-safe.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a child");
    if child == 0 {
        pin();
        for _ in 0..CALLS {
            read(&ping);
            write(&pong);
        }
        // SAFETY: ends the process, which is always sound.
        unsafe { libc::_exit(0) }
    }
    // In a thread of its own: what pins it must not outlive it.
    let took = std::thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            pin();
            let begin = Instant::now();
            for _ in 0..CALLS {
                write(&ping);
                read(&pong);
            }
            begin.elapsed()
        });
        pinned.join().expect("no panic")
    });
    // SAFETY: waits for our own child, and writes nothing.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    took.as_secs_f64() * 1e6 / CALLS as f64
}

fn pin() {
    // SAFETY: all-zero is a valid, empty set; the kernel reads it, and it outlives the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}
