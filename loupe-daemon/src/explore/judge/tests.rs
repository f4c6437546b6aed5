//! What the judge says of features, by sets of replays.

use super::*;
use crate::explore::simulated::{App, Effect, SimFeature, baseline_of, run_of};

fn named(name: &str) -> Feature {
    name.parse().expect("a syscall")
}

const NAMES: [&str; 4] = ["brk", "getpid", "rseq", "uname"];

fn app() -> App {
    let works = SimFeature::always(Effect::Works, Effect::Works);
    let feature = |name: &str| (named(name), works.clone());
    App {
        features: NAMES.into_iter().map(feature).collect(),
        ..App::default()
    }
}

/// One replay without each of these sets, and what is then known of `brk`.
fn standing(app: &App, sets: &[&[&str]]) -> Result<Basis, Option<u32>> {
    let usual: Vec<Run> = (0..3)
        .map(|n| run_of(app, &Policy::baseline(), n, &[]))
        .collect();
    let baseline = baseline_of(&usual);
    let of = |names: &[&str]| {
        names
            .iter()
            .map(|name| named(name))
            .collect::<BTreeSet<_>>()
    };
    let run = |set: &&[&str]| {
        let rules = of(set).into_iter().map(|feature| (feature, Action::STUB));
        run_of(app, &rules.collect(), 0, &usual)
    };
    let runs: Vec<Run> = sets.iter().map(run).collect();
    let mut evidence = Evidence::new(&baseline, Action::STUB);
    for (set, run) in sets.iter().zip(&runs) {
        match set {
            [alone] => evidence.add_own(named(alone), Some(run)),
            _ => evidence.add_set(of(set), Ruling::of_passes(vec![run])),
        }
    }
    match evidence.standing(&named("brk")) {
        Standing::Works(finding) => Ok(finding.basis),
        Standing::Open { passes } => Err(Some(passes)),
        Standing::Alone => Err(None),
    }
}

#[test]
fn it_works_by_three_passes_that_no_other_feature_shares() {
    let three: [&[&str]; 3] = [&["brk", "getpid"], &["brk", "rseq"], &["brk", "uname"]];
    assert!(matches!(
        standing(&app(), &three),
        Ok(Basis::Implied { .. })
    ));
    assert_eq!(standing(&app(), &three[..2]), Err(Some(2)));
    let shared: [&[&str]; 3] = [
        &["brk", "getpid"],
        &["brk", "getpid", "rseq"],
        &["brk", "getpid", "uname"],
    ];
    assert_eq!(standing(&app(), &shared), Err(Some(3)));
    let with_own = [&["brk"][..], shared[0], shared[1]];
    assert!(standing(&app(), &with_own).is_ok());
}

#[test]
fn its_own_failure_outweighs_what_it_shares() {
    let mut app = app();
    let breaks = SimFeature::always(Effect::Breaks, Effect::Breaks);
    app.features.insert(named("brk"), breaks);
    assert_eq!(standing(&app, &[&["brk"], &["brk", "rseq"]]), Err(None));
}

#[test]
fn what_is_odd_counts_for_whom_another_member_or_replay_explains_it() {
    let mut app = app();
    let odd = |app: &mut App, name: &str| {
        app.features.get_mut(&named(name)).expect("used").missed = true;
    };
    odd(&mut app, "rseq");
    let three: [&[&str]; 3] = [&["brk", "getpid"], &["brk", "rseq"], &["brk", "uname"]];
    // Two of its replays are not odd.
    assert!(standing(&app, &three).is_ok());
    odd(&mut app, "getpid");
    odd(&mut app, "uname");
    assert_eq!(standing(&app, &three), Err(Some(0)));
    let with_others = [
        three[0],
        three[1],
        three[2],
        &["getpid"],
        &["rseq"],
        &["uname"],
    ];
    assert!(standing(&app, &with_others).is_ok());
    let with_own = [three[0], three[1], &["brk"]];
    assert!(standing(&app, &with_own).is_ok());
}

#[test]
fn what_never_fired_one_way_is_called_neither_stubbable_nor_required() {
    use Decision::*;
    assert_eq!(verdict_of(NotExercised, Works), Verdict::NotExercised);
    assert_eq!(verdict_of(Fails, NotExercised), Verdict::NotExercised);
    assert_eq!(verdict_of(NotExercised, Undecided), Verdict::NotExercised);
    assert_eq!(verdict_of(Undecided, Works), Verdict::Undecided);
    assert_eq!(verdict_of(Fails, Fails), Verdict::Required);
    assert_eq!(verdict_of(Works, Fails), Verdict::Stub);
    assert_eq!(verdict_of(Fails, Works), Verdict::Fake);
    assert_eq!(verdict_of(Works, Works), Verdict::Any);
}
