//! What the reports read.

use super::*;

fn finish(store: &Store, application: &str, name: &str, verdicts: &[(&str, Verdict)]) -> i64 {
    let run = store
        .begin_analysis(&workload(application, name), name, false)
        .expect("begun");
    store
        .record_replay(run.id, 0, None, &replay(Policy::baseline(), true))
        .expect("recorded");
    store
        .finish_analysis(run.id, &result_of(application, name, verdicts))
        .expect("finished");
    run.id
}

#[test]
fn the_list_has_the_newest_of_each_workload_with_its_counts() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let verdicts = [
        ("read", Verdict::Required),
        ("brk", Verdict::Stub),
        ("futex", Verdict::Required),
    ];
    finish(&store, "redis", "get", &[]);
    let redis = finish(&store, "redis", "get", &verdicts);
    let nginx = finish(&store, "nginx", "wrk", &[]);
    let list = store.list().expect("readable");
    let ids: Vec<i64> = list.iter().map(|listed| listed.analysis).collect();
    assert_eq!(ids, [nginx, redis], "sorted by application, newest only");
    assert_eq!(
        list[1].verdicts,
        VerdictCounts::from([(Verdict::Required, 2), (Verdict::Stub, 1)])
    );
    assert_eq!((list[1].replays, list[1].progress), (1, None));
    assert!(list[1].finished_ms >= Some(list[1].started_ms));
}

#[test]
fn the_list_tells_a_running_analysis_from_an_interrupted_one() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f1", false)
        .expect("begun");
    let progress = || store.list().expect("readable")[0].progress;
    assert_eq!(progress(), Some(Progressing::Running));
    drop(run);
    assert_eq!(progress(), Some(Progressing::Interrupted));
}

#[test]
fn an_unfinished_analysis_is_listed_only_while_it_is_the_newest() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let old = finish(&store, "nginx", "wrk", &[]);
    let interrupted = store
        .begin_analysis(&workload("nginx", "wrk"), "older binary", false)
        .expect("begun")
        .id;
    let ids = || -> Vec<i64> {
        let list = store.list().expect("readable");
        list.iter().map(|listed| listed.analysis).collect()
    };
    assert_eq!(ids(), [old, interrupted]);
    let new = finish(&store, "nginx", "wrk", &[]);
    assert_eq!(ids(), [new]);
}

#[test]
fn the_latest_analysis_is_the_newest_finished_one() {
    let scratch = Scratch::new();
    let store = scratch.open();
    assert_eq!(
        store.latest_analysis("nginx", None).expect("readable"),
        None
    );
    finish(&store, "nginx", "wrk", &[]);
    let newest = finish(&store, "nginx", "wrk", &[("read", Verdict::Required)]);
    let _unfinished = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let latest = store
        .latest_analysis("nginx", None)
        .expect("readable")
        .expect("finished ones exist");
    assert_eq!(latest.id, newest);
    assert_eq!(
        latest.analysis,
        result_of("nginx", "wrk", &[("read", Verdict::Required)])
    );
    let none = store.latest_analysis("nginx", Some("suite"));
    assert_eq!(none.expect("readable"), None);
}

#[test]
fn several_workloads_must_be_told_apart_by_name() {
    let scratch = Scratch::new();
    let store = scratch.open();
    finish(&store, "nginx", "wrk", &[]);
    let suite = finish(&store, "nginx", "suite", &[]);
    let error = store.latest_analysis("nginx", None).expect_err("ambiguous");
    assert_eq!(error.to_string(), "nginx has several workloads: suite, wrk");
    assert_eq!(error.exit_code(), 2);
    let named = store
        .latest_analysis("nginx", Some("suite"))
        .expect("readable");
    assert_eq!(named.map(|latest| latest.id), Some(suite));
}

#[test]
fn evidence_is_sorted_into_baseline_alone_and_together() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let mut group = single("brk", Action::STUB);
    group.insert(feature("futex"), Action::Fake);
    let record = |policy: &Policy, replica| {
        let purpose = Some("group 3 of 6").filter(|_| policy.len() > 1);
        store
            .record_replay(run.id, replica, purpose, &replay(policy.clone(), true))
            .expect("recorded")
    };
    let baseline = record(&Policy::baseline(), 0);
    let stub = record(&single("brk", Action::STUB), 0);
    record(&single("futex", Action::STUB), 0);
    let together = record(&group, 0);
    let fake = record(&single("brk", Action::Fake), 0);
    let again = record(&single("brk", Action::STUB), 1);

    let evidence = store.evidence(run.id, &feature("brk")).expect("readable");
    let ids =
        |replays: &[StoredReplay]| -> Vec<i64> { replays.iter().map(|stored| stored.id).collect() };
    assert_eq!(ids(&evidence.baseline), [baseline]);
    assert_eq!(ids(&evidence.alone), [stub, fake, again]);
    assert_eq!(ids(&evidence.together), [together]);
    assert_eq!(evidence.alone[2].replica, 1);
    assert_eq!(evidence.together[0].replay, replay(group, true));
    assert_eq!(
        evidence.together[0].purpose.as_deref(),
        Some("group 3 of 6")
    );
    assert_eq!(evidence.alone[0].purpose, None);
    let other = store
        .evidence(run.id + 1, &feature("brk"))
        .expect("readable");
    assert_eq!(other, Evidence::default());
    assert_eq!(
        store.replay(stub).expect("readable"),
        Some(replay(single("brk", Action::STUB), true))
    );
    assert_eq!(store.replay(again + 1).expect("readable"), None);
}

#[test]
fn a_policy_has_one_key_however_it_was_put_together() {
    let mut one = single("futex", Action::Fake);
    one.insert(feature("brk"), Action::STUB);
    let mut other = single("brk", Action::STUB);
    other.insert(feature("futex"), Action::Fake);
    assert_eq!(query::policy_key(&one), r#"{"brk":"stub","futex":"fake"}"#);
    assert_eq!(query::policy_key(&one), query::policy_key(&other));
    assert_eq!(query::policy_key(&Policy::baseline()), "{}");
}

#[test]
fn what_was_imported_is_there_like_any_result_and_only_once() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let own = finish(&store, "nginx", "wrk", &[("read", Verdict::Required)]);
    let result = result_of("redis", "get", &[("brk", Verdict::Any)]);
    let owner = nix::unistd::geteuid().as_raw();
    let import = |fingerprint, analysis| {
        let imports = [Import {
            fingerprint,
            analysis,
        }];
        store.import(owner, &imports).expect("imported")
    };
    assert_eq!(import("loupedb:a", &result), [true]);
    assert_eq!(import("loupedb:a", &result), [false], "nothing new");
    let results = store.results_of(None, None).expect("readable");
    let names: Vec<&str> = results
        .iter()
        .map(|stored| stored.analysis.application.as_str())
        .collect();
    assert_eq!(names, ["nginx", "redis"]);
    assert_eq!(results[1].analysis, result);
    assert_eq!(store.list().expect("readable").len(), 2);
    // Another run of the same workload is newer, and the first one stays.
    assert_eq!(import("loupedb:b", &result), [true]);
    let by_id = |id| store.results_of(Some(owner), Some(id)).expect("readable");
    assert_eq!(by_id(own)[0].analysis.application, "nginx");
    assert_eq!(by_id(results[1].id)[0].fingerprint, "loupedb:a");
    assert_eq!(
        store.results_of(Some(owner + 1), None).expect("readable"),
        []
    );
}
