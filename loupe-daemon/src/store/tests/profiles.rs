//! Profiles: what is handed over comes out, once, with its times; and only to whom it belongs.

mod compaction;
mod durability;
mod maturity;
mod time;
mod year;

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::profile::{
    Executable, Happening, Maturity, Profile, ProfileEvent, ProfileLost, Subject, SubjectKind,
    Target,
};
use loupe_common::trace::ForeignCall;

use super::*;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// 2026-01-01T00:00Z.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

fn nginx(version: &str) -> Subject {
    Subject {
        kind: SubjectKind::Unit,
        name: "nginx.service".to_owned(),
        executable: Executable {
            path: "/usr/sbin/nginx".to_owned(),
            build_id: Some(format!("b{version}")),
            package: Some("nginx".to_owned()),
            version: Some(version.to_owned()),
        },
        uid: 0,
    }
}

fn named(name: &str, uid: u32) -> Subject {
    Subject {
        kind: SubjectKind::Unit,
        name: name.to_owned(),
        executable: Executable::default(),
        uid,
    }
}

fn calls(counts: &[(&str, u64)]) -> BTreeMap<Feature, CallCounts> {
    counts
        .iter()
        .map(|(name, calls)| {
            let counts = CallCounts {
                calls: *calls,
                ..CallCounts::default()
            };
            (feature(name), counts)
        })
        .collect()
}

/// A minute that was observed all the time.
fn delta(subject: Subject, counts: &[(&str, u64)]) -> SubjectDelta {
    SubjectDelta {
        observed_ms: MINUTE_MS,
        calls: calls(counts),
        ..SubjectDelta::new(subject)
    }
}

/// The minutes of one run, one after the other.
struct Minutes {
    run: &'static str,
    sequence: u64,
    at_ms: u64,
}

impl Minutes {
    fn from(at_ms: u64) -> Minutes {
        Minutes {
            run: "boot-1",
            sequence: 0,
            at_ms,
        }
    }

    fn next(&mut self, subjects: Vec<SubjectDelta>) -> ProfileBatch {
        let from_ms = self.at_ms;
        self.at_ms += MINUTE_MS;
        self.sequence += 1;
        ProfileBatch {
            run: self.run.to_owned(),
            sequence: self.sequence,
            from_ms,
            until_ms: self.at_ms,
            length_ms: MINUTE_MS,
            subjects,
            kept: None,
        }
    }

    fn record(&mut self, store: &Store, subjects: Vec<SubjectDelta>) -> Vec<ProfileEvent> {
        let batch = self.next(subjects);
        store.record_profiles(&batch).expect("recorded")
    }
}

fn all() -> ProfileQuery {
    ProfileQuery::default()
}

fn since(since_ms: u64) -> ProfileQuery {
    ProfileQuery {
        since_ms: Some(since_ms),
        ..all()
    }
}

fn only_profile(store: &Store, query: &ProfileQuery) -> Profile {
    let mut profiles = store.profiles(query).expect("readable");
    assert_eq!(profiles.len(), 1);
    profiles.remove(0)
}

fn calls_of(profile: &Profile) -> Vec<(String, u64)> {
    let uses = profile.features.iter().chain(&profile.operations);
    uses.map(|one| (one.feature.to_string(), one.counts.calls))
        .collect()
}

