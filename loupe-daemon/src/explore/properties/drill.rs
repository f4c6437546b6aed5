//! Below the syscall: which operations are measured, what is said of them, and the joint policy
//! at their depth.

use std::collections::BTreeSet;

use loupe_common::analysis::Analysis;
use loupe_common::feature::{Depth, Feature};
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::{app, effect, options, row, run};
use crate::explore::simulated::{App, Effect, SimFeature, Simulator, Use};
use crate::explore::{ExploreOptions, Request};

fn named(name: &str) -> Feature {
    name.parse().expect("a feature")
}

/// Operations of two syscalls.
const OPERATIONS: [&str; 7] = [
    "fcntl:F_DUPFD",
    "fcntl:F_GETFL",
    "fcntl:F_SETFD",
    "fcntl:F_SETFL",
    "ioctl:FIONBIO",
    "ioctl:TCGETS",
    "ioctl:0xdead",
];

/// An application that uses operations, too.
fn deep_app() -> impl Strategy<Value = App> {
    let parts = proptest::collection::vec(
        proptest::option::weighted(0.7, (effect(false), effect(false), 0u8..8)),
        OPERATIONS.len(),
    );
    (app(false), parts).prop_map(|(mut app, parts)| {
        app.features
            .retain(|feature, _| ![named("fcntl"), named("ioctl")].contains(feature));
        for (name, part) in OPERATIONS.iter().zip(parts) {
            let Some((stub, fake, when)) = part else {
                continue;
            };
            let part = named(name);
            let parent = part.parent().expect("an operation");
            let whole = SimFeature::always(Effect::Works, Effect::Works);
            app.features.insert(parent, whole);
            let mut sim = SimFeature::always(stub, fake);
            // Now and then one operation is the plan B of another.
            if when == 0 && *name == "fcntl:F_DUPFD" {
                sim.when = Use::InsteadOf(named("fcntl:F_SETFD"));
            }
            app.features.insert(part, sim);
        }
        app
    })
}

fn without(app: &App, feature: &Feature, action: Action) -> bool {
    let policy = Policy::single(feature.clone(), action);
    let replay = app.replay(&Request::new(policy, 0));
    replay.outcome.passed()
}

fn truth(app: &App, feature: &Feature) -> Verdict {
    let works = |action| without(app, feature, action);
    Verdict::from_works(works(Action::STUB), works(Action::Fake))
}

fn parts(analysis: &Analysis) -> impl Iterator<Item = &Feature> {
    let rows = analysis.features.iter().map(|row| &row.feature);
    rows.filter(|feature| feature.parent().is_some())
}

