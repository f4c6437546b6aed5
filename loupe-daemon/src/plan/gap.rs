//! What an OS lacks for one application. One application, no order: plans have that.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Analysis;
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use serde::Serialize;

use super::need::{Answer, Need, NeedBasis};
use super::os::OsProfile;

/// What an OS does otherwise than an application needs it, and what it may go on to leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Missing {
    /// Required, and not implemented.
    pub implement: Vec<Feature>,
    /// To be faked at least.
    pub fake: Vec<Feature>,
    /// Faked, and must not be: to fail, or to be implemented.
    pub unfake: Vec<Feature>,
    /// The OS ends whoever calls it, and must not: to fail, or to be implemented.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stub: Vec<Feature>,
    /// What the OS does not implement and need not.
    pub spared: Vec<Feature>,
    /// Those spared that fail with another errno than ENOSYS, with which the application was
    /// measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub untried: BTreeMap<Feature, Errno>,
}

impl Missing {
    pub(super) fn between(profile: &OsProfile, need: &Need) -> Missing {
        let mut missing = Missing {
            implement: Vec::new(),
            fake: Vec::new(),
            unfake: Vec::new(),
            stub: Vec::new(),
            spared: Vec::new(),
            untried: BTreeMap::new(),
        };
        for feature in &need.used {
            let list = match profile.unaccepted(need, feature) {
                None if profile.implements(feature) => continue,
                None => {
                    if let Answer::Error(errno) = profile.answer(feature) {
                        missing.untried.insert(feature.clone(), errno);
                    }
                    &mut missing.spared
                }
                Some(_) if need.required.contains(feature) => &mut missing.implement,
                Some(_) if need.fake_only.contains(feature) => &mut missing.fake,
                Some(Answer::Fake) => &mut missing.unfake,
                Some(_) => &mut missing.stub,
            };
            list.push(feature.clone());
        }
        // A syscall that is implemented is so with its flags.
        let whole: BTreeSet<Feature> = missing.implement.iter().cloned().collect();
        let is_in_it = |part: &Feature| part.parent().is_some_and(|parent| whole.contains(&parent));
        missing.implement.retain(|feature| !is_in_it(feature));
        missing
    }

    /// Nothing is missing.
    pub fn is_none(&self) -> bool {
        let lists = [&self.implement, &self.fake, &self.unfake, &self.stub];
        lists.iter().all(|list| list.is_empty())
    }
}

/// The gap between an OS and an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Gap {
    pub schema: &'static str,
    pub os: String,
    pub application: String,
    pub workload: String,
    /// Features that it is asked for: operations in place of their syscalls, where they were measured.
    pub used: usize,
    /// How many of these the OS implements.
    pub implemented: usize,
    /// All of these are whole syscalls.
    #[serde(skip)]
    pub of_syscalls: bool,
    /// By the verdicts on each feature alone.
    pub single: Missing,
    /// By the joint policy, where there is one.
    pub joint: Option<Missing>,
    /// Nothing but use is known: all of it counts as required.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_only: bool,
    /// Features without a verdict, which count as required.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<Feature>,
}

impl Gap {
    pub fn between(profile: &OsProfile, analysis: &Analysis) -> Gap {
        let single = Need::single(analysis).asked(analysis);
        let best = Need::asked_of_os(analysis);
        let implemented = |feature: &&Feature| profile.implements(feature);
        Gap {
            schema: "loupe.gap/1",
            os: profile.name.clone(),
            application: single.application.clone(),
            workload: single.workload.clone(),
            used: single.used.len(),
            implemented: single.used.iter().filter(implemented).count(),
            of_syscalls: single.used.iter().all(Feature::is_syscall),
            single: Missing::between(profile, &single),
            joint: (best.basis == NeedBasis::Joint).then(|| Missing::between(profile, &best)),
            use_only: false,
            unsure: single.unsure.into_iter().collect(),
        }
    }

    /// The gap to what a service was seen to use.
    pub fn to_use(profile: &OsProfile, need: &Need) -> Gap {
        Gap {
            schema: "loupe.gap/1",
            os: profile.name.clone(),
            application: need.application.clone(),
            workload: need.workload.clone(),
            used: need.used.len(),
            implemented: need
                .used
                .iter()
                .filter(|feature| profile.implements(feature))
                .count(),
            of_syscalls: need.used.iter().all(Feature::is_syscall),
            single: Missing::between(profile, need),
            joint: None,
            use_only: true,
            unsure: Vec::new(),
        }
    }

    /// Does the application run on this OS, as far as anybody knows?
    pub fn runs(&self) -> bool {
        self.joint.as_ref().unwrap_or(&self.single).is_none()
    }
}

/// What an OS is not asked for, as its profile says nothing of any pseudo-file.
pub fn not_asked(profile: &OsProfile, needs: &[&Need]) -> Option<String> {
    let files = needs.iter().flat_map(|need| need.pseudo_files());
    let files: BTreeSet<String> = files.map(Feature::to_string).collect();
    if files.is_empty() || profile.speaks_of_pseudo_files() {
        return None;
    }
    let whose: Vec<String> = needs
        .iter()
        .filter(|need| need.pseudo_files().next().is_some())
        .map(|need| need.name())
        .collect();
    let whose = match whose.as_slice() {
        [only] => format!("{only} needs"),
        several => format!("{} applications need", several.len()),
    };
    let files: Vec<String> = files.into_iter().collect();
    Some(format!(
        "{} says nothing of pseudo-files and is asked for none: {whose} {}",
        profile.name,
        files.join(", ")
    ))
}
