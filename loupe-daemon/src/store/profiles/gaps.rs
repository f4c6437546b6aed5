//! The times in which a subject was not observed. Pure; what is kept of them is `subjects`' to
//! write.
//!
//! The clock of a host may be set: a batch then overlaps earlier ones, or lies before them all.
//! So a time that is covered is taken out of the gaps that there are, wherever it lies.

use loupe_common::profile::Interval;

/// What is shorter is none: batches do not follow each other by the millisecond.
pub(super) const SHORTEST_GAP_MS: u64 = 1_000;

/// As many are kept of one subject; of more, the shortest are forgotten. Their time is still not
/// among the observed.
const KEPT_GAPS: usize = 500;

/// As many are told of one subject.
const TOLD_GAPS: usize = 20;

/// The time that a batch covers.
///
/// `length_ms` comes from a clock that is not set and that stops with a suspended host. Where the
/// host's clock says otherwise, it was set or stood still in between, and only the end is sure.
pub(super) fn covered(from_ms: u64, until_ms: u64, length_ms: u64) -> Interval {
    // Two clocks that are read one after the other differ by a little.
    let tolerance_ms = SHORTEST_GAP_MS + length_ms / 1000;
    let by_the_clock_ms = until_ms.saturating_sub(from_ms);
    let from_ms = match by_the_clock_ms.abs_diff(length_ms) <= tolerance_ms && until_ms > from_ms {
        true => from_ms,
        false => until_ms.saturating_sub(length_ms),
    };
    Interval { from_ms, until_ms }
}

/// The gaps of a subject, when `covered` is added to what was observed between `known`'s ends.
/// They are in the order of time.
pub(super) fn with(gaps: &[Interval], known: Interval, covered: Interval) -> Vec<Interval> {
    let mut after: Vec<Interval> = Vec::with_capacity(gaps.len() + 2);
    for gap in gaps {
        after.push(Interval {
            from_ms: gap.from_ms,
            until_ms: gap.until_ms.min(covered.from_ms),
        });
        after.push(Interval {
            from_ms: gap.from_ms.max(covered.until_ms),
            until_ms: gap.until_ms,
        });
    }
    // Before and after all that was observed.
    after.push(Interval {
        from_ms: covered.until_ms,
        until_ms: known.from_ms,
    });
    after.push(Interval {
        from_ms: known.until_ms,
        until_ms: covered.from_ms,
    });
    after.retain(|gap| gap.until_ms >= gap.from_ms.saturating_add(SHORTEST_GAP_MS));
    after = longest(after, KEPT_GAPS);
    after.sort_unstable_by_key(|gap| gap.from_ms);
    after
}

/// The longest gaps within a time, latest last.
pub(super) fn told(gaps: &[Interval], within: Interval) -> Vec<Interval> {
    let within = gaps.iter().filter_map(|gap| {
        let part = Interval {
            from_ms: gap.from_ms.max(within.from_ms),
            until_ms: gap.until_ms.min(within.until_ms),
        };
        (part.until_ms > part.from_ms).then_some(part)
    });
    let mut told = longest(within.collect(), TOLD_GAPS);
    told.sort_unstable_by_key(|gap| gap.from_ms);
    told
}

fn longest(mut gaps: Vec<Interval>, count: usize) -> Vec<Interval> {
    if gaps.len() > count {
        gaps.sort_unstable_by_key(|gap| std::cmp::Reverse(gap.until_ms - gap.from_ms));
        gaps.truncate(count);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interval(from_ms: u64, until_ms: u64) -> Interval {
        Interval { from_ms, until_ms }
    }

    #[test]
    fn a_clock_that_is_set_within_a_batch_leaves_its_end_sure() {
        let minute = 60_000;
        assert_eq!(
            covered(1_000_000, 1_060_000, minute),
            interval(1_000_000, 1_060_000)
        );
        assert_eq!(
            covered(1_000_000, 1_059_400, minute),
            interval(1_000_000, 1_059_400)
        );
        // Suspended, or set forward.
        assert_eq!(
            covered(1_000_000, 9_060_000, minute),
            interval(9_000_000, 9_060_000)
        );
        // Set back.
        assert_eq!(
            covered(9_000_000, 1_060_000, minute),
            interval(1_000_000, 1_060_000)
        );
        assert_eq!(covered(9_000_000, 5, minute), interval(0, 5));
        assert_eq!(covered(7, 7, 0), interval(7, 7));
    }

    proptest! {
        /// Seconds are small enough to look at each one.
        #[test]
        fn gaps_are_the_seconds_between_the_first_and_the_last_that_were_not_covered(
            batches in prop::collection::vec((0_u64..200, 1_u64..30), 1..40)
        ) {
            let mut seen = [false; 240];
            let mut gaps = Vec::new();
            let mut known: Option<Interval> = None;
            for (from, length) in batches {
                let covered = interval(from * 1000, (from + length) * 1000);
                (from..from + length).for_each(|second| seen[second as usize] = true);
                gaps = known.map_or_else(Vec::new, |known| with(&gaps, known, covered));
                let known_now = known.unwrap_or(covered);
                known = Some(interval(
                    known_now.from_ms.min(covered.from_ms),
                    known_now.until_ms.max(covered.until_ms),
                ));
            }
            let first = seen.iter().position(|seen| *seen).expect("one");
            let last = seen.iter().rposition(|seen| *seen).expect("one");
            for (second, was_seen) in seen.iter().enumerate().take(last + 1).skip(first) {
                let at_ms = second as u64 * 1000 + 500;
                let in_gaps = gaps.iter().filter(|gap| gap.from_ms <= at_ms && at_ms < gap.until_ms).count();
                prop_assert_eq!(in_gaps, usize::from(!was_seen), "second {}", second);
            }
            prop_assert!(gaps.iter().all(|gap| gap.until_ms <= last as u64 * 1000));
        }

        #[test]
        fn the_longest_gaps_are_told_in_the_order_of_time(
            starts in prop::collection::btree_set(0_u64..10_000, 0..60),
            since in 0_u64..10_000,
        ) {
            let gaps: Vec<Interval> = starts.iter().map(|at| interval(at * 100, at * 100 + 1 + at % 97)).collect();
            let told = told(&gaps, interval(since * 100, u64::MAX));
            prop_assert!(told.len() <= TOLD_GAPS);
            prop_assert!(told.windows(2).all(|pair| pair[0].until_ms <= pair[1].from_ms));
            let shortest = told.iter().map(|gap| gap.until_ms - gap.from_ms).min().unwrap_or(0);
            let longer = gaps.iter().filter(|gap| gap.from_ms >= since * 100 && gap.until_ms - gap.from_ms > shortest);
            prop_assert!(longer.clone().all(|gap| told.contains(gap)));
        }
    }
}
