//! The joint policy and the conflicts.

use std::collections::BTreeSet;

use loupe_common::analysis::{Analysis, Joint};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::Replay;
use proptest::prelude::*;

use super::crowd::{crowded, in_crowd};
use super::{app, feature, options, plain_app, run};
use crate::explore::conflict::contains;
use crate::explore::simulated::{App, Crowd, Effect, SimFeature, Simulator, Use};
use crate::explore::{Effort, ExploreOptions, Request};

/// What the simulated application does under a policy.
fn under(app: &App, policy: &Policy) -> Replay {
    app.replay(&Request::new(policy.clone(), 1000))
}

/// What must be implemented under a policy: what is used then and no rule reaches.
fn implement(app: &App, policy: &Policy) -> BTreeSet<Feature> {
    let calls = under(app, policy).trace.calls;
    calls
        .into_keys()
        .filter(|feature| policy.get(feature).is_none() || app.features[feature].silent)
        .collect()
}

fn analyze(app: &App, order: u64) -> (Analysis, Joint) {
    analyze_on(&Simulator::new(app, order), &options(2))
}

fn analyze_on(simulator: &Simulator<'_>, options: &ExploreOptions) -> (Analysis, Joint) {
    let mut analysis = run(simulator, options).expect("measurable");
    let joint = analysis.joint.take().expect("asked for");
    (analysis, joint)
}

/// Every policy that differs from this one in one feature.
fn neighbours(app: &App, policy: &Policy) -> Vec<Policy> {
    let mut neighbours = Vec::new();
    for (feature, sim) in &app.features {
        // No rule reaches a silent feature.
        if sim.silent {
            continue;
        }
        for action in [None, Some(Action::STUB), Some(Action::Fake)] {
            if action == policy.get(feature) {
                continue;
            }
            let mut neighbour = policy.clone();
            neighbour.remove(feature);
            if let Some(action) = action {
                neighbour.insert(feature.clone(), action);
            }
            neighbours.push(neighbour);
        }
    }
    neighbours
}

/// The least that any policy over these features leaves to implement, by trying all.
fn least_implemented(app: &App) -> usize {
    let mut policies = vec![Policy::baseline()];
    for feature in app.features.keys() {
        policies = policies
            .into_iter()
            .flat_map(|policy| {
                let with = |action| {
                    let mut policy = policy.clone();
                    policy.insert(feature.clone(), action);
                    policy
                };
                [with(Action::STUB), with(Action::Fake), policy]
            })
            .collect();
    }
    policies
        .iter()
        .filter(|policy| under(app, policy).outcome.passed())
        .map(|policy| implement(app, policy).len())
        .min()
        .expect("the empty policy passes")
}

/// An application with conflicts between rules that are harmless alone.
fn quarrelsome(features: std::ops::Range<usize>) -> impl Strategy<Value = App> {
    let effect = || prop_oneof![4 => Just(Effect::Works), 1 => Just(Effect::Breaks)];
    let features = proptest::collection::vec((effect(), effect()), features);
    let conflicts = proptest::collection::vec(
        proptest::collection::btree_map(0usize..20, any::<bool>(), 2..4),
        0..6,
    );
    (features, conflicts).prop_map(|(features, conflicts)| {
        let n = features.len();
        let action = |stub| if stub { Action::STUB } else { Action::Fake };
        App {
            features: features
                .into_iter()
                .enumerate()
                .map(|(index, (stub, fake))| (feature(index), SimFeature::always(stub, fake)))
                .collect(),
            conflicts: conflicts
                .into_iter()
                .map(|rules| {
                    rules
                        .into_iter()
                        .map(|(index, stub)| (feature(index % n), action(stub)))
                        .collect::<Policy>()
                })
                .filter(|rules| rules.len() > 1)
                .collect(),
            ..App::default()
        }
    })
}

fn check(app: &App, order: u64) -> Result<(Analysis, Joint), TestCaseError> {
    check_of(app, analyze(app, order))
}

fn check_of(
    app: &App,
    (analysis, joint): (Analysis, Joint),
) -> Result<(Analysis, Joint), TestCaseError> {
    let policy = joint.policy();
    prop_assert_eq!(joint.passes, joint.runs);
    prop_assert!(joint.passes >= 3);
    prop_assert!(under(app, &policy).outcome.passed(), "{policy} passes");
    // Closed: what is used is implemented, stubbed or faked, and nothing more is implemented.
    let left = implement(app, &policy);
    prop_assert_eq!(&left, &joint.implement.iter().cloned().collect());
    for neighbour in neighbours(app, &policy) {
        let worse = !under(app, &neighbour).outcome.passed()
            || implement(app, &neighbour).len() >= left.len();
        prop_assert!(worse, "{neighbour} is better than {policy}");
    }
    for conflict in &analysis.conflicts {
        prop_assert!(conflict.policy.len() > 1);
        prop_assert!(!under(app, &conflict.policy).outcome.passed());
        for (feature, _) in conflict.policy.iter() {
            let mut without = conflict.policy.clone();
            without.remove(feature);
            prop_assert!(under(app, &without).outcome.passed(), "{}", conflict.policy);
        }
    }
    Ok((analysis, joint))
}

