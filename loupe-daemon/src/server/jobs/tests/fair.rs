//! Users are served in turn, and nobody has the daemon for ever.

use loupe_common::policy::Policy;
use loupe_common::replay::Outcome;

use super::*;

fn replayed() -> Step {
    Step::Tell(Progress::Replayed {
        id: 1,
        purpose: "baseline".to_owned(),
        policy: Policy::baseline(),
        outcome: Outcome::Passed,
        wall_us: 1,
        cpu_us: 0,
        reused: false,
    })
}

/// Every job has had its slice at once.
fn impatient() -> Bounds {
    Bounds {
        slice: Duration::ZERO,
        look: Duration::from_millis(1),
        ..Bounds::default()
    }
}

#[tokio::test]
async fn users_are_served_in_turn_however_many_jobs_one_has() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let orders = [
        ("a1", 1),
        ("a2", 1),
        ("a3", 1),
        ("a4", 1),
        ("b1", 2),
        ("b2", 2),
        ("c1", 0),
    ];
    let mut attached: Vec<_> = orders
        .map(|(name, uid)| jobs.submit(order(name, uid)).expect("admitted"))
        .into();
    let ahead: Vec<_> = jobs
        .list(Viewer::Everything)
        .expect("readable")
        .iter()
        .map(|job| job.ahead)
        .collect();
    assert_eq!(ahead, [0, 3, 5, 6, 1, 4, 2]);
    for expected in ["a1", "b1", "c1", "a2", "b2", "a3", "a4"] {
        assert_eq!(steps.started().await, expected);
        steps.send(Step::Finish).await;
    }
    for attachment in attached.drain(..) {
        assert!(follow(attachment).await.2.is_ok());
    }
}

#[tokio::test]
async fn a_long_job_makes_room_for_others_and_goes_on_where_it_was() {
    let (fake, steps) = Fake::scripted();
    let backend = Arc::new(fake);
    let jobs = Jobs::new(Arc::clone(&backend), impatient()).expect("jobs");
    let mut long = order("long", 1);
    long.options.fresh = true;
    let long = jobs.submit(long).expect("admitted");
    assert_eq!(steps.started().await, "long");
    steps.send(replayed()).await;
    steps.settled().await;
    let other = jobs.submit(order("other", 2)).expect("admitted");
    steps.send(replayed()).await;
    steps.cancelled().await;
    steps.send(Step::Finish).await; // the clean-up
    assert_eq!(steps.started().await, "other");
    let list = jobs.list(Viewer::Everything).expect("readable");
    assert_eq!((list[0].state, list[0].ahead), (JobState::Queued, 1));
    steps.send(Step::Finish).await;
    assert!(follow(other).await.2.is_ok());
    assert_eq!(steps.started().await, "long");
    steps.send(Step::Finish).await;
    let (seen, _, end) = follow(long).await;
    assert!(end.is_ok());
    let told = |event: &Progress| matches!(event, Progress::Notice { text } if text.contains("others wait"));
    assert!(seen.iter().any(told), "{seen:?}");
    let fresh: Vec<_> = backend
        .options
        .lock()
        .expect("no panic")
        .iter()
        .map(|options| options.fresh)
        .collect();
    assert_eq!(fresh, [true, false, false], "what it has measured counts");
}

#[tokio::test]
async fn a_job_makes_no_room_for_its_owners_other_jobs() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_within(fake, impatient());
    let first = jobs.submit(order("first", 1)).expect("admitted");
    let second = jobs.submit(order("second", 1)).expect("admitted");
    assert_eq!(steps.started().await, "first");
    for _ in 0..3 {
        steps.send(replayed()).await;
    }
    for attachment in [first, second] {
        steps.send(Step::Finish).await;
        // A cancelled one would not end well.
        assert!(follow(attachment).await.2.is_ok());
    }
}

