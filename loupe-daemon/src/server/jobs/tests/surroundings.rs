//! The log tells whose fault an end was, and a slow disk holds up nobody.

use super::*;

#[tokio::test]
async fn a_failure_of_loupes_own_is_an_error_in_the_log_and_one_of_the_workload_is_not() {
    let (log, _guard) = crate::server::log::tests::Written::catch();
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    for step in [
        Step::Panic,
        Step::Fail(Failure::new(code::FAILED, exit::INVALID, "it fails")),
    ] {
        let attachment = jobs.submit(order("a", 0)).expect("admitted");
        steps.started().await;
        steps.send(step).await;
        follow(attachment).await;
    }
    let log = log.text();
    assert!(log.contains("<3>failed job=1"), "{log}");
    assert!(log.contains("<6>came to no result job=2"), "{log}");
}

#[tokio::test]
async fn a_slow_disk_holds_up_nobody_who_needs_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("loupe.db");
    let (fake, steps) = Fake::at(&database);
    let jobs = jobs_of(fake);
    let running = jobs.submit(order("a", 0)).expect("admitted");
    steps.started().await;
    let begun = notice("begun");
    steps.send(Step::Tell(begun.clone())).await;
    while !jobs.book.waiting().expect("readable")[0].begun {
        tokio::task::yield_now().await;
    }
    let disk = rusqlite::Connection::open(&database).expect("opened");
    disk.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let (late, other) = (Arc::clone(&jobs), order("b", 0));
    let submitting = tokio::task::spawn_blocking(move || late.submit(other));
    while !jobs.lock().is_being_ordered(0) {
        tokio::task::yield_now().await;
    }
    let watcher = jobs.attach(Viewer::Everything, running.id());
    let mut watcher = watcher.expect("visible");
    steps.send(Step::Tell(notice("later"))).await;
    let Event::Progress(told) = watcher.next().await else {
        panic!("it has not ended");
    };
    assert_eq!(*told, notice("later"));
    assert!(!submitting.is_finished(), "it waits for the disk");
    disk.execute_batch("COMMIT").expect("unlocked");
    let submitted = submitting.await.expect("no panic");
    assert_eq!(submitted.expect("admitted").id(), JobId(2));
    drop(running);
}
