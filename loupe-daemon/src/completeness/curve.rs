//! The growth of a profile: how many features were known after so much observation.

use loupe_common::profile::CurvePoint;

/// As many points as a drawing can show.
const POINTS: usize = 200;

/// The curve of features that came after these milliseconds of observation, up to the present.
pub(crate) fn curve(mut came_ms: Vec<u64>, observed_ms: u64) -> Vec<CurvePoint> {
    came_ms.sort_unstable();
    let mut steps: Vec<CurvePoint> = Vec::new();
    for (features, observed_ms) in (1..).zip(came_ms) {
        match steps.last_mut() {
            Some(step) if step.observed_ms == observed_ms => step.features = features,
            _ => steps.push(CurvePoint {
                observed_ms,
                features,
            }),
        }
    }
    match steps.last() {
        Some(last) if last.observed_ms < observed_ms => {
            let features = last.features;
            steps.push(CurvePoint {
                observed_ms,
                features,
            });
        }
        _ => {}
    }
    thinned(&steps)
}

/// The first, the last, and those between at equal distances of their number: most points stay
/// where most happened.
fn thinned(steps: &[CurvePoint]) -> Vec<CurvePoint> {
    if steps.len() <= POINTS {
        return steps.to_vec();
    }
    let last = steps.len() - 1;
    (0..POINTS)
        .map(|point| steps[point * last / (POINTS - 1)])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_curve_grows_ends_at_the_present_and_is_short(
            came in prop::collection::vec(0_u64..1_000_000, 0..600),
            more in 0_u64..1000,
        ) {
            let observed_ms = came.iter().max().copied().unwrap_or(0) + more;
            let curve = curve(came.clone(), observed_ms);
            prop_assert!(curve.len() <= POINTS);
            prop_assert_eq!(curve.is_empty(), came.is_empty());
            for pair in curve.windows(2) {
                prop_assert!(pair[0].observed_ms < pair[1].observed_ms);
                prop_assert!(pair[0].features <= pair[1].features);
            }
            for point in &curve {
                let known = came.iter().filter(|at| **at <= point.observed_ms).count();
                prop_assert_eq!(point.features, known as u64);
            }
            if let Some(last) = curve.last() {
                prop_assert_eq!(last.features, came.len() as u64);
                prop_assert_eq!(last.observed_ms, observed_ms);
            }
        }
    }
}
