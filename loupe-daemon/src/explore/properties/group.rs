//! Groups instead of single features: the same verdicts for fewer replays.

use std::collections::BTreeSet;

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::{app, feature, options, row, run};
use crate::explore::ExploreOptions;
use crate::explore::simulated::{App, Effect, Rescue, SimFeature, Simulator, Use};
use crate::explore::tally::Rule;

fn analyze(app: &App, exhaustive: bool, joint: bool) -> Analysis {
    let options = ExploreOptions {
        exhaustive,
        joint,
        ..options(2)
    };
    run(&Simulator::new(app, 1), &options).expect("measurable")
}

/// Syscalls that, stubbed, work in nearly every application of the data set.
const HARMLESS: [&str; 8] = [
    "brk",
    "set_robust_list",
    "set_tid_address",
    "rseq",
    "getpid",
    "geteuid",
    "prlimit64",
    "sched_yield",
];

fn named(name: &str) -> Feature {
    name.parse().expect("a syscall")
}

fn harmless_app() -> App {
    let works = SimFeature::always(Effect::Works, Effect::Works);
    let feature = |name: &&str| (named(name), works.clone());
    App {
        features: HARMLESS.iter().map(feature).collect(),
        dies: true,
        ..App::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The bound. Replays of features alone are some of those of the exhaustive analysis. Each
    /// way adds at most its groups, each twice and fewer than there are features, and the sets
    /// that are confirmed together: a binary tree over the features, each node with one replay
    /// or one rule's worth.
    #[test]
    fn groups_never_cost_more_than_a_known_number_of_replays(app in app(false)) {
        let exhaustive = analyze(&app, true, false);
        let grouped = analyze(&app, false, false);
        let features = app.features.len() as u64;
        let of_each_way = (features - 1) * (2 + u64::from(Rule::of_replicas(3).limit));
        prop_assert!(grouped.replays <= exhaustive.replays + 2 * of_each_way);
    }

    /// No other feature was left out in all of them.
    #[test]
    fn what_is_implied_rests_on_passes_that_no_other_feature_shares(app in app(false)) {
        let simulator = Simulator::new(&app, 1);
        let analysis = run(&simulator, &options(2)).expect("measurable");
        let log = simulator.log.lock().expect("no test thread has panicked");
        for row in &analysis.features {
            for (action, trial) in [(Action::STUB, &row.stub), (Action::Fake, &row.fake)] {
                let Basis::Implied { replay } = trial.basis else {
                    continue;
                };
                prop_assert_eq!(trial.works, Some(true));
                prop_assert!(trial.runs >= 3 && trial.passes == trial.runs);
                prop_assert!(trial.replays.contains(&replay));
                let mut shared: Option<BTreeSet<Feature>> = None;
                for id in &trial.replays {
                    let answered = log.answers.iter().find(|(request, _)| request.id() == *id);
                    let (request, outcome) = answered.expect("ids are of replays that were run");
                    prop_assert!(outcome.passed());
                    prop_assert_eq!(request.policy.get(&row.feature), Some(action));
                    let members = request.policy.iter().map(|(feature, _)| feature.clone());
                    let members: BTreeSet<Feature> = members.collect();
                    shared = Some(match shared {
                        None => members,
                        Some(shared) => shared.intersection(&members).cloned().collect(),
                    });
                }
                prop_assert_eq!(shared, Some(BTreeSet::from([row.feature.clone()])));
            }
        }
    }
}

/// Requests that stub something.
fn stubs(simulator: &Simulator<'_>) -> usize {
    let is_stub = |policy: &Policy| policy.iter().any(|(_, action)| action == Action::STUB);
    let requests = simulator.requests();
    requests
        .iter()
        .filter(|(policy, _)| is_stub(policy))
        .count()
}

/// What is needed early costs what it always does, and groups are not tried with it.
#[test]
fn what_keeps_the_application_from_starting_breaks_no_group() {
    let breaks = SimFeature::always(Effect::Breaks, Effect::Works);
    for culprit in HARMLESS {
        let mut app = App {
            starts_quickly: true,
            ..harmless_app()
        };
        app.features.insert(named(culprit), breaks.clone());
        let early = app.needs_early(&named(culprit));
        let simulator = Simulator::new(&app, 1);
        let analysis = run(&simulator, &without_joint()).expect("measurable");
        let found = row(&analysis, &named(culprit)).map(|row| row.verdict);
        assert_eq!(found, Some(Verdict::Fake));
        // Seven that work are worth five groups.
        let expected = if early { 5 + 2 } else { 5 + 2 + 3 };
        assert_eq!(stubs(&simulator), expected, "{culprit}");
    }
    let early = HARMLESS
        .iter()
        .filter(|name| harmless_app().needs_early(&named(name)));
    assert!((1..HARMLESS.len()).contains(&early.count()));
}

fn without_joint() -> ExploreOptions {
    ExploreOptions {
        joint: false,
        ..options(2)
    }
}

#[test]
fn features_that_probably_work_share_their_replays() {
    let app = harmless_app();
    let simulator = Simulator::new(&app, 1);
    let analysis = run(&simulator, &without_joint()).expect("measurable");
    // Eight features, each in three of five groups.
    assert_eq!(stubs(&simulator), 5);
    assert!(
        analysis
            .features
            .iter()
            .all(|row| row.verdict == Verdict::Any && row.stub.passes == 3)
    );
}

#[test]
fn a_culprit_costs_its_groups_once_more_and_its_own_replays() {
    for culprit in HARMLESS {
        let mut app = harmless_app();
        let sim = SimFeature::always(Effect::Breaks, Effect::Works);
        app.features.insert(named(culprit), sim);
        let simulator = Simulator::new(&app, 1);
        let analysis = run(&simulator, &without_joint()).expect("measurable");
        let found = row(&analysis, &named(culprit)).map(|row| row.verdict);
        assert_eq!(found, Some(Verdict::Fake));
        assert_eq!(stubs(&simulator), 5 + 2 + 3, "{culprit}");
    }
}

#[test]
fn one_that_complains_is_told_from_those_beside_it() {
    for complaining in HARMLESS {
        let mut app = harmless_app();
        let sim = SimFeature {
            missed: true,
            ..SimFeature::always(Effect::Works, Effect::Works)
        };
        app.features.insert(named(complaining), sim);
        let simulator = Simulator::new(&app, 1);
        let analysis = run(&simulator, &without_joint()).expect("measurable");
        for row in &analysis.features {
            let suspicious = row.feature == named(complaining);
            assert_eq!(row.verdict, Verdict::Any);
            assert_eq!(
                !row.stub.suspicious.is_empty(),
                suspicious,
                "{}",
                row.feature
            );
        }
        // It is the only one that is in all the groups that complain, so it alone must answer.
        assert_eq!(stubs(&simulator), 5 + 1, "{complaining}");
    }
}

fn stubs_of(names: &[&str]) -> Policy {
    let rule = |name: &&str| (named(name), Action::STUB);
    names.iter().map(rule).collect()
}

/// No member has to answer for it, so none is replayed alone.
#[test]
fn what_two_complain_of_only_together_is_held_against_neither() {
    let mut app = harmless_app();
    app.grudges.push(stubs_of(&["getpid", "rseq"]));
    let simulator = Simulator::new(&app, 1);
    let analysis = run(&simulator, &without_joint()).expect("measurable");
    let clean =
        |row: &FeatureVerdict| row.stub.works == Some(true) && row.stub.suspicious.is_empty();
    assert!(analysis.features.iter().all(clean));
    assert_eq!(stubs(&simulator), 5);
}

#[test]
fn what_breaks_the_application_only_together_works_alone() {
    let app = |pair: &[&str]| {
        let mut app = App {
            starts_quickly: true,
            ..harmless_app()
        };
        app.conflicts.push(stubs_of(pair));
        app
    };
    let early = |name: &&str| App::default().needs_early(&named(name));
    let early: Vec<&str> = HARMLESS.into_iter().filter(early).collect();
    let options = without_joint();
    let app = app(&early[..2]);
    let simulator = Simulator::new(&app, 1);
    let analysis = run(&simulator, &options).expect("measurable");
    let works = |row: &FeatureVerdict| row.verdict == Verdict::Any;
    assert!(analysis.features.iter().all(works));
}

#[test]
fn what_a_group_keeps_from_being_called_is_measured_alone() {
    let mut app = harmless_app();
    let masked = SimFeature {
        when: Use::Unless(named("brk")),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    app.features.insert(named("uname"), masked);
    let analysis = analyze(&app, false, false);
    let row = row(&analysis, &named("uname")).expect("used");
    assert_eq!(row.verdict, Verdict::Required);
    assert_eq!(row.basis, Basis::Measured);
}

#[test]
fn what_only_a_plan_b_makes_harmless_is_not_said_to_work() {
    let mut app = harmless_app();
    let plan_b = SimFeature {
        when: Use::InsteadOf(named("brk")),
        ..SimFeature::always(Effect::Works, Effect::Works)
    };
    app.features.insert(named("sysinfo"), plan_b);
    let rescued = SimFeature {
        rescued_by: Some(Rescue::Use(named("sysinfo"))),
        ..SimFeature::always(Effect::Breaks, Effect::Works)
    };
    app.features.insert(named("getppid"), rescued);
    let analysis = analyze(&app, false, false);
    let found = row(&analysis, &named("getppid")).map(|row| row.verdict);
    assert_eq!(found, Some(Verdict::Fake));
}

/// An application in which stubbing `brk` makes stubbing `set_robust_list` harmless, and shows in no
/// call. Two fakes that nothing can replace each quarrel with the stub of `brk`.
fn hidden_rescue() -> App {
    let mut app = harmless_app();
    let hidden = SimFeature {
        rescued_by: Some(Rescue::Stub(named("brk"))),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    app.features.insert(named("set_robust_list"), hidden);
    let brk = SimFeature::always(Effect::Works, Effect::Breaks);
    app.features.insert(named("brk"), brk);
    for name in ["close", "futex"] {
        let fake = SimFeature::always(Effect::Breaks, Effect::Works);
        app.features.insert(named(name), fake);
        let pair = [(named("brk"), Action::STUB), (named(name), Action::Fake)];
        app.conflicts.push(pair.into_iter().collect());
    }
    app
}

#[test]
fn a_rescue_that_shows_in_no_call_deceives_no_group() {
    let app = hidden_rescue();
    for exhaustive in [true, false] {
        let analysis = analyze(&app, exhaustive, true);
        let row = row(&analysis, &named("set_robust_list")).expect("used");
        assert_eq!(row.verdict, Verdict::Required);
        let joint = analysis.joint.expect("asked for");
        assert!(joint.implement.contains(&named("set_robust_list")));
    }
}

#[test]
fn fewer_replays_where_most_features_work() {
    let works = SimFeature::always(Effect::Works, Effect::Works);
    let breaks = SimFeature::always(Effect::Breaks, Effect::Breaks);
    let mut app = App {
        dies: true,
        ..App::default()
    };
    for index in 0..60 {
        let sim = if index % 6 == 0 { &breaks } else { &works };
        app.features.insert(feature(index), sim.clone());
    }
    let exhaustive = analyze(&app, true, false).replays;
    let grouped = analyze(&app, false, false).replays;
    assert!(2 * grouped < exhaustive, "{grouped} of {exhaustive}");
}

/// Each group with both fails, and none of its members does alone: its halves tell most of them apart.
#[test]
fn two_that_only_fail_together_do_not_have_all_of_their_groups_replayed_alone() {
    let file = |number: usize| format!("/proc/{number}x").parse().expect("a pseudo-file");
    let works = SimFeature::always(Effect::Works, Effect::Works);
    let mut app = App {
        watched: 2,
        features: (0..40)
            .map(|number| (file(number), works.clone()))
            .collect(),
        ..App::default()
    };
    let grouped = analyze(&app, false, false).replays;
    for [one, other] in [[1, 2], [7, 31], [12, 20]] {
        let pair = [one, other].map(|number| (file(number), Action::STUB));
        app.conflicts.push(pair.into_iter().collect());
    }
    let with_conflicts = analyze(&app, false, false).replays;
    assert!(with_conflicts <= 2 * grouped, "{with_conflicts} {grouped}");
}
