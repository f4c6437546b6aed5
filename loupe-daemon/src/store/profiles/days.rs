//! How long subjects were observed, by the day: what a fleet is told of it. Counts nothing else.

use std::collections::BTreeMap;

use loupe_common::profile::Subject;

use super::super::{Store, StoreError};
use super::step::{Step, row_id};
use crate::text::civil;

/// Observed milliseconds by UTC day (`2026-11-29`), or by month (`2026-08`) where days are no
/// longer kept apart.
pub type Days = BTreeMap<String, u64>;
/// Those of every subject.
pub type ObservedDays = Vec<(Subject, Days)>;

impl Store {
    /// Of every subject, in no order.
    pub fn observed_days(&self) -> Result<ObservedDays, StoreError> {
        self.reading(|transaction| {
            let mut times = Vec::new();
            for step in Step::ALL {
                times.push((step, self.times(transaction, step)?));
            }
            let mut all = Vec::new();
            for row in self.subjects(transaction)? {
                let mut days = Days::new();
                for (step, times) in &times {
                    for time in times {
                        let id = row_id(*time, row.id);
                        if let Some(counts) = self.counts(transaction, *step, id)? {
                            *days.entry(epoch(*step, *time)).or_default() += counts.observed_ms;
                        }
                    }
                }
                all.push((row.subject, days));
            }
            Ok(all)
        })
    }
}

/// The name of the day that a step lies in; of a month its own.
fn epoch(step: Step, index: i64) -> String {
    let day = match step {
        Step::Month => return format!("{:04}-{:02}", index / 12, index % 12 + 1),
        Step::Minute => index / (24 * 60),
        Step::Hour => index / 24,
        Step::Day => index,
    };
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_but_a_month_lies_in_a_day() {
        let at_ms = 1_709_164_800_000; // 2024-02-29T00:00Z
        for step in [Step::Minute, Step::Hour, Step::Day] {
            assert_eq!(epoch(step, step.index(at_ms)), "2024-02-29");
        }
        assert_eq!(epoch(Step::Month, Step::Month.index(at_ms)), "2024-02");
    }
}