/// With a rescue, more rules can make a failing policy pass.
fn without_rescues() -> impl Strategy<Value = App> {
    app(false).prop_map(|mut app| {
        let features = app.features.values_mut();
        features.for_each(|sim| sim.rescued_by = None);
        app
    })
}

/// Replays that are asked for at once, and those that confirm what is there, when the bound of a
/// search is reached.
fn most_beyond(app: &App) -> u64 {
    4 * app.features.len() as u64 + 12
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_search_that_ends_at_its_bound_ends_soon_and_with_what_is_true(
        app in quarrelsome(2..20),
        natives in 0u32..60,
        order: u64,
    ) {
        let bounded = |order: u64, joint: bool, effort: Effort| {
            let options = ExploreOptions { joint, effort, ..options(2) };
            run(&Simulator::new(&app, order), &options).expect("measurable")
        };
        let effort = Effort::Natives(natives);
        let analysis = bounded(order, true, effort);
        let joint = analysis.joint.clone().expect("asked for");
        prop_assert!(under(&app, &joint.policy()).outcome.passed());
        prop_assert!(joint.passes == joint.runs && joint.passes >= 3);
        let left = implement(&app, &joint.policy());
        prop_assert_eq!(&left, &joint.implement.iter().cloned().collect());
        let singles = bounded(order, false, effort).replays;
        let most = singles + u64::from(natives) + most_beyond(&app);
        prop_assert!(analysis.replays <= most, "{} of {most}", analysis.replays);
        let again = bounded(order.wrapping_add(1), true, effort);
        prop_assert_eq!(again.joint.as_ref(), Some(&joint));
        let unbounded = bounded(order, true, Effort::All);
        let best = unbounded.joint.expect("asked for");
        prop_assert_eq!(best.is_least, Some(true));
        prop_assert!(best.implement.len() <= joint.implement.len());
        if joint.is_least == Some(true) {
            prop_assert_eq!(best.implement, joint.implement);
        }
    }

    #[test]
    fn the_joint_policy_passes_and_is_closed_and_not_improvable(
        app in without_rescues(),
        order: u64,
    ) {
        check(&app, order)?;
    }

    #[test]
    fn so_it_is_where_steps_are_only_too_slow_in_a_crowd(
        app in without_rescues(),
        order: u64,
        jobs in 3usize..9,
        breaks in 0u64..700,
        works: bool,
    ) {
        let crowd = Crowd { breaks, works, ..Crowd::default() };
        let simulator = in_crowd(&app, order, crowd);
        check_of(&app, analyze_on(&simulator, &crowded(jobs, false)))?;
    }

    #[test]
    fn conflicts_are_true_and_minimal(app in quarrelsome(2..20), order: u64) {
        check(&app, order)?;
    }

    #[test]
    fn with_conflicts_no_policy_implements_less(app in quarrelsome(2..6), order: u64) {
        let (_, joint) = check(&app, order)?;
        prop_assert_eq!(joint.implement.len(), least_implemented(&app));
    }
}

#[test]
fn a_conflict_of_two_among_many_is_named_and_costs_one_feature() {
    let mut app = plain_app(40);
    let pair: Policy = [(feature(7), Action::STUB), (feature(31), Action::STUB)]
        .into_iter()
        .collect();
    app.conflicts.push(pair.clone());
    let simulator = Simulator::new(&app, 1);
    let options = ExploreOptions {
        exhaustive: true,
        ..options(2)
    };
    let analysis = run(&simulator, &options).expect("measurable");
    let joint = analysis.joint.expect("asked for");
    assert_eq!(joint.implement.len(), 1);
    let conflicts: Vec<&Policy> = analysis.conflicts.iter().map(|c| &c.policy).collect();
    assert_eq!(conflicts, [&pair]);
    // What fails together once is a step of the search; that it is a conflict takes one replay more, and
    // that the joint policy works two.
    let requests = simulator.requests();
    let of = |policy: &Policy| requests.iter().filter(|(of, _)| of == policy).count();
    assert_eq!(of(&pair), 2);
    assert_eq!(of(&joint.policy()), 3);
    // The first policy, two prefix searches (log2 of 40), both confirmed, the second policy.
    let singles = 3 + 40 * (3 + 2);
    assert!(
        analysis.replays <= singles + 1 + 2 * 7 + 2 + 3,
        "{}",
        analysis.replays
    );
}

/// A server that dies before its test does so in parts of the policy, too: what of these starts is not
/// tested.
#[test]
fn parts_of_what_fails_before_its_test_are_only_begun() {
    let mut app = App {
        starts_quickly: true,
        dies: true,
        ..plain_app(40)
    };
    let early = app.features.keys().filter(|it| app.needs_early(it));
    let pair: Policy = early
        .skip(4)
        .step_by(6)
        .take(2)
        .map(|feature| (feature.clone(), Action::STUB))
        .collect();
    assert_eq!(pair.len(), 2);
    app.conflicts.push(pair.clone());
    let simulator = Simulator::new(&app, 1);
    let analysis = run(&simulator, &options(2)).expect("measurable");
    let conflicts: Vec<&Policy> = analysis.conflicts.iter().map(|c| &c.policy).collect();
    assert_eq!(conflicts, [&pair]);
    let log = simulator.log.lock().expect("no test thread has panicked");
    let narrowing = log.starts.iter().map(|(request, _)| request);
    let narrowing: Vec<&Request> = narrowing
        .filter(|request| request.purpose == "narrows a conflict")
        .collect();
    assert!(!narrowing.is_empty());
    for request in narrowing {
        assert!(contains(&request.policy, &pair), "{:?}", request.policy);
    }
}

