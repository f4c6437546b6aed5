//! An analysis whose replays are spread has the verdicts of one that is not disturbed, whatever becomes of
//! its workers, of messages, and of the process that asks.

mod speed;
mod world;

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{Either, join_all, select};
use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::host_class::HostClass;
use loupe_common::policy::Policy;
use loupe_common::replay::Replay;
use loupe_common::verdict::Verdict;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::explore::properties::{app, plain_app};
use crate::explore::simulated::{App, Simulator};
use crate::explore::{
    self, ExploreError, ExploreOptions, Plan, Reached, Recorded, Request, Subject,
};
use crate::lock;
use world::Time;

/// A claim lasts so long without a word.
const ACK_WAIT: Duration = Duration::from_secs(30);
const SUBJECT: &str = "the workload";

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn class(target: &str) -> HostClass {
    HostClass {
        kernel: "6.1".to_owned(),
        architecture: "x86_64".to_owned(),
        libc: None,
        target: Some(target.to_owned()),
    }
}

fn worker(number: usize) -> Worker {
    Worker {
        name: format!("w{number}"),
        class: class("").of_any_target(),
        slots: 1,
    }
}

/// What is kept.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<(Policy, u32), Recorded>>>);

impl Records for Memory {
    fn find(&self, request: &Request) -> Result<Option<Recorded>, Box<dyn Error + Send + Sync>> {
        let kept = lock(&self.0);
        let key = (request.policy.clone(), request.replica);
        Ok(kept.get(&key).cloned())
    }

    fn keep(
        &self,
        request: &Request,
        replay: &Replay,
    ) -> Result<Recorded, Box<dyn Error + Send + Sync>> {
        let recorded = Recorded {
            id: request.id(),
            replay: replay.clone(),
            reused: false,
        };
        let key = (request.policy.clone(), request.replica);
        let before = lock(&self.0).insert(key, recorded.clone());
        assert_eq!(before, None, "kept twice");
        Ok(recorded)
    }
}

/// Runs an [`App`]; each replay takes some time.
struct SimBench<'a> {
    app: &'a App,
    time: Time,
    seed: u64,
    /// Its build of the target.
    build: &'static str,
    /// What it lacks.
    lacks: Option<&'static str>,
    takes: Duration,
}

impl<'a> SimBench<'a> {
    fn new(app: &'a App, time: &Time, seed: u64) -> SimBench<'a> {
        SimBench {
            app,
            time: time.clone(),
            seed,
            build: "abc",
            lacks: None,
            takes: Duration::from_millis(100),
        }
    }
}

impl Bench for SimBench<'_> {
    async fn run(&self, job: &Job, stop: &CancellationToken) -> Option<(HostClass, Answer)> {
        let class = class(self.build);
        if let Some(what) = self.lacks {
            return Some((class, Answer::Cannot(what.to_owned())));
        }
        let part = hash(&(self.seed, &job.key, job.attempt)) % 1000;
        let takes = self.takes / 2 + self.takes.mul_f64(part as f64 / 1000.0);
        tokio::select! {
            () = self.time.sleep(takes) => {}
            () = stop.cancelled() => return None,
        }
        let replay = Box::new(self.app.replay(&job.order.request()));
        let answer = match job.order.begin_only && replay.outcome.passed() {
            true => Answer::Begun(replay, Reached::Test),
            false => Answer::Replayed(replay),
        };
        Some((class, answer))
    }
}

/// What goes wrong, each in so many of a thousand cases.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    seed: u64,
    /// A worker dies with a job, before or after it told what came of it.
    dies: u64,
    /// A result is told twice.
    doubles: u64,
    /// A worker says nothing for longer than its claim lasts, and then tells its result.
    late: u64,
    /// The host was too busy.
    loses: u64,
    /// A worker is told to end, and gives its job back.
    leaves: u64,
    /// The process that asks dies after so many results, again and again.
    asker_lives: Option<u64>,
}

