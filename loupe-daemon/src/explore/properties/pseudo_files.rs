//! Pseudo-files among the features: they are seen in some replays only, and get true verdicts and
//! a joint policy all the same.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::{app, effect, feature, options, plain_app, row, run};
use crate::explore::simulated::{App, Effect, SimFeature, Simulator, Use};
use crate::explore::{ExploreOptions, Request};

const FILES: [&str; 6] = [
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/self/maps",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu/online",
];

fn named(name: &str) -> Feature {
    name.parse().expect("a feature")
}

fn app_with_files() -> impl Strategy<Value = App> {
    // Some of them are a plan B: of a syscall, or of another file.
    let when = prop_oneof![
        3 => Just(None),
        1 => (0usize..12).prop_map(|first| Some(feature(first))),
        1 => (0usize..FILES.len()).prop_map(|first| Some(named(FILES[first]))),
    ];
    let files = proptest::collection::vec(
        proptest::option::weighted(0.7, (effect(false), effect(false), when)),
        FILES.len(),
    );
    (app(false), files, 1u32..4, any::<bool>()).prop_map(|(mut app, files, watched, short)| {
        for (name, file) in FILES.iter().zip(files) {
            if let Some((stub, fake, instead_of)) = file {
                let mut file = SimFeature::always(stub, fake);
                if let Some(first) = instead_of.filter(|first| *first != named(name)) {
                    file.when = Use::InsteadOf(first);
                }
                app.features.insert(named(name), file);
            }
        }
        app.watched = watched;
        app.is_short = short;
        app
    })
}

/// What the application does under a policy, seen with its pseudo-files.
fn watched(app: &App, policy: Policy) -> loupe_common::replay::Replay {
    app.replay(&Request {
        watch: true,
        ..Request::new(policy, 0)
    })
}

fn is_file(feature: &&Feature) -> bool {
    feature.syscall().is_none()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pseudo_files_get_their_true_verdicts(
        app in app_with_files(),
        order: u64,
        jobs in 1usize..5,
        exhaustive: bool,
    ) {
        let options = ExploreOptions { exhaustive, ..options(jobs) };
        let analysis = run(&Simulator::new(&app, order), &options).expect("measurable");
        prop_assert!(analysis.pseudo_files);
        let used = watched(&app, Policy::baseline()).trace.calls;
        for file in FILES.map(named) {
            let works = |action| watched(&app, Policy::single(file.clone(), action)).outcome.passed();
            let truth = Verdict::from_works(works(Action::STUB), works(Action::Fake));
            let expected = used.contains_key(&file).then_some(truth);
            let found = row(&analysis, &file);
            prop_assert_eq!(found.map(|row| row.verdict), expected, "{}", file);
            if let Some(row) = found {
                // No verdict without an answer.
                prop_assert!(row.stub.injections > 0 && row.fake.injections > 0, "{}", file);
            }
        }
    }

    #[test]
    fn the_joint_policy_accounts_for_every_pseudo_file(app in app_with_files(), order: u64) {
        let analysis = run(&Simulator::new(&app, order), &options(3)).expect("measurable");
        let joint = analysis.joint.as_ref().expect("asked for");
        let policy = joint.policy();
        prop_assert!(watched(&app, policy.clone()).outcome.passed());
        let implement: BTreeSet<&Feature> = joint.implement.iter().collect();
        for row in analysis.features.iter().filter(|row| row.feature.syscall().is_none()) {
            let left_out = policy.get(&row.feature).is_some();
            let unused = joint.unused.contains(&row.feature);
            prop_assert!(left_out != implement.contains(&row.feature) || unused, "{row:?}");
        }
        // Closed under fallbacks: each file that is used then is left out or to be implemented.
        for file in watched(&app, policy.clone()).trace.calls.keys().filter(is_file) {
            prop_assert!(policy.get(file).is_some() || implement.contains(file), "{file}");
        }
    }

    #[test]
    fn the_order_of_completion_does_not_show_where_files_are_looked_for(
        app in app_with_files(),
        orders: [u64; 2],
    ) {
        let analyze = |jobs, order| {
            let analysis = run(&Simulator::new(&app, order), &options(jobs)).expect("measurable");
            (analysis.features, analysis.joint, analysis.conflicts, analysis.fallbacks)
        };
        prop_assert_eq!(analyze(1, orders[0]), analyze(4, orders[1]));
    }

    #[test]
    fn files_are_found_that_a_syscall_stubbed_makes_appear(
        app in app_with_files(),
        order: u64,
        exhaustive: bool,
    ) {
        let options = ExploreOptions { exhaustive, ..options(2) };
        let analysis = run(&Simulator::new(&app, order), &options).expect("measurable");
        let found: BTreeSet<_> = analysis
            .fallbacks
            .iter()
            .filter(|edge| is_file(&&edge.appears))
            .map(|edge| (edge.feature.clone(), edge.action, edge.appears.clone(), edge.passed))
            .collect();
        let baseline = watched(&app, Policy::baseline()).trace.calls;
        let mut expected = BTreeSet::new();
        for cause in baseline.keys().filter(|cause| !app.features[*cause].silent) {
            for action in [Action::STUB, Action::Fake] {
                let replay = watched(&app, Policy::single(cause.clone(), action));
                let passed = replay.outcome.passed();
                let files = replay.trace.calls.into_keys().filter(|file| is_file(&file));
                let new = files.filter(|file| !baseline.contains_key(file));
                expected.extend(new.map(|new| (cause.clone(), action, new, passed)));
            }
        }
        // Where watching takes long, only what the joint policy turns to is found.
        if app.is_short {
            prop_assert!(found.is_subset(&expected), "{found:?} {expected:?}");
            let joint = analysis.joint.as_ref().expect("asked for");
            let policy = joint.policy();
            expected.retain(|(cause, action, appears, _)| {
                policy.get(cause) == Some(*action) && joint.fallbacks.contains(appears)
            });
            prop_assert!(expected.is_subset(&found), "{found:?} {expected:?}");
        } else {
            prop_assert_eq!(found, expected);
        }
    }
}

/// `getrandom` and `/dev/urandom`: one of them is needed.
#[test]
fn a_file_that_a_stub_makes_indispensable_is_in_the_joint_policy() {
    for is_short in [false, true] {
        one_of_two_is_needed(is_short);
    }
}

fn one_of_two_is_needed(is_short: bool) {
    let (cause, file) = (feature(3), named("/dev/urandom"));
    let mut app = plain_app(20);
    (app.watched, app.is_short) = (2, is_short);
    let needed = SimFeature {
        when: Use::InsteadOf(cause.clone()),
        ..SimFeature::always(Effect::Breaks, Effect::Breaks)
    };
    app.features.insert(file.clone(), needed);
    let analysis = run(&Simulator::new(&app, 1), &options(2)).expect("measurable");
    let edge = &analysis.fallbacks[0];
    assert_eq!(
        (&edge.feature, &edge.appears, edge.passed),
        (&cause, &file, true)
    );
    let joint = analysis.joint.expect("asked for");
    assert_eq!(joint.implement, std::slice::from_ref(&file));
    assert_eq!(joint.fallbacks, [file]);
}
