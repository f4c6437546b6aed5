use loupe_common::exit;
use loupe_common::progress::Progress;
use loupe_common::wire::code;
use tokio::sync::mpsc;

use super::*;

mod fair;
mod restart;
mod shared;
mod surroundings;

use crate::server::fake::{Fake, Step, identity, workload};

fn jobs_of(fake: Fake) -> Arc<Jobs<Fake>> {
    jobs_within(fake, Bounds::default())
}

fn jobs_within(fake: Fake, bounds: Bounds) -> Arc<Jobs<Fake>> {
    Jobs::new(Arc::new(fake), bounds).expect("no other daemon has them")
}

fn order(application: &str, uid: u32) -> Order {
    Order {
        identity: identity(uid),
        workload: workload(application),
        options: AnalyzeOptions::default(),
        detach: false,
    }
}

fn detached(application: &str) -> Order {
    Order {
        detach: true,
        ..order(application, 0)
    }
}

/// Reads until the end; the notices and counts on the way.
async fn follow<B: Backend>(mut attachment: Attachment<B>) -> (Vec<Progress>, u64, Arc<JobEnd>) {
    let (mut seen, mut skipped) = (Vec::new(), 0);
    loop {
        match attachment.next().await {
            Event::Progress(progress) => seen.push((*progress).clone()),
            Event::Skipped(lost) => skipped += lost,
            Event::Ended(end) => return (seen, skipped, end),
        }
    }
}

fn notice(text: &str) -> Progress {
    Progress::Notice {
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn one_job_runs_and_the_others_wait_in_their_order() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let attached: Vec<_> = ["a", "b", "c"]
        .map(|name| jobs.submit(order(name, 0)).expect("admitted"))
        .into();
    assert_eq!(
        attached.iter().map(Attachment::ahead).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let states: Vec<_> = jobs
        .list(Viewer::Everything)
        .expect("readable")
        .iter()
        .map(|job| (job.state, job.ahead))
        .collect();
    assert_eq!(
        states,
        [
            (JobState::Running, 0),
            (JobState::Queued, 1),
            (JobState::Queued, 2)
        ]
    );
    for expected in ["a", "b", "c"] {
        assert_eq!(steps.started().await, expected);
        steps.send(Step::Finish).await;
    }
    for attachment in attached {
        let (_, _, end) = follow(attachment).await;
        assert!(end.is_ok());
    }
}

#[tokio::test]
async fn every_watcher_sees_the_progress_and_the_result() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let submitter = jobs.submit(order("a", 1000)).expect("admitted");
    let id = submitter.id();
    steps.started().await;
    let mut watchers = vec![tokio::spawn(follow(submitter))];
    for viewer in [Viewer::Owner(1000), Viewer::Everything] {
        let attachment = jobs.attach(viewer, id).expect("visible");
        watchers.push(tokio::spawn(follow(attachment)));
    }
    steps.send(Step::Tell(notice("hello"))).await;
    steps.send(Step::Finish).await;
    for watcher in watchers {
        let (seen, skipped, end) = watcher.await.expect("no panic");
        assert_eq!((seen, skipped), (vec![notice("hello")], 0));
        assert_eq!(
            end.as_ref()
                .as_ref()
                .expect("finished")
                .analysis
                .application,
            "a"
        );
    }
}

#[tokio::test]
async fn a_late_watcher_learns_where_the_job_is() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let submitter = jobs.submit(order("a", 0)).expect("admitted");
    steps.started().await;
    let phase = Progress::Phase {
        name: "baseline".to_owned(),
        number: 1,
        of: 3,
    };
    let counts = Progress::Counts {
        done: 3,
        running: 2,
        left: 7,
    };
    for step in [phase.clone(), notice("old"), counts.clone()] {
        steps.send(Step::Tell(step)).await;
    }
    steps.settled().await;
    let late = jobs
        .attach(Viewer::Everything, submitter.id())
        .expect("visible");
    steps.send(Step::Finish).await;
    let (seen, _, _) = follow(late).await;
    assert_eq!(seen, [phase.clone(), counts.clone()]);

    let after = jobs
        .attach(Viewer::Everything, submitter.id())
        .expect("kept");
    let (_, _, end) = follow(after).await;
    assert!(end.is_ok(), "the result is still there");
}

#[tokio::test]
async fn a_slow_watcher_loses_progress_and_holds_up_nobody() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let slow = jobs.submit(order("a", 0)).expect("admitted");
    steps.started().await;
    for number in 0..2000 {
        steps.send(Step::Tell(notice(&number.to_string()))).await;
    }
    steps.send(Step::Finish).await;
    let quick = jobs.attach(Viewer::Everything, slow.id()).expect("visible");
    follow(quick).await;
    let (seen, skipped, end) = follow(slow).await;
    assert!(skipped > 0);
    assert_eq!(seen.len() as u64 + skipped, 2000);
    assert_eq!(seen.last(), Some(&notice("1999")));
    assert!(end.is_ok());
}

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once_and_never_runs() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let first = jobs.submit(order("a", 0)).expect("admitted");
    let second = jobs.submit(order("b", 0)).expect("admitted");
    let third = jobs.submit(order("c", 0)).expect("admitted");
    jobs.cancel(Viewer::Everything, second.id())
        .expect("it waits");
    let (_, _, end) = follow(second).await;
    assert_eq!(
        end.as_ref().as_ref().expect_err("cancelled").code,
        code::CANCELLED
    );
    assert_eq!(steps.started().await, "a");
    steps.send(Step::Finish).await;
    assert_eq!(steps.started().await, "c");
    steps.send(Step::Finish).await;
    follow(first).await;
    follow(third).await;
}

