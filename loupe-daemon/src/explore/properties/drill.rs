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
        let rules = |features: &[Feature], action: Action| -> Vec<(Feature, Action)> {
            features.iter().map(|feature| (feature.clone(), action)).collect()
        };
        let mut policy = rules(&joint.stub, Action::STUB);
        policy.extend(rules(&joint.fake, Action::Fake));
        let policy: Policy = policy.into_iter().collect();
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
