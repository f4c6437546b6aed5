//! What was recorded stays: after SIGKILL at any moment, and on a full disk.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use super::*;

const DATABASE: &str = "LOUPE_TEST_PROFILES_DATABASE";
const RECORDED: &str = "recorded batch ";

/// Every 10th batch brings something new, for there is more to write then.
fn batch(sequence: u64) -> ProfileBatch {
    let mut minutes = Minutes {
        sequence: sequence - 1,
        ..Minutes::from(NEW_YEAR_MS + sequence * MINUTE_MS)
    };
    let new = format!("/proc/sys/kernel/no{}", sequence / 10);
    let services = ["a.service", "b.service", "c.service"];
    let one = |name| delta(named(name, 0), &[("read", 1), (new.as_str(), 1)]);
    minutes.next(services.map(one).into())
}

/// How many batches there are: each must be there in all of its parts.
fn recorded(store: &Store) -> u64 {
    let profiles = store.profiles(&all()).expect("readable");
    let reads: Vec<u64> = profiles
        .iter()
        .map(|profile| {
            let read = profile
                .features
                .iter()
                .find(|one| one.feature == feature("read"));
            let reads = read.expect("always").counts.calls;
            let others = profile
                .features
                .iter()
                .filter(|one| one.feature != feature("read"));
            assert_eq!(others.map(|one| one.counts.calls).sum::<u64>(), reads);
            assert_eq!(profile.observation.observed_ms, reads * MINUTE_MS);
            assert_eq!(profile.features.len() as u64, reads / 10 + 2);
            reads
        })
        .collect();
    assert!(reads.iter().all(|one| *one == reads[0]), "{reads:?}");
    reads.first().copied().unwrap_or(0)
}

/// Records batches and says so, until it is killed.
#[test]
#[ignore = "the process that the next test kills"]
fn child_that_records_batches_until_it_is_killed() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return; // Asked for by --include-ignored, not by the next test.
    };
    let store = Store::open(Path::new(&path)).expect("opened");
    for sequence in recorded(&store) + 1.. {
        store.record_profiles(&batch(sequence)).expect("recorded");
        let line = format!("\n{RECORDED}{sequence}\n");
        nix::unistd::write(std::io::stdout(), line.as_bytes()).expect("the parent reads");
        if sequence % 5 == 0 {
            let now_ms = NEW_YEAR_MS + sequence * MINUTE_MS;
            // Some are merged into hours, some through to days.
            let later_ms = [3 * HOUR_MS, 9 * DAY_MS][(sequence / 5 % 2) as usize];
            store
                .compact_profiles(now_ms + later_ms)
                .expect("compacted");
        }
    }
}

#[test]
fn kill_9_loses_no_recorded_batch_and_no_part_of_one() {
    let scratch = Scratch::new();
    for lines_before_kill in [1, 2, 30, 7, 60, 4] {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "--nocapture"])
            .arg(
                "store::tests::profiles::durability::child_that_records_batches_until_it_is_killed",
            )
            .env(DATABASE, scratch.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut reports = output.lines().filter_map(|line| {
            let line = line.expect("readable");
            line.strip_prefix(RECORDED)?.parse::<u64>().ok()
        });
        let mut reported = reports.by_ref().take(lines_before_kill).last();
        child.kill().expect("killed");
        // It went on until the signal came.
        reported = reports.last().or(reported);
        let status = child.wait().expect("reaped");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");

        let reported = reported.expect("at least one");
        let store = scratch.open();
        let there = recorded(&store);
        // At most one was recorded and not yet reported.
        assert!(
            (reported..=reported + 1).contains(&there),
            "{reported} {there}"
        );
        // Whoever does not know hands it over again.
        for sequence in [there, there.saturating_sub(1).max(1)] {
            store.record_profiles(&batch(sequence)).expect("known");
        }
        assert_eq!(recorded(&store), there);
    }
}

#[test]
fn a_full_disk_keeps_what_there_is_and_the_batch_goes_in_when_there_is_room() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let limit = |pages: i64| {
        store
            .read(|connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            })
            .expect("set");
    };
    let pages: i64 = store
        .read(|connection| connection.query_row("PRAGMA page_count", [], |row| row.get(0)))
        .expect("known");
    let mut full = None;
    limit(pages + 12);
    for sequence in 1..100_000 {
        if let Err(error) = store.record_profiles(&batch(sequence)) {
            full = Some((sequence, error));
            break;
        }
    }
    let (sequence, error) = full.expect("it gets full");
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("make room")));
    assert!(sequence > 10, "{sequence}");
    assert_eq!(
        recorded(&store),
        sequence - 1,
        "nothing of the batch is there"
    );
    store
        .record_profiles(&batch(sequence))
        .expect_err("still full");

    // What waits is merged, as the service does.
    let mut waiting = batch(sequence + 1);
    waiting.merge(batch(sequence + 2));
    limit(100_000);
    store
        .record_profiles(&batch(sequence))
        .expect("there is room");
    store.record_profiles(&waiting).expect("recorded");
    assert_eq!(recorded_calls(&store), sequence + 2);
}

/// Without a look at anything else.
fn recorded_calls(store: &Store) -> u64 {
    let summaries = store.profile_summaries(&all(), 0).expect("readable");
    summaries[0].calls
}