#[test]
fn what_is_handed_over_comes_out_with_its_errors_operations_and_losses() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let enoent = Errno::new(2).expect("an errno");
    let mut first = delta(
        nginx("1.24"),
        &[
            ("read", 5),
            ("fcntl", 2),
            ("/proc/self/maps", 1),
            ("io_uring:IORING_OP_READV", 4),
        ],
    );
    let read = first.calls.get_mut(&feature("read")).expect("there");
    read.errors.insert(enoent, 3);
    first.operations = calls(&[("fcntl:F_SETFD", 2)]);
    first.foreign.push(ForeignCall {
        abi: "i386".to_owned(),
        number: 11,
        calls: 7,
    });
    first.lost.pseudo_files = 9;
    first.starts = 1;
    let at_ms = NEW_YEAR_MS + 1_234;
    first.first_seen_ms.insert(feature("read"), at_ms);
    let mut second = first.clone();
    second.calls = calls(&[("read", 10), ("write", 0)]);
    second.operations.clear();
    second.starts = 0;
    minutes.record(&store, vec![first]);
    minutes.record(&store, vec![second]);

    drop(store);
    let store = scratch.open();
    let profile = only_profile(&store, &all());
    assert_eq!(profile.subject, nginx("1.24"));
    let expected = [
        ("read", 15),
        ("fcntl", 2),
        ("/proc/self/maps", 1),
        ("io_uring:IORING_OP_READV", 4),
        ("fcntl:F_SETFD", 2),
    ];
    let mut told = calls_of(&profile);
    told.sort();
    let mut expected: Vec<(String, u64)> = expected.map(|(name, n)| (name.to_owned(), n)).into();
    expected.sort();
    assert_eq!(told, expected, "what was called no time is not there");
    let read = profile
        .features
        .iter()
        .find(|one| one.feature == feature("read"));
    let read = read.expect("there");
    assert_eq!(read.counts.errors, [(enoent, 3)].into());
    assert_eq!(
        (read.first_seen_ms, read.last_seen_ms),
        (at_ms, NEW_YEAR_MS + 2 * MINUTE_MS)
    );
    assert_eq!(read.minutes, 2);
    let fcntl = &profile.operations[0];
    let (from_ms, until_ms) = (NEW_YEAR_MS, NEW_YEAR_MS + MINUTE_MS);
    assert_eq!(
        (fcntl.first_seen_ms, fcntl.last_seen_ms),
        (from_ms, until_ms)
    );
    assert_eq!(profile.foreign.len(), 1);
    assert_eq!(profile.foreign[0].calls, 14);
    assert_eq!(profile.lost.pseudo_files, 18);
    assert_eq!((profile.starts, profile.unseen), (1, None));
    assert_eq!(profile.observation.observed_ms, 2 * MINUTE_MS);
    assert_eq!(profile.curve.last().map(|point| point.features), Some(4));

    let summary = &store
        .profile_summaries(&all(), minutes.at_ms)
        .expect("readable")[0];
    assert_eq!(
        (summary.features, summary.operations, summary.calls),
        (4, 1, 17)
    );
    assert_eq!((summary.new_last_hour, summary.starts), (5, 1));
    assert_eq!(summary.lost, profile.lost);
    assert_eq!(summary.observation, profile.observation);
    let later = store.profile_summaries(&all(), minutes.at_ms + 2 * HOUR_MS);
    assert_eq!(later.expect("readable")[0].new_last_hour, 0);
    assert!(store.bytes().expect("known") > 10_000);
}

#[test]
fn each_first_use_is_one_event_in_the_order_of_time() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let told = minutes.record(
        &store,
        vec![delta(nginx("1"), &[("read", 1), ("write", 1)])],
    );
    let first_seen = |name: &str, at_ms| ProfileEvent {
        at_ms,
        subject: nginx("1"),
        what: Happening::FirstSeen {
            feature: feature(name),
        },
    };
    let first = [
        first_seen("read", NEW_YEAR_MS),
        first_seen("write", NEW_YEAR_MS),
    ];
    assert_eq!(told, first);
    let told = minutes.record(
        &store,
        vec![delta(nginx("1"), &[("read", 1), ("futex", 1)])],
    );
    let second = [first_seen("futex", NEW_YEAR_MS + MINUTE_MS)];
    assert_eq!(told, second);
    assert_eq!(
        minutes.record(&store, vec![delta(nginx("1"), &[("read", 1)])]),
        []
    );

    let events = store.profile_events(&all()).expect("readable");
    assert_eq!(events, [&first[..], &second].concat());
    let events = store.profile_events(&since(NEW_YEAR_MS + 1));
    assert_eq!(events.expect("readable"), second);
}