/// Where its workload does nothing, it is the host's speed that lets it pass or fail beside other rules.
#[test]
fn what_the_speed_of_the_host_decides_is_left_undecided() {
    let mut app = plain_app(40);
    let doubted = (feature(7), Action::Fake);
    let sim = SimFeature::always(Effect::Breaks, Effect::Works);
    app.features.insert(feature(7), sim);
    app.barely_works.insert(doubted.clone());
    let rules = [doubted.clone(), (feature(30), Action::STUB)];
    app.conflicts.push(rules.iter().cloned().collect());
    let narrows = |effort| {
        let options = ExploreOptions {
            effort,
            ..options(2)
        };
        let simulator = Simulator::new(&app, 1);
        let analysis = run(&simulator, &options).expect("measurable");
        let log = simulator.log.lock().expect("no test thread has panicked");
        let mut requests = log.starts.iter().map(|(request, _)| request);
        let narrows = requests.any(|request| request.purpose == "narrows a conflict");
        let joint = analysis.joint.expect("asked for");
        let undecided: Vec<_> = joint.undecided.iter().map(|(it, _)| it.clone()).collect();
        (narrows, undecided, joint.implement, joint.is_least)
    };
    let limited = narrows(Effort::AsMuchAgain { jobs: 2 });
    let expected = (false, vec![feature(7)], vec![feature(7)], Some(false));
    assert_eq!(limited, expected);
    // Who wants to know it all is told of a conflict.
    let (searches, undecided, _, is_least) = narrows(Effort::All);
    assert_eq!((searches, undecided, is_least), (true, vec![], Some(true)));
}

#[test]
fn a_rule_whose_fallback_costs_more_than_it_saves_is_not_used() {
    let mut app = plain_app(2);
    let needed = SimFeature {
        when: Use::InsteadOf(feature(0)),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    app.features.insert(feature(10), needed.clone());
    app.features.insert(feature(11), needed);
    let (_, joint) = analyze(&app, 1);
    assert_eq!(joint.implement, [feature(0)]);
    assert_eq!(joint.stub, [feature(1)]);
    assert_eq!(joint.fallbacks, []);
}

#[test]
fn what_a_stub_makes_superfluous_needs_no_implementation() {
    let mut app = plain_app(1);
    for index in [3, 4] {
        let needed = SimFeature {
            when: Use::Unless(feature(0)),
            ..SimFeature::always(Effect::Breaks, Effect::Breaks)
        };
        app.features.insert(feature(index), needed);
    }
    let plan_b = SimFeature {
        when: Use::InsteadOf(feature(0)),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    app.features.insert(feature(7), plan_b);
    let (analysis, joint) = analyze(&app, 1);
    assert_eq!(joint.implement, [feature(7)]);
    assert_eq!(joint.fallbacks, [feature(7)]);
    assert_eq!(joint.unused, [feature(3), feature(4)]);
    assert_eq!(analysis.conflicts, []);
}

#[test]
fn a_fallback_that_brings_another_one_is_left_out_with_it() {
    let mut app = plain_app(1);
    let works = |instead_of: usize, fake: Effect| SimFeature {
        when: Use::InsteadOf(feature(instead_of)),
        ..SimFeature::always(Effect::Works, fake)
    };
    // As glibc counts CPUs by one file, else by another, else by a syscall.
    app.features.insert(feature(7), works(0, Effect::Breaks));
    app.features.insert(feature(8), works(7, Effect::Works));
    // And a fallback that cannot be left out, so that all of them at once fail.
    let needed = SimFeature {
        when: Use::InsteadOf(feature(0)),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    let (_, joint) = analyze(&app, 1);
    assert_eq!(joint.implement, []);
    app.features.insert(
        feature(0),
        SimFeature::always(Effect::Works, Effect::Breaks),
    );
    app.features.insert(feature(5), needed);
    let (_, joint) = analyze(&app, 1);
    assert_eq!(joint.implement, [feature(5)]);
    assert_eq!(joint.fallbacks, [feature(5), feature(8), feature(7)]);
}

#[test]
fn an_application_that_needs_everything_has_the_empty_joint_policy() {
    let mut app = plain_app(0);
    let needed = SimFeature::always(Effect::Breaks, Effect::Breaks);
    app.features.insert(feature(0), needed);
    let (_, joint) = analyze(&app, 1);
    assert_eq!(joint.implement, [feature(0)]);
    assert_eq!((joint.runs, joint.passes), (3, 3));
}
