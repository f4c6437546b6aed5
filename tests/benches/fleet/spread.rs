//! How much faster a study is on more workers: a real NATS server, the real coordinator and queue, and
//! workers whose applications are simulated: a replay sleeps, so that the CPUs of this host do not matter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loupe_common::feature::Feature;
use loupe_common::host_class::HostClass;
use loupe_common::policy::Action;
use loupe_common::replay::{
    Conditions, ExitStatus, Failure, Outcome, OutputTail, Replay, Timing, Usage,
};
use loupe_common::trace::{CallCounts, Trace};
use loupe_daemon::spreading::{
    ACK_WAIT, AnalyzeOptions, Answer, Bench, CancellationToken, Coordinator, HostFilter, How,
    Identity, Job, ProgressSink, RealClock, Shipment, Store, Worker, WorkerLink, Workload,
    analyze_spread, work,
};
use loupe_tests::fleet::Fleet;
use tokio::task::JoinSet;

/// A replay takes so long, and half as much more.
const REPLAY: Duration = Duration::from_millis(80);
/// Applications of a study.
const STUDIED: usize = 8;
/// How many workers there are, one after the other.
const WORKERS: [usize; 3] = [1, 4, 16];
/// What an application uses; every third it needs.
const USED: [&str; 14] = [
    "read",
    "write",
    "openat",
    "close",
    "mmap",
    "munmap",
    "brk",
    "getrandom",
    "uname",
    "prlimit64",
    "rseq",
    "futex",
    "sysinfo",
    "getpriority",
];

/// The names of all workers that the fleet is to have.
pub fn names() -> Vec<String> {
    (0..16).map(|number| format!("worker{number}")).collect()
}

fn class() -> HostClass {
    HostClass {
        kernel: "6.1".to_owned(),
        architecture: "x86_64".to_owned(),
        libc: None,
        root: false,
        target: None,
    }
}

struct Simulated;

impl Bench for Simulated {
    async fn run(&self, job: &Job, stop: &CancellationToken) -> Option<(HostClass, Answer)> {
        let spread = job.key.to_string().bytes().map(u32::from).sum::<u32>() % 100;
        tokio::select! {
            () = tokio::time::sleep(REPLAY + REPLAY * spread / 200) => {}
            () = stop.cancelled() => return None,
        }
        let class = HostClass {
            target: Some("built".to_owned()),
            ..class()
        };
        Some((class, Answer::Replayed(Box::new(replay(job)))))
    }
}

fn replay(job: &Job) -> Replay {
    let policy = &job.order.policy;
    let mut trace = Trace::default();
    let (mut injections, mut breaks) = (std::collections::BTreeMap::new(), false);
    for (number, name) in USED.iter().enumerate() {
        let feature: Feature = name.parse().expect("a syscall");
        let mut counts = CallCounts {
            calls: 3,
            ..CallCounts::default()
        };
        if let Some(action) = policy.get(&feature) {
            injections.insert(feature.clone(), counts.calls);
            breaks |= number % 3 == 0;
            if let Action::Stub(errno) = action {
                counts.errors.insert(errno, counts.calls);
            }
        }
        trace.first_seen.push(feature.clone());
        trace.calls.insert(feature, counts);
    }
    for (feature, _) in policy.iter() {
        injections.entry(feature.clone()).or_insert(0);
    }
    let status = ExitStatus::Code(1);
    Replay {
        policy: policy.clone(),
        outcome: match breaks {
            true => Outcome::Failed(Failure::Test { status }),
            false => Outcome::Passed,
        },
        application_exit: None,
        test_exit: None,
        application_output: OutputTail::default(),
        test_output: OutputTail::default(),
        trace,
        injections,
        target_execs: 1,
        timing: Timing {
            wall_us: 100_000,
            test_us: 1,
            ..Timing::default()
        },
        usage: Usage::default(),
        metric: None,
        listened: None,
        listens: 0,
        left: Vec::new(),
        conditions: Conditions {
            control: job.order.control,
            ..Conditions::default()
        },
    }
}

