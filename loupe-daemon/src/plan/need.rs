//! What one application needs of an OS, as the planner sees it. Made from an analysis ([`measured`]),
//! or from a profile of a service.

mod measured;

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;
use serde::{Deserialize, Serialize};

use super::os::{OsProfile, parts};
use super::service::{Service, features_of};
use crate::store::{Choosable, Key, Standing};

/// What a need was concluded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedBasis {
    /// Verdicts on each feature alone. That they hold together is an assumption.
    Single,
    /// The joint policy, which was seen to pass as a whole.
    Joint,
    /// A profile of what was really used. Nothing was left out to see whether it is missed.
    Used,
}

/// What an application's workload uses, and what of it an OS may leave out. The four classes do
/// not overlap and together are `used`. Where the operations of a syscall were measured, they are
/// there, and the syscall is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Need {
    pub application: String,
    pub workload: String,
    /// The workload is the application's own test suite.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suite: bool,
    pub basis: NeedBasis,
    pub used: BTreeSet<Feature>,
    /// To be implemented.
    pub required: BTreeSet<Feature>,
    /// To be implemented, or to fail with ENOSYS; a fake breaks the application.
    pub stub_only: BTreeSet<Feature>,
    /// To be implemented, or to be faked; a stub breaks the application.
    pub fake_only: BTreeSet<Feature>,
    /// It does not matter.
    pub any: BTreeSet<Feature>,
    /// The required features that have no verdict, and are taken for required.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unsure: BTreeSet<Feature>,
    /// Of the analysis that it was made from.
    #[serde(skip)]
    pub standing: Standing,
}

impl Choosable for Need {
    fn key(&self) -> Key<'_> {
        Key {
            application: &self.application,
            workload: &self.workload,
            suite: self.suite,
            standing: self.standing,
        }
    }
}

pub use super::answer::Answer;

/// The kernel itself has a process call it, to go on with what a signal interrupted: it is a part of
/// how Linux restarts calls, and no OS that restarts them in another way has it.
const RESTART: &str = "restart_syscall";

/// Before the name of a profile, where applications are named.
pub const PROFILE_PREFIX: &str = "profile:";

/// What a profile has in place of a workload.
const PROFILE_WORKLOAD: &str = "profile";

impl Need {
    /// By what a service was seen to use: all of it counts as required. A syscall is told by its
    /// operations where each of its calls was counted as one.
    pub fn of_use(service: &Service<'_>) -> Need {
        let own = service.own();
        let operations = service.operations_in_full();
        let is_told = |feature: &Feature| {
            let mut operations = operations.iter();
            operations.any(|one| one.parent().as_ref() == Some(feature))
        };
        let seen = features_of(&own).into_iter().cloned();
        let used = seen.filter(|feature| !is_told(feature));
        let used = used.chain(operations.iter().map(|one| (*one).clone()));
        Need::of_features(service.name, &used.collect())
    }

    /// By what is known to be used under this name, wherever that was seen.
    pub fn of_features(name: &str, own: &BTreeSet<Feature>) -> Need {
        let used: BTreeSet<Feature> = own
            .iter()
            .filter(|feature| !matches!(feature, Feature::IoUring(_)))
            .cloned()
            .collect();
        Need {
            application: format!("{PROFILE_PREFIX}{name}"),
            workload: PROFILE_WORKLOAD.to_owned(),
            suite: false,
            basis: NeedBasis::Used,
            required: used.clone(),
            used,
            stub_only: BTreeSet::new(),
            fake_only: BTreeSet::new(),
            any: BTreeSet::new(),
            unsure: BTreeSet::new(),
            standing: Standing::default(),
        }
    }

    /// Of this analysis of a database.
    pub fn standing_as(self, standing: Standing) -> Need {
        Need { standing, ..self }
    }

    /// Without what a kernel has processes call.
    pub fn without_restart(mut self) -> Need {
        self.used.retain(|feature| !is_restart(feature));
        self.required.retain(|feature| !is_restart(feature));
        self
    }

    /// By whole syscalls only, as figures and most formats have it: one of which any part has to be
    /// there is required.
    pub fn of_syscalls(&self) -> Need {
        let whole = |class: &BTreeSet<Feature>| -> BTreeSet<Feature> {
            let syscalls = class.iter().filter(|feature| feature.is_syscall());
            syscalls.cloned().collect()
        };
        let required = self.required.iter().filter_map(Feature::syscall);
        let required: BTreeSet<Feature> = required.map(Feature::from).collect();
        let [stub_only, fake_only, any, unsure] =
            [&self.stub_only, &self.fake_only, &self.any, &self.unsure].map(whole);
        let used = [&required, &stub_only, &fake_only, &any].into_iter();
        Need {
            used: used.flatten().cloned().collect(),
            required,
            stub_only,
            fake_only,
            any,
            unsure,
            ..self.clone()
        }
    }

    /// Pseudo-files that have to be there.
    pub fn pseudo_files(&self) -> impl Iterator<Item = &Feature> {
        let files = self.required.iter();
        files.filter(|feature| matches!(feature, Feature::PseudoFile(_)))
    }

    /// `nginx/wrk`, `profile:nginx.service`.
    pub fn name(&self) -> String {
        match self.basis {
            NeedBasis::Used => self.application.clone(),
            _ => format!("{}/{}", self.application, self.workload),
        }
    }

    /// Does this answer to this feature do? To a syscall as a whole: for all its parts.
    pub fn accepts(&self, feature: &Feature, answer: Answer) -> bool {
        let asks = |class: &BTreeSet<Feature>| has(class, feature);
        match answer {
            Answer::Implement => true,
            Answer::Fake => !asks(&self.required) && !asks(&self.stub_only),
            // Verdicts are measured with ENOSYS. Another errno is taken for as good: what that
            // assumes, `gap` tells.
            Answer::Stub | Answer::Error(_) => !asks(&self.required) && !asks(&self.fake_only),
            Answer::Kill => false,
        }
    }

    /// Whether it uses a feature, or some part of it.
    pub fn uses(&self, feature: &Feature) -> bool {
        has(&self.used, feature)
    }

    /// Whether it needs a feature implemented, or some part of it.
    pub fn requires(&self, feature: &Feature) -> bool {
        has(&self.required, feature)
    }

    /// The used features whose answer does not do.
    pub fn unmet<'a>(&'a self, os: &'a OsProfile) -> impl Iterator<Item = (&'a Feature, Answer)> {
        let used = self.used.iter();
        used.filter_map(|feature| Some((feature, os.unaccepted(self, feature)?)))
    }
}

/// A feature is in a class, or some part of it is.
fn has(class: &BTreeSet<Feature>, feature: &Feature) -> bool {
    let is_part = |part: &Feature| part.parent().as_ref() == Some(feature);
    class.contains(feature) || feature.is_syscall() && parts(class).any(is_part)
}

/// Whether an OS is never asked for it.
pub fn is_restart(feature: &Feature) -> bool {
    match feature {
        Feature::Syscall(syscall) => Syscall::from_name(RESTART) == Some(*syscall),
        _ => false,
    }
}