impl Weather {
    fn strikes(&self, what: &str, job: &Job, permille: u64, round: u64) -> bool {
        hash(&(self.seed, what, &job.key, round)) % 1000 < permille
    }
}

/// What is left of a message on its way from host to host.
fn carried<T: serde::Serialize + serde::de::DeserializeOwned>(message: &T) -> T {
    let text = serde_json::to_string(message).expect("it can be written");
    serde_json::from_str(&text).expect("it can be read")
}

/// A worker in bad weather. It has a life after each death.
async fn disturbed(
    queue: &Local<Time>,
    bench: &SimBench<'_>,
    worker: &Worker,
    (weather, time): (Weather, &Time),
    stop: &CancellationToken,
) {
    for round in 0.. {
        let claim = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            claim = queue.claim(worker) => claim.expect("the queue works"),
        };
        let job: Job = carried(claim.job());
        let strikes = |what: &str, permille| weather.strikes(what, &job, permille, round);
        if strikes("dies early", weather.dies) {
            // Nobody hears of it: the claim runs out.
            time.sleep(ACK_WAIT / 2).await;
            continue;
        }
        if strikes("leaves", weather.leaves) {
            claim.give_back().await.expect("the queue works");
            continue;
        }
        let ran = bench.run(&job, stop).await;
        let Some((class, answer)) = ran else { return };
        let answer = match strikes("loses", weather.loses) {
            true => Answer::Lost("the host is busy".to_owned()),
            false => answer,
        };
        if strikes("late", weather.late) {
            time.sleep(ACK_WAIT * 2).await;
        }
        let done = Done {
            key: job.key.clone(),
            subject: job.subject.clone(),
            order: job.order.clone(),
            worker: worker.name.clone(),
            class,
            answer,
        };
        let done: Done = carried(&done);
        queue.tell(&done).await.expect("the queue works");
        if strikes("doubles", weather.doubles) {
            queue.tell(&done).await.expect("the queue works");
        }
        if strikes("dies late", weather.dies) {
            continue;
        }
        claim.acknowledge().await.expect("the queue works");
    }
}

fn options(jobs: usize, plan: Plan) -> ExploreOptions {
    ExploreOptions {
        jobs,
        plan,
        ..ExploreOptions::default()
    }
}

fn subject() -> Subject {
    Subject {
        application: "app".to_owned(),
        workload: "load".to_owned(),
    }
}

/// What an analysis says, without what its way to there says.
#[derive(Debug, PartialEq)]
struct Said {
    verdicts: BTreeMap<Feature, Verdict>,
    implement: Vec<Feature>,
}

fn said(result: Result<Analysis, ExploreError>) -> Result<Said, String> {
    let analysis = result.map_err(|error| error.to_string())?;
    let rows = analysis.features.into_iter();
    let joint = analysis.joint.into_iter();
    Ok(Said {
        verdicts: rows.map(|row| (row.feature, row.verdict)).collect(),
        implement: joint.flat_map(|joint| joint.implement).collect(),
    })
}

fn undisturbed(app: &App, options: &ExploreOptions) -> Result<Said, String> {
    let simulator = Simulator::new(app, 0);
    said(block_on(explore::analyze(
        &simulator,
        &subject(),
        options,
        &|_| (),
    )))
}

