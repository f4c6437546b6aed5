//! Observed time and its gaps: over restarts, suspended hosts and clocks that are set.

use loupe_common::profile::Interval;
use proptest::prelude::*;

use super::*;

fn busy(minutes: &mut Minutes, store: &Store, count: u64) {
    for _ in 0..count {
        minutes.record(store, vec![delta(nginx("1"), &[("read", 1)])]);
    }
}

fn at(hours: u64, minutes: u64) -> u64 {
    NEW_YEAR_MS + hours * HOUR_MS + minutes * MINUTE_MS
}

#[test]
fn a_time_without_a_daemon_is_a_gap_and_no_observation() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    busy(&mut minutes, &store, 30);
    minutes.at_ms += 90 * MINUTE_MS;
    minutes.run = "boot-2";
    busy(&mut minutes, &store, 30);
    let observation = only_profile(&store, &all()).observation;
    assert_eq!(
        (observation.from_ms, observation.until_ms),
        (at(0, 0), at(2, 30))
    );
    assert_eq!(observation.observed_ms, HOUR_MS);
    let gap = Interval {
        from_ms: at(0, 30),
        until_ms: at(2, 0),
    };
    assert_eq!(observation.gaps, [gap]);
    // What is asked of a part of the time is told of that part.
    let observation = only_profile(&store, &since(at(1, 30))).observation;
    assert_eq!(
        (observation.from_ms, observation.until_ms),
        (at(1, 30), at(2, 30))
    );
    assert_eq!(observation.observed_ms, HOUR_MS / 2);
    let rest = Interval {
        from_ms: at(1, 30),
        ..gap
    };
    assert_eq!(observation.gaps, [rest]);
}

#[test]
fn windows_of_a_small_duty_are_observed_time_and_no_gaps() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    for minute in 0..40 {
        let mut windows = delta(nginx("1"), &[("read", 1)]);
        windows.observed_ms = [3_000, 0, 6_000, 3_000][minute % 4];
        minutes.record(&store, vec![windows]);
    }
    let observation = only_profile(&store, &all()).observation;
    assert_eq!(observation.observed_ms, 2 * MINUTE_MS);
    assert_eq!(observation.gaps, []);
}

#[test]
fn a_suspended_host_was_not_observed_meanwhile() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    busy(&mut minutes, &store, 2);
    let mut batch = minutes.next(vec![delta(nginx("1"), &[("read", 1)])]);
    batch.until_ms += 8 * HOUR_MS;
    minutes.at_ms = batch.until_ms;
    store.record_profiles(&batch).expect("recorded");
    busy(&mut minutes, &store, 2);
    let observation = only_profile(&store, &all()).observation;
    assert_eq!(observation.observed_ms, 5 * MINUTE_MS);
    let gap = Interval {
        from_ms: at(0, 2),
        until_ms: at(8, 2),
    };
    assert_eq!(observation.gaps, [gap]);
}

#[test]
fn a_clock_that_was_wrong_for_a_while_leaves_a_gap_that_closes() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    busy(&mut minutes, &store, 5);
    minutes.at_ms += 365 * DAY_MS;
    busy(&mut minutes, &store, 5);
    minutes.at_ms = at(0, 10);
    busy(&mut minutes, &store, 60);
    let profile = only_profile(&store, &all());
    assert_eq!(profile.observation.observed_ms, 70 * MINUTE_MS);
    assert_eq!(profile.features[0].counts.calls, 70);
    let gaps: Vec<(u64, u64)> = profile
        .observation
        .gaps
        .iter()
        .map(|gap| (gap.from_ms, gap.until_ms))
        .collect();
    let wrong_ms = at(0, 5) + 365 * DAY_MS;
    assert_eq!(gaps, [(at(0, 5), at(0, 10)), (at(1, 10), wrong_ms)]);
}

#[test]
fn a_part_of_the_time_begins_at_the_step_that_is_kept_of_it() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    minutes.record(&store, vec![delta(nginx("1"), &[("write", 1)])]);
    for _ in 0..9 * 24 {
        busy(&mut minutes, &store, 1);
        minutes.at_ms += HOUR_MS - MINUTE_MS;
    }
    minutes.at_ms -= HOUR_MS - MINUTE_MS;
    store.compact_profiles(minutes.at_ms).expect("compacted");
    let calls_since = |since_ms| {
        only_profile(&store, &since(since_ms)).features[0]
            .counts
            .calls
    };
    let end_ms = minutes.at_ms;
    assert_eq!(calls_since(end_ms - 5 * MINUTE_MS), 1);
    assert_eq!(calls_since(end_ms - 48 * HOUR_MS), 48, "by hours");
    // The first day is one row by now, which is in or out.
    assert_eq!(calls_since(NEW_YEAR_MS + 3 * HOUR_MS), 9 * 24);
    assert_eq!(calls_since(NEW_YEAR_MS + 24 * HOUR_MS), 8 * 24);
    let recent = only_profile(&store, &since(NEW_YEAR_MS + 24 * HOUR_MS));
    assert_eq!(recent.features.len(), 1, "`write` was not seen since");
    assert_eq!(
        recent.features[0].first_seen_ms,
        NEW_YEAR_MS + MINUTE_MS,
        "but is known"
    );
    let nothing = only_profile(&store, &since(end_ms + DAY_MS));
    assert_eq!(
        (nothing.features.len(), nothing.observation.observed_ms),
        (0, 0)
    );
}

