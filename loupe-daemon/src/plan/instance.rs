//! Needs and a profile as sets of numbers, which is what the strategies work on.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;

use super::os::OsProfile;
use super::schedule::{Bits, Job};
use super::select::Named;

/// What one application still needs of the OS.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) weight: u64,
    /// To be implemented.
    pub(super) required: Bits,
    /// To fail, or to be implemented.
    pub(super) stub: Bits,
    /// To be faked, or to be implemented.
    pub(super) fake: Bits,
    /// What the application works with either way; the plan stubs it and says so.
    pub(super) any: Bits,
}

/// Everything that the OS does not implement and some application uses.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// By number; sorted.
    pub(super) features: Vec<Feature>,
    pub(super) apps: Vec<App>,
    pub(super) names: Vec<String>,
    /// What the OS fakes.
    pub(super) faked: Bits,
    /// What the OS says it stubs.
    pub(super) stubbed: Bits,
}

impl Instance {
    pub(super) fn new(
        profile: &OsProfile,
        needs: &[Named],
        weights: &BTreeMap<String, u64>,
    ) -> Instance {
        let features: Vec<Feature> = needs
            .iter()
            .flat_map(|named| &named.need.used)
            .filter(|feature| !profile.implement.contains(*feature))
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let bits = |set: &BTreeSet<Feature>| -> Bits {
            set.iter()
                .filter_map(|feature| features.binary_search(feature).ok())
                .collect()
        };
        let apps = needs
            .iter()
            .map(|Named { name, need }| App {
                weight: weights.get(name).copied().unwrap_or(1),
                required: bits(&need.required),
                stub: bits(&need.stub_only),
                fake: bits(&need.fake_only),
                any: bits(&need.any),
            })
            .collect();
        Instance {
            apps,
            names: needs.iter().map(|named| named.name.clone()).collect(),
            faked: bits(&profile.fake),
            stubbed: bits(&profile.stub),
            features,
        }
    }

    /// What must be implemented for each application, conflicts aside.
    pub(super) fn required(&self) -> Vec<Job> {
        let job = |app: &App| Job {
            weight: app.weight,
            wants: app.required.clone(),
        };
        self.apps.iter().map(job).collect()
    }

    pub(super) fn named(&self, set: &Bits) -> Vec<Feature> {
        set.iter().map(|bit| self.features[bit].clone()).collect()
    }

    /// Features that some applications need failing and others succeeding.
    pub(super) fn disputed(&self) -> Vec<usize> {
        let wanted = |set: fn(&App) -> &Bits| {
            let mut all = Bits::default();
            for app in &self.apps {
                all.extend(set(app));
            }
            all
        };
        let (stub, fake) = (wanted(|app| &app.stub), wanted(|app| &app.fake));
        stub.iter()
            .filter(|bit| fake.contains(*bit) || self.faked.contains(*bit))
            .collect()
    }
}
