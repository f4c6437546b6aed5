//! What an analysis cost and what it found, as figures in which ways to analyse can be compared.
//! Runs and prints nothing.

use std::collections::BTreeMap;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::verdict::Verdict;

/// The figures of one analysis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub replays: u64,
    /// Starts of a server without its test.
    pub beginnings: u64,
    pub wall_seconds: f64,
    /// CPU time of applications, tests and the making of their sandboxes, in all replays and
    /// beginnings that came to their end.
    pub cpu_seconds: f64,
    pub cpus: u64,
    /// Median wall time of a baseline replay.
    pub baseline_seconds: f64,
    pub required: u64,
    /// Absent where no joint policy was looked for.
    pub joint: Option<Joint>,
    verdicts: BTreeMap<Feature, Verdict>,
}

/// How good a joint policy is: fewer are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joint {
    /// Features that are left to implement.
    pub implement: u64,
    pub conflicts: u64,
    /// Whether the search came to its end: no single feature more can be left out.
    pub is_least: bool,
}

impl Figures {
    pub fn of(analysis: &Analysis) -> Figures {
        let verdicts: BTreeMap<Feature, Verdict> = analysis
            .features
            .iter()
            .map(|row| (row.feature.clone(), row.verdict))
            .collect();
        let required = |verdict: &&Verdict| **verdict == Verdict::Required;
        Figures {
            replays: analysis.replays,
            beginnings: analysis.phases.iter().map(|phase| phase.beginnings).sum(),
            wall_seconds: analysis.wall_seconds,
            cpu_seconds: analysis.phases.iter().map(|phase| phase.cpu_seconds).sum(),
            cpus: analysis.cpus,
            baseline_seconds: analysis.baseline_ms / 1e3,
            required: verdicts.values().filter(required).count() as u64,
            joint: analysis.joint.as_ref().map(|joint| Joint {
                implement: joint.implement.len() as u64,
                conflicts: analysis.conflicts.len() as u64,
                is_least: joint.is_least == Some(true),
            }),
            verdicts,
        }
    }

    /// The part of the time of all CPUs that applications and tests used, in per cent.
    pub fn efficiency(&self) -> f64 {
        100.0 * self.cpu_seconds / (self.cpus as f64 * self.wall_seconds)
    }

    /// How many times the workload's own start and test would fit into its wall time.
    pub fn natives(&self, native_seconds: f64) -> f64 {
        self.wall_seconds / native_seconds
    }

    /// How many times as long as the other it took.
    pub fn ratio(&self, other: &Figures) -> f64 {
        self.wall_seconds / other.wall_seconds
    }

    /// Features that both have a verdict on, and not the same.
    pub fn differences(&self, other: &Figures) -> u64 {
        let differs = |(feature, verdict): &(&Feature, &Verdict)| {
            let there = other.verdicts.get(*feature);
            there.is_some_and(|there| there != *verdict)
        };
        self.verdicts.iter().filter(differs).count() as u64
    }
}

/// The middle of some values, the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` of no values.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted[sorted.len() / 2];
        let lower = sorted[(sorted.len() - 1) / 2];
        Some(Spread {
            median: f64::midpoint(lower, upper),
            least,
            most,
        })
    }

    /// `1.5 (1.4..1.7)`, or `1.5` where all look the same.
    pub fn show(&self, decimals: usize) -> String {
        let [median, least, most] =
            [self.median, self.least, self.most].map(|value| format!("{value:.decimals$}"));
        match least == most {
            true => median,
            false => format!("{median} ({least}..{most})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::analysis::{Basis, Conflict, FeatureVerdict, Trial};
    use loupe_common::phase::PhaseCost;
    use loupe_common::policy::Policy;

    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().expect("a feature")
    }

    fn row(name: &str, verdict: Verdict) -> FeatureVerdict {
        FeatureVerdict {
            harness: false,
            feature: feature(name),
            kind: "syscall".to_owned(),
            verdict,
            calls: 1,
            seen_in: 1,
            stub: Trial::default(),
            fake: Trial::default(),
            plausible: None,
            errnos: BTreeMap::new(),
            basis: Basis::Measured,
            error_bound: None,
        }
    }

    fn phase(beginnings: u64, cpu_seconds: f64) -> PhaseCost {
        PhaseCost {
            beginnings,
            cpu_seconds,
            ..PhaseCost::default()
        }
    }

    #[test]
    fn figures_are_sums_over_all_phases() {
        let analysis = Analysis {
            replays: 40,
            wall_seconds: 8.0,
            cpus: 2,
            baseline_ms: 250.0,
            phases: vec![phase(0, 2.0), phase(7, 9.0), phase(3, 1.0)],
            ..Analysis::default()
        };
        let figures = Figures::of(&analysis);
        assert_eq!((figures.replays, figures.beginnings), (40, 10));
        assert_eq!(figures.efficiency(), 75.0);
        assert_eq!(figures.baseline_seconds, 0.25);
        assert_eq!(figures.natives(0.2), 40.0);
    }

    #[test]
    fn a_joint_policy_counts_what_is_left_to_implement_and_its_conflicts() {
        assert_eq!(Figures::of(&Analysis::default()).joint, None);
        let conflict = Conflict {
            policy: Policy::default(),
            runs: 3,
            passes: 0,
            replays: Vec::new(),
        };
        let analysis = Analysis {
            joint: Some(loupe_common::analysis::Joint {
                implement: vec![feature("read"), feature("fcntl:F_GETLK")],
                is_least: Some(true),
                ..loupe_common::analysis::Joint::default()
            }),
            conflicts: vec![conflict],
            ..Analysis::default()
        };
        let wanted = Joint {
            implement: 2,
            conflicts: 1,
            is_least: true,
        };
        assert_eq!(Figures::of(&analysis).joint, Some(wanted));
    }

    #[test]
    fn two_analyses_differ_in_what_both_have_a_verdict_on() {
        let with = |rows: Vec<FeatureVerdict>| {
            Figures::of(&Analysis {
                features: rows,
                ..Analysis::default()
            })
        };
        let one = with(vec![
            row("read", Verdict::Required),
            row("brk", Verdict::Any),
            row("futex", Verdict::Fake),
        ]);
        let other = with(vec![
            row("read", Verdict::Required),
            row("brk", Verdict::Required),
            row("fcntl:F_GETLK", Verdict::Required),
        ]);
        assert_eq!((one.required, other.required), (1, 3));
        assert_eq!((one.differences(&other), other.differences(&one)), (1, 1));
        assert_eq!(one.differences(&one), 0);
    }

    #[test]
    fn a_ratio_is_above_one_where_the_other_was_quicker() {
        let taking = |wall_seconds| Figures {
            wall_seconds,
            ..Figures::default()
        };
        assert_eq!(taking(6.0).ratio(&taking(1.5)), 4.0);
    }

    #[test]
    fn a_spread_is_the_median_with_the_extremes() {
        assert_eq!(Spread::of(&[]), None);
        for (values, shown) in [
            (&[1.5][..], "1.5"),
            (&[3.0, 1.0, 2.0], "2.0 (1.0..3.0)"),
            (&[4.0, 1.0, 3.0, 2.0], "2.5 (1.0..4.0)"),
            (&[1.01, 1.02], "1.0"),
        ] {
            let spread = Spread::of(values).expect("values");
            assert_eq!(spread.show(1), shown, "{values:?}");
        }
    }
}