/// The baseline uses it.
fn is_used(app: &App, feature: &Feature) -> bool {
    let policy = Policy::baseline();
    let replay = app.replay(&Request::new(policy, 0));
    replay.trace.counts(feature).is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn operations_of_required_syscalls_get_their_true_verdicts_and_no_others_any(
        app in deep_app(),
        order: u64,
        jobs in 1usize..5,
        exhaustive: bool,
    ) {
        let options = ExploreOptions { exhaustive, ..options(jobs) };
        let analysis = run(&Simulator::new(&app, order), &options).expect("measurable");
        for feature in app.features.keys().filter(|feature| feature.parent().is_some()) {
            let parent = feature.parent().expect("an operation");
            let parent = row(&analysis, &parent).map(|row| row.verdict);
            let expected = (parent == Some(Verdict::Required) && is_used(&app, feature))
                .then(|| truth(&app, feature));
            let found = row(&analysis, feature).map(|row| row.verdict);
            prop_assert_eq!(found, expected, "{}", feature);
        }
        // Each behind its parent.
        let mut last = None;
        for row in &analysis.features {
            match row.feature.parent() {
                None => last = Some(row.feature.clone()),
                parent => {
                    prop_assert_eq!(&parent, &last);
                    prop_assert_eq!(row.kind.as_str(), "operation");
                }
            }
        }
    }

    #[test]
    fn the_joint_policy_passes_and_everything_else_is_to_be_implemented(
        app in deep_app(),
        order: u64,
        other_order: u64,
    ) {
        let analysis = run(&Simulator::new(&app, order), &options(3)).expect("measurable");
        let joint = analysis.joint.as_ref().expect("asked for");
        let policy = joint.policy();
        let replay = app.replay(&Request::new(policy.clone(), 0));
        prop_assert!(replay.outcome.passed());
        // No call that the policy lets through is of something that need not be implemented.
        let implement: BTreeSet<&Feature> = joint.implement.iter().collect();
        let by_part = |parent: &Feature| {
            joint.implement.iter().any(|part| part.parent().as_ref() == Some(parent))
        };
        let answered = |feature: &Feature| {
            replay.injections.get(feature).is_some_and(|times| *times > 0)
        };
        for feature in replay.trace.calls.keys().filter(|feature| !answered(feature)) {
            prop_assert!(implement.contains(feature) || by_part(feature), "{}", feature);
        }
        for feature in replay.trace.operations.keys().filter(|feature| !answered(feature)) {
            let parent = feature.parent().expect("an operation");
            let whole = implement.contains(&parent) || answered(&parent);
            prop_assert!(implement.contains(feature) || whole, "{}", feature);
        }
        // What can be left out alone, and is not, cannot be added.
        for part in parts(&analysis).filter(|part| implement.contains(part)) {
            for action in [Action::STUB, Action::Fake] {
                let mut more = policy.clone();
                more.insert(part.clone(), action);
                let replay = app.replay(&Request::new(more, 0));
                let new = |feature: &Feature| !app_uses(&app, &policy, feature);
                let more_to_do = replay.trace.operations.keys().any(new)
                    || replay.trace.calls.keys().any(new);
                prop_assert!(!replay.outcome.passed() || more_to_do, "{} {}", action, part);
            }
        }
        let again = run(&Simulator::new(&app, other_order), &options(1)).expect("measurable");
        prop_assert_eq!(&again.joint, &analysis.joint);
        prop_assert_eq!(&again.features, &analysis.features);
    }

    #[test]
    fn at_the_depth_of_syscalls_nothing_is_opened(app in deep_app(), order: u64) {
        let options = ExploreOptions { depth: Depth::Syscall, ..options(2) };
        let simulator = Simulator::new(&app, order);
        let analysis = run(&simulator, &options).expect("measurable");
        prop_assert_eq!(parts(&analysis).count(), 0);
        let requests = simulator.requests();
        let mut rules = requests.iter().flat_map(|(policy, _)| policy.iter());
        prop_assert!(rules.all(|(feature, _)| feature.parent().is_none()));
    }
}

fn app_uses(app: &App, policy: &Policy, feature: &Feature) -> bool {
    let replay = app.replay(&Request::new(policy.clone(), 0));
    replay.trace.counts(feature).is_some()
}