/// Has so many workers work until they are told to stop.
async fn employ(fleet: &Fleet<'_>, count: usize, stop: &CancellationToken) -> JoinSet<()> {
    let mut working = JoinSet::new();
    for name in names().into_iter().take(count) {
        let link = WorkerLink::start(&fleet.url(), &fleet.worker_credentials(&name)).await;
        let link = link.expect("credentials");
        let worker = Worker {
            name,
            class: class(),
            slots: 1,
        };
        let stop = stop.clone();
        working.spawn(async move {
            let clock = RealClock::default();
            let pace = (&clock, ACK_WAIT);
            tokio::select! {
                ended = work(&link, &Simulated, &worker, pace, &stop) => ended.expect("it works"),
                () = link.tell_presence(&worker) => {}
            }
        });
    }
    working
}

/// Analyses these, so many at a time, and returns how long that took and how many replays it was.
async fn study(
    coordinator: &Arc<Coordinator>,
    store: &Arc<Store>,
    names: &[String],
    at_once: usize,
) -> (Duration, u64) {
    let began = Instant::now();
    let mut running = JoinSet::new();
    let mut replays = 0;
    for name in names {
        if running.len() == at_once {
            replays += running.join_next().await.expect("one").expect("no panic");
        }
        let (coordinator, store, name) = (Arc::clone(coordinator), Arc::clone(store), name.clone());
        running.spawn(async move {
            let text = format!(
                "application = {name:?}\nworkload = \"w\"\nmode = \"batch\"\n\
                 command = [\"/bin/true\"]\ntest = [\"/bin/true\"]\n"
            );
            let base = std::env::temp_dir();
            let workload = Workload::parse(&text, &base.join("w.toml"), base).expect("right");
            let shipment = Shipment::pack(&workload, How::default()).expect("packed");
            let shipment = Arc::new(shipment);
            let subject = shipment.package.subject();
            let jobs = coordinator.jobs(Arc::clone(&shipment));
            let asker = jobs.asker().to_owned();
            let root = Identity {
                uid: 0,
                gid: 0,
                groups: Vec::new(),
            };
            let options = AnalyzeOptions {
                no_joint: true,
                no_pseudo_files: true,
                ..AnalyzeOptions::default()
            };
            let (progress, cancel): (ProgressSink, _) =
                (Arc::new(|_| ()), CancellationToken::new());
            let whose = (&store, &shipment.package, &root);
            let over = (
                jobs,
                RealClock::default(),
                asker.as_str(),
                &HostFilter::default(),
            );
            let finished = analyze_spread(whose, &options, over, &progress, &cancel).await;
            coordinator.forget(&subject, &asker, true).await;
            finished.expect("an analysis").analysis.replays
        });
    }
    while let Some(joined) = running.join_next().await {
        replays += joined.expect("no panic");
    }
    (began.elapsed(), replays)
}

pub async fn run(fleet: &Fleet<'_>) {
    println!(
        "{STUDIED} applications, whose replays take {REPLAY:?} to {:?}",
        REPLAY * 3 / 2
    );
    let directory = fleet.scene.directory();
    let mut alone = None;
    for count in WORKERS {
        let database = directory.join(format!("spread{count}.db"));
        let store = Arc::new(Store::open(&database).expect("a database"));
        let key = fleet.coordinator_credentials();
        let coordinator = Coordinator::connect(&fleet.url(), &key, &database).await;
        let coordinator = Arc::new(coordinator.expect("the server"));
        let stop = CancellationToken::new();
        let mut working = employ(fleet, count, &stop).await;
        while coordinator.hear().await.len() < count {}
        let names: Vec<String> = (0..STUDIED).map(|number| format!("app{number}")).collect();
        // What cannot be spread: an analysis that has all workers.
        let one = ["serial".to_owned()];
        let (serial, _) = study(&coordinator, &store, &one, 1).await;
        let (took, replays) = study(&coordinator, &store, &names, count.clamp(4, 64)).await;
        super::tell(count, (took, serial), replays, &mut alone);
        stop.cancel();
        while working.join_next().await.is_some() {}
    }
}
