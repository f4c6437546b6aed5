//! The numbers behind a report's figures and tables, from any set of analyses. Draws nothing.

use std::collections::BTreeSet;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use loupe_common::verdict::Verdict;
use serde::Serialize;

use crate::plan::{self, Named, Need, NeedBasis, OsProfile, Strategy};

/// One application's counts.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Summary {
    pub application: String,
    pub workload: String,
    /// Syscalls that static analysis finds in its binary; absent without such an analysis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_binary: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub static_sources: Option<usize>,
    pub used: usize,
    pub required: usize,
    pub stub: usize,
    pub fake: usize,
    pub any: usize,
    /// Without a verdict.
    pub other: usize,
    /// What is left to implement with everything else left out at once; absent where no joint
    /// policy was searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joint: Option<usize>,
}

impl Summary {
    pub fn of(analysis: &Analysis) -> Summary {
        // What is only a part of a syscall is counted with it; pseudo-files are none.
        let rows = analysis.features.iter();
        let whole = rows.filter(|row| row.feature.is_syscall());
        let count = |wanted: &[Verdict]| {
            let rows = whole.clone();
            rows.filter(|row| wanted.contains(&row.verdict)).count()
        };
        Summary {
            application: analysis.application.clone(),
            workload: analysis.workload.clone(),
            static_binary: analysis.static_binary.as_ref().map(Vec::len),
            static_sources: analysis.static_sources.as_ref().map(Vec::len),
            used: whole.clone().count(),
            required: count(&[Verdict::Required]),
            stub: count(&[Verdict::Stub]),
            fake: count(&[Verdict::Fake]),
            any: count(&[Verdict::Any]),
            other: count(&[Verdict::NotExercised, Verdict::Undecided]),
            joint: analysis.joint.as_ref().map(|joint| {
                let syscalls = joint.implement.iter().filter_map(Feature::syscall);
                syscalls.collect::<BTreeSet<_>>().len()
            }),
        }
    }

    /// `nginx/wrk`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.application, self.workload)
    }

    /// The largest set that static analysis found.
    pub fn statically(&self) -> Option<usize> {
        self.static_binary.max(self.static_sources)
    }
}

/// Applications that run once so many syscalls are implemented, by an OS that begins with none and
/// follows the published greedy order (as `loupe stats` does).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Curve {
    /// Syscalls, and applications that run with them; both grow.
    pub points: Vec<(usize, usize)>,
    /// Syscalls that make half of the applications run.
    pub half: usize,
}

impl Curve {
    /// From what each application needs implemented.
    pub fn of(wants: &[BTreeSet<Feature>]) -> Curve {
        let needs: Vec<Named> = wants.iter().enumerate().map(only_implementing).collect();
        let nothing = OsProfile::default();
        let plan = plan::make(&nothing, &needs, Strategy::Paper, &Default::default());
        let steps = plan.steps.iter();
        let points: Vec<(usize, usize)> = steps
            .map(|step| (step.implemented, step.supported))
            .collect();
        let half = wants.len().div_ceil(2);
        let reached = points.iter().find(|(_, running)| *running >= half);
        Curve {
            half: reached.map_or(0, |(syscalls, _)| *syscalls),
            points,
        }
    }
}

/// A need without stubs and fakes.
fn only_implementing((index, wanted): (usize, &BTreeSet<Feature>)) -> Named {
    let name = format!("{index:06}");
    Named {
        name: name.clone(),
        need: Need {
            application: name,
            workload: String::new(),
            suite: false,
            basis: NeedBasis::Single,
            used: wanted.clone(),
            required: wanted.clone(),
            stub_only: BTreeSet::new(),
            fake_only: BTreeSet::new(),
            any: BTreeSet::new(),
            unsure: BTreeSet::new(),
            standing: Default::default(),
        },
    }
}

/// How many applications use and need one syscall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Heat {
    /// On x86-64.
    pub number: u32,
    pub name: String,
    pub used: usize,
    pub required: usize,
}

