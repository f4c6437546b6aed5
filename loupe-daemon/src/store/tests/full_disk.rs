//! A full disk loses no recorded replay, is reported as what it is, and can be cured.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::*;

/// Records until it fails; gives the ids and the error.
fn fill(
    store: &Store,
    analysis: i64,
    mut replicas: impl Iterator<Item = u32>,
) -> (Vec<i64>, StoreError) {
    let mut ids = Vec::new();
    let error = replicas
        .find_map(|replica| {
            let mut big = replay(Policy::baseline(), true);
            big.application_output.tail = "x".repeat(OutputTail::LIMIT);
            match store.record_replay(analysis, replica, None, &big) {
                Ok(id) => {
                    ids.push(id);
                    None
                }
                Err(error) => Some(error),
            }
        })
        .expect("it gets full");
    (ids, error)
}

fn assert_full(error: &StoreError) {
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("make room")));
}

#[test]
fn a_full_database_keeps_what_it_has_and_goes_on_when_there_is_room() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let limit = |pages: i64| {
        store
            .read(|connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            })
            .expect("set");
    };
    limit(100);
    let mut replicas = 0..;
    let (ids, error) = fill(&store, run.id, &mut replicas);
    assert_full(&error);
    assert!(!ids.is_empty());
    let kept = store.replays_of(run.id, None).expect("readable");
    assert_eq!(kept.iter().map(|stored| stored.id).collect::<Vec<_>>(), ids);

    limit(100_000);
    store
        .record_replay(run.id, 10_000, None, &replay(Policy::baseline(), true))
        .expect("there is room again");
    store
        .finish_analysis(run.id, &result_of("nginx", "wrk", &[]))
        .expect("finished");
}

/// On a real file system without room. It is mounted in a mount namespace of this thread only.
#[test]
fn a_full_file_system_is_reported_as_full_and_loses_nothing() {
    let scratch = Scratch::new();
    let directory = scratch.directory.path().to_owned();
    let tested = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let nothing = None::<&str>;
        mount(
            nothing,
            "/",
            nothing,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            nothing,
        )?;
        mount(
            Some("tmpfs"),
            &directory,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=1m"),
        )?;
        let path = directory.join("loupe.db");
        let store = Store::open(&path).expect("opened");
        let run = store
            .begin_analysis(&workload("nginx", "wrk"), "f", false)
            .expect("begun");
        let (mut ids, error) = fill(&store, run.id, 0..);
        assert_full(&error);
        let analysis = run.id;
        drop((store, run));

        // Whatever is left of the last megabyte goes, too.
        let mut ballast = std::fs::File::create(directory.join("ballast")).expect("made");
        while ballast.write_all(&[0; 4096]).is_ok() {}
        match Store::open(&path) {
            // A log that could not be written back has room for a few more.
            Ok(store) => {
                let (more, error) = fill(&store, analysis, 20_000..);
                assert_full(&error);
                ids.extend(more);
            }
            Err(error) => assert_full(&error),
        }

        std::fs::remove_file(directory.join("ballast")).expect("removed");
        let store = Store::open(&path).expect("opened");
        let kept = store.replays_of(analysis, None).expect("readable");
        assert_eq!(kept.iter().map(|stored| stored.id).collect::<Vec<_>>(), ids);
        Ok::<(), nix::Error>(())
    })
    .join()
    .expect("no panic in the thread");
    if let Err(errno) = tested {
        skip(
            "a_full_file_system_is_reported_as_full_and_loses_nothing",
            &format!("mounting a tmpfs needs root ({errno})"),
        );
    }
}
