//! From counts that only grow to what is new since the last reading. Pure.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::profile::ProfileLost;
use loupe_common::trace::{CallCounts, ForeignCall};

use crate::store::SubjectDelta;
use crate::tracer::profiler::SlotCounts;

/// Adds what `now` has more than `before`.
pub fn add(delta: &mut SubjectDelta, before: &SlotCounts, now: &SlotCounts) {
    add_new(&mut delta.calls, &before.calls, &now.calls);
    add_new(&mut delta.operations, &before.operations, &now.operations);
    for call in &now.foreign {
        let earlier = |old: &&ForeignCall| (&old.abi, old.number) == (&call.abi, call.number);
        let counted = before
            .foreign
            .iter()
            .find(earlier)
            .map_or(0, |old| old.calls);
        let new = call.calls.saturating_sub(counted);
        if new == 0 {
            continue;
        }
        let same = |mine: &&mut ForeignCall| (&mine.abi, mine.number) == (&call.abi, call.number);
        match delta.foreign.iter_mut().find(same) {
            Some(mine) => mine.calls += new,
            None => delta.foreign.push(ForeignCall {
                calls: new,
                ..call.clone()
            }),
        }
    }
    delta.lost += lost_since(&before.lost, &now.lost);
    delta.starts += now.starts.saturating_sub(before.starts);
}

fn add_new(
    sum: &mut BTreeMap<Feature, CallCounts>,
    before: &BTreeMap<Feature, CallCounts>,
    now: &BTreeMap<Feature, CallCounts>,
) {
    let none = CallCounts::default();
    for (feature, counts) in now {
        let old = before.get(feature).unwrap_or(&none);
        let calls = counts.calls.saturating_sub(old.calls);
        let errors = counts.errors.iter().filter_map(|(errno, count)| {
            let new = count.saturating_sub(old.errors.get(errno).copied().unwrap_or(0));
            (new > 0).then_some((*errno, new))
        });
        let errors: Vec<_> = errors.collect();
        if calls == 0 && errors.is_empty() {
            continue;
        }
        let mine = sum.entry(feature.clone()).or_default();
        mine.calls += calls;
        for (errno, count) in errors {
            *mine.errors.entry(errno).or_default() += count;
        }
    }
}

/// What was lost after an earlier reading.
pub fn lost_since(before: &ProfileLost, now: &ProfileLost) -> ProfileLost {
    ProfileLost {
        events: now.events.saturating_sub(before.events),
        calls: now.calls.saturating_sub(before.calls),
        errors: now.errors.saturating_sub(before.errors),
        operations: now.operations.saturating_sub(before.operations),
        foreign: now.foreign.saturating_sub(before.foreign),
        pseudo_files: now.pseudo_files.saturating_sub(before.pseudo_files),
        executables: now.executables.saturating_sub(before.executables),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(calls: &[(&str, u64, u64)]) -> SlotCounts {
        let entry = |(name, calls, failed): &(&str, u64, u64)| {
            let mut counts = CallCounts {
                calls: *calls,
                ..CallCounts::default()
            };
            if *failed > 0 {
                counts
                    .errors
                    .insert("ENOENT".parse().expect("an errno"), *failed);
            }
            (name.parse().expect("a feature"), counts)
        };
        SlotCounts {
            calls: calls.iter().map(entry).collect(),
            ..SlotCounts::default()
        }
    }

    fn nothing() -> SubjectDelta {
        SubjectDelta::new(crate::profile::pending::other())
    }

    #[test]
    fn every_call_is_taken_once_however_often_it_is_read() {
        let readings = [
            counts(&[("openat", 3, 1)]),
            counts(&[("openat", 3, 1), ("read", 5, 0)]),
            counts(&[("openat", 9, 4), ("read", 5, 0)]),
        ];
        let mut sum = nothing();
        let mut before = SlotCounts::default();
        for now in readings {
            add(&mut sum, &before, &now);
            add(&mut sum, &now, &now);
            before = now;
        }
        assert_eq!(sum.calls, before.calls);
    }

    #[test]
    fn foreign_calls_and_losses_are_differences_too() {
        let foreign = |calls| ForeignCall {
            abi: "i386".to_owned(),
            number: 4,
            calls,
        };
        let reading = |calls, lost| SlotCounts {
            foreign: vec![foreign(calls)],
            lost: ProfileLost {
                calls: lost,
                ..ProfileLost::default()
            },
            starts: lost,
            ..SlotCounts::default()
        };
        let mut sum = nothing();
        add(&mut sum, &SlotCounts::default(), &reading(2, 1));
        add(&mut sum, &reading(2, 1), &reading(7, 4));
        assert_eq!(sum.foreign, [foreign(7)]);
        assert_eq!((sum.lost.total(), sum.starts), (4, 4));
    }
}
