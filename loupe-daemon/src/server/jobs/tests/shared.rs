//! Who orders the same as somebody else shares a job.

use super::*;

#[tokio::test]
async fn who_orders_the_same_again_joins_the_job() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let first = jobs.submit(order("a", 1000)).expect("admitted");
    let again = jobs.submit(order("a", 1000)).expect("admitted");
    assert_eq!(again.id(), first.id());
    let mut fresh = order("a", 1000);
    fresh.options.fresh = true;
    let mut more = order("a", 1000);
    more.options.replicas = Some(9);
    for other in [order("b", 1000), order("a", 1001), fresh, more] {
        let other = jobs.submit(other).expect("admitted");
        assert_ne!(other.id(), first.id());
    }
    steps.started().await;
    steps.send(Step::Finish).await;
    assert!(follow(first).await.2.is_ok());
    assert!(follow(again).await.2.is_ok());
}

#[tokio::test]
async fn one_of_several_who_ordered_a_job_gives_it_up_for_itself_only() {
    let (fake, steps) = Fake::scripted();
    let jobs = jobs_of(fake);
    let first = jobs.submit(order("a", 0)).expect("admitted");
    let again = jobs.submit(order("a", 0)).expect("admitted");
    let watcher = jobs
        .attach(Viewer::Everything, first.id())
        .expect("visible");
    steps.started().await;
    assert_eq!(watcher.canceller().give_up(), GaveUp::NotOwn);
    assert_eq!(first.canceller().give_up(), GaveUp::LeftToOthers);
    drop(first);
    assert_eq!(
        jobs.list(Viewer::Everything).expect("readable")[0].state,
        JobState::Running
    );
    assert_eq!(again.canceller().give_up(), GaveUp::Cancelled);
    steps.cancelled().await;
    steps.send(Step::Finish).await;
    for attachment in [again, watcher] {
        let (_, _, end) = follow(attachment).await;
        assert!(end.is_err());
    }
}