/// A batch of one subject, at any time.
#[derive(Clone, Debug)]
struct Step {
    from_ms: u64,
    until_ms: u64,
    length_ms: u64,
    observed_ms: u64,
    calls: Vec<(&'static str, u64)>,
    compact_at_ms: Option<u64>,
}

const NAMES: &[&str] = &["read", "write", "futex", "/proc/self/maps"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Times that often meet, and some that are far away.
    let time = || {
        prop_oneof![
            (0_u64..40).prop_map(|at| NEW_YEAR_MS + at * MINUTE_MS / 2),
            (0_u64..300).prop_map(|at| NEW_YEAR_MS + at * 7 * HOUR_MS),
            0_u64..5_000_000_000_000,
        ]
    };
    let calls = prop::collection::vec((prop::sample::select(NAMES), 1_u64..1000), 0..4);
    let step = (
        time(),
        time(),
        0..200 * MINUTE_MS,
        0.0..=1.0_f64,
        calls,
        prop::option::of(time()),
    );
    let step = step.prop_map(
        |(from_ms, until_ms, length_ms, part, mut calls, compact_at_ms)| {
            calls.sort_unstable();
            calls.dedup_by_key(|(name, _)| *name);
            Step {
                from_ms,
                until_ms,
                length_ms,
                observed_ms: (length_ms as f64 * part) as u64,
                calls,
                compact_at_ms,
            }
        },
    );
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_the_clock_does_nothing_is_lost_or_counted_twice(steps in steps()) {
        let scratch = Scratch::new();
        let store = scratch.open();
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        let mut last_seen: BTreeMap<String, u64> = BTreeMap::new();
        let mut observed_ms = 0;
        for (sequence, step) in (1..).zip(&steps) {
            let mut one = delta(nginx("1"), &step.calls);
            one.observed_ms = step.observed_ms;
            let batch = ProfileBatch {
                run: "boot-1".to_owned(),
                sequence,
                from_ms: step.from_ms,
                until_ms: step.until_ms,
                length_ms: step.length_ms,
                subjects: vec![one],
                kept: None,
            };
            store.record_profiles(&batch).expect("recorded");
            observed_ms += step.observed_ms;
            for (name, calls) in &step.calls {
                *sums.entry((*name).to_owned()).or_default() += calls;
                let last = last_seen.entry((*name).to_owned()).or_default();
                *last = (*last).max(step.until_ms);
            }
            if let Some(at_ms) = step.compact_at_ms {
                let before = only_profile(&store, &all());
                store.compact_profiles(at_ms).expect("compacted");
                prop_assert_eq!(only_profile(&store, &all()), before);
            }
        }
        let profile = only_profile(&store, &all());
        let told: BTreeMap<String, u64> = calls_of(&profile).into_iter().collect();
        prop_assert_eq!(told, sums);
        for one in &profile.features {
            prop_assert_eq!(one.last_seen_ms, last_seen[&one.feature.to_string()]);
            prop_assert!(one.first_seen_ms <= one.last_seen_ms);
            prop_assert!(one.minutes >= 1 && one.minutes <= steps.len() as u64);
        }
        let observation = &profile.observation;
        prop_assert!(observation.observed_ms <= observed_ms);
        prop_assert!(observation.observed_ms <= observation.until_ms - observation.from_ms);
        let gaps = &observation.gaps;
        prop_assert!(gaps.len() <= 20);
        prop_assert!(gaps.iter().all(|gap| gap.from_ms < gap.until_ms));
        prop_assert!(gaps.windows(2).all(|pair| pair[0].until_ms < pair[1].from_ms));
        prop_assert!(gaps.iter().all(|gap| observation.from_ms <= gap.from_ms && gap.until_ms <= observation.until_ms));
        let summary = &store.profile_summaries(&all(), 0).expect("readable")[0];
        prop_assert_eq!(&summary.observation, observation);
        prop_assert_eq!(summary.features, profile.features.len() as u64);
    }
}
