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
fn of_several_workloads_one_is_meant_and_that_is_told() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let wrk = finish(&store, "nginx", "wrk", &[]);
    let suite = finish(&store, "nginx", "suite", &[]);
    let meant = |name: &str| {
        let found = store.meant_by(None, &Selector::parse(name, None));
        let found = found.expect("readable").expect("one is meant");
        (found.id, found.choice)
    };
    let (id, choice) = meant("nginx");
    assert_eq!(id, wrk, "the benchmark");
    let choice = choice.expect("there was a choice");
    assert!(choice.contains("nginx/suite@2"), "{choice}");
    assert_eq!(meant("nginx/suite"), (suite, None));
    assert_eq!(meant(&format!("nginx@{suite}")), (suite, None));
    assert_eq!(meant(&suite.to_string()), (suite, None));
}

#[test]
fn what_was_measured_here_is_meant_before_what_was_imported_later() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let older = finish(&store, "redis", "get", &[]);
    let own = finish(&store, "redis", "get", &[("read", Verdict::Required)]);
    let owner = nix::unistd::geteuid().as_raw();
    let result = result_of("redis", "get", &[("brk", Verdict::Any)]);
    let imports = [Import {
        fingerprint: "loupedb:a",
        analysis: &result,
    }];
    assert_eq!(store.import(owner, &imports).expect("imported"), [true]);
    assert_eq!(store.import(owner, &imports).expect("imported"), [false]);
    let meant = |name| {
        let found = store.meant_by(None, &Selector::parse(name, None));
        found.expect("readable").map(|stored| stored.id)
    };
    assert_eq!(meant("redis"), Some(own));
    assert_eq!(meant("redis~1"), Some(older));
    assert_eq!(store.list().expect("readable")[0].analysis, own);
    assert_eq!(store.results_of(None, None).expect("readable")[0].id, own);
    let history = store.history_of(None, "redis", None).expect("readable");
    let told: Vec<(i64, bool)> = history
        .iter()
        .map(|listed| (listed.analysis, listed.imported))
        .collect();
    assert_eq!(told, [(own + 1, true), (own, false), (older, false)]);
    let cleared = store.remove(None, Removal::Imported).expect("removed");
    assert_eq!(cleared.analyses, 1);
    assert_eq!(meant("redis"), Some(own));
}

#[test]
fn what_is_removed_is_gone_with_its_replays_and_what_is_worked_on_stays() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let old = finish(&store, "nginx", "wrk", &[]);
    let new = finish(&store, "nginx", "wrk", &[]);
    let other = finish(&store, "nginx", "suite", &[]);
    let running = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let remove = |name: &str| {
        let selector = Selector::parse(name, None);
        store.remove(None, Removal::Named(&selector))
    };
    assert!(
        remove("nginx/wrk").is_err(),
        "somebody works on one of them"
    );
    let gone = remove(&old.to_string()).expect("removed");
    assert_eq!((gone.analyses, gone.replays), (1, 1));
    assert_eq!(remove("99").expect("nothing").analyses, 0);
    drop(running);
    let ids = || -> Vec<i64> {
        let list = store.history_of(None, "nginx", None).expect("readable");
        list.iter().map(|listed| listed.analysis).collect()
    };
    assert_eq!(ids(), [other + 1, other, new]);
    assert_eq!(remove("nginx/wrk").expect("removed").analyses, 2);
    assert_eq!(ids(), [other]);
}

#[test]
fn cleaning_up_removes_what_nobody_can_go_on_with_and_older_results_only_on_request() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let begin = |fresh| store.begin_analysis(&workload("nginx", "wrk"), "f", fresh);
    drop(begin(false).expect("begun"));
    let given_up = begin(true).expect("begun").id;
    let first = finish(&store, "nginx", "wrk", &[]);
    let second = finish(&store, "nginx", "wrk", &[]);
    let current = begin(true).expect("begun").id;
    let unused = |keep| {
        let cleared = store.remove(None, Removal::Unused { keep });
        cleared.expect("cleaned up").analyses
    };
    // One was begun anew twice; none is newer than `current`.
    assert_eq!(unused(None), 2, "{given_up}");
    let ids = || -> Vec<i64> {
        let list = store.history_of(None, "nginx", None).expect("readable");
        list.iter().map(|listed| listed.analysis).collect()
    };
    assert_eq!(ids(), [current, second, first]);
    assert_eq!(unused(Some(1)), 1);
    assert_eq!(ids(), [current, second]);
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
