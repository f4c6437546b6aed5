//! What was counted and is not yet in the store, by subject. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use loupe_common::profile::{Executable, ProfileLost, Subject, SubjectKind};

use loupe_common::feature::Feature;

use super::difference;
use crate::store::SubjectDelta;
use crate::tracer::profiler::SlotCounts;

/// One slot: an owner and an executable of it.
#[derive(Clone, Debug)]
pub struct Slot {
    pub owner: u64,
    pub subject: Subject,
    /// What was read last.
    read: SlotCounts,
    /// Attached time when it was opened, or when it was read last.
    observed_until: Duration,
    /// Another process that took it over would know it wrongly.
    is_changed: bool,
}

impl Slot {
    /// What was read last, and is in the store or on its way there.
    pub fn counted(&self) -> &SlotCounts {
        &self.read
    }
}

/// The slots, and what they brought.
#[derive(Debug, Default)]
pub struct Ledger {
    slots: BTreeMap<u32, Slot>,
    /// Read before anybody said whose they are, and when that was first.
    strays: BTreeMap<u32, Duration>,
    pending: BTreeMap<Subject, SubjectDelta>,
}

/// Time after which a slot that nobody was told of is `other`'s.
const PATIENCE: Duration = Duration::from_secs(20);

/// No cgroup's: the owner of slots that nobody knows.
const OTHERS: u64 = 0;

/// Whose calls those of an unknown slot are.
pub fn other() -> Subject {
    Subject {
        kind: SubjectKind::Other,
        name: "other".to_owned(),
        executable: Executable::default(),
        uid: 0,
    }
}

impl Ledger {
    /// A slot was opened; `attached` is the time for which programs were attached so far.
    pub fn open(&mut self, slot: u32, owner: u64, subject: Subject, attached: Duration) {
        self.strays.remove(&slot);
        self.slots.insert(
            slot,
            Slot {
                owner,
                subject,
                read: SlotCounts::default(),
                observed_until: attached,
                is_changed: true,
            },
        );
    }

    /// Goes on with a slot of an earlier process, which had read this and no more. The attached time
    /// begins where that process ended.
    pub fn resume(&mut self, slot: u32, owner: u64, subject: Subject, read: SlotCounts) {
        self.slots.insert(
            slot,
            Slot {
                owner,
                subject,
                read,
                observed_until: Duration::ZERO,
                is_changed: false,
            },
        );
    }

    /// Slots of which something else is to be known than when this was asked last.
    pub fn take_changed(&mut self) -> BTreeMap<u32, Slot> {
        let mut changed = BTreeMap::new();
        for (number, slot) in &mut self.slots {
            if std::mem::take(&mut slot.is_changed) {
                changed.insert(*number, slot.clone());
            }
        }
        changed
    }

