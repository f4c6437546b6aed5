//! Needs and a profile as sets of numbers, which is what the strategies work on.
//!
//! Where some application asks for a syscall as a whole, so does every other that lacks a required
//! part of it. So nothing that is to be implemented is a part of something else, and the strategies
//! can count.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;

use super::need::{Answer, Need};
use super::os::{OsProfile, parts};
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
    /// What ends its callers.
    pub(super) killed: Bits,
    /// Of a syscall its parts, and of a part its syscall, where both are features.
    related: BTreeMap<usize, Bits>,
    /// Of a syscall its parts.
    parts: BTreeMap<usize, Bits>,
}

/// The classes of a need, of what the OS lacks.
struct Asked {
    required: BTreeSet<Feature>,
    stub: BTreeSet<Feature>,
    fake: BTreeSet<Feature>,
    any: BTreeSet<Feature>,
}

impl Asked {
    /// `whole`: syscalls that are to be implemented as a whole.
    fn of(need: &Need, profile: &OsProfile, needs: &[Named], whole: &BTreeSet<Feature>) -> Asked {
        let lacks = |feature: &&Feature| profile.answer(feature) != Answer::Implement;
        let required = need.required.iter().filter(|one| !profile.implements(one));
        let as_asked = |feature: &Feature| match feature.parent() {
            Some(parent) if whole.contains(&parent) => parent,
            _ => feature.clone(),
        };
        let mut required: BTreeSet<Feature> = required.map(as_asked).collect();
        required.extend(in_part(need, profile, needs).cloned());
        let is_apart = |feature: &&Feature| {
            let parent = feature.parent();
            !required.contains(feature) && parent.is_none_or(|parent| !required.contains(&parent))
        };
        let class = |class: &BTreeSet<Feature>| -> BTreeSet<Feature> {
            let lacked = class.iter().filter(lacks);
            lacked.filter(is_apart).cloned().collect()
        };
        let [stub, fake, any] = [&need.stub_only, &need.fake_only, &need.any].map(class);
        Asked {
            required,
            stub,
            fake,
            any,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Feature> {
        let classes = [&self.required, &self.stub, &self.fake, &self.any];
        classes.into_iter().flatten()
    }
}

/// Syscalls that need not be implemented, but where the profile has another answer to some of their
/// operations that is none of those that would do; or where it ends its callers, and others need some
/// of the operations faked. Only an implementation serves everybody.
fn in_part<'a>(
    need: &'a Need,
    profile: &'a OsProfile,
    needs: &'a [Named],
) -> impl Iterator<Item = &'a Feature> {
    let is_parted = |whole: &Feature| {
        let mut used = needs.iter().flat_map(|named| parts(&named.need.used));
        used.any(|part| part.parent().as_ref() == Some(whole))
    };
    let classes = [&need.stub_only, &need.fake_only, &need.any];
    classes.into_iter().flatten().filter(move |feature| {
        let is_killed = profile.answer(feature) == Answer::Kill;
        (profile.names_operations(feature) || is_killed && is_parted(feature))
            && profile.unaccepted(need, feature).is_some()
    })
}

impl Instance {
    pub(super) fn new(
        profile: &OsProfile,
        needs: &[Named],
        weights: &BTreeMap<String, u64>,
    ) -> Instance {
        let required = needs.iter().flat_map(|named| &named.need.required);
        let lacked = required.filter(|feature| !profile.implements(feature));
        let in_part = needs
            .iter()
            .flat_map(|named| in_part(&named.need, profile, needs));
        let whole: BTreeSet<Feature> = lacked
            .filter(|feature| feature.is_syscall())
            .chain(in_part)
            .cloned()
            .collect();
        let asked: Vec<Asked> = needs
            .iter()
            .map(|named| Asked::of(&named.need, profile, needs, &whole))
            .collect();
        let features: BTreeSet<&Feature> = asked.iter().flat_map(Asked::all).collect();
        let features: Vec<Feature> = features.into_iter().cloned().collect();
        let bits = |set: &BTreeSet<Feature>| -> Bits {
            set.iter()
                .filter_map(|feature| features.binary_search(feature).ok())
                .collect()
        };
        let apps = needs
            .iter()
            .zip(&asked)
            .map(|(Named { name, .. }, asked)| App {
                weight: weights.get(name).copied().unwrap_or(1),
                required: bits(&asked.required),
                stub: bits(&asked.stub),
                fake: bits(&asked.fake),
                any: bits(&asked.any),
            })
            .collect();
        let answered = |answer: Answer| -> Bits {
            let features = features.iter().enumerate();
            let such = features.filter(|(_, feature)| profile.answer(feature) == answer);
            such.map(|(bit, _)| bit).collect()
        };
        let (faked, killed) = (answered(Answer::Fake), answered(Answer::Kill));
        let (mut related, mut parts) = (BTreeMap::new(), BTreeMap::new());
        for (part, feature) in features.iter().enumerate() {
            let whole = feature.parent();
            let whole = whole.and_then(|whole| features.binary_search(&whole).ok());
            if let Some(whole) = whole {
                let of = |map: &mut BTreeMap<usize, Bits>, bit: usize, other: usize| {
                    map.entry(bit).or_default().insert(other);
                };
                of(&mut parts, whole, part);
                of(&mut related, whole, part);
                of(&mut related, part, whole);
            }
        }
        Instance {
            apps,
            names: needs.iter().map(|named| named.name.clone()).collect(),
            faked,
            killed,
            stubbed: bits(&profile.stub),
            related,
            parts,
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

    /// The same with the parts of syscalls that are in it.
    pub(super) fn with_parts(&self, set: &Bits) -> Bits {
        let mut all = set.clone();
        for bit in set.iter() {
            if let Some(parts) = self.parts.get(&bit) {
                all.extend(parts);
            }
        }
        all
    }

    /// Without parts of syscalls that are in it.
    pub(super) fn without_parts(&self, set: &Bits) -> Bits {
        let is_part = |bit: &usize| {
            let mut wholes = set.iter().filter_map(|other| self.parts.get(&other));
            wholes.any(|parts| parts.contains(*bit))
        };
        set.iter().filter(|bit| !is_part(bit)).collect()
    }

    /// Whether a set has this feature, its syscall or a part of it.
    pub(super) fn meets(&self, set: &Bits, bit: usize) -> bool {
        let related = self.related.get(&bit);
        set.contains(bit)
            || related.is_some_and(|related| related.iter().any(|other| set.contains(other)))
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
