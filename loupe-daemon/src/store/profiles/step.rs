//! The steps of time in which counts are kept, and where a time's row lies. Knows no counts.

use crate::text::civil;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// Bits of a row's id that are its subject.
const SUBJECT_BITS: u32 = 24;

/// By UTC, so that every hour has its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Minute,
    Hour,
    Day,
    Month,
}

impl Step {
    pub const ALL: [Step; 4] = [Step::Minute, Step::Hour, Step::Day, Step::Month];

    pub fn table(self) -> &'static str {
        match self {
            Step::Minute => "profile_minutes",
            Step::Hour => "profile_hours",
            Step::Day => "profile_days",
            Step::Month => "profile_months",
        }
    }

    /// What its rows are merged into, and how old they become before: two hours of minutes (and
    /// the hour that runs), a week of hours, a quarter of days.
    pub fn coarser(self) -> Option<(Step, u64)> {
        Some(match self {
            Step::Minute => (Step::Hour, 2 * HOUR_MS),
            Step::Hour => (Step::Day, 7 * DAY_MS),
            Step::Day => (Step::Month, 92 * DAY_MS),
            Step::Month => return None,
        })
    }

    /// The number of the step that a moment lies in.
    pub fn index(self, at_ms: u64) -> i64 {
        // Beyond the year 200,000 all times are one.
        let number = |length_ms: u64| (at_ms / length_ms).min(1 << 36) as i64;
        match self {
            Step::Minute => number(MINUTE_MS),
            Step::Hour => number(HOUR_MS),
            Step::Day => number(DAY_MS),
            Step::Month => month(number(DAY_MS)),
        }
    }

    /// The step that the coarser one's number is of.
    pub fn index_in(self, coarser: Step, index: i64) -> i64 {
        match (self, coarser) {
            (Step::Minute, Step::Hour) => index / 60,
            (Step::Hour, Step::Day) => index / 24,
            (Step::Day, Step::Month) => month(index),
            _ => index,
        }
    }
}

fn month(day: i64) -> i64 {
    let (year, month, _) = civil(day);
    year * 12 + month - 1
}

/// The id of a subject's row.
pub(super) fn row_id(index: i64, subject: i64) -> i64 {
    index << SUBJECT_BITS | subject
}

/// The time and the subject of a row.
pub(super) fn of_row_id(id: i64) -> (i64, i64) {
    (id >> SUBJECT_BITS, id & ((1 << SUBJECT_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |text_ms: u64| Step::Month.index(text_ms);
        let february_29 = 1_709_164_800_000; // 2024-02-29T00:00Z
        assert_eq!(at(february_29), 2024 * 12 + 1);
        assert_eq!(at(february_29 + DAY_MS), 2024 * 12 + 2);
        assert_eq!(at(february_29 + DAY_MS - 1), 2024 * 12 + 1);
        assert_eq!(at(0), 1970 * 12);
    }

    proptest! {
        #[test]
        fn a_fine_step_lies_in_one_coarse_step(at_ms in 0_u64..10_000_000_000_000) {
            for step in Step::ALL {
                if let Some((coarser, _)) = step.coarser() {
                    let index = step.index(at_ms);
                    prop_assert_eq!(step.index_in(coarser, index), coarser.index(at_ms));
                }
            }
        }

        #[test]
        fn an_id_says_time_and_subject_and_sorts_by_them(
            one in (0_i64..1 << 36, 1_i64..1 << 24),
            other in (0_i64..1 << 36, 1_i64..1 << 24),
        ) {
            prop_assert_eq!(of_row_id(row_id(one.0, one.1)), one);
            prop_assert_eq!(row_id(one.0, one.1).cmp(&row_id(other.0, other.1)), one.cmp(&other));
        }
    }
}