    /// The slots whose owner is not known.
    pub fn without_owner(&self, is_known: impl Fn(u64) -> bool) -> Vec<u32> {
        let slots = self.slots.iter();
        slots
            .filter(|(_, slot)| slot.owner != OTHERS && !is_known(slot.owner))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Takes a reading of all slots, at this moment of any clock.
    pub fn read(&mut self, counts: BTreeMap<u32, SlotCounts>, attached: Duration, now: Duration) {
        let mut observed: BTreeMap<Subject, Duration> = BTreeMap::new();
        for slot in self.slots.values_mut() {
            let passed = attached.saturating_sub(slot.observed_until);
            slot.observed_until = attached;
            // Several instances of one subject run at the same time.
            let longest = observed.entry(slot.subject.clone()).or_default();
            *longest = passed.max(*longest);
        }
        for (subject, passed) in observed {
            self.of(&subject).observed_ms += passed.as_millis() as u64;
        }
        for (number, counted) in counts {
            if !self.slots.contains_key(&number) {
                let since = *self.strays.entry(number).or_insert(now);
                if now < since + PATIENCE {
                    continue;
                }
                // What told of it was lost.
                self.open(number, OTHERS, other(), attached);
            }
            self.take(number, counted);
        }
    }

    /// Takes the last reading of slots that are no more.
    pub fn close(&mut self, counts: BTreeMap<u32, SlotCounts>) {
        for (number, counted) in counts {
            self.take(number, counted);
            self.slots.remove(&number);
            self.strays.remove(&number);
        }
    }

    fn take(&mut self, number: u32, now: SlotCounts) {
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        let delta = (self.pending)
            .entry(slot.subject.clone())
            .or_insert_with(|| SubjectDelta::new(slot.subject.clone()));
        difference::add(delta, &slot.read, &now);
        slot.is_changed |= slot.read != now;
        slot.read = now;
    }

    /// A feature was used for the first time in its slot.
    pub fn first_seen(&mut self, number: u32, feature: Feature, at_ms: u64) {
        let Some(slot) = self.slots.get(&number) else {
            return;
        };
        let subject = slot.subject.clone();
        let first = self.of(&subject).first_seen_ms.entry(feature);
        first
            .and_modify(|first| *first = at_ms.min(*first))
            .or_insert(at_ms);
    }

    fn of(&mut self, subject: &Subject) -> &mut SubjectDelta {
        (self.pending)
            .entry(subject.clone())
            .or_insert_with(|| SubjectDelta::new(subject.clone()))
    }

    /// Losses that no slot knows of.
    pub fn lost(&mut self, lost: ProfileLost) {
        if lost.total() > 0 {
            self.of(&other()).lost += lost;
        }
    }

    /// The slots of these owners.
    pub fn slots_of(&self, owners: &[u64]) -> Vec<u32> {
        let of_owners = self.slots.iter();
        of_owners
            .filter(|(_, slot)| owners.contains(&slot.owner))
            .map(|(number, _)| *number)
            .collect()
    }

    /// The slots in which nothing lives any more.
    pub fn without(&self, living: &BTreeMap<u32, u64>) -> Vec<u32> {
        let slots = self.slots.keys().copied();
        slots.filter(|slot| !living.contains_key(slot)).collect()
    }

    pub fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots.get(&number)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Takes what is to be stored.
    pub fn take_pending(&mut self) -> Vec<SubjectDelta> {
        std::mem::take(&mut self.pending).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::trace::CallCounts;

    use super::*;

    fn subject(name: &str) -> Subject {
        Subject {
            kind: SubjectKind::Unit,
            name: name.to_owned(),
            ..other()
        }
    }

    fn reads(calls: u64, starts: u64) -> SlotCounts {
        let counts = CallCounts {
            calls,
            ..CallCounts::default()
        };
        SlotCounts {
            calls: [("read".parse().expect("a feature"), counts)].into(),
            starts,
            ..SlotCounts::default()
        }
    }

    fn totals(ledger: &mut Ledger) -> Vec<(String, u64, u64, u64)> {
        let deltas = ledger.take_pending().into_iter();
        deltas
            .map(|delta| {
                let calls = delta.calls.values().map(|counts| counts.calls).sum();
                let seconds = delta.observed_ms / 1000;
                (delta.subject.name, calls, delta.starts, seconds)
            })
            .collect()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn instances_of_one_subject_add_their_calls_but_not_their_time() {
        let mut ledger = Ledger::default();
        ledger.open(1, 11, subject("a@.service"), seconds(0));
        ledger.open(2, 12, subject("a@.service"), seconds(4));
        ledger.read(
            [(1, reads(3, 1)), (2, reads(4, 1))].into(),
            seconds(10),
            seconds(10),
        );
        assert_eq!(totals(&mut ledger), [("a@.service".to_owned(), 7, 2, 10)]);
        assert_eq!(totals(&mut ledger), []);
        ledger.close([(2, reads(9, 1))].into());
        ledger.read([(1, reads(3, 1))].into(), seconds(12), seconds(12));
        assert_eq!(totals(&mut ledger), [("a@.service".to_owned(), 5, 0, 2)]);
        assert_eq!(ledger.slots_of(&[11, 12]), [1]);
    }

    #[test]
    fn a_slot_goes_on_where_the_process_before_has_stopped_to_read() {
        let mut ledger = Ledger::default();
        ledger.resume(1, 11, subject("a.service"), reads(100, 1));
        assert!(ledger.take_changed().is_empty());
        ledger.read([(1, reads(103, 1))].into(), seconds(7), seconds(1));
        assert_eq!(totals(&mut ledger), [("a.service".to_owned(), 3, 0, 7)]);
        let changed = ledger.take_changed();
        assert_eq!(changed[&1].counted(), &reads(103, 1));
        assert!(ledger.take_changed().is_empty());
        assert_eq!(ledger.without_owner(|owner| owner == 12), [1]);
        assert!(ledger.without_owner(|owner| owner == 11).is_empty());
    }

    #[test]
    fn a_slot_that_is_told_late_loses_nothing_and_one_that_is_never_told_is_others() {
        let mut ledger = Ledger::default();
        let both = || [(1, reads(3, 1)), (2, reads(8, 0))].into();
        ledger.read(both(), seconds(1), seconds(1));
        assert_eq!(totals(&mut ledger), []);
        ledger.open(1, 11, subject("late.service"), seconds(1));
        assert_eq!(ledger.strays.len(), 1);
        ledger.read(both(), seconds(1), seconds(1) + PATIENCE);
        assert!(ledger.strays.is_empty());
        assert_eq!(
            totals(&mut ledger),
            [
                ("late.service".to_owned(), 3, 1, 0),
                ("other".to_owned(), 8, 0, 0)
            ]
        );
    }
}
