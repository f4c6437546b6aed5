//! The numbers against tables and against simulation.

use super::*;

fn near(value: f64, expected: f64) {
    let error = (value / expected - 1.0).abs();
    assert!(error < 1e-4, "{value} is not {expected}");
}

fn sample(numbers: &[f64]) -> Sample {
    Sample::new(numbers).expect("two or more")
}

/// Uniform from 0 to 1, by a linear congruence of its own.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, with this mean and standard deviation.
    fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.next()).sum();
        mean + deviation * (sum - 6.0)
    }

    /// Times have a tail: mostly near the mean, now and then far above.
    fn tailed(&mut self, mean: f64) -> f64 {
        mean * (0.9 - 0.1 * (1.0 - self.next()).ln())
    }
}

#[test]
fn students_t_is_the_tables() {
    for (freedom, t) in [
        (1.0, 12.7062),
        (2.0, 4.30265),
        (9.0, 2.26216),
        (30.0, 2.04227),
    ] {
        near(quantile(0.975, freedom), t);
        near(two_sided(t, freedom), 0.05);
    }
    near(two_sided(1.0, 1.0), 0.5);
    near(two_sided(10.0, 10.0), 1.589_4e-6);
    near(two_sided(1.959_964, 1e6), 0.05);
}

#[test]
fn welchs_test_of_a_small_example() {
    let (a, b) = (
        sample(&[1.0, 2.0, 3.0, 4.0, 5.0]),
        sample(&[2.0, 3.0, 4.0, 5.0, 6.0]),
    );
    near(freedom(&a, &b), 8.0);
    near(p_value(&a, &b), 0.346_594);
}

#[test]
fn numbers_that_do_not_vary_prove_as_much_as_their_count_can() {
    let (two, many) = (sample(&[12.0; 2]), sample(&[12.0; 20]));
    assert_eq!(p_value(&two, &many), 1.0);
    near(p_value(&sample(&[13.0; 2]), &two), 2.0 / 6.0);
    assert!(p_value(&sample(&[13.0; 10]), &many) < 1e-6);
    let interval = ratio_interval(&sample(&[96.0; 10]), &many);
    assert_eq!(
        interval,
        Some(Interval {
            low: 8.0,
            high: 8.0
        })
    );
}

#[test]
fn one_number_is_no_sample_and_a_ratio_to_nothing_has_no_interval() {
    assert_eq!(Sample::new(&[1.0]), None);
    let zero = sample(&[0.0; 5]);
    assert_eq!(ratio_interval(&sample(&[1.0; 5]), &zero), None);
    assert_eq!(ratio_interval(&zero, &sample(&[-1.0, 1.0, 0.5])), None);
}

#[test]
fn holms_correction_of_a_small_example() {
    let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (value, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        near(*value, expected);
    }
    assert_eq!(holm(&[]), [] as [f64; 0]);
    assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
}

/// Of a hundred analyses of forty comparisons in which nothing changes, about five at most may
/// raise any alarm; normal numbers, tailed ones and counts.
#[test]
fn where_nothing_changes_there_are_few_alarms() {
    let mut chance = Chance(1);
    let mut alarms = [0; 3];
    for _ in 0..200 {
        for (kind, alarms) in alarms.iter_mut().enumerate() {
            let mut draw = |count: usize| -> Vec<f64> {
                let draw = |_| match kind {
                    0 => chance.normal(100.0, 5.0),
                    1 => chance.tailed(100.0),
                    _ => 12.0 + f64::from(u32::from(chance.next() < 0.2)),
                };
                (0..count).map(draw).collect()
            };
            let baseline = sample(&draw(20));
            let p_values: Vec<f64> = (0..40)
                .map(|_| p_value(&sample(&draw(10)), &baseline))
                .collect();
            *alarms += u32::from(holm(&p_values).iter().any(|p| *p <= 0.05));
        }
    }
    // Of 200 each: 10 are allowed on average, twice that hardly ever come.
    assert!(alarms.iter().all(|alarms| *alarms <= 20), "{alarms:?}");
}

#[test]
fn a_clear_effect_is_found_among_many_comparisons_and_its_interval_is_right() {
    let mut chance = Chance(2);
    let (mut found, mut covered) = (0, 0);
    for _ in 0..500 {
        let mut draw = |count: usize, mean: f64| -> Vec<f64> {
            (0..count)
                .map(|_| chance.normal(mean, mean / 20.0))
                .collect()
        };
        let baseline = sample(&draw(20, 100.0));
        let mut p_values: Vec<f64> = (0..100)
            .map(|_| p_value(&sample(&draw(10, 100.0)), &baseline))
            .collect();
        let slow = sample(&draw(10, 120.0));
        p_values[17] = p_value(&slow, &baseline);
        found += u32::from(holm(&p_values)[17] <= 0.05);
        let interval = ratio_interval(&slow, &baseline).expect("far from 0");
        covered += u32::from(interval.low <= 1.2 && 1.2 <= interval.high);
    }
    assert!(found >= 490, "{found} of 500");
    // 475 are expected, with a standard deviation of 5.
    assert!((455..=495).contains(&covered), "{covered} of 500");
}

proptest::proptest! {
    #[test]
    fn the_interval_and_the_test_agree_about_one(
        a in proptest::collection::vec(90.0f64..110.0, 3..12),
        b in proptest::collection::vec(90.0f64..110.0, 3..12),
    ) {
        let (a, b) = (sample(&a), sample(&b));
        let p = p_value(&a, &b);
        let interval = ratio_interval(&a, &b).expect("far from 0");
        let outside = interval.low > 1.0 || interval.high < 1.0;
        // The floor of the p-value aside.
        if rarest_order(a.count, b.count) < 0.05 && (p - 0.05).abs() > 1e-9 {
            proptest::prop_assert_eq!(outside, p < 0.05);
        }
    }
}
