//! An analysis whose replays workers run, one of which dies with a job: real replays, over a queue within
//! this process. It has no test harness around it, because the engine starts its own program again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::verdict::Verdict;
use loupe_daemon::spreading::{
    AnalyzeOptions, CancellationToken, Claims as _, Engine, HostFilter, HostWorker, How, Identity,
    Local, Package, Packages, ProgressSink, RealClock, Store, Worker, Workload, analyze_spread,
    host_class, work,
};
use loupe_tests::ground_truth::victim;
use loupe_tests::requirement::{Requirement, all_present};
use loupe_tests::scene::Scene;

const NAME: &str = "spread_replays_have_the_verdicts_of_one_host_although_a_worker_dies";
/// How long a claim lasts without a word.
const ACK_WAIT: Duration = Duration::from_secs(2);

/// Has the one package that there is.
#[derive(Clone)]
struct One(Package);

impl Packages for One {
    async fn get(&self, subject: &str) -> Result<Package, String> {
        match self.0.subject() == subject {
            true => Ok(self.0.clone()),
            false => Err("no such package".to_owned()),
        }
    }

    fn forget(&self, _: &str) {}
}

fn main() {
    loupe_daemon::launcher_if_asked();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        println!("{NAME}: test");
        return;
    }
    let mut filters = words
        .iter()
        .filter(|word| !word.starts_with('-'))
        .peekable();
    let is_wanted = filters.peek().is_none() || filters.any(|filter| NAME.contains(filter));
    if !is_wanted || !all_present(NAME, &[Requirement::Replays]) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(spread_replays_have_the_verdicts_of_one_host());
    println!("test {NAME} ... ok");
}

fn root() -> Identity {
    Identity {
        uid: 0,
        gid: 0,
        groups: vec![0],
    }
}

fn worker(name: &str) -> Worker {
    Worker {
        name: name.to_owned(),
        class: host_class(&root()),
        slots: 1,
    }
}

fn verdicts(analysis: &Analysis) -> BTreeMap<Feature, Verdict> {
    let rows = analysis.features.iter();
    rows.map(|row| (row.feature.clone(), row.verdict)).collect()
}

async fn spread_replays_have_the_verdicts_of_one_host() {
    let scene = Scene::new();
    let path = scene.workload(victim("accepts-enosys"));
    let workload = Workload::load(&path).expect("a workload");
    let package = Package {
        base: workload.base.clone(),
        workload,
        how: How::default(),
        files: Vec::new(),
    };
    let root = root();
    let engine = Arc::new(Engine::start().expect("an engine"));
    let clock = RealClock::default();
    let queue = Local::new(clock, ACK_WAIT);
    let stop = CancellationToken::new();
    let dying = tokio::spawn({
        let queue = queue.clone();
        // Nobody hears of the job that it has.
        async move { drop(queue.claim(&worker("dies")).await) }
    });
    let working = ["one", "other"].map(|name| {
        let packages = One(package.clone());
        let bench = HostWorker::new(Arc::clone(&engine), root.clone(), packages);
        let (queue, stop, own) = (queue.clone(), stop.clone(), worker(name));
        async move { work(&queue, &bench, &own, (&clock, ACK_WAIT), &stop).await }
    });
    let working = tokio::spawn(async move {
        dying.await.expect("it has a job, and dies");
        let others = working.map(tokio::spawn);
        for other in others {
            let ended = other.await.expect("no panic");
            ended.expect("the queue works");
        }
    });
    let store = Arc::new(Store::open(&scene.database()).expect("a database"));
    let options = AnalyzeOptions {
        no_pseudo_files: true,
        ..AnalyzeOptions::default()
    };
    let cancel = CancellationToken::new();
    let progress: ProgressSink = Arc::new(|_| ());
    let any_host = HostFilter::default();
    let finished = analyze_spread(
        (&store, &package, &root),
        &options,
        (
            queue.of(&package.subject()),
            clock,
            "this process",
            &any_host,
        ),
        &progress,
        &cancel,
    );
    let finished = finished.await.expect("an analysis");
    stop.cancel();
    working.await.expect("no panic");
    drop(engine);
    let provenance = finished.analysis.provenance.as_ref().expect("the class");
    assert!(provenance.target.build_id.is_some(), "{provenance:?}");
    let path = path.to_str().expect("a plain path");
    let words = ["analyze", path, "--no-pseudo-files", "--json"];
    let alone = scene.run(&words).expect_code(0).json();
    let alone: Analysis = serde_json::from_value(alone).expect("an analysis");
    assert_eq!(verdicts(&finished.analysis), verdicts(&alone));
    assert_eq!(
        finished.analysis.joint.map(|joint| joint.implement),
        alone.joint.map(|joint| joint.implement)
    );
    drop(store);
    scene.assert_nothing_left();
}
