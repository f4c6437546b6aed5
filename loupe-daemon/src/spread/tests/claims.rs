//! Who has a job, and until when.

use super::*;
use crate::explore::properties::plain_app;

/// The first replay of the baseline.
fn first_job() -> Job {
    let order = Order::new(&Request::new(Policy::baseline(), 0), Part::Whole);
    Job::new((SUBJECT, "a"), &class("abc"), order, Default::default())
}

#[test]
fn a_dead_workers_job_goes_to_another_after_the_wait_and_not_before() {
    let (time, app) = (Time::default(), plain_app(1));
    let queue = Local::new(time.clone(), ACK_WAIT);
    let job = first_job();
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
    let job = first_job();
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
    let job = first_job();
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
