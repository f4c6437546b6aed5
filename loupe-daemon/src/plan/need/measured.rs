//! From the verdicts and the joint policy of an analysis to what the application needs. A syscall of
//! which some operations have to be there is told by its operations, as far as these were measured.

use std::collections::BTreeSet;

use loupe_common::analysis::{Analysis, Joint};
use loupe_common::feature::Feature;
use loupe_common::verdict::Verdict;

use super::{Need, NeedBasis, is_restart};
use crate::store::{Standing, is_suite};

impl Need {
    /// What is asked of an OS: as [`Need::of`], without calls of the tool that measured, and
    /// without what a kernel has processes call. Exports and figures have everything.
    pub fn asked_of_os(analysis: &Analysis) -> Need {
        Need::of(analysis).asked(analysis)
    }

    /// Takes out what is no need of this analysis's application.
    pub(in crate::plan) fn asked(mut self, analysis: &Analysis) -> Need {
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
            Some(joint) if joint.runs > 0 && joint.passes == joint.runs => {
                single.joined(joint, analysis)
            }
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
            standing: Standing {
                imported: analysis.origin.is_some(),
                ..Standing::default()
            },
        };
        let is_needed = |verdict: Verdict| {
            use Verdict::{NotExercised, Required, Undecided};
            matches!(verdict, Required | NotExercised | Undecided)
        };
        let rows = analysis.features.iter();
        let needed = rows.clone().filter(|row| is_needed(row.verdict));
        let told = told_by_operations(needed.map(|row| &row.feature));
        for row in rows.filter(|row| is_told(&row.feature, &told)) {
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
    fn joined(self, joint: &Joint, analysis: &Analysis) -> Need {
        let told = told_by_operations(joint.implement.iter());
        let of = |features: &[Feature]| -> BTreeSet<Feature> {
            let features = features.iter().filter(|feature| is_told(feature, &told));
            features.cloned().collect()
        };
        let any_alone: BTreeSet<&Feature> = analysis
            .features
            .iter()
            .filter(|row| row.verdict == Verdict::Any)
            .map(|row| &row.feature)
            .collect();
        let (any, stub_only): (BTreeSet<_>, BTreeSet<_>) = of(&joint.stub)
            .into_iter()
            .partition(|feature| any_alone.contains(feature));
        let (required, fake_only) = (of(&joint.implement), of(&joint.fake));
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
            ..self
        }
    }
}

/// The syscalls of which some operation is among what is needed.
fn told_by_operations<'a>(needed: impl Iterator<Item = &'a Feature>) -> BTreeSet<Feature> {
    needed
        .filter(|feature| is_operation(feature))
        .filter_map(Feature::parent)
        .collect()
}

/// Whether an OS is asked for it under this name: for the syscall as a whole, or for its operations,
/// and for each flag.
fn is_told(feature: &Feature, told: &BTreeSet<Feature>) -> bool {
    match feature {
        Feature::Syscall(_) => !told.contains(feature),
        Feature::Operation(part) => part.is_flag() || told.contains(&part.syscall().into()),
        Feature::PseudoFile(_) => true,
        Feature::IoUring(_) => false,
    }
}

fn is_operation(feature: &Feature) -> bool {
    matches!(feature, Feature::Operation(part) if !part.is_flag())
}