#[tokio::test]
async fn a_job_whose_replay_does_not_end_makes_room_too() {
    let (fake, steps) = Fake::scripted();
    let bounds = Bounds {
        patience: Duration::ZERO,
        ..impatient()
    };
    let jobs = jobs_within(fake, bounds);
    let _stuck = jobs.submit(order("stuck", 1)).expect("admitted");
    assert_eq!(steps.started().await, "stuck");
    let other = jobs.submit(order("other", 2)).expect("admitted");
    steps.cancelled().await;
    steps.send(Step::Finish).await; // the clean-up
    assert_eq!(steps.started().await, "other");
    drop(other);
}

#[tokio::test]
async fn a_job_that_made_room_can_be_cancelled_while_it_waits() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_within(fake, impatient());
    let long = jobs.submit(order("long", 1)).expect("admitted");
    steps.started().await;
    let _other = jobs.submit(order("other", 2)).expect("admitted");
    steps.send(replayed()).await;
    steps.cancelled().await;
    steps.send(Step::Finish).await;
    assert_eq!(steps.started().await, "other");
    jobs.cancel(Viewer::Owner(1), long.id()).expect("it waits");
    let (_, _, end) = follow(long).await;
    assert_eq!(
        end.as_ref().as_ref().expect_err("cancelled").code,
        code::CANCELLED
    );
}

#[tokio::test]
async fn a_job_ends_at_its_most_replays_and_at_its_longest_time() {
    for (replays, time) in [(3, Duration::MAX), (u64::MAX, Duration::ZERO)] {
        let (fake, steps) = Fake::scripted();
        let bounds = Bounds {
            time,
            replays,
            ..impatient()
        };
        let jobs = jobs_within(fake, bounds);
        let endless = jobs.submit(order("endless", 1)).expect("admitted");
        let id = endless.id();
        steps.started().await;
        if replays == 3 {
            for _ in 0..3 {
                steps.send(replayed()).await;
            }
        }
        steps.cancelled().await;
        steps.send(Step::Finish).await;
        let (_, _, end) = follow(endless).await;
        let failure = end.as_ref().as_ref().expect_err("ended").clone();
        assert_eq!(failure.code, code::BOUND, "{failure}");
        assert!(failure.hint.is_some());
        let list = jobs.list(Viewer::Everything).expect("readable");
        assert_eq!((list[0].id, list[0].state), (id, JobState::Failed));
    }
}

#[tokio::test]
async fn jobs_of_one_user_run_at_once_while_nobody_else_waits() {
    let (fake, steps) = Fake::scripted();
    let bounds = Bounds {
        at_once: 2,
        ..Bounds::default()
    };
    let jobs = jobs_within(fake, bounds);
    let submit = |name, uid| jobs.submit(order(name, uid)).expect("admitted");
    let first = submit("a1", 1);
    let second = submit("a2", 1);
    let third = submit("a3", 1);
    let states = || {
        let list = jobs.list(Viewer::Everything).expect("readable");
        let states: Vec<_> = list.iter().map(|job| (job.state, job.ahead)).collect();
        states
    };
    let (runs, waits) = (JobState::Running, JobState::Queued);
    assert_eq!(states(), [(runs, 0), (runs, 0), (waits, 2)]);
    let mut started = [steps.started().await, steps.started().await];
    started.sort_unstable();
    assert_eq!(started, ["a1", "a2"]);
    let other = submit("b1", 2);
    // The scripted backend does not tell them apart: either of the two ends.
    steps.send(Step::Finish).await;
    while jobs.lock().running.len() == 2 {
        tokio::task::yield_now().await;
    }
    let (_, ahead_of_third) = states()[2];
    assert_eq!(ahead_of_third, 2, "another user's turn comes first");
    steps.send(Step::Finish).await;
    assert_eq!(steps.started().await, "b1");
    steps.send(Step::Finish).await;
    assert_eq!(steps.started().await, "a3");
    steps.send(Step::Finish).await;
    for attachment in [first, second, other, third] {
        assert!(follow(attachment).await.2.is_ok());
    }
}
