//! From the databases of two hosts to one answer: recorded, exported, written, read, merged.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::profile::{Executable, Subject};
use loupe_common::trace::CallCounts;

use super::super::{export, read_bundle, write_bundle};
use super::*;
use crate::store::{ProfileBatch, ProfileQuery, Store, SubjectDelta};

const MINUTE_MS: u64 = 60_000;
/// 2026-11-28T23:58Z.
const BEGIN_MS: u64 = 1_795_910_280_000;

fn nginx(version: &str, uid: u32) -> Subject {
    Subject {
        kind: SubjectKind::Unit,
        name: "nginx.service".to_owned(),
        executable: Executable {
            path: "/usr/sbin/nginx".to_owned(),
            build_id: None,
            package: Some("nginx".to_owned()),
            version: Some(version.to_owned()),
        },
        uid,
    }
}

/// Each minute's calls, one minute after the other.
fn record(store: &Store, subject: &Subject, minutes: &[&[&str]]) {
    for (number, names) in minutes.iter().enumerate() {
        let from_ms = BEGIN_MS + number as u64 * MINUTE_MS;
        let calls: BTreeMap<Feature, CallCounts> = names
            .iter()
            .map(|name| {
                let counts = CallCounts {
                    calls: 40,
                    ..CallCounts::default()
                };
                (name.parse().expect("a feature"), counts)
            })
            .collect();
        let batch = ProfileBatch {
            run: format!("{}-{}", subject.name, subject.uid),
            sequence: number as u64 + 1,
            from_ms,
            until_ms: from_ms + MINUTE_MS,
            length_ms: MINUTE_MS,
            subjects: vec![SubjectDelta {
                observed_ms: MINUTE_MS / 2,
                calls,
                ..SubjectDelta::new(subject.clone())
            }],
            ..ProfileBatch::default()
        };
        store.record_profiles(&batch).expect("recorded");
    }
}

fn exported(store: &Store, host: u32) -> Bundle {
    let profiles = store.profiles(&ProfileQuery::default()).expect("readable");
    let days = store.observed_days().expect("readable");
    export(
        bundle(host, u64::from(host) + 1, Vec::new()).host,
        &profiles,
        &days,
    )
}

/// What people are shown.
fn answers(fleet: &Fleet) -> String {
    let since = u32::try_from(BEGIN_MS / 3_600_000 + 1).expect("an hour");
    format!(
        "{:?} {:?} {:?} {:?}",
        fleet.hosts().expect("readable"),
        fleet.who("futex").expect("readable"),
        fleet.show("*").expect("readable"),
        fleet.drift(since).expect("readable"),
    )
}

#[test]
fn two_hosts_answer_alike_in_whichever_order_they_came() {
    let directory = tempfile::tempdir().expect("a directory");
    let files: Vec<std::path::PathBuf> = (0..2)
        .map(|host| {
            let database = directory.path().join(format!("host{host}.db"));
            let store = Store::open(&database).expect("opened");
            match host {
                0 => record(
                    &store,
                    &nginx("1.22", 0),
                    &[&["read"], &["read"], &["futex"]],
                ),
                _ => {
                    // Two owners of one service are one to the fleet.
                    record(&store, &nginx("1.22", 1000), &[&["read"]]);
                    record(&store, &nginx("1.22", 1001), &[&["read", "/proc/stat"]]);
                }
            }
            let file = directory.path().join(format!("host{host}.loupe"));
            write_bundle(&file, &exported(&store, host)).expect("written");
            file
        })
        .collect();
    let merged = |name: &str, order: &[usize]| {
        let mut fleet = open(directory.path(), name);
        for at in order {
            let bundle = read_bundle(&files[*at]).expect("read");
            fleet.merge(&bundle).expect("merged");
        }
        fleet
    };
    let one = merged("one", &[0, 1]);
    let other = merged("other", &[1, 0, 1]);
    assert_eq!(answers(&one), answers(&other));
    assert_eq!(content(&one), content(&other));
    let shown = one.show("nginx.service").expect("readable");
    let rows: Vec<(&str, u64)> = shown[0]
        .features
        .iter()
        .map(|row| (&*row.feature, row.hosts))
        .collect();
    assert_eq!(rows, [("read", 2), ("/proc/stat", 1), ("futex", 1)]);
    // Three windows of half a minute, told as whole minutes by the day; the second host's are one.
    assert_eq!(shown[0].versions[0].observed_ms, 3 * MINUTE_MS);
}

#[test]
fn an_hour_of_a_day_is_told_as_that_day_and_that_hour() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("db")).expect("opened");
    record(
        &store,
        &nginx("1.22", 0),
        &[&["read"], &["read"], &["futex"]],
    );
    let bundle = exported(&store, 0);
    let told = &bundle.subjects[0];
    let hour = u32::try_from(BEGIN_MS / 3_600_000).expect("an hour");
    assert_eq!((told.first_hour, told.last_hour), (hour, hour + 1));
    assert_eq!(told.later, BTreeMap::from([("futex".to_owned(), hour + 1)]));
    let calendar = &bundle.calendars[&told.calendar];
    let days: Vec<(&str, u64)> = calendar.iter().map(|(day, ms)| (&**day, *ms)).collect();
    assert_eq!(days, [("2026-11-28", MINUTE_MS), ("2026-11-29", MINUTE_MS)]);
}
