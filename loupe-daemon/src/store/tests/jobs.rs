//! Jobs have their numbers for good; of those that ended, each user's newest are kept.

use super::*;

fn new(owner: u32) -> NewJob<'static> {
    NewJob {
        owner,
        application: "nginx",
        workload: "wrk",
        definition: "{}",
        detached: true,
    }
}

fn refusal() -> loupe_common::wire::Failure {
    loupe_common::wire::Failure::usage("no")
}

#[test]
fn a_number_is_never_used_twice_even_when_its_job_is_forgotten() {
    let scratch = Scratch::new();
    for life in 0..3 {
        let book = Arc::new(scratch.open()).keep_jobs().expect("free");
        let id = book.add(&new(0)).expect("kept");
        assert_eq!(id, life + 1);
        let failure = refusal();
        book.ends(id, JobEnding::Failed(&failure), 0, 0)
            .expect("forgotten at once");
        assert!(book.ended(None).expect("readable").is_empty());
    }
}

#[test]
fn the_newest_ended_jobs_of_each_user_are_kept_and_what_waits_always() {
    let scratch = Scratch::new();
    let book = Arc::new(scratch.open()).keep_jobs().expect("free");
    let failure = refusal();
    let waiting = book.add(&new(1)).expect("kept");
    for owner in [1, 2, 1, 2, 1] {
        let id = book.add(&new(owner)).expect("kept");
        book.ends(id, JobEnding::Cancelled(&failure), 4, 2)
            .expect("ended");
    }
    let ids = |owner| -> Vec<u64> {
        let ended = book.ended(owner).expect("readable");
        ended.iter().map(|job| job.id).collect()
    };
    assert_eq!(ids(Some(1)), [4, 6]);
    assert_eq!(ids(Some(2)), [3, 5]);
    assert_eq!(ids(None), [3, 4, 5, 6]);
    let left = book.waiting().expect("readable");
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].id, left[0].definition.as_str()), (waiting, "{}"));
    let job = book.ended_job(6).expect("readable").expect("kept");
    assert_eq!(
        (job.state, job.done, job.failure),
        (StoredState::Cancelled, 4, Some(failure))
    );
    assert_eq!(job.definition, "", "what nobody needs any more is dropped");
}

#[test]
fn a_job_that_ran_when_its_daemon_died_has_a_crash_more() {
    let scratch = Scratch::new();
    let crashes = |prepare: &dyn Fn(&JobBook, u64)| {
        let book = Arc::new(scratch.open()).keep_jobs().expect("free");
        let job = book.waiting().expect("readable").remove(0);
        prepare(&book, job.id);
        job.crashes
    };
    let book = Arc::new(scratch.open()).keep_jobs().expect("free");
    book.add(&new(1)).expect("kept");
    drop(book);
    assert_eq!(crashes(&|book, id| book.takes_up(id).expect("kept")), 0);
    assert_eq!(crashes(&|book, id| book.takes_up(id).expect("kept")), 1);
    let put_back = |book: &JobBook, id| {
        book.takes_up(id).expect("kept");
        book.puts_back(id, 5, 6).expect("kept");
    };
    assert_eq!(crashes(&put_back), 2);
    assert_eq!(crashes(&|_, _| {}), 0, "an orderly end forgives");
}
