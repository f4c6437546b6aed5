//! What a replay costs beyond the application's and the test's own time: making the sandbox,
//! opening the trace, ending and clearing everything. The application is `true`, batch.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use loupe_common::policy::Policy;
use loupe_daemon::benchmarks::{
    BaselineFacts, Cancel, Heartbeat, Identity, Job, Launcher, Pace, Part, Prepared, Runner,
    Tracer, Workload,
};

const REPLAYS: usize = 300;

fn main() {
    loupe_daemon::launcher_if_asked();
    let text = r#"
        application = "true"
        workload = "bench"
        mode = "batch"
        command = ["/bin/true"]
        test = ["/bin/true"]
    "#;
    let base = PathBuf::from("/");
    let workload = Workload::parse(text, &base, base.clone()).expect("a valid workload");
    let root = Identity {
        uid: 0,
        gid: 0,
        groups: vec![0],
    };
    let prepared = Prepared::new(&workload, &root).expect("true exists");
    let launcher = Arc::new(Launcher::start().expect("the launcher starts"));
    let tracer = Tracer::load().expect("the programs load (root, BTF, a BPF linker)");
    let _attached = tracer.attach().expect("the programs attach");
    let cancel = Cancel::new().expect("an eventfd");

    println!("{REPLAYS} replays of `true`, one after the other; microseconds, median (p95)");
    for (title, cpu) in [("pinned to a CPU", Some(0)), ("not pinned", None)] {
        let runner = Runner::new(Arc::clone(&launcher), tracer.clone());
        let mut overhead = Vec::new();
        let mut whole = Vec::new();
        for _ in 0..REPLAYS {
            let begin = Instant::now();
            let replay = runner
                .replay(&Job {
                    prepared: &prepared,
                    policy: &Policy::baseline(),
                    facts: &BaselineFacts::default(),
                    heartbeat: &Heartbeat::start(&[]),
                    cpu,
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
            let wall = begin.elapsed().as_micros() as u64;
            assert!(replay.outcome.passed(), "{}", replay.outcome);
            overhead.push(wall - replay.timing.ready_us - replay.timing.test_us);
            whole.push(wall);
        }
        println!(
            "{title:16}  set-up and tear-down {}   whole replay {}",
            spread(&mut overhead),
            spread(&mut whole)
        );
    }
}

fn spread(values: &mut [u64]) -> String {
    values.sort_unstable();
    let at = |percent: usize| values[(values.len() - 1) * percent / 100];
    format!("{} ({})", at(50), at(95))
}
