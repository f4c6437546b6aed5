//! How long a study takes on many workers, in simulated time.

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};

use super::*;
use crate::explore::simulated::{Effect, SimFeature};

/// Workloads of the study.
const WORKLOADS: usize = 12;

/// An application of some features, of which every third is required.
fn application(number: usize) -> App {
    let feature = |index: usize| {
        let effect = match index % 3 {
            0 => Effect::Breaks,
            _ => Effect::Works,
        };
        let sim = SimFeature::always(effect, effect);
        (crate::explore::properties::feature(index), sim)
    };
    App {
        features: (0..12 + number % 7).map(feature).collect(),
        seed: number as u64,
        ..App::default()
    }
}

/// How long these take on so many workers, so many analyses at a time.
fn takes(applications: &[App], workers: usize, at_once: usize) -> Duration {
    let time = Time::default();
    let queue = Local::new(time.clone(), ACK_WAIT);
    let stop = CancellationToken::new();
    let subjects: Vec<String> = (0..applications.len()).map(|n| n.to_string()).collect();
    let bench = ManyBench {
        applications,
        time: time.clone(),
    };
    let names: Vec<Worker> = (0..workers).map(worker).collect();
    let slots = names
        .iter()
        .map(|worker| work(&queue, &bench, worker, (&time, ACK_WAIT), &stop));
    let working = join_all(slots);
    let options = options(workers);
    let analyze = |number: usize| {
        let own = (subjects[number].as_str(), "asker");
        let jobs = queue.of(&subjects[number]);
        let spread = Spread::new(own, jobs, Memory::default(), time.clone());
        let options = &options;
        async move {
            let asked = subject();
            let analysis = explore::analyze(&spread, &asked, options, &|_| ());
            tokio::select! {
                result = analysis => drop(result.expect("an analysis")),
                error = spread.serve(ACK_WAIT, drop) => panic!("{error}"),
            }
        }
    };
    let studying = async {
        let mut running = FuturesUnordered::new();
        for number in 0..applications.len() {
            if running.len() == at_once {
                running.next().await;
            }
            running.push(analyze(number));
        }
        while running.next().await.is_some() {}
        stop.cancel();
    };
    time.run(async {
        futures::join!(working, studying);
    });
    time.now()
}

struct ManyBench<'a> {
    applications: &'a [App],
    time: Time,
}

impl Bench for ManyBench<'_> {
    async fn run(&self, job: &Job, stop: &CancellationToken) -> Option<(HostClass, Answer)> {
        let number: usize = job.subject.parse().expect("a number");
        let bench = SimBench::new(&self.applications[number], &self.time, 0);
        bench.run(job, stop).await
    }
}

#[test]
fn a_study_on_many_workers_takes_its_part_of_the_time_of_one() {
    let applications: Vec<App> = (0..WORKLOADS).map(application).collect();
    let alone = takes(&applications, 1, 2);
    // What cannot be spread: the longest analysis with as many workers as it wants.
    let serial = applications
        .iter()
        .map(|one| takes(std::slice::from_ref(one), 48, 1))
        .max()
        .unwrap_or_default();
    for workers in [2, 4, 8, 16] {
        let most = alone.mul_f64(1.15 / workers as f64) + serial;
        let took = takes(&applications, workers, 2 * workers);
        assert!(took <= most, "{workers} workers: {took:?}, not {most:?}");
    }
}
