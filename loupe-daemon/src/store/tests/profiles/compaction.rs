//! Minutes become hours, hours days, days months, and the profile stays what it was.

use super::*;

/// Rows of each table, from minutes to months.
fn rows(store: &Store) -> [i64; 4] {
    ["minutes", "hours", "days", "months"].map(|step| {
        store
            .read(|connection| {
                let sql = format!("SELECT count(*) FROM profile_{step}");
                connection.query_row(&sql, [], |row| row.get(0))
            })
            .expect("readable")
    })
}

#[test]
fn rows_become_coarser_with_age_and_sums_and_times_stay() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let enoent = loupe_common::errno::Errno::new(2).expect("an errno");
    for minute in 0..6 * 60_u64 {
        let mut one = delta(nginx("1"), &[("read", minute + 1)]);
        if minute % 7 == 0 {
            one.calls.extend(calls(&[("write", 1)]));
        }
        let read = one.calls.get_mut(&feature("read")).expect("there");
        read.errors.insert(enoent, 1);
        one.lost.calls = 1;
        one.starts = u64::from(minute == 100);
        minutes.record(&store, vec![one, delta(named("idle.service", 0), &[])]);
    }
    let before = store.profiles(&all()).expect("readable");
    assert_eq!(before[1].features[0].counts.errors, [(enoent, 360)].into());
    assert_eq!(rows(&store), [720, 0, 0, 0]);
    for (later_ms, expected) in [
        // Two hours of minutes stay.
        (0, [240, 8, 0, 0]),
        (3 * HOUR_MS, [0, 12, 0, 0]),
        (6 * DAY_MS, [0, 12, 0, 0]),
        (8 * DAY_MS, [0, 0, 2, 0]),
        (100 * DAY_MS, [0, 0, 2, 0]),
        (130 * DAY_MS, [0, 0, 0, 2]),
        (4000 * DAY_MS, [0, 0, 0, 2]),
    ] {
        store
            .compact_profiles(minutes.at_ms + later_ms)
            .expect("compacted");
        assert_eq!(rows(&store), expected, "{later_ms} ms later");
        assert_eq!(store.profiles(&all()).expect("readable"), before);
    }
    // What comes late finds its place.
    minutes.at_ms = NEW_YEAR_MS + 5 * MINUTE_MS;
    minutes.record(&store, vec![delta(nginx("1"), &[("read", 1)])]);
    store
        .compact_profiles(NEW_YEAR_MS + 4000 * DAY_MS)
        .expect("compacted");
    assert_eq!(rows(&store), [0, 0, 0, 2]);
    let read = &only_profile(
        &store,
        &ProfileQuery {
            name: Some("nginx".to_owned()),
            ..all()
        },
    )
    .features[0];
    assert_eq!(read.counts.calls, 360 * 361 / 2 + 1);
    assert_eq!(read.last_seen_ms, NEW_YEAR_MS + 6 * HOUR_MS);
}

#[test]
fn what_a_clock_put_into_the_future_waits_there() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    minutes.record(&store, vec![delta(nginx("1"), &[("read", 1)])]);
    minutes.at_ms += 400 * DAY_MS;
    minutes.record(&store, vec![delta(nginx("1"), &[("read", 1)])]);
    store
        .compact_profiles(NEW_YEAR_MS + DAY_MS)
        .expect("compacted");
    assert_eq!(rows(&store), [1, 1, 0, 0]);
    assert_eq!(only_profile(&store, &all()).features[0].counts.calls, 2);
}
