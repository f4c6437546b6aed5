//! Which analysis `begin_analysis` gives, and what it remembers.

use loupe_common::provenance::Provenance;

use super::*;

#[test]
fn an_interrupted_analysis_is_continued_with_its_replays() {
    let scratch = Scratch::new();
    let nginx = workload("nginx", "wrk");
    let stub = single("futex", Action::STUB);
    let (first, replay_id) = {
        let store = scratch.open();
        let run = store.begin_analysis(&nginx, "f1", false).expect("begun");
        assert_eq!(store.recorded(&run), 0);
        store
            .record_replay(run.id, 0, None, &replay(Policy::baseline(), true))
            .expect("recorded");
        let id = store
            .record_replay(run.id, 0, None, &replay(stub.clone(), false))
            .expect("recorded");
        (run.id, id)
    };

    let store = scratch.open();
    let run = store
        .begin_analysis(&nginx, "f1", false)
        .expect("continued");
    assert_eq!((run.id, store.recorded(&run)), (first, 2));
    let found = store.find_replay(run.id, &stub, 0).expect("readable");
    assert_eq!(found, Some((replay_id, replay(stub.clone(), false))));
    assert_eq!(store.find_replay(run.id, &stub, 1).expect("readable"), None);
    let fake = single("futex", Action::Fake);
    assert_eq!(store.find_replay(run.id, &fake, 0).expect("readable"), None);
}

#[test]
fn a_finished_analysis_is_not_continued_and_not_changed() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let nginx = workload("nginx", "wrk");
    let result = result_of("nginx", "wrk", &[("futex", Verdict::Any)]);
    let first = store.begin_analysis(&nginx, "f1", false).expect("begun");
    store.finish_analysis(first.id, &result).expect("finished");

    let refused = [
        store
            .record_replay(first.id, 0, None, &replay(Policy::baseline(), true))
            .expect_err("it is over"),
        store
            .finish_analysis(first.id, &result)
            .expect_err("it is over"),
    ];
    for error in refused {
        assert!(matches!(error, StoreError::NotInProgress { analysis } if analysis == first.id));
    }
    let second = store.begin_analysis(&nginx, "f1", false).expect("begun");
    assert_ne!(second.id, first.id);
    assert_eq!(store.recorded(&second), 0);
}

#[test]
fn another_fingerprint_begins_anew() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let nginx = workload("nginx", "wrk");
    let first = store.begin_analysis(&nginx, "f1", false).expect("begun").id;
    let other = store.begin_analysis(&nginx, "f2", false).expect("begun").id;
    assert_ne!(first, other);
    let again = store
        .begin_analysis(&nginx, "f1", false)
        .expect("continued")
        .id;
    assert_eq!(again, first);
}

#[test]
fn fresh_abandons_what_is_unfinished() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let nginx = workload("nginx", "wrk");
    let first = store.begin_analysis(&nginx, "f1", false).expect("begun").id;
    store
        .record_replay(first, 0, None, &replay(Policy::baseline(), true))
        .expect("recorded");
    let fresh = store.begin_analysis(&nginx, "f1", true).expect("begun");
    assert_ne!(fresh.id, first);
    assert_eq!(store.recorded(&fresh), 0);
    let fresh = {
        let id = fresh.id;
        drop(fresh);
        id
    };
    let next = store
        .begin_analysis(&nginx, "f1", false)
        .expect("continued");
    assert_eq!(next.id, fresh, "the abandoned one must not come back");
    assert_eq!(store.list().expect("readable").len(), 1);
}

#[test]
fn an_analysis_that_somebody_works_on_is_neither_shared_nor_abandoned() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open(), scratch.open());
    let nginx = workload("nginx", "wrk");
    let first = one.begin_analysis(&nginx, "f1", false).expect("begun");
    let second = two.begin_analysis(&nginx, "f1", false).expect("begun");
    assert_ne!(first.id, second.id);
    let third = two.begin_analysis(&nginx, "f1", true).expect("begun");
    for run in [&first, &second, &third] {
        one.record_replay(run.id, 0, None, &replay(Policy::baseline(), true))
            .expect("still in progress");
    }
}

