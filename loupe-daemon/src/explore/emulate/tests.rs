//! What must hold of an emulation, whatever the application.

use futures::executor::block_on;
use loupe_common::syscalls::Arch;
use proptest::prelude::*;

use super::*;
use crate::explore::conflict::contains;
use crate::explore::simulated::{App, Effect, SimFeature, Simulator};

fn feature(index: usize) -> Feature {
    let (_, name) = Arch::X86_64.table()[index];
    name.parse().expect("names of the table are features")
}

fn app(effects: &[(Effect, Effect)], conflicts: &[(usize, usize)]) -> App {
    let features = effects.iter().enumerate();
    let stubbed = |index| (feature(index), Action::STUB);
    App {
        features: features
            .map(|(index, (stub, fake))| (feature(index), SimFeature::always(*stub, *fake)))
            .collect(),
        conflicts: conflicts
            .iter()
            .map(|(a, b)| [stubbed(*a), stubbed(*b)].into_iter().collect())
            .collect(),
        ..App::default()
    }
}

fn run(app: &App, policy: &Policy, all: bool) -> Emulated {
    let options = ExploreOptions {
        jobs: 3,
        ..ExploreOptions::default()
    };
    let simulator = Simulator::new(app, 1);
    block_on(emulate(&simulator, policy, all, &options, &|_| ())).expect("it can be measured")
}

/// Everything of this machine but these.
fn without(implemented: &[usize], action: Action) -> Policy {
    let kept: Vec<Feature> = implemented.iter().map(|index| feature(*index)).collect();
    let table = 0..Arch::X86_64.table().len();
    table
        .map(feature)
        .filter(|feature| !kept.contains(feature))
        .map(|feature| (feature, action))
        .collect()
}

const WORKS: (Effect, Effect) = (Effect::Works, Effect::Works);
const STUBS: (Effect, Effect) = (Effect::Works, Effect::Breaks);
const NEEDED: (Effect, Effect) = (Effect::Breaks, Effect::Breaks);

#[test]
fn what_an_os_lacks_is_named_and_what_it_may_lack_is_not() {
    let app = app(&[WORKS, NEEDED, STUBS, NEEDED], &[]);
    let passing = run(&app, &without(&[1, 3], Action::STUB), false);
    assert_eq!(passing.passed, Some(true));
    assert!(passing.complete && passing.broken.is_empty());
    assert_eq!(passing.answered.len(), 2);
    let failing = run(&app, &without(&[1], Action::STUB), false);
    assert_eq!(failing.passed, Some(false));
    assert_eq!(failing.broken.len(), 1);
    assert_eq!(failing.broken[0].feature, feature(3));
    assert!(failing.broken[0].with.is_empty());
    assert!(failing.failure.is_some());
    let faking = run(&app, &without(&[1, 3], Action::Fake), true);
    assert_eq!(faking.broken[0].feature, feature(2));
    assert!(faking.complete);
}

#[test]
fn all_that_is_lacking_is_found_when_it_is_asked_for() {
    let app = app(&[NEEDED, WORKS, NEEDED, NEEDED], &[]);
    let first = run(&app, &without(&[], Action::STUB), false);
    assert_eq!(first.broken.len(), 1);
    assert!(!first.complete);
    let all = run(&app, &without(&[], Action::STUB), true);
    let mut found: Vec<&Feature> = all.broken.iter().map(|one| &one.feature).collect();
    found.sort();
    assert_eq!(found.len(), 3);
    assert!(!found.contains(&&feature(1)));
    assert!(all.complete);
}

#[test]
fn two_that_are_fatal_together_are_told_together() {
    let app = app(&[WORKS, WORKS, WORKS], &[(0, 2)]);
    let failing = run(&app, &without(&[], Action::STUB), false);
    let broken = &failing.broken[0];
    assert_eq!(broken.with.len(), 1);
    let both: Policy = broken
        .with
        .iter()
        .map(|(feature, action)| (feature.clone(), action))
        .chain([(broken.feature.clone(), broken.action)])
        .collect();
    assert_eq!(both, app.conflicts[0]);
}

#[test]
fn an_os_that_does_everything_runs_everything() {
    let emulated = run(&app(&[NEEDED], &[]), &Policy::baseline(), true);
    assert_eq!((emulated.passed, emulated.complete), (Some(true), true));
}

fn any_effect() -> impl Strategy<Value = Effect> {
    prop_oneof![3 => Just(Effect::Works), 1 => Just(Effect::Breaks)]
}

proptest! {
    #[test]
    fn it_passes_where_nothing_breaks_it_and_what_is_blamed_does(
        effects in proptest::collection::vec((any_effect(), any_effect()), 3..12),
        conflicts in proptest::collection::vec((0_usize..3, 0_usize..3), 0..3),
        actions in proptest::collection::vec(proptest::option::of(any::<bool>()), 12),
    ) {
        let conflicts: Vec<(usize, usize)> =
            conflicts.into_iter().filter(|(a, b)| a != b).collect();
        let app = app(&effects, &conflicts);
        let policy: Policy = actions
            .iter()
            .enumerate()
            .filter_map(|(index, fake)| {
                let action = if (*fake)? { Action::Fake } else { Action::STUB };
                Some((feature(index), action))
            })
            .collect();
        let breaks = |policy: &Policy| {
            let rules: BTreeMap<Feature, Action> =
                policy.iter().map(|(feature, action)| (feature.clone(), action)).collect();
            let alone = rules.iter().any(|(feature, action)| {
                let sim = app.features.get(feature);
                sim.is_some_and(|sim| sim.effect(*action) == Effect::Breaks)
            });
            alone || app.conflicts.iter().any(|conflict| contains(policy, conflict))
        };
        let emulated = run(&app, &policy, true);
        prop_assert_eq!(emulated.passed, Some(!breaks(&policy)));
        prop_assert!(emulated.complete);
        let mut left = policy.clone();
        for broken in &emulated.broken {
            let mut rules = broken.with.clone();
            prop_assert!(!breaks(&rules), "{:?}", broken);
            rules.insert(broken.feature.clone(), broken.action);
            prop_assert!(breaks(&rules) && contains(&policy, &rules), "{:?}", broken);
            left.remove(&broken.feature);
        }
        prop_assert!(!breaks(&left), "{:?}", emulated.broken);
    }
}