#[tokio::test]
async fn a_running_job_ends_only_when_the_engine_has_cleaned_up() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let attachment = jobs.submit(order("a", 0)).expect("admitted");
    let id = attachment.id();
    steps.started().await;
    jobs.cancel(Viewer::Everything, id).expect("it runs");
    steps.cancelled().await;
    let stopping = &jobs.list(Viewer::Everything).expect("readable")[0];
    assert_eq!(stopping.state, JobState::Stopping);
    steps.send(Step::Finish).await; // the clean-up
    let (_, _, end) = follow(attachment).await;
    assert_eq!(
        end.as_ref().as_ref().expect_err("cancelled").code,
        code::CANCELLED
    );
    assert_eq!(
        jobs.list(Viewer::Everything).expect("readable")[0].state,
        JobState::Cancelled
    );
    let again = jobs.cancel(Viewer::Everything, id).expect_err("it is over");
    assert!(again.message.contains("already ended"), "{again}");
}

#[tokio::test]
async fn a_job_is_cancelled_when_the_last_one_leaves_unless_it_is_detached() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let left = jobs.submit(order("left", 0)).expect("admitted");
    let id = left.id();
    steps.started().await;
    let watcher = jobs.attach(Viewer::Everything, id).expect("visible");
    drop(left);
    assert_eq!(
        jobs.list(Viewer::Everything).expect("readable")[0].state,
        JobState::Running
    );
    drop(watcher);
    steps.cancelled().await;
    steps.send(Step::Finish).await;

    let detached = jobs.submit(detached("detached")).expect("admitted");
    let id = detached.id();
    drop(detached);
    assert_eq!(steps.started().await, "detached");
    steps.send(Step::Finish).await;
    let end = jobs.attach(Viewer::Everything, id).expect("kept");
    assert!(follow(end).await.2.is_ok());
}

#[tokio::test]
async fn others_jobs_are_as_good_as_absent_except_for_root() {
    let (fake, _steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let own = jobs.submit(order("a", 1000)).expect("admitted");
    let stranger = Viewer::Owner(1001);
    assert!(jobs.list(stranger).expect("readable").is_empty());
    assert_eq!(jobs.list(Viewer::Owner(1000)).expect("readable").len(), 1);
    assert_eq!(jobs.list(Viewer::Everything).expect("readable").len(), 1);
    let absent = jobs
        .attach(stranger, JobId(99))
        .expect_err("no such job")
        .message
        .replace("99", &own.id().to_string());
    assert_eq!(
        jobs.attach(stranger, own.id()).expect_err("hidden").message,
        absent
    );
    assert_eq!(
        jobs.cancel(stranger, own.id()).expect_err("hidden").message,
        absent
    );
    assert_eq!(
        jobs.list(Viewer::Everything).expect("readable")[0].state,
        JobState::Running
    );
}

#[tokio::test]
async fn one_user_cannot_fill_the_queue() {
    let (fake, _steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let mut attached = Vec::new();
    // One runs, the others wait.
    for number in 0..queue::MAX_JOBS_OF_USER {
        let order = order(&number.to_string(), 1000);
        attached.push(jobs.submit(order).expect("admitted"));
    }
    let refused = jobs.submit(order("more", 1000)).expect_err("too many");
    assert_eq!(refused.code, code::BUSY);
    jobs.submit(order("more", 1001)).expect("another user");
}

#[tokio::test]
async fn only_the_newest_finished_jobs_are_kept() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    for _ in 0..u64::from(REMEMBERED_JOBS) + 10 {
        let attachment = jobs.submit(order("a", 0)).expect("admitted");
        steps.started().await;
        steps.send(Step::Finish).await;
        follow(attachment).await;
    }
    let kept = jobs.list(Viewer::Everything).expect("readable");
    assert_eq!(kept.len() as u32, REMEMBERED_JOBS);
    assert_eq!(kept[0].id, JobId(11));
}

#[tokio::test]
async fn stopping_waits_for_the_clean_up_and_takes_no_more_orders() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let running = jobs.submit(detached("a")).expect("admitted");
    let queued = jobs.submit(detached("b")).expect("admitted");
    let followed = jobs.submit(order("followed", 0)).expect("admitted");
    steps.started().await;
    let (done, mut stopped) = mpsc::channel(1);
    let stopping = Arc::clone(&jobs);
    tokio::spawn(async move {
        stopping.stop().await;
        done.send(()).await.expect("the test listens");
    });
    steps.cancelled().await;
    assert!(stopped.try_recv().is_err(), "it must wait for the engine");
    assert_eq!(
        jobs.submit(order("c", 0)).expect_err("refused").code,
        code::STOPPING
    );
    steps.send(Step::Finish).await;
    stopped.recv().await.expect("stopped");
    for (attachment, expected) in [
        (running, code::STOPPING),
        (queued, code::STOPPING),
        (followed, code::CANCELLED),
    ] {
        let (_, _, end) = follow(attachment).await;
        assert_eq!(end.as_ref().as_ref().expect_err("stopped").code, expected);
    }
}

#[tokio::test]
async fn a_panic_of_the_engine_fails_its_job_and_the_next_one_runs() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let first = jobs.submit(order("a", 0)).expect("admitted");
    let second = jobs.submit(order("b", 0)).expect("admitted");
    steps.send(Step::Panic).await;
    let (_, _, end) = follow(first).await;
    let failure = end.as_ref().as_ref().expect_err("failed").clone();
    assert_eq!(failure.exit_code, exit::LOUPE_FAILED);
    steps.started().await;
    assert_eq!(steps.started().await, "b");
    steps.send(Step::Finish).await;
    assert!(follow(second).await.2.is_ok());
}
