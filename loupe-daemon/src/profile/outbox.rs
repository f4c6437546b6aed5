//! Batches on their way to the store: one that was handed over is handed over again until it is
//! kept, and what comes meanwhile waits behind it. What the store still refuses when this process ends
//! is there for the next one ([`Outbox::unsent`]); how it gets there is not known here.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use loupe_common::profile::{ProfileEvent, Subject};

use crate::store::{Kept, ProfileBatch, Store, StoreError, SubjectDelta};

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    /// Of this process, which no other has.
    run: String,
    sequence: u64,
    /// Of the process before, in their order.
    inherited: VecDeque<ProfileBatch>,
    /// Handed over; whether the store has it is not known.
    sent: Option<ProfileBatch>,
    waiting: Option<ProfileBatch>,
    /// When the batch that is counted now began.
    from_ms: u64,
    /// The same, by a clock that nobody sets.
    from: Instant,
}

/// Times shorter than this tell no rate.
const LEAST_RATED_MS: u64 = 5_000;

impl Outbox {
    pub fn new(now_ms: u64) -> Outbox {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Outbox {
            run: format!("{}/{}/{now_ms}", boot.trim(), std::process::id()),
            sequence: 0,
            inherited: VecDeque::new(),
            sent: None,
            waiting: None,
            from_ms: now_ms,
            from: Instant::now(),
        }
    }

    /// Goes on where another process has ended, so long ago.
    pub fn resume(&mut self, from_ms: u64, ago: Duration) {
        self.from_ms = from_ms;
        self.from = Instant::now().checked_sub(ago).unwrap_or(self.from);
    }

    /// Takes what another process could not hand over. It goes first.
    pub fn inherit(&mut self, batches: Vec<ProfileBatch>) {
        self.inherited.extend(batches);
    }

    /// Whether the store has all.
    pub fn is_empty(&self) -> bool {
        self.inherited.is_empty() && self.sent.is_none() && self.waiting.is_none()
    }

    /// What the store does not have, to be handed over by another process. It may have the first of
    /// these already, which then counts once.
    pub fn unsent(&self) -> Vec<ProfileBatch> {
        let waiting = self.waiting.iter().map(|batch| ProfileBatch {
            sequence: self.sequence + 1,
            ..batch.clone()
        });
        let inherited = self.inherited.iter().cloned();
        inherited.chain(self.sent.clone()).chain(waiting).collect()
    }

    /// Takes what was counted until now, and up to where that is.
    pub fn put(&mut self, subjects: Vec<SubjectDelta>, kept: Option<Kept>, now_ms: u64) {
        let from_ms = std::mem::replace(&mut self.from_ms, now_ms);
        let length = std::mem::replace(&mut self.from, Instant::now()).elapsed();
        if subjects.is_empty() && kept.is_none() {
            return;
        }
        let batch = ProfileBatch {
            run: self.run.clone(),
            // It gets its number when it is handed over.
            sequence: 0,
            from_ms,
            until_ms: now_ms,
            length_ms: length.as_millis() as u64,
            subjects,
            kept,
        };
        match &mut self.waiting {
            Some(waiting) => waiting.merge(batch),
            none => *none = Some(batch),
        }
    }

    /// Hands over what there is. What happened because of that, and why it ended early.
    pub fn send(&mut self, store: &Store) -> (Vec<ProfileEvent>, Option<StoreError>) {
        let mut events = Vec::new();
        while let Some(batch) = self.inherited.front() {
            match store.record_profiles(batch) {
                Ok(new) => events.extend(new),
                Err(error) => return (events, Some(error)),
            }
            self.inherited.pop_front();
        }
        loop {
            if self.sent.is_none() {
                self.sent = self.waiting.take().map(|batch| {
                    self.sequence += 1;
                    ProfileBatch {
                        sequence: self.sequence,
                        ..batch
                    }
                });
            }
            let Some(batch) = &self.sent else {
                return (events, None);
            };
            match store.record_profiles(batch) {
                Ok(new) => events.extend(new),
                Err(error) => return (events, Some(error)),
            }
            self.sent = None;
        }
    }
}

/// Calls a second by subject; those of before where too little time has passed to tell.
pub fn rates(deltas: &[SubjectDelta], before: &BTreeMap<Subject, f64>) -> BTreeMap<Subject, f64> {
    let rate = |delta: &SubjectDelta| {
        if delta.observed_ms < LEAST_RATED_MS {
            return before.get(&delta.subject).copied();
        }
        let syscalls = delta
            .calls
            .iter()
            .filter(|(feature, _)| feature.syscall().is_some());
        let calls: u64 = syscalls.map(|(_, counts)| counts.calls).sum();
        Some(calls as f64 * 1000.0 / delta.observed_ms as f64)
    };
    deltas
        .iter()
        .filter_map(|delta| Some((delta.subject.clone(), rate(delta)?)))
        .collect()
}