/// Everything that is drawn of some analyses.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Figures {
    pub applications: Vec<Summary>,
    /// With stubs and fakes where they do.
    pub with_verdicts: Curve,
    /// With everything implemented that is used.
    pub without_verdicts: Curve,
    /// What static analysis finds, for those of which that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_static_analysis: Option<Curve>,
    /// Every syscall of x86-64, by number.
    pub heat: Vec<Heat>,
    /// Different syscalls that any of them uses.
    pub used: usize,
    /// Different syscalls that any of them needs implemented.
    pub required: usize,
}

impl Figures {
    pub fn of<'a>(analyses: impl IntoIterator<Item = &'a Analysis>) -> Figures {
        let analyses: Vec<&Analysis> = analyses.into_iter().collect();
        let required: Vec<BTreeSet<Feature>> = analyses
            .iter()
            .map(|analysis| Need::of(analysis).of_syscalls().required)
            .collect();
        let used: Vec<BTreeSet<Feature>> = analyses
            .iter()
            .map(|analysis| {
                let rows = analysis.features.iter();
                let syscalls = rows.filter_map(|row| row.feature.syscall());
                syscalls.map(Feature::from).collect()
            })
            .collect();
        let found: Vec<BTreeSet<Feature>> = analyses
            .iter()
            .filter_map(|analysis| {
                let sets = [&analysis.static_binary, &analysis.static_sources];
                let largest = sets.into_iter().flatten().max_by_key(|set| set.len())?;
                Some(largest.iter().cloned().collect())
            })
            .collect();
        let heat = Arch::X86_64.table().iter().filter_map(|(number, name)| {
            let feature: Feature = name.parse().ok()?;
            let among = |sets: &[BTreeSet<Feature>]| {
                sets.iter().filter(|set| set.contains(&feature)).count()
            };
            Some(Heat {
                number: u32::from(*number),
                name: (*name).to_owned(),
                used: among(&used),
                required: among(&required),
            })
        });
        let union = |sets: &[BTreeSet<Feature>]| {
            let all: BTreeSet<&Feature> = sets.iter().flatten().collect();
            all.len()
        };
        Figures {
            applications: analyses
                .iter()
                .map(|analysis| Summary::of(analysis))
                .collect(),
            with_verdicts: Curve::of(&required),
            without_verdicts: Curve::of(&used),
            by_static_analysis: (found.len() == analyses.len() && !found.is_empty())
                .then(|| Curve::of(&found)),
            heat: heat.collect(),
            used: union(&used),
            required: union(&required),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<Feature> {
        let names = names.iter();
        names.map(|name| name.parse().expect("a syscall")).collect()
    }

    #[test]
    fn a_curve_counts_who_runs() {
        let needs = [
            set(&["read", "write"]),
            set(&["read"]),
            set(&["read", "write", "mmap"]),
            set(&[]),
        ];
        let curve = Curve::of(&needs);
        assert_eq!(curve.points, [(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(curve.half, 1);
    }

    #[test]
    fn no_application_makes_no_figure_and_no_panic() {
        let figures = Figures::of([]);
        assert!(
            figures
                .with_verdicts
                .points
                .iter()
                .all(|(_, running)| *running == 0)
        );
        assert_eq!(figures.with_verdicts.half, 0);
        assert_eq!(figures.by_static_analysis, None);
    }

    proptest::proptest! {
        #[test]
        fn a_curve_never_falls_and_ends_with_all(
            needs in proptest::collection::vec(
                proptest::collection::btree_set(0_usize..40, 0..20), 1..20,
            )
        ) {
            let table = Arch::X86_64.table();
            let needs: Vec<BTreeSet<Feature>> = needs
                .iter()
                .map(|need| set(&need.iter().map(|index| table[*index].1).collect::<Vec<_>>()))
                .collect();
            let curve = Curve::of(&needs);
            let numbers = |of: fn(&(usize, usize)) -> usize| -> Vec<usize> {
                curve.points.iter().map(of).collect()
            };
            proptest::prop_assert!(numbers(|point| point.0).is_sorted());
            proptest::prop_assert!(numbers(|point| point.1).is_sorted());
            let all: BTreeSet<&Feature> = needs.iter().flatten().collect();
            proptest::prop_assert_eq!(curve.points.last(), Some(&(all.len(), needs.len())));
        }
    }
}
