//! The unseen: the chance that the next observed minute brings a feature that is not in the
//! profile, and the bound that it lies below with 95 % confidence.
//!
//! **What is bounded.** The part of a subject's minutes in which it uses something that is not in
//! its profile: of all its minutes, not only of those that are like the present one.
//!
//! **Blocks.** Minutes are not independent: what comes, comes for a while. So observation is cut
//! into blocks of an hour, and a minute with something new lies in a block with something new.
//!
//! **The bound.** As long as the subject does what it always did, the chance that a block brings
//! something new can only fall, for a profile only grows. So if it is above `p` now, it was above
//! `p` in each block before, and of `w` blocks no fewer had something new than of `w` throws of a
//! coin with chance `p`. Of `k` such blocks among the last `w` follows the bound of Clopper and
//! Pearson (Biometrika 26, 1934), which for `k = 0` is the rule of three. It is taken for all
//! blocks but the first, which knew nothing, and for the later half of them, at 97.5 % each, so
//! that the lower one holds at 95 %. Nothing is assumed about how many features there are, about
//! their chances, or that they come independently of each other within a block.
//!
//! **The estimate** is Robbins's (Annals of Mathematical Statistics 39, 1968), the exact form of
//! Good and Turing's: the part of the minutes with something that no *other* block had (nor two that
//! follow each other, for what comes may go on from one into the next).

use loupe_common::profile::Unseen;
use statrs::distribution::{Beta, ContinuousCDF as _};

const MINUTE_MS: f64 = 60_000.0;

/// How long a block lasts: an hour.
pub(super) const BLOCK_MS: u64 = 3_600_000;

/// What has to be observed of it: three minutes, which is all of a block at a duty of 5 %. A block
/// must hold the next observed minute, and at smaller duties it lasts until it can.
pub(super) const BLOCK_OBSERVED_MS: u64 = 180_000;

/// Below a day nothing is said: what a host does has the rhythm of days, and a night says nothing
/// about the day after it.
pub(super) const FEWEST_BLOCKS: u64 = 24;

/// Of each of the two bounds.
const CONFIDENCE: f64 = 0.975;

/// How far a subject's observation has come in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Those that are over; also the number of the running one.
    pub complete: u64,
    /// Of the running one.
    pub covered_ms: u64,
    pub observed_ms: u64,
}

impl Blocks {
    /// Goes on by a time that was covered by windows, in which so much was observed. What is longer
    /// than a block makes one block.
    pub(crate) fn go_on(&mut self, covered_ms: u64, observed_ms: u64) {
        self.covered_ms = self.covered_ms.saturating_add(covered_ms);
        self.observed_ms = self.observed_ms.saturating_add(observed_ms);
        if self.covered_ms >= BLOCK_MS && self.observed_ms >= BLOCK_OBSERVED_MS {
            *self = Blocks {
                complete: self.complete + 1,
                ..Blocks::default()
            };
        }
    }
}

/// When one feature came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appearance {
    pub first_block: u64,
    /// It was seen later than in the block after that, too: what comes at the end of a block may go
    /// on into the next.
    pub recurs: bool,
    pub first_ms: u64,
    pub last_ms: u64,
    /// Observed minutes in which it was seen.
    pub minutes: u64,
}

/// What can be said of the unseen. `None`: less than a day was observed.
pub(crate) fn unseen(blocks: u64, observed_ms: u64, appearances: &[Appearance]) -> Option<Unseen> {
    if blocks < FEWEST_BLOCKS {
        return None;
    }
    let at_most = bound(blocks, appearances);
    Some(Unseen {
        chance: estimate(observed_ms, appearances).min(at_most),
        at_most,
        minutes: observed_ms / 60_000,
    })
}

fn bound(blocks: u64, appearances: &[Appearance]) -> f64 {
    let mut bringing: Vec<u64> = appearances.iter().map(|seen| seen.first_block).collect();
    bringing.sort_unstable();
    bringing.dedup();
    let since = |first: u64| {
        let brought = bringing.iter().filter(|block| **block >= first).count() as u64;
        // The running block counts only if it is against us.
        let running = u64::from(bringing.last().is_some_and(|last| *last >= blocks));
        upper(brought, blocks - first + running)
    };
    since(1).min(since(blocks / 2))
}

/// The chance of an event that came in `hits` of `throws`, at most.
fn upper(hits: u64, throws: u64) -> f64 {
    if hits >= throws {
        return 1.0;
    }
    if hits == 0 {
        return 1.0 - (1.0 - CONFIDENCE).powf(1.0 / throws as f64);
    }
    match Beta::new(hits as f64 + 1.0, (throws - hits) as f64) {
        Ok(beta) => beta.inverse_cdf(CONFIDENCE),
        // Both parameters are at least one.
        Err(_) => 1.0,
    }
}