#[test]
fn a_batch_that_is_handed_over_again_counts_once_and_tells_the_same() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let old = minutes.next(vec![delta(nginx("1"), &[("read", 3)])]);
    store.record_profiles(&old).expect("recorded");
    let batch = minutes.next(vec![delta(nginx("1"), &[("read", 3), ("write", 1)])]);
    let told = store.record_profiles(&batch).expect("recorded");
    assert_eq!(told.len(), 1);
    let before = store.profiles(&all()).expect("readable");
    for _ in 0..3 {
        assert_eq!(store.record_profiles(&batch).expect("known"), told);
    }
    assert_eq!(store.record_profiles(&old).expect("known"), []);
    assert_eq!(store.profiles(&all()).expect("readable"), before);

    // Another process counts anew.
    let mut restarted = Minutes {
        run: "boot-1 again",
        ..Minutes::from(minutes.at_ms)
    };
    restarted.record(&store, vec![delta(nginx("1"), &[("read", 3)])]);
    let read = ("read".to_owned(), 9);
    assert!(calls_of(&only_profile(&store, &all())).contains(&read));
}

#[test]
fn what_could_not_be_recorded_is_merged_into_the_next_batch() {
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let mut batch = minutes.next(vec![delta(nginx("1"), &[("read", 3)])]);
    let mut next = delta(nginx("1"), &[("read", 4), ("write", 1)]);
    next.lost.calls = 2;
    batch.merge(minutes.next(vec![next, delta(named("b.service", 7), &[("brk", 1)])]));
    assert_eq!((batch.sequence, batch.length_ms), (1, 2 * MINUTE_MS));
    assert_eq!(
        (batch.from_ms, batch.until_ms),
        (NEW_YEAR_MS, minutes.at_ms)
    );

    let scratch = Scratch::new();
    let store = scratch.open();
    store.record_profiles(&batch).expect("recorded");
    let profiles = store.profiles(&all()).expect("readable");
    assert_eq!(profiles.len(), 2);
    assert_eq!(profiles[1].observation.observed_ms, 2 * MINUTE_MS);
    assert_eq!(
        profiles[1].lost,
        ProfileLost {
            calls: 2,
            ..ProfileLost::default()
        }
    );
    let expected = [("read".to_owned(), 7), ("write".to_owned(), 1)];
    assert_eq!(calls_of(&profiles[1]), expected);
}

#[test]
fn others_profiles_are_not_told_to_a_user_who_asks_for_own_ones() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let subjects = [
        ("nginx.service", 0),
        ("mine.service", 1000),
        ("yours.service", 1001),
    ];
    let deltas = subjects.map(|(name, uid)| delta(named(name, uid), &[("read", 1)]));
    Minutes::from(NEW_YEAR_MS).record(&store, deltas.into());
    let asked = |owner, name: Option<&str>| {
        let query = ProfileQuery {
            owner,
            name: name.map(str::to_owned),
            since_ms: None,
        };
        let profiles = store.profiles(&query).expect("readable");
        let names: Vec<String> = profiles.into_iter().map(|one| one.subject.name).collect();
        let summaries = store
            .profile_summaries(&query, NEW_YEAR_MS)
            .expect("readable");
        assert_eq!(
            names,
            summaries
                .into_iter()
                .map(|one| one.subject.name)
                .collect::<Vec<_>>()
        );
        let events = store.profile_events(&query).expect("readable");
        assert_eq!(names.len(), events.len());
        names
    };
    assert_eq!(
        asked(None, None),
        ["mine.service", "nginx.service", "yours.service"]
    );
    assert_eq!(asked(Some(1000), None), ["mine.service"]);
    assert_eq!(asked(Some(1000), Some("*")), ["mine.service"]);
    assert_eq!(asked(Some(1000), Some("nginx")), [""; 0]);
    assert_eq!(asked(None, Some("nginx")), ["nginx.service"]);
    assert_eq!(
        asked(None, Some("*i*")),
        ["mine.service", "nginx.service", "yours.service"]
    );
}

