//! The size of a year.

use loupe_common::syscalls::Syscall;

use super::*;

/// What 300 subjects with 100 features each may take.
const LIMIT_BYTES: u64 = 200_000_000;
const SUBJECTS_OF_LIMIT: u64 = 300;

/// The log is as long as the largest transaction (an hour that is merged), if that is more than the
/// 4 MB after which SQLite begins it anew.
const LOG_BYTES: u64 = 40_000_000;

/// Real names, two thirds of syscalls and a third of files and operations.
fn hundred_features() -> Vec<Feature> {
    let syscalls = (0..66).map(|number| Feature::from(Syscall::from_number(number)));
    let files = (0..34).map(|file| feature(&format!("/sys/devices/system/cpu/cpu{file}/online")));
    syscalls.chain(files).collect()
}

/// Counts of so many minutes; every feature is used, each tenth fails too.
fn busy(subject: u64, minutes: u64, features: &[Feature]) -> SubjectDelta {
    let mut one = delta(named(&format!("service-{subject}.service"), 0), &[]);
    one.observed_ms = minutes * MINUTE_MS;
    for (at, feature) in (0..).zip(features) {
        // From a call a minute to some hundred thousand.
        let calls = minutes * (1 + subject + (1 << (at % 18)));
        let mut counts = CallCounts {
            calls,
            ..CallCounts::default()
        };
        if at % 10 == 0 {
            let eagain = loupe_common::errno::Errno::new(11).expect("an errno");
            counts.errors.insert(eagain, calls / 3 + 1);
        }
        one.calls.insert(feature.clone(), counts);
    }
    one
}

/// A year of these subjects: day by day, at its end by hours and minutes, for these are all that is
/// left of the finer steps. It ends at the fullest moment, before the last compaction.
fn year_of(subjects: u64) -> (Scratch, Store) {
    let scratch = Scratch::new();
    let store = scratch.open();
    let features = hundred_features();
    assert_eq!(features.len(), 100);
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let steps = [(356, 24 * 60), (8 * 24 + 21, 60), (180, 1)];
    for (count, length) in steps {
        let deltas: Vec<SubjectDelta> = (0..subjects)
            .map(|subject| busy(subject, length, &features))
            .collect();
        for step in 0..count {
            let mut batch = minutes.next(deltas.clone());
            batch.until_ms = batch.from_ms + length * MINUTE_MS;
            batch.length_ms = length * MINUTE_MS;
            minutes.at_ms = batch.until_ms;
            store.record_profiles(&batch).expect("recorded");
            if length > 1 && (length == 60 || step % 30 == 29) {
                store.compact_profiles(minutes.at_ms).expect("compacted");
            }
        }
    }
    assert_eq!(minutes.at_ms, NEW_YEAR_MS + 365 * DAY_MS);
    (scratch, store)
}

/// Everything is there, as often as it was called.
fn assert_whole(store: &Store, subjects: u64) {
    let profiles = store.profiles(&all()).expect("readable");
    assert_eq!(profiles.len() as u64, subjects);
    let calls = |counts: &CallCounts| counts.calls;
    let features = hundred_features();
    for subject in 0..subjects {
        let minute = busy(subject, 1, &features);
        let profile = profiles.iter().find(|one| one.subject == minute.subject);
        let profile = profile.expect("there");
        assert_eq!(profile.observation.observed_ms, 365 * DAY_MS);
        let told = profile.features.iter().map(|one| calls(&one.counts));
        let a_minute: u64 = minute.calls.values().map(calls).sum();
        assert_eq!(told.sum::<u64>(), 365 * 1440 * a_minute);
    }
}

/// Rows are of one subject each, so the size grows with their number; the log does not.
#[test]
fn a_year_of_300_subjects_with_100_features_takes_less_than_200_mb() {
    const SUBJECTS: u64 = 6;
    let (scratch, store) = year_of(SUBJECTS);
    assert_whole(&store, SUBJECTS);
    // Its last user takes the log into the database.
    drop(store);
    let database = std::fs::metadata(scratch.path()).expect("there").len();
    let of_all = database * SUBJECTS_OF_LIMIT / SUBJECTS;
    println!("{of_all} bytes, by {database} of {SUBJECTS} subjects");
    assert!(of_all + LOG_BYTES < LIMIT_BYTES, "{of_all} bytes");
}

#[test]
#[ignore = "the same with all 300 subjects: three minutes"]
fn a_year_of_all_300_subjects() {
    let (_scratch, store) = year_of(SUBJECTS_OF_LIMIT);
    let bytes = store.bytes().expect("known");
    println!("{bytes} bytes");
    assert!(bytes < LIMIT_BYTES, "{bytes} bytes");
    assert_whole(&store, SUBJECTS_OF_LIMIT);
}