/// Features that came together are told by their times: they share their minutes.
fn estimate(observed_ms: u64, appearances: &[Appearance]) -> f64 {
    let mut alone: Vec<&Appearance> = appearances.iter().filter(|seen| !seen.recurs).collect();
    alone.sort_unstable_by_key(|seen| seen.first_ms);
    let mut minutes = 0.0;
    let mut rest = alone.as_slice();
    while let Some(first) = rest.first() {
        let (mut until_ms, mut sum) = (first.last_ms, 0);
        let overlapping = rest.iter().take_while(|seen| {
            let overlaps = seen.first_ms < until_ms || seen.first_ms == first.first_ms;
            if overlaps {
                until_ms = until_ms.max(seen.last_ms);
                sum += seen.minutes;
            }
            overlaps
        });
        let count = overlapping.count();
        let span = until_ms.saturating_sub(first.first_ms) as f64 / MINUTE_MS;
        minutes += (sum as f64).min(span.ceil().max(1.0));
        rest = &rest[count..];
    }
    let observed = (observed_ms as f64 / MINUTE_MS).max(1.0);
    (minutes / (observed + 1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::distribution::{Binomial, DiscreteCDF as _};

    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn once(block: u64, at_minute: u64, minutes: u64) -> Appearance {
        Appearance {
            first_block: block,
            recurs: false,
            first_ms: at_minute * 60_000,
            last_ms: (at_minute + minutes) * 60_000,
            minutes,
        }
    }

    #[test]
    fn less_than_a_day_says_nothing() {
        assert_eq!(unseen(23, DAY_MS, &[once(0, 0, 1)]), None);
        assert!(unseen(24, DAY_MS, &[once(0, 0, 1)]).is_some());
    }

    #[test]
    fn two_quiet_weeks_bound_it_by_about_a_percent() {
        let all_in_the_first_hour = [once(0, 0, 1), once(0, 0, 1)];
        let unseen = unseen(14 * 24, 14 * DAY_MS, &all_in_the_first_hour).expect("two weeks");
        assert!((0.010..0.012).contains(&unseen.at_most), "{unseen:?}");
        assert_eq!(unseen.minutes, 14 * 1440);
        assert!(unseen.chance < 0.0001, "{unseen:?}");
    }

    #[test]
    fn a_job_of_ten_minutes_counts_as_ten_however_many_features_it_has() {
        let job: Vec<Appearance> = (0..40).map(|_| once(3, 200, 10)).collect();
        let observed_ms = 999 * 60_000;
        assert!((estimate(observed_ms, &job) - 0.01).abs() < 1e-9);
        let apart: Vec<Appearance> = (0..10).map(|at| once(3, at * 3, 1)).collect();
        assert!((estimate(observed_ms, &apart) - 0.01).abs() < 1e-9);
    }

    #[test]
    fn the_running_block_counts_only_if_it_brought_something() {
        let quiet = bound(48, &[once(0, 0, 1)]);
        let now = bound(48, &[once(0, 0, 1), once(48, 3000, 1)]);
        assert!(now > quiet * 1.2, "{now} {quiet}");
    }

    #[test]
    fn blocks_take_an_hour_or_as_long_as_three_minutes_need() {
        let mut blocks = Blocks::default();
        for minute in 1..=180_u64 {
            blocks.go_on(60_000, 60_000);
            assert_eq!(blocks.complete, minute / 60);
        }
        let mut blocks = Blocks::default();
        for minute in 1..=900_u64 {
            blocks.go_on(60_000, 600); // 1 %
            assert_eq!(blocks.complete, minute / 300);
        }
        let mut blocks = Blocks::default();
        blocks.go_on(u64::MAX, u64::MAX);
        blocks.go_on(u64::MAX, u64::MAX);
        assert_eq!(blocks.complete, 2);
    }

    proptest! {
        /// Clopper and Pearson's own condition.
        #[test]
        fn the_bound_is_where_so_few_hits_become_improbable(throws in 1_u64..5000, part in 0.0..1.0_f64) {
            let hits = (throws as f64 * part * part) as u64;
            let bound = upper(hits, throws);
            if hits < throws {
                let fewer = Binomial::new(bound, throws).expect("a chance").cdf(hits);
                prop_assert!((fewer - 0.025).abs() < 1e-4, "{fewer}");
            } else {
                prop_assert_eq!(bound, 1.0);
            }
        }

        #[test]
        fn chance_and_bound_are_chances_in_this_order(
            seen in prop::collection::vec((0_u64..60, any::<bool>(), 0_u64..4000, 1_u64..90), 0..80),
            blocks in 24_u64..60,
            observed_ms in 0_u64..5_000_000_000,
        ) {
            let seen: Vec<Appearance> = seen
                .into_iter()
                .map(|(block, recurs, at, minutes)| Appearance { recurs, ..once(block, at, minutes) })
                .collect();
            let unseen = unseen(blocks, observed_ms, &seen).expect("a day");
            prop_assert!(0.0 <= unseen.chance && unseen.chance <= unseen.at_most);
            prop_assert!(unseen.at_most > 0.0 && unseen.at_most <= 1.0);
        }
    }
}
