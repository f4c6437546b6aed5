//! Pseudo-files among the features: they are seen in some replays only, and get true verdicts and
//! a joint policy all the same.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::{app, effect, options, row, run};
use crate::explore::simulated::{App, SimFeature, Simulator};
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
    let files = proptest::collection::vec(
        proptest::option::weighted(0.7, (effect(false), effect(false))),
        FILES.len(),
    );
    (app(false), files, 1u32..4).prop_map(|(mut app, files, watched)| {
        for (name, file) in FILES.iter().zip(files) {
            if let Some((stub, fake)) = file {
                app.features
                    .insert(named(name), SimFeature::always(stub, fake));
            }
        }
        app.watched = watched;
        app
    })
}

fn replay(app: &App, policy: Policy) -> loupe_common::replay::Replay {
    app.replay(&Request { policy, replica: 0 })
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
        let used = replay(&app, Policy::baseline()).trace.calls;
        for file in FILES.map(named) {
            let works = |action| replay(&app, Policy::single(file.clone(), action)).outcome.passed();
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
        let rules = |features: &[Feature], action: Action| -> Vec<(Feature, Action)> {
            features.iter().map(|feature| (feature.clone(), action)).collect()
        };
        let mut policy = rules(&joint.stub, Action::STUB);
        policy.extend(rules(&joint.fake, Action::Fake));
        let policy: Policy = policy.into_iter().collect();
        prop_assert!(replay(&app, policy.clone()).outcome.passed());
        let implement: BTreeSet<&Feature> = joint.implement.iter().collect();
        for row in analysis.features.iter().filter(|row| row.feature.syscall().is_none()) {
            let left_out = policy.get(&row.feature).is_some();
            let unused = joint.unused.contains(&row.feature);
            prop_assert!(left_out != implement.contains(&row.feature) || unused, "{row:?}");
        }
    }
}
