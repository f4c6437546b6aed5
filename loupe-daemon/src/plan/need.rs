//! What one application needs of an OS, as the planner sees it. Made from an analysis, or from a
//! profile; knows no OS.

use std::collections::BTreeSet;

use loupe_common::analysis::{Analysis, Joint};
use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;
use loupe_common::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::service::{Service, features_of};
use crate::store::{Choosable, Key, Standing, is_suite};

/// What a need was concluded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
/// not overlap and together are `used`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Pseudo-files that have to be there. They are in none of the classes: no OS profile says
    /// anything about them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pseudo_files: BTreeSet<Feature>,
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
    /// By what a service was seen to use: all of it counts as required.
    pub fn of_use(service: &Service<'_>) -> Need {
        let own = features_of(&service.own()).into_iter().cloned().collect();
        Need::of_features(service.name, &own)
    }

    /// By what is known to be used under this name, wherever that was seen.
    pub fn of_features(name: &str, own: &BTreeSet<Feature>) -> Need {
        let used: BTreeSet<Feature> = own
            .iter()
            .filter(|feature| feature.is_syscall())
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
            pseudo_files: own
                .iter()
                .filter(|feature| matches!(feature, Feature::PseudoFile(_)))
                .cloned()
                .collect(),
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

    /// What is asked of an OS: as [`Need::of`], without calls of the tool that measured, and
    /// without what a kernel has processes call. Exports and figures have everything.
    pub fn asked_of_os(analysis: &Analysis) -> Need {
        Need::of(analysis).asked(analysis)
    }

    /// Takes out what is no need of this analysis's application.
    pub(super) fn asked(mut self, analysis: &Analysis) -> Need {
        let rows = analysis.features.iter();
        let harness: BTreeSet<&Feature> = rows
            .filter(|row| row.harness)
            .map(|row| &row.feature)
            .collect();
        for class in [
            &mut self.used,
            &mut self.required,
            &mut self.stub_only,
            &mut self.fake_only,
            &mut self.any,
            &mut self.unsure,
        ] {
            class.retain(|feature| !harness.contains(feature) && !is_restart(feature));
        }
        self
    }

    /// By the joint policy where there is one: that is what an OS does which implements the
    /// rest only. Else by the single verdicts.
    pub fn of(analysis: &Analysis) -> Need {
        let single = Need::single(analysis);
        match &analysis.joint {
            Some(joint) if joint.runs > 0 && joint.passes == joint.runs => single.joined(joint),
            _ => single,
        }
    }

    /// By the verdicts on each feature alone. A feature without a verdict counts as required.
    pub fn single(analysis: &Analysis) -> Need {
        let mut need = Need {
            application: analysis.application.clone(),
            workload: analysis.workload.clone(),
            suite: is_suite(analysis.suite, &analysis.workload),
            basis: NeedBasis::Single,
            used: BTreeSet::new(),
            required: BTreeSet::new(),
            stub_only: BTreeSet::new(),
            fake_only: BTreeSet::new(),
            any: BTreeSet::new(),
            unsure: BTreeSet::new(),
            pseudo_files: BTreeSet::new(),
            standing: Standing {
                imported: analysis.origin.is_some(),
                ..Standing::default()
            },
        };
        // An OS profile speaks of whole syscalls: what is needed of one in part is needed.
        for row in &analysis.features {
            if !row.feature.is_syscall() {
                if row.verdict == Verdict::Required && row.feature.syscall().is_none() {
                    need.pseudo_files.insert(row.feature.clone());
                }
                continue;
            }
            need.used.insert(row.feature.clone());
            let class = match row.verdict {
                Verdict::Required => &mut need.required,
                Verdict::Stub => &mut need.stub_only,
                Verdict::Fake => &mut need.fake_only,
                Verdict::Any => &mut need.any,
                Verdict::NotExercised | Verdict::Undecided => {
                    need.unsure.insert(row.feature.clone());
                    &mut need.required
                }
            };
            class.insert(row.feature.clone());
        }
        need
    }

    /// What was seen to work together. Of a feature that the joint policy stubs, a fake is only
    /// known to work too if it does alone.
    fn joined(self, joint: &Joint) -> Need {
        let (any, stub_only): (BTreeSet<_>, BTreeSet<_>) = joint
            .stub
            .iter()
            .filter(|feature| feature.is_syscall())
            .cloned()
            .partition(|feature| self.any.contains(feature));
        let implement = joint.implement.iter();
        let (required, pseudo_files): (BTreeSet<Feature>, BTreeSet<Feature>) = implement
            .map(Feature::whole)
            .partition(loupe_common::feature::Feature::is_syscall);
        let fake_only = joint.fake.iter();
        let fake_only: BTreeSet<Feature> = fake_only
            .filter(|feature| feature.is_syscall())
            .cloned()
            .collect();
        let unsure = self.unsure.intersection(&required).cloned().collect();
        let used = [&required, &stub_only, &fake_only, &any]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        Need {
            basis: NeedBasis::Joint,
            used,
            required,
            stub_only,
            fake_only,
            any,
            unsure,
            pseudo_files,
            ..self
        }
    }

    /// `nginx/wrk`, `profile:nginx.service`.
    pub fn name(&self) -> String {
        match self.basis {
            NeedBasis::Used => self.application.clone(),
            _ => format!("{}/{}", self.application, self.workload),
        }
    }

    /// Does this answer to this feature do?
    pub fn accepts(&self, feature: &Feature, answer: Answer) -> bool {
        match answer {
            Answer::Implement => true,
            Answer::Fake => !self.required.contains(feature) && !self.stub_only.contains(feature),
            // Verdicts are measured with ENOSYS. Another errno is taken for as good: what that
            // assumes, `gap` tells.
            Answer::Stub | Answer::Error(_) => {
                !self.required.contains(feature) && !self.fake_only.contains(feature)
            }
            Answer::Kill => false,
        }
    }

    /// The used features whose answer does not do.
    pub fn unmet<'a>(
        &'a self,
        answer: impl Fn(&Feature) -> Answer + 'a,
    ) -> impl Iterator<Item = (&'a Feature, Answer)> {
        self.used.iter().filter_map(move |feature| {
            let answer = answer(feature);
            (!self.accepts(feature, answer)).then_some((feature, answer))
        })
    }
}

/// Whether an OS is never asked for it.
pub fn is_restart(feature: &Feature) -> bool {
    match feature {
        Feature::Syscall(syscall) => Syscall::from_name(RESTART) == Some(*syscall),
        _ => false,
    }
}