/// Analyses on simulated workers, each of whose benches is made by its number.
fn spread<'a>(
    time: &Time,
    memory: &Memory,
    (weather, workers): (Weather, usize),
    options: &ExploreOptions,
    bench: impl Fn(usize) -> SimBench<'a>,
) -> Result<Said, String> {
    let queue = Local::new(time.clone(), ACK_WAIT);
    let stop = CancellationToken::new();
    let benches: Vec<(Worker, SimBench<'_>)> = (0..workers)
        .map(|number| (worker(number), bench(number)))
        .collect();
    let working = join_all(
        benches
            .iter()
            .map(|(worker, bench)| disturbed(&queue, bench, worker, (weather, time), &stop)),
    );
    let asking = async {
        for life in 0u64.. {
            let asker = format!("asker {life}");
            let jobs = queue.of(SUBJECT);
            let own = (SUBJECT, asker.as_str());
            let spread = Spread::new(own, jobs, memory.clone(), time.clone());
            let answers = Mutex::new(0u64);
            let died = CancellationToken::new();
            let progress = |_| {
                let mut answers = lock(&answers);
                *answers += 1;
                // It lives longer each time, so that there is an end.
                if weather
                    .asker_lives
                    .is_some_and(|most| *answers > most * (life + 1))
                {
                    died.cancel();
                }
            };
            let asked = subject();
            let analysis = explore::analyze(&spread, &asked, options, &progress);
            let served = spread.serve(ACK_WAIT / 3);
            tokio::select! {
                biased;
                () = died.cancelled() => continue,
                result = analysis => return said(result),
                error = served => panic!("{error}"),
            }
        }
        unreachable!("it comes to an end")
    };
    let both = async {
        match select(Box::pin(asking), Box::pin(working)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => unreachable!("workers go on until they are stopped"),
        }
    };
    time.run(both)
}

fn weather() -> impl Strategy<Value = Weather> {
    (
        any::<u64>(),
        (0u64..200, 0u64..200, 0u64..100),
        (0u64..100, 0u64..100),
        proptest::option::of(3u64..60),
    )
        .prop_map(
            |(seed, (dies, doubles, late), (loses, leaves), asker_lives)| Weather {
                seed,
                dies,
                doubles,
                late,
                loses,
                leaves,
                asker_lives,
            },
        )
}

fn plan() -> impl Strategy<Value = Plan> {
    const ALL: [Plan; 3] = [Plan::Shared, Plan::SharedOnceBegun, Plan::Own];
    prop::sample::select(&ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_verdicts_are_those_of_an_undisturbed_run(
        app in app(false), weather in weather(), workers in 1usize..6, plan in plan(),
    ) {
        let options = options(workers, plan);
        let time = Time::default();
        let found = spread(&time, &Memory::default(), (weather, workers), &options, |number| {
            SimBench::new(&app, &time, weather.seed ^ number as u64)
        });
        prop_assert_eq!(found, undisturbed(&app, &options));
    }
}

#[test]
fn a_dead_workers_job_goes_to_another_after_the_wait_and_not_before() {
    let (time, app) = (Time::default(), plain_app(1));
    let queue = Local::new(time.clone(), ACK_WAIT);
    let order = Order::new(&Request::new(Policy::baseline(), 0), false);
    let job = Job::new((SUBJECT, "a"), &class("abc"), order, Default::default());
    let bench = SimBench::new(&app, &time, 0);
    time.run(async {
        let jobs = queue.of(SUBJECT);
        jobs.publish(&job).await.expect("published");
        jobs.publish(&job).await.expect("taken for the same");
        let dead = queue.claim(&worker(0)).await.expect("a job");
        assert_eq!(*dead.job(), job);
        drop(dead);
        let stop = CancellationToken::new();
        let other = worker(1);
        let working = work(&queue, &bench, &other, (&time, ACK_WAIT), &stop);
        let told = async {
            let told = jobs.told().await.expect("a result");
            assert!(time.now() >= ACK_WAIT);
            assert_eq!(told.done().worker, "w1");
            told.acknowledge().await.expect("acknowledged");
            stop.cancel();
        };
        let (worked, ()) = futures::join!(working, told);
        worked.expect("the queue works");
        let another = worker(2);
        let none = tokio::select! {
            _ = jobs.told() => false,
            _ = queue.claim(&another) => false,
            () = time.sleep(ACK_WAIT * 10) => true,
        };
        assert!(none, "it was done once");
    });
}

#[test]
fn a_job_that_takes_longer_than_the_wait_is_not_given_to_another() {
    let (time, app) = (Time::default(), plain_app(1));
    let queue = Local::new(time.clone(), ACK_WAIT);
    let order = Order::new(&Request::new(Policy::baseline(), 0), false);
    let job = Job::new((SUBJECT, "a"), &class("abc"), order, Default::default());
    let bench = SimBench {
        takes: ACK_WAIT * 20,
        ..SimBench::new(&app, &time, 0)
    };
    time.run(async {
        let jobs = queue.of(SUBJECT);
        jobs.publish(&job).await.expect("published");
        let stop = CancellationToken::new();
        let own = worker(0);
        let working = work(&queue, &bench, &own, (&time, ACK_WAIT), &stop);
        let watching = async {
            let other = worker(1);
            tokio::select! {
                told = jobs.told() => assert_eq!(told.expect("a result").done().worker, "w0"),
                _ = queue.claim(&other) => panic!("it was given to another"),
            }
            stop.cancel();
        };
        let (worked, ()) = futures::join!(working, watching);
        worked.expect("the queue works");
    });
}

#[test]
fn a_worker_that_ends_gives_its_job_back_at_once() {
    let (time, app) = (Time::default(), plain_app(1));
    let queue = Local::new(time.clone(), ACK_WAIT);
    let order = Order::new(&Request::new(Policy::baseline(), 0), false);
    let job = Job::new((SUBJECT, "a"), &class("abc"), order, Default::default());
    let bench = SimBench {
        takes: ACK_WAIT * 20,
        ..SimBench::new(&app, &time, 0)
    };
    time.run(async {
        queue.of(SUBJECT).publish(&job).await.expect("published");
        let stop = CancellationToken::new();
        let own = worker(0);
        let working = work(&queue, &bench, &own, (&time, ACK_WAIT), &stop);
        let ending = async {
            time.sleep(ACK_WAIT * 3).await;
            stop.cancel();
        };
        let (worked, ()) = futures::join!(working, ending);
        worked.expect("the queue works");
        let before = time.now();
        queue.claim(&worker(1)).await.expect("the job");
        assert_eq!(time.now(), before);
    });
}

#[test]
fn another_worker_takes_what_one_lacks_something_for() {
    let (time, app) = (Time::default(), plain_app(4));
    let options = options(3, Plan::Shared);
    let memory = Memory::default();
    let found = spread(
        &time,
        &memory,
        (Weather::default(), 3),
        &options,
        |number| {
            SimBench {
                lacks: (number == 1).then_some("nginx is not installed"),
                // Another build is another application.
                build: if number == 2 { "def" } else { "abc" },
                ..SimBench::new(&app, &time, 0)
            }
        },
    );
    assert_eq!(found, undisturbed(&app, &options));
    let kept = lock(&memory.0);
    let mut classes: Vec<_> = kept
        .values()
        .map(|kept| &kept.replay.conditions.on)
        .collect();
    classes.dedup();
    assert_eq!(classes.len(), 1, "replays of one class are compared");
    assert!(classes[0].is_some(), "it is named");
}

#[test]
fn what_nobody_can_run_is_told_with_what_each_worker_lacks() {
    let (time, app) = (Time::default(), plain_app(1));
    let options = options(2, Plan::Shared);
    let memory = Memory::default();
    let found = spread(&time, &memory, (Weather::default(), 2), &options, |_| {
        SimBench {
            lacks: Some("nginx is not installed"),
            ..SimBench::new(&app, &time, 0)
        }
    });
    let error = found.expect_err("nobody can");
    for part in ["w0: nginx is not installed", "w1: nginx"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn who_asks_again_after_a_crash_has_nothing_run_twice_that_was_kept() {
    let (time, app) = (Time::default(), plain_app(6));
    let options = options(2, Plan::Shared);
    let memory = Memory::default();
    let weather = Weather {
        asker_lives: Some(10),
        ..Weather::default()
    };
    let found = spread(&time, &memory, (weather, 2), &options, |_| {
        SimBench::new(&app, &time, 0)
    });
    // `Memory` refuses to keep a replay twice.
    assert_eq!(found, undisturbed(&app, &options));
}
