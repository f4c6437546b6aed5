//! Whether two samples differ, and by what factor. Pure numbers: knows no replays.
//!
//! Means are compared by Welch's t-test, which does not take the two variances for equal: what
//! is left out often makes an application less steady, not only slower. The interval of the
//! ratio is Fieller's, the ratios that the same test would not reject. Outliers make both say
//! less, not more.

use loupe_common::impact::Interval;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// What matters of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub count: u32,
    pub mean: f64,
    /// Of the mean, not of the numbers.
    variance: f64,
}

impl Sample {
    /// `None` for fewer than two numbers, which have no variance.
    pub fn new(numbers: &[f64]) -> Option<Sample> {
        if numbers.len() < 2 {
            return None;
        }
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        Some(Sample {
            count: numbers.len() as u32,
            mean,
            variance: squares / (n - 1.0) / n,
        })
    }

    fn freedom(&self) -> f64 {
        f64::from(self.count) - 1.0
    }
}

/// Degrees of freedom of the difference (Welch and Satterthwaite).
fn freedom(a: &Sample, b: &Sample) -> f64 {
    let all = a.variance + b.variance;
    if all == 0.0 {
        return a.freedom() + b.freedom();
    }
    all.powi(2) / (a.variance.powi(2) / a.freedom() + b.variance.powi(2) / b.freedom())
}

/// The chance of means at least so different if both samples come from the same place. Never
/// below what the mere order of the numbers could prove: numbers that do not vary at all (a
/// count of descriptors) would else be proof beyond doubt after two replays.
pub(super) fn p_value(a: &Sample, b: &Sample) -> f64 {
    let difference = (a.mean - b.mean).abs();
    let error = (a.variance + b.variance).sqrt();
    if difference == 0.0 {
        return 1.0;
    }
    let p = match error > 0.0 {
        true => two_sided(difference / error, freedom(a, b)),
        false => 0.0,
    };
    p.max(rarest_order(a.count, b.count))
}

/// The chance that of `a + b` numbers in random order the first `a` are just the largest, or
/// just the smallest.
pub(super) fn rarest_order(a: u32, b: u32) -> f64 {
    let choices = (1..=a).fold(1.0, |choices, i| choices * f64::from(b + i) / f64::from(i));
    (2.0 / choices).min(1.0)
}

/// The 95 % confidence interval of `a.mean / b.mean`. `None` where `b.mean` may be 0 for all
/// that is known, so that any ratio may be.
pub(super) fn ratio_interval(a: &Sample, b: &Sample) -> Option<Interval> {
    let t = quantile(0.975, freedom(a, b));
    let uncertain = t * t * b.variance / b.mean.powi(2);
    if b.mean == 0.0 || uncertain >= 1.0 {
        return None;
    }
    let ratio = a.mean / b.mean;
    let spread = a.variance * (1.0 - uncertain) + ratio.powi(2) * b.variance;
    let half = t / b.mean.abs() * spread.sqrt();
    Some(Interval {
        low: (ratio - half) / (1.0 - uncertain),
        high: (ratio + half) / (1.0 - uncertain),
    })
}

/// Holm's correction: what is at most a level afterwards is so for all comparisons together
/// with the chance of even one false alarm at most that level, whatever they have in common
/// (here: the baseline). In the order of what came in.
pub(super) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.iter().enumerate() {
        let untested = (p_values.len() - rank) as f64;
        largest = largest.max((p_values[*index] * untested).min(1.0));
        corrected[*index] = largest;
    }
    corrected
}

/// Student's t distribution. Degrees of freedom are at least 1: each sample has two numbers.
fn students_t(freedom: f64) -> StudentsT {
    // Scale 1 and at least one degree of freedom are what it accepts, so this cannot fail.
    StudentsT::new(0.0, 1.0, freedom).expect("at least one degree of freedom")
}

/// The chance that Student's t is at least this far from 0, either way.
fn two_sided(t: f64, freedom: f64) -> f64 {
    2.0 * students_t(freedom).sf(t)
}

/// The `t` that is not exceeded with this chance (above 0.5).
fn quantile(chance: f64, freedom: f64) -> f64 {
    students_t(freedom).inverse_cdf(chance)
}

#[cfg(test)]
mod tests;