/// A deep application with conflicts between rules that are harmless alone: of operations with
/// each other, and with syscalls.
fn quarrelsome() -> impl Strategy<Value = App> {
    let rules = proptest::collection::btree_map(0usize..12, any::<bool>(), 2..4);
    (deep_app(), proptest::collection::vec(rules, 1..5)).prop_map(|(mut app, conflicts)| {
        // With a rescue, more rules can make a failing policy pass.
        app.features
            .values_mut()
            .for_each(|sim| sim.rescued_by = None);
        let names: Vec<Feature> = app.features.keys().cloned().collect();
        let operations: Vec<Feature> = OPERATIONS.map(named).to_vec();
        let pick = |index: usize| match operations.get(index) {
            Some(operation) => operation.clone(),
            None => names[index % names.len()].clone(),
        };
        let action = |stub| if stub { Action::STUB } else { Action::Fake };
        let conflicts = conflicts.into_iter().map(|rules| -> Policy {
            let rules = rules.into_iter();
            rules
                .map(|(index, stub)| (pick(index), action(stub)))
                .collect()
        });
        app.conflicts = conflicts.filter(|rules| rules.len() > 1).collect();
        app
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn conflicts_of_operations_are_true_and_minimal(app in quarrelsome(), order: u64) {
        let simulator = Simulator::new(&app, order);
        let analysis = run(&simulator, &options(2)).expect("measurable");
        let passes = |policy: &Policy| {
            app.replay(&Request::new(policy.clone(), 0)).outcome.passed()
        };
        for conflict in analysis.conflicts.iter().map(|conflict| &conflict.policy) {
            prop_assert!(conflict.len() > 1 && !passes(conflict), "{}", conflict);
            for (feature, _) in conflict.iter() {
                let mut without = conflict.clone();
                without.remove(feature);
                prop_assert!(passes(&without), "{}", conflict);
            }
        }
        let joint = analysis.joint.as_ref().expect("asked for");
        prop_assert_eq!(joint.passes, joint.runs);
        prop_assert!(passes(&joint.policy()));
        // Few replays for each: none of this grows with the number of pairs.
        let rules = 2 * app.features.len() as u64;
        let enough = rules * 5 + (analysis.conflicts.len() as u64 + 1) * 40 + 20 * rules;
        prop_assert!(analysis.replays <= enough, "{} replays", analysis.replays);
    }
}

/// Sixteen operations can be stubbed; two of them not both, and a third not with a syscall.
#[test]
fn the_conflicts_of_operations_are_named_and_cost_one_each() {
    let stub = || SimFeature::always(Effect::Works, Effect::Breaks);
    let mut app = App::default();
    app.features.insert(named("read"), stub());
    let commands = [
        "FIONBIO",
        "TCGETS",
        "TCSETS",
        "TIOCGWINSZ",
        "FIONREAD",
        "TIOCGPGRP",
    ];
    let named_ones = commands.map(|name| named(&format!("ioctl:{name}")));
    let others = (0xdead00..0xdead0a).map(|number| named(&format!("ioctl:{number:#x}")));
    for part in named_ones.into_iter().chain(others) {
        app.features.insert(part, stub());
    }
    let needed = SimFeature::always(Effect::Breaks, Effect::Breaks);
    app.features.insert(named("ioctl:0xbeef"), needed);
    app.features.insert(
        named("ioctl"),
        SimFeature::always(Effect::Works, Effect::Works),
    );
    let conflict = |a: &str, b: &str| -> Policy {
        [a, b]
            .map(|name| (named(name), Action::STUB))
            .into_iter()
            .collect()
    };
    app.conflicts = vec![
        conflict("ioctl:FIONBIO", "ioctl:TCGETS"),
        conflict("ioctl:0xdead03", "read"),
    ];
    let analysis = run(&Simulator::new(&app, 1), &options(2)).expect("measurable");
    let found: BTreeSet<&Policy> = analysis.conflicts.iter().map(|it| &it.policy).collect();
    assert_eq!(found, app.conflicts.iter().collect());
    let joint = analysis.joint.expect("asked for");
    assert_eq!(joint.stub.len(), 1 + 16 - 2, "{joint:?}");
    // The syscall stays out.
    assert!(joint.stub.contains(&named("read")));
    assert!(joint.implement.contains(&named("ioctl:0xdead03")));
}

/// The finding that the drill-down is for.
#[test]
fn a_required_syscall_of_which_one_operation_is_needed() {
    let part = |stub, fake| SimFeature::always(stub, fake);
    let app = App {
        features: [
            (named("fcntl"), part(Effect::Works, Effect::Works)),
            (named("fcntl:F_GETFL"), part(Effect::Breaks, Effect::Breaks)),
            (named("fcntl:F_SETFD"), part(Effect::Breaks, Effect::Works)),
            (named("read"), part(Effect::Breaks, Effect::Breaks)),
        ]
        .into(),
        ..App::default()
    };
    let analysis = run(&Simulator::new(&app, 1), &options(2)).expect("measurable");
    let verdicts: Vec<(String, Verdict)> = analysis
        .features
        .iter()
        .map(|row| (row.feature.to_string(), row.verdict))
        .collect();
    let expected = [
        ("fcntl", Verdict::Required),
        ("fcntl:F_GETFL", Verdict::Required),
        ("fcntl:F_SETFD", Verdict::Fake),
        ("read", Verdict::Required),
    ];
    assert_eq!(
        verdicts,
        expected.map(|(name, verdict)| (name.to_owned(), verdict))
    );
    let joint = analysis.joint.expect("asked for");
    assert_eq!(joint.implement, [named("read"), named("fcntl:F_GETFL")]);
    assert_eq!(joint.fake, [named("fcntl:F_SETFD")]);
    assert_eq!((joint.runs, joint.passes), (3, 3));
}
