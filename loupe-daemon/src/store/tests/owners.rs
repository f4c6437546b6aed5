//! Results of one user are not another's to see, or to go on with.

use super::*;

/// Makes and finishes an analysis.
fn finish(store: &Store, owner: u32, name: &str) -> i64 {
    let run = store
        .begin_analysis_of(owner, &workload("nginx", name), "same", false)
        .expect("begun");
    let result = result_of("nginx", name, &[("read", Verdict::Required)]);
    store.finish_analysis(run.id, &result).expect("finished");
    run.id
}

#[test]
fn a_user_sees_own_results_and_nobody_else_s() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let first = finish(&store, 1000, "wrk");
    let second = finish(&store, 1001, "wrk");
    let third = finish(&store, 1001, "other");
    let ids = |owner| -> Vec<i64> {
        let list = store.list_of(owner).expect("listed");
        list.iter().map(|listed| listed.analysis).collect()
    };
    assert_eq!(ids(Some(1000)), [first]);
    assert_eq!(ids(Some(1001)), [third, second]);
    assert_eq!(ids(Some(1002)), [0; 0]);
    assert_eq!(ids(None), [third, second], "the newest, whoever owns it");

    let latest = |owner, workload| {
        let found = store.meant_by(owner, &Selector::parse("nginx", workload));
        found.map(|found| found.map(|stored| stored.id))
    };
    assert_eq!(latest(Some(1000), None).expect("one workload"), Some(first));
    assert_eq!(latest(Some(1000), Some("other")).expect("readable"), None);
    assert_eq!(latest(Some(1002), None).expect("readable"), None);
    assert_eq!(
        latest(Some(1001), None).expect("readable"),
        Some(third),
        "the newest"
    );
    assert_eq!(latest(None, Some("wrk")).expect("readable"), Some(second));
}

#[test]
fn nobody_goes_on_with_another_user_s_analysis() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let begin = |owner, fresh| {
        let run = store.begin_analysis_of(owner, &workload("nginx", "wrk"), "same", fresh);
        // Dropping the run is being killed.
        run.expect("begun").id
    };
    let first = begin(1000, false);
    let other = begin(1001, false);
    assert_ne!(first, other);
    assert_eq!(begin(1000, false), first);
    let anew = begin(1001, true);
    assert_ne!(anew, other);
    assert_eq!(
        begin(1000, false),
        first,
        "another's fresh start abandons nothing of it"
    );
}
