//! What must hold of the analysis for every application, checked on simulated ones.

mod confidence;
mod crowd;
mod drill;
mod evidence;
mod group;
mod impact;
mod joint;
mod other_ways;
mod pseudo_files;
mod refused;
mod single;
mod size;

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use loupe_common::analysis::{Analysis, FeatureVerdict};
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use proptest::prelude::*;

use super::simulated::{App, Effect, Rescue, SimFeature, Simulator, Use};
use super::{ExploreError, ExploreOptions, Subject, analyze};

pub(crate) fn feature(index: usize) -> Feature {
    let (_, name) = Arch::X86_64.table()[index];
    name.parse().expect("names of the table are features")
}

fn options(jobs: usize) -> ExploreOptions {
    ExploreOptions {
        jobs,
        ..ExploreOptions::default()
    }
}

fn run(simulator: &Simulator<'_>, options: &ExploreOptions) -> Result<Analysis, ExploreError> {
    let subject = Subject {
        application: "app".to_owned(),
        workload: "load".to_owned(),
    };
    block_on(analyze(simulator, &subject, options, &|_| ()))
}

fn effect(flaky: bool) -> BoxedStrategy<Effect> {
    if flaky {
        prop_oneof![
            3 => Just(Effect::Works),
            3 => Just(Effect::Breaks),
            1 => (1u64..1000).prop_map(Effect::Flaky),
        ]
        .boxed()
    } else {
        prop_oneof![Just(Effect::Works), Just(Effect::Breaks)].boxed()
    }
}

/// A random application; `noisy` ones have flaky effects, features that come and go, and runs
/// that cannot be used.
pub(crate) fn app(noisy: bool) -> impl Strategy<Value = App> {
    let when = prop_oneof![
        6 => Just(None),
        1 => (0usize..12).prop_map(|first| Some(Use::InsteadOf(feature(first)))),
        1 => (0usize..12).prop_map(|first| Some(Use::Unless(feature(first)))),
        u32::from(noisy) => (1u64..1000).prop_map(|often| Some(Use::Sometimes(often))),
    ];
    let features = proptest::collection::vec(
        (
            (effect(noisy), effect(noisy)),
            when,
            (prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
            proptest::option::weighted(0.1, 0usize..24),
        ),
        1..24,
    );
    let unusable = if noisy { 0u64..100 } else { 0..1 };
    (features, unusable, any::<u64>(), any::<bool>()).prop_map(
        |(features, unusable, seed, dies)| {
            let whens: Vec<Option<Use>> = features.iter().map(|f| f.1.clone()).collect();
            let features = features
                .into_iter()
                .enumerate()
                .map(|(index, ((stub, fake), when, (silent, missed), rescue))| {
                    let when = when
                        // The first is always used, so that there is something to trace.
                        .filter(|_| index > 0)
                        // Only what is always used can make another superfluous.
                        .filter(|when| match when {
                            Use::Unless(first) => (0..whens.len())
                                .any(|other| feature(other) == *first && whens[other].is_none()),
                            _ => true,
                        })
                        .unwrap_or(Use::Always);
                    let sim = SimFeature {
                        stub,
                        fake,
                        when,
                        silent,
                        tolerates: None,
                        missed,
                        // A rescue that can be seen: something is used that was not used before.
                        rescued_by: rescue
                            .filter(|other| {
                                *other > 0
                                    && matches!(whens.get(*other), Some(Some(Use::InsteadOf(_))))
                            })
                            .map(|other| Rescue::Use(feature(other))),
                    };
                    (feature(index), sim)
                })
                .collect();
            App {
                features,
                conflicts: Vec::new(),
                grudges: Vec::new(),
                starts_quickly: (seed / 2).is_multiple_of(2),
                dies,
                hangs: false,
                flakes: 0,
                unusable,
                leaks: BTreeMap::new(),
                barely_works: BTreeSet::new(),
                watched: 0,
                is_short: false,
                breaks_under: None,
                refuses_filters: false,
                seed,
            }
        },
    )
}

fn row<'a>(analysis: &'a Analysis, feature: &Feature) -> Option<&'a FeatureVerdict> {
    analysis.features.iter().find(|row| row.feature == *feature)
}

/// `n` features: all of them can be stubbed, none faked.
pub(crate) fn plain_app(n: usize) -> App {
    let sim = SimFeature::always(Effect::Works, Effect::Breaks);
    App {
        features: (0..n).map(|index| (feature(index), sim.clone())).collect(),
        ..App::default()
    }
}
