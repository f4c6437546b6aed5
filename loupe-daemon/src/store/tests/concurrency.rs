//! Several connections to one database, as of several processes.

use std::collections::BTreeSet;
use std::sync::Barrier;

use super::*;

const CONNECTIONS: usize = 8;

#[test]
fn many_may_make_the_same_database_at_once() {
    for _ in 0..20 {
        let scratch = Scratch::new();
        let start = Barrier::new(CONNECTIONS);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    start.wait();
                    scratch.open().list().expect("readable");
                });
            }
        });
    }
}

#[test]
fn two_connections_record_side_by_side() {
    const EACH: u32 = 100;
    let scratch = Scratch::new();
    let run = scratch
        .open()
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let ids: Vec<BTreeSet<i64>> = std::thread::scope(|scope| {
        let writers: Vec<_> = ["read", "write"]
            .map(|name| {
                let (scratch, run) = (&scratch, &run);
                scope.spawn(move || {
                    let store = scratch.open();
                    (0..EACH)
                        .map(|replica| {
                            let replay = replay(single(name, Action::STUB), true);
                            let id = store
                                .record_replay(run.id, replica, None, &replay)
                                .expect("recorded");
                            store.replay(id).expect("readable").expect("there");
                            id
                        })
                        .collect()
                })
            })
            .into_iter()
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"))
            .collect()
    });
    assert!(ids[0].is_disjoint(&ids[1]));
    let store = scratch.open();
    for (name, ids) in ["read", "write"].iter().zip(&ids) {
        let stored = store
            .replays_of(run.id, Some(&feature(name)))
            .expect("readable");
        assert_eq!(
            stored
                .iter()
                .map(|stored| stored.id)
                .collect::<BTreeSet<_>>(),
            *ids
        );
        assert_eq!(ids.len(), EACH as usize);
    }
}

#[test]
fn a_reader_is_not_held_up_by_a_writer() {
    let scratch = Scratch::new();
    let (reader, writer) = (scratch.open(), scratch.open());
    let counted = writer.write(|transaction| {
        let inserted = transaction.execute(
            "INSERT INTO meta (key, value) VALUES ('unfinished', 'business')",
            [],
        );
        assert_eq!(inserted.expect("inserted"), 1);
        reader.list()
    });
    assert_eq!(counted.expect("read under the write lock"), []);
}

#[test]
fn a_database_that_stays_locked_is_reported_as_locked() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.open(), scratch.open());
    two.connection()
        .busy_timeout(std::time::Duration::ZERO)
        .expect("set");
    let error = one
        .write(|_| {
            Ok(two
                .begin_analysis(&workload("nginx", "wrk"), "f", false)
                .expect_err("the other has the write lock"))
        })
        .expect("the lock is free");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("fuser")));
    let _run = two
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("the lock is free again");
}
