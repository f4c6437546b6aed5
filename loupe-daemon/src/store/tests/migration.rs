//! Old databases are brought to the present shape, wholly or not at all.

use super::*;

/// A database of version 1 as that version wrote it: one finished analysis of nginx/wrk with
/// a baseline and a stubbed replay, and an interrupted one of redis/get with fingerprint "r1".
const VERSION_1: &str = include_str!("../fixtures/v1.sql");

/// The same of version 4, of user 1000, with why replays were run and with a waiting job.
const VERSION_4: &str = include_str!("../fixtures/v4.sql");

fn version_1(scratch: &Scratch) -> PathBuf {
    database_of(scratch, VERSION_1)
}

fn database_of(scratch: &Scratch, dump: &str) -> PathBuf {
    Connection::open(scratch.path())
        .and_then(|connection| connection.execute_batch(dump))
        .expect("the fixture is valid SQL");
    scratch.path()
}

fn version_of(store: &Store) -> i64 {
    store
        .read(|connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0)))
        .expect("readable")
}

#[test]
fn a_database_of_version_1_keeps_its_results_evidence_and_progress() {
    let scratch = Scratch::new();
    let store = Store::open(&version_1(&scratch)).expect("migrated");
    assert_eq!(version_of(&store), MIGRATIONS.len() as i64);

    let latest = store
        .latest_analysis("nginx", None)
        .expect("readable")
        .expect("the fixture has one");
    assert_eq!(latest.fingerprint, "n1");
    assert_eq!(
        latest.analysis,
        result_of("nginx", "wrk", &[("brk", Verdict::Required)])
    );
    let evidence = store
        .evidence(latest.id, &feature("brk"))
        .expect("readable");
    assert_eq!(
        evidence.baseline[0].replay,
        replay(Policy::baseline(), true)
    );
    assert_eq!(
        evidence.alone[0].replay,
        replay(single("brk", Action::STUB), false)
    );
    assert_eq!(evidence.alone[0].purpose, None, "nobody knows any more");

    let run = store
        .begin_analysis(&workload("redis", "get"), "r1", false)
        .expect("continued");
    assert_eq!((run.id, store.recorded(&run)), (2, 1));
}

#[test]
fn a_database_of_version_4_keeps_results_progress_and_jobs_and_takes_profiles() {
    let scratch = Scratch::new();
    let store = Store::open(&database_of(&scratch, VERSION_4)).expect("migrated");
    assert_eq!(version_of(&store), MIGRATIONS.len() as i64);
    let latest = store
        .meant_by(Some(1000), &Selector::parse("nginx", None))
        .expect("readable")
        .expect("the fixture has one");
    assert_eq!(latest.fingerprint, "n4");
    let evidence = store
        .evidence(latest.id, &feature("brk"))
        .expect("readable");
    assert_eq!(evidence.alone[0].purpose.as_deref(), Some("stub alone"));
    let run = store
        .begin_analysis_of(1000, &workload("redis", "get"), "r4", false)
        .expect("continued");
    assert_eq!((run.id, store.recorded(&run)), (2, 1));

    assert_eq!(store.profiles(&ProfileQuery::default()).expect("none"), []);
    assert_eq!(store.profile_targets().expect("none"), []);
    let store = Arc::new(store);
    let jobs = store.keep_jobs().expect("free").waiting();
    assert_eq!(jobs.expect("readable").len(), 1);
}

#[test]
fn migrations_run_once_in_order_and_name_their_writer() {
    let scratch = Scratch::new();
    let path = version_1(&scratch);
    let migrations = [
        MIGRATIONS[0],
        "ALTER TABLE analyses ADD COLUMN host TEXT",
        "UPDATE analyses SET host = 'here'",
    ];
    for _ in 0..2 {
        let store = Store::open_with(&path, &migrations).expect("migrated");
        assert_eq!(version_of(&store), 3);
        let (hosts, writer): (i64, String) = store
            .read(|connection| {
                connection.query_row(
                    "SELECT (SELECT count(*) FROM analyses WHERE host = 'here'),
                            (SELECT value FROM meta WHERE key = 'writer')",
                    [],
                    |row| row.try_into(),
                )
            })
            .expect("readable");
        assert_eq!(hosts, 2);
        assert_eq!(writer, concat!("loupe ", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_failing_migration_leaves_the_old_version_whole() {
    let scratch = Scratch::new();
    let path = version_1(&scratch);
    let migrations = [MIGRATIONS[0], "DROP TABLE replay_rules", "SELECT nonsense"];
    Store::open_with(&path, &migrations).expect_err("the third one fails");
    let store = Store::open(&path).expect("still version 1");
    let evidence = store.evidence(1, &feature("brk")).expect("readable");
    assert_eq!(evidence.alone.len(), 1, "the second one was undone");
}
