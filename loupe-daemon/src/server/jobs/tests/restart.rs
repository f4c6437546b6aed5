//! What becomes of jobs when the daemon ends, in order or not. A runtime that is dropped is a
//! daemon that was killed: nothing of it runs any more, and nothing was said.

use std::path::Path;

use super::*;
use crate::server::fake::Steps;
use crate::store::Store;

/// One life of a daemon with this database.
fn life<T>(database: &Path, what: impl AsyncFnOnce(&Arc<Jobs<Fake>>, &Steps, &Fake) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (fake, steps) = Fake::at(database);
        let backend = Arc::new(fake);
        let jobs = Jobs::new(Arc::clone(&backend), Bounds::default()).expect("jobs");
        jobs.begin();
        what(&jobs, &steps, &backend).await
    })
}

fn scratch() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("loupe.db");
    (directory, database)
}

fn states(jobs: &Arc<Jobs<Fake>>) -> Vec<(u64, JobState)> {
    let list = jobs.list(Viewer::Everything).expect("readable");
    list.iter().map(|job| (job.id.0, job.state)).collect()
}

fn detached_of(application: &str, uid: u32) -> Order {
    Order {
        detach: true,
        ..order(application, uid)
    }
}

/// Stops the daemon while the engine cleans up.
async fn stop(jobs: &Arc<Jobs<Fake>>, steps: &Steps) {
    let cleaned_up = async {
        steps.cancelled().await;
        steps.send(Step::Finish).await;
    };
    tokio::join!(jobs.stop(), cleaned_up);
}

#[test]
fn detached_jobs_go_on_under_their_numbers_after_a_stop_and_after_a_kill() {
    for in_order in [true, false] {
        let (_directory, database) = scratch();
        let mut first = detached_of("first", 1000);
        first.options.fresh = true;
        first.options.replicas = Some(7);
        first.workload.base = "/some/where".into();
        first.identity.groups = vec![5, 6];
        let expected = first.identity.clone();
        life(&database, async |jobs, steps, _| {
            jobs.submit(first).expect("admitted");
            jobs.submit(detached_of("second", 1000)).expect("admitted");
            assert_eq!(steps.started().await, "first");
            steps.send(Step::Tell(notice("it has begun"))).await;
            while !jobs.book.waiting().expect("readable")[0].begun {
                tokio::task::yield_now().await;
            }
            if in_order {
                stop(jobs, steps).await;
            }
        });
        life(&database, async |jobs, steps, backend| {
            assert_eq!(steps.started().await, "first");
            assert_eq!(
                states(jobs),
                [(1, JobState::Running), (2, JobState::Queued)]
            );
            let identity = backend.identity.lock().expect("no panic").clone();
            assert_eq!(identity, Some(expected));
            let options = backend.options.lock().expect("no panic")[0].clone();
            assert_eq!((options.fresh, options.replicas), (false, Some(7)));
            let watcher = jobs
                .attach(Viewer::Owner(1000), JobId(1))
                .expect("it is there");
            steps.send(Step::Finish).await;
            assert!(follow(watcher).await.2.is_ok());
            let new = jobs.submit(detached_of("new", 1000)).expect("admitted");
            assert_eq!(new.id(), JobId(3));
            assert_eq!(steps.started().await, "second");
        });
    }
}

#[test]
fn a_job_whose_client_died_with_the_daemon_is_cancelled() {
    let (_directory, database) = scratch();
    life(&database, async |jobs, steps, _| {
        let attachment = jobs.submit(order("followed", 0)).expect("admitted");
        steps.started().await;
        attachment
    });
    life(&database, async |jobs, _, backend| {
        assert_eq!(states(jobs), [(1, JobState::Cancelled)]);
        let end = jobs.attach(Viewer::Everything, JobId(1)).expect("kept");
        let (_, _, end) = follow(end).await;
        let failure = end.as_ref().as_ref().expect_err("cancelled");
        assert!(failure.message.contains("louped ended"), "{failure}");
        assert!(backend.options.lock().expect("no panic").is_empty());
    });
}

#[test]
fn ended_jobs_are_still_there_with_their_ends_and_for_their_owners_only() {
    let (_directory, database) = scratch();
    life(&database, async |jobs, steps, _| {
        let good = jobs.submit(order("good", 1000)).expect("admitted");
        steps.send(Step::Finish).await;
        follow(good).await;
        let bad = jobs.submit(order("bad", 1001)).expect("admitted");
        steps.send(Step::Panic).await;
        follow(bad).await;
    });
    life(&database, async |jobs, _, _| {
        assert_eq!(
            states(jobs),
            [(1, JobState::Finished), (2, JobState::Failed)]
        );
        let own = jobs.list(Viewer::Owner(1000)).expect("readable");
        assert_eq!(own.len(), 1);
        assert!(own[0].ended.is_some());
        let end = jobs.attach(Viewer::Owner(1000), JobId(1)).expect("own");
        let (_, _, end) = follow(end).await;
        assert_eq!(
            end.as_ref().as_ref().expect("good").analysis.application,
            "good"
        );
        let hidden = jobs.attach(Viewer::Owner(1000), JobId(2));
        assert_eq!(hidden.expect_err("another's").code, code::NOT_FOUND);
        let failed = jobs.attach(Viewer::Owner(1001), JobId(2)).expect("own");
        let (_, _, end) = follow(failed).await;
        let failure = end.as_ref().as_ref().expect_err("bad").clone();
        assert_eq!(failure.exit_code, exit::LOUPE_FAILED);
    });
}

#[test]
fn a_job_that_the_daemon_dies_of_again_and_again_is_given_up() {
    let (_directory, database) = scratch();
    life(&database, async |jobs, steps, _| {
        jobs.submit(detached_of("deadly", 0)).expect("admitted");
        steps.started().await;
    });
    let lives = (1..10).find(|_| {
        life(&database, async |jobs, steps, _| {
            match states(jobs)[..] {
                [(1, JobState::Failed)] => return true,
                [(1, JobState::Running)] => {}
                ref other => panic!("{other:?}"),
            }
            steps.started().await;
            false
        })
    });
    assert_eq!(lives, Some(5));
}

#[test]
fn a_job_that_this_release_cannot_read_fails_and_holds_up_nothing() {
    let (_directory, database) = scratch();
    {
        let store = Arc::new(Store::open(&database).expect("a store"));
        let book = store.keep_jobs().expect("free");
        book.add(&crate::store::NewJob {
            owner: 0,
            application: "odd",
            workload: "w",
            definition: "{\"of\": \"another time\"}",
            detached: true,
        })
        .expect("kept");
    }
    life(&database, async |jobs, _, _| {
        assert_eq!(states(jobs), [(1, JobState::Failed)]);
    });
}

#[test]
fn a_second_daemon_cannot_have_the_same_jobs() {
    let (_directory, database) = scratch();
    life(&database, async |_, _, _| {
        let (fake, _steps) = Fake::at(&database);
        let refused = Jobs::new(Arc::new(fake), Bounds::default()).expect_err("they are taken");
        assert!(refused.message.contains("another louped"), "{refused}");
        assert!(refused.hint.is_some());
    });
}