#[test]
fn a_replay_is_recorded_once() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f1", false)
        .expect("begun");
    let policy = single("brk", Action::STUB);
    let id = store
        .record_replay(run.id, 0, None, &replay(policy.clone(), true))
        .expect("recorded");
    let error = store
        .record_replay(run.id, 0, None, &replay(policy.clone(), false))
        .expect_err("already there");
    assert_eq!(
        error.to_string(),
        format!(
            "analysis {} already has replay 0 of the policy `stub brk`",
            run.id
        )
    );
    let kept = store.find_replay(run.id, &policy, 0).expect("readable");
    assert_eq!(kept, Some((id, replay(policy, true))));
}

#[test]
fn a_replay_of_an_unknown_analysis_is_refused() {
    let error = Scratch::new()
        .open()
        .record_replay(99, 0, None, &replay(Policy::baseline(), true))
        .expect_err("no such analysis");
    assert!(matches!(error, StoreError::NotInProgress { analysis: 99 }));
}

#[test]
fn only_the_end_of_an_analysis_waits_for_the_disk() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let synchronous = || -> i64 {
        store
            .read(|connection| connection.query_row("PRAGMA synchronous", [], |row| row.get(0)))
            .expect("readable")
    };
    const NORMAL: i64 = 1;
    assert_eq!(synchronous(), NORMAL);
    let result = result_of("nginx", "wrk", &[]);
    store.finish_analysis(99, &result).expect_err("unknown");
    assert_eq!(synchronous(), NORMAL, "also after a failure");
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f1", false)
        .expect("begun");
    store.finish_analysis(run.id, &result).expect("finished");
    assert_eq!(synchronous(), NORMAL);
}

#[test]
fn what_belongs_to_an_analysis_goes_with_it() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f1", false)
        .expect("begun");
    store
        .record_replay(run.id, 0, None, &replay(single("brk", Action::STUB), true))
        .expect("recorded");
    let left: i64 = store
        .read(|connection| {
            connection.execute("DELETE FROM analyses", [])?;
            connection.query_row(
                "SELECT (SELECT count(*) FROM replays) + (SELECT count(*) FROM replay_rules)",
                [],
                |row| row.get(0),
            )
        })
        .expect("deleted");
    assert_eq!(left, 0);
}

#[test]
fn an_abandoned_analysis_is_not_continued_but_its_replays_stay() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let nginx = workload("nginx", "wrk");
    let (first, replay_id) = {
        let run = store.begin_analysis(&nginx, "f1", false).expect("begun");
        let id = store
            .record_replay(run.id, 0, None, &replay(Policy::baseline(), false))
            .expect("recorded");
        store.abandon_analysis(run.id).expect("abandoned");
        (run.id, id)
    };

    let run = store.begin_analysis(&nginx, "f1", false).expect("begun");
    assert_ne!(run.id, first);
    assert_eq!(store.recorded(&run), 0);
    assert!(store.replay(replay_id).expect("readable").is_some());
    assert!(
        store
            .list()
            .expect("readable")
            .iter()
            .all(|row| row.workload == "wrk")
    );
}

#[test]
fn a_finished_analysis_is_found_again_by_its_fingerprint_and_its_options() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let nginx = workload("nginx", "wrk");
    let owner = nix::unistd::geteuid().as_raw();
    let with_options = |digest: Option<&str>| Analysis {
        provenance: Some(Provenance {
            options_digest: digest.map(str::to_owned),
            ..Provenance::default()
        }),
        ..result_of("nginx", "wrk", &[("futex", Verdict::Any)])
    };
    let finish = |fingerprint: &str, digest| {
        let run = store.begin_analysis(&nginx, fingerprint, false);
        let id = run.expect("begun").id;
        let finished = store.finish_analysis(id, &with_options(digest));
        finished.expect("finished");
        id
    };
    finish("f1", None);
    finish("f1", Some("usual"));
    let newest = finish("f1", Some("usual"));
    finish("f1", Some("strict"));
    finish("f2", Some("usual"));
    let unfinished = store.begin_analysis(&nginx, "f3", false).expect("begun");
    let found = |owner, fingerprint, digest| {
        let found = store.finished_like(owner, &nginx, fingerprint, digest);
        found.expect("readable").map(|found| found.id)
    };
    assert_eq!(found(owner, "f1", "usual"), Some(newest));
    assert_eq!(found(owner + 1, "f1", "usual"), None, "another's");
    assert_eq!(found(owner, "f1", "other"), None);
    assert_eq!(found(owner, "f3", "usual"), None, "it is not finished");
    drop(unfinished);
}
