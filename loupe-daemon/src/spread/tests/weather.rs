//! What goes wrong on the way, at random: workers, messages, the process that asks.

use futures::future::{Either, join_all, select};
use proptest::prelude::*;

use super::*;
use crate::explore::properties::{app, plain_app};

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
            asker: job.asker.clone(),
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
            let served = spread.serve(ACK_WAIT / 3, drop);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_verdicts_are_those_of_an_undisturbed_run(
        app in app(false), weather in weather(), workers in 1usize..6,
    ) {
        let options = options(workers);
        let time = Time::default();
        let found = spread(&time, &Memory::default(), (weather, workers), &options, |number| {
            SimBench::new(&app, &time, weather.seed ^ number as u64)
        });
        prop_assert_eq!(found, undisturbed(&app, &options));
    }
}

#[test]
fn another_worker_takes_what_one_lacks_something_for() {
    let (time, app) = (Time::default(), plain_app(4));
    let options = options(3);
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
    let options = options(2);
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
    let options = options(2);
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
