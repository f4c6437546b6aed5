//! Learning, stable, drift: as the store tells them over batches, restarts and upgrades.

use super::*;

/// Minutes in which the subject does the same.
fn quiet(minutes: &mut Minutes, store: &Store, subject: &Subject, count: u64) -> Vec<ProfileEvent> {
    (0..count)
        .flat_map(|_| minutes.record(store, vec![delta(subject.clone(), &[("read", 1)])]))
        .collect()
}

fn restart(subject: &Subject) -> Vec<SubjectDelta> {
    let mut started = delta(subject.clone(), &[("read", 1)]);
    started.starts = 1;
    vec![started]
}

fn only_happening(mut events: Vec<ProfileEvent>) -> Happening {
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0).what
}

/// Records what makes a profile stable.
fn make_stable(minutes: &mut Minutes, store: &Store, subject: &Subject) {
    let mut long = delta(subject.clone(), &[("read", 1)]);
    long.observed_ms = 6 * HOUR_MS;
    let steps = [
        restart(subject),
        vec![long],
        restart(subject),
        vec![delta(subject.clone(), &[("read", 1)])],
    ];
    let told: Vec<ProfileEvent> = steps
        .into_iter()
        .flat_map(|step| minutes.record(store, step))
        .collect();
    let last = told.last().map(|event| &event.what);
    assert_eq!(last, Some(&Happening::Stable));
}

#[test]
fn a_profile_is_stable_once_after_six_quiet_hours_and_a_restart() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let subject = nginx("1.24");
    minutes.record(&store, restart(&subject));
    assert_eq!(quiet(&mut minutes, &store, &subject, 370), [], "no restart");
    assert_eq!(minutes.record(&store, restart(&subject)), []);
    assert_eq!(only_profile(&store, &all()).maturity, Maturity::Learning);
    // The daemon is restarted in between: it goes on.
    drop(store);
    let store = scratch.open();
    let told = quiet(&mut minutes, &store, &subject, 1);
    assert_eq!(only_happening(told), Happening::Stable);
    let since_ms = minutes.at_ms;
    let maturity = only_profile(&store, &all()).maturity;
    assert_eq!(maturity, Maturity::Stable { since_ms });
    assert_eq!(quiet(&mut minutes, &store, &subject, 400), []);
    let summary = &store.profile_summaries(&all(), 0).expect("readable")[0];
    assert_eq!(summary.maturity, Maturity::Stable { since_ms });
}

#[test]
fn each_new_feature_of_a_stable_profile_is_one_drift() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let subject = nginx("1.24");
    make_stable(&mut minutes, &store, &subject);
    let odd = vec![delta(subject.clone(), &[("read", 1), ("ptrace", 1)])];
    let drift = Happening::Drift {
        feature: feature("ptrace"),
        before: None,
        now: Some("1.24".to_owned()),
    };
    assert_eq!(only_happening(minutes.record(&store, odd.clone())), drift);
    assert_eq!(minutes.record(&store, odd), [], "only once");
    let events = store.profile_events(&all()).expect("readable");
    assert_eq!(events.last().map(|event| &event.what), Some(&drift));
}

#[test]
fn after_an_upgrade_only_what_no_earlier_version_did_is_drift() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    make_stable(&mut minutes, &store, &nginx("1.24"));
    minutes.record(&store, vec![delta(nginx("1.24"), &[("brk", 1)])]);
    // Too short to know `brk`, and not stable itself.
    minutes.record(&store, vec![delta(nginx("1.25"), &[("read", 1)])]);
    let told = minutes.record(
        &store,
        vec![delta(
            nginx("1.26"),
            &[("read", 9), ("brk", 1), ("io_uring_setup", 1)],
        )],
    );
    let first = |name| Happening::FirstSeen {
        feature: feature(name),
    };
    let drift = Happening::Drift {
        feature: feature("io_uring_setup"),
        before: Some("1.25".to_owned()),
        now: Some("1.26".to_owned()),
    };
    let told: Vec<Happening> = told.into_iter().map(|event| event.what).collect();
    assert_eq!(told.len(), 3);
    for expected in [first("read"), first("brk"), drift] {
        assert!(told.contains(&expected), "{expected:?} {told:?}");
    }
    // Another executable of the unit, or another unit, is no later version.
    let other = Subject {
        executable: Executable {
            path: "/usr/bin/helper".to_owned(),
            ..nginx("1.26").executable
        },
        ..nginx("1.26")
    };
    let told = minutes.record(&store, vec![delta(other, &[("read", 1)])]);
    assert_eq!(only_happening(told), first("read"));
}

#[test]
fn an_operation_counts_as_a_feature_of_its_own() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut minutes = Minutes::from(NEW_YEAR_MS);
    let subject = nginx("1.24");
    let known = vec![delta(subject.clone(), &[("read", 1), ("fcntl", 1)])];
    minutes.record(&store, known);
    make_stable(&mut minutes, &store, &subject);
    let mut with = delta(subject, &[("fcntl", 1)]);
    with.operations = calls(&[("fcntl:F_SETFD", 1)]);
    let told = only_happening(minutes.record(&store, vec![with]));
    assert!(matches!(told, Happening::Drift { feature, .. } if feature.kind() == "operation"));
}
