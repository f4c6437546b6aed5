//! How likely a decision is wrong, from the replicas of a policy and the baseline's failures.
//!
//! Two models of the same replicas. If the policy *works*, they fail as often as the baseline
//! does, whose rate is unknown but for its replays (Jeffreys' prior on it). If it does *not
//! work*, each fails with some chance of at least a half, every such chance being as likely: an
//! application that breaks in fewer than half of its runs is not told from a flaky one. With
//! even odds before, the posterior chance of the model that a decision rejects is the chance
//! that the decision is wrong. Stopping as soon as that is small enough is a sequential test,
//! and keeps the promise on average over the models, whenever it stops.

/// The baseline's replays, and how sure a decision must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub baseline_runs: u32,
    pub baseline_failures: u32,
    /// The largest chance of a wrong decision, in millionths.
    pub error_ppm: u32,
}

impl Test {
    pub fn error(self) -> f64 {
        f64::from(self.error_ppm) / 1e6
    }

    /// Posterior chance that the policy does not work.
    pub fn chance_of_not_working(self, passes: u32, failures: u32) -> f64 {
        let works = self.works(passes, failures);
        let not = broken(passes, failures);
        not / (works + not)
    }

    /// Likelihood of the replicas if the policy works: the mean of `q^failures (1-q)^passes`
    /// over what the baseline leaves possible for its failure rate `q`.
    fn works(self, passes: u32, failures: u32) -> f64 {
        let baseline_passes = self.baseline_runs.saturating_sub(self.baseline_failures);
        let (mut a, mut b) = (
            f64::from(self.baseline_failures) + 0.5,
            f64::from(baseline_passes) + 0.5,
        );
        let mut likelihood = 1.0;
        for _ in 0..failures {
            likelihood *= a / (a + b);
            a += 1.0;
        }
        for _ in 0..passes {
            likelihood *= b / (a + b);
            b += 1.0;
        }
        likelihood
    }
}

/// Likelihood of the replicas if the policy does not work: the mean of `x^failures
/// (1-x)^passes` over `x` from 1/2 to 1. Integrated by parts down to no failures; every term is
/// positive, so nothing cancels out.
fn broken(passes: u32, failures: u32) -> f64 {
    let half_to_the_end = 0.5f64.powi((passes + failures + 1) as i32);
    let (mut integral, mut factor) = (0.0, 1.0);
    for done in 0..=failures {
        let next = f64::from(passes + done + 1);
        integral += factor * half_to_the_end / next;
        factor *= f64::from(failures - done) / next;
    }
    2.0 * integral
}

/// The failure rate that the baseline suggests.
pub(super) fn rate(failures: u32, runs: u32) -> f64 {
    (f64::from(failures) + 0.5) / (f64::from(runs) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(baseline_runs: u32, baseline_failures: u32) -> Test {
        Test {
            baseline_runs,
            baseline_failures,
            error_ppm: 10_000,
        }
    }

    /// The same mean, by adding up many thin slices.
    fn broken_by_slices(passes: u32, failures: u32) -> f64 {
        let slices = 100_000;
        let value = |slice: i32| {
            let x = 0.5 + 0.5 * (f64::from(slice) + 0.5) / f64::from(slices);
            x.powi(failures as i32) * (1.0 - x).powi(passes as i32)
        };
        (0..slices).map(value).sum::<f64>() / f64::from(slices)
    }

    #[test]
    fn the_mean_over_breaking_policies_is_what_slices_add_up_to() {
        for passes in 0..8 {
            for failures in 0..8 {
                let exact = broken(passes, failures);
                let sliced = broken_by_slices(passes, failures);
                assert!((exact / sliced - 1.0).abs() < 1e-4, "{passes} {failures}");
            }
        }
    }

    #[test]
    fn every_sequence_of_outcomes_of_one_length_adds_up_to_one() {
        let choose =
            |n: u32, k: u32| (0..k).fold(1.0, |c, i| c * f64::from(n - i) / f64::from(i + 1));
        for length in 0..12u32 {
            for model in [|p, f| after(7, 1).works(p, f), broken] {
                let all: f64 = (0..=length)
                    .map(|failures| choose(length, failures) * model(length - failures, failures))
                    .sum();
                assert!((all - 1.0).abs() < 1e-9, "{length}: {all}");
            }
        }
    }

    #[test]
    fn passes_speak_for_working_and_failures_against() {
        let test = after(10, 0);
        for n in 0..20 {
            let more = |passes, failures| test.chance_of_not_working(passes, failures);
            assert!(more(n + 1, 1) < more(n, 1));
            assert!(more(1, n + 1) > more(1, n));
        }
        assert!((test.chance_of_not_working(0, 0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn two_failures_after_ten_clean_baseline_replays_are_surer_than_99_percent() {
        assert!(1.0 - after(10, 0).chance_of_not_working(0, 2) < 0.01);
        assert!(1.0 - after(3, 0).chance_of_not_working(0, 2) > 0.01);
        assert!(1.0 - after(40, 8).chance_of_not_working(0, 2) > 0.01);
    }
}