#[test]
fn targets_are_kept_over_restarts_until_they_are_given_up() {
    let scratch = Scratch::new();
    let targets = [Target::Unit("nginx.service".to_owned()), Target::Process(7)];
    let added = scratch.open().add_profile_targets(&targets);
    assert_eq!(added.expect("kept"), targets);
    let store = scratch.open();
    assert_eq!(store.add_profile_targets(&targets[..1]).expect("kept"), []);
    let mut kept = store.profile_targets().expect("readable");
    kept.sort();
    assert_eq!(kept, targets);
    let removed = store.remove_profile_targets(&targets[1..]);
    assert_eq!(removed.expect("gone"), targets[1..]);
    let removed = store.remove_profile_targets(&targets[1..]);
    assert_eq!(removed.expect("known"), []);
    assert_eq!(
        scratch.open().profile_targets().expect("readable"),
        targets[..1]
    );
}

#[test]
fn a_profile_goes_only_when_it_is_old_and_somebody_asks_for_that() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    minutes.record(&store, vec![delta(nginx("1"), &[("read", 1)])]);
    minutes.at_ms += DAY_MS;
    minutes.record(
        &store,
        vec![
            delta(nginx("2"), &[("read", 1)]),
            delta(named("b.service", 0), &[]),
        ],
    );
    store.compact_profiles(minutes.at_ms).expect("compacted");
    let before = NEW_YEAR_MS + HOUR_MS;
    let others = ProfileQuery {
        name: Some("b.service".to_owned()),
        ..all()
    };
    assert_eq!(store.forget_profiles(&others, before).expect("none"), 0);
    assert_eq!(store.forget_profiles(&all(), before).expect("gone"), 1);
    let left = store.profiles(&all()).expect("readable");
    assert_eq!(left.len(), 2);
    assert_eq!(left[1].subject, nginx("2"));
    // Its number may be another's from now on.
    minutes.record(&store, vec![delta(nginx("1"), &[("write", 1)])]);
    let profiles = store.profiles(&all()).expect("readable");
    let first = profiles.iter().find(|one| one.subject == nginx("1"));
    assert_eq!(calls_of(first.expect("again")), [("write".to_owned(), 1)]);
}

#[test]
fn a_profile_that_cannot_be_read_is_an_error_and_no_empty_one() {
    let scratch = Scratch::new();
    let store = scratch.open();
    Minutes::from(NEW_YEAR_MS).record(&store, vec![delta(nginx("1"), &[("read", 1)])]);
    let change = |sql: &str| {
        store
            .read(|connection| connection.execute(sql, []))
            .expect("changed");
        store.profiles(&all()).expect_err("unreadable")
    };
    let error = change("UPDATE profile_words SET word = 'no_such_call'");
    assert!(matches!(error, StoreError::Decode { .. }), "{error}");
    assert!(error.to_string().contains("no_such_call"), "{error}");
    let error = change("UPDATE profile_words SET word = 'read', id = id + 1");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let error = change("UPDATE profile_minutes SET counts = x'0405'");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("profile_minutes"), "{error}");
}

#[test]
fn a_minute_that_brings_nothing_new_is_told_from_one_that_does() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let empty = store.profile_news().expect("readable");
    let minute = |counts: &[(&str, u64)]| vec![delta(nginx("1.24"), counts)];
    minutes.record(&store, minute(&[("read", 20)]));
    let first = store.profile_news().expect("readable");
    assert_ne!(first, empty);
    // Observed for longer, and more of the same.
    minutes.record(&store, minute(&[("read", 30)]));
    assert_eq!(store.profile_news().expect("readable"), first);
    let mut known = vec![first];
    let mut lossy = delta(nginx("1.24"), &[]);
    lossy.lost.calls = 3;
    let mut operation = delta(nginx("1.24"), &[("fcntl", 1)]);
    operation.operations = calls(&[("fcntl:F_GETLK", 1)]);
    for news in [
        minute(&[("futex", 1)]),
        vec![operation],
        vec![lossy],
        // Ten times as many calls.
        minute(&[("read", 200)]),
        vec![delta(nginx("1.26"), &[("read", 1)])],
    ] {
        minutes.record(&store, news);
        let now = store.profile_news().expect("readable");
        assert!(!known.contains(&now), "{known:?}");
        known.push(now);
    }
    // Another connection sees the same.
    assert_eq!(scratch.open().profile_news().expect("readable"), known[5]);
}
