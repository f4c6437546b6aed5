//! What the service hands over: what was counted of each subject since the batch before. Knows no
//! database.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use loupe_common::feature::Feature;
use loupe_common::profile::{ProfileLost, Subject};
use loupe_common::trace::{CallCounts, ForeignCall};
use serde::{Deserialize, Serialize};

use super::kept::Kept;

/// What was counted within one time, as a rule a minute.
///
/// A batch is handed over until [`Store::record_profiles`](super::Store::record_profiles) has returned `Ok` for it, always
/// with the same run and sequence: then it counts once, whatever became of the attempts before.
/// What is counted meanwhile is the next batch, which can be merged with later ones
/// ([`ProfileBatch::merge`]) as long as it was not handed over itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileBatch {
    /// Names the process that counted: another one, or one of another boot, has another name.
    pub run: String,
    /// Grows with each batch of the run. What is not beyond the last one recorded is recorded.
    pub sequence: u64,
    /// By the clock of the host, which may have been set in between.
    pub from_ms: u64,
    pub until_ms: u64,
    /// Its length by a clock that nobody sets and that stops with a suspended host
    /// (`CLOCK_MONOTONIC`): where the other clock says something else, it was set, or the host
    /// slept, and the batch is taken for the last part of its time.
    pub length_ms: u64,
    /// No subject twice.
    pub subjects: Vec<SubjectDelta>,
    /// What was read of counts that outlive the process, up to which the batch counts.
    pub kept: Option<Kept>,
}

/// What was counted of one subject. An idle subject that was observed is handed over as well:
/// its observation counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectDelta {
    pub subject: Subject,
    /// Milliseconds in which programs were attached and counted, by a clock that nobody sets.
    pub observed_ms: u64,
    /// Syscalls, operations of io_uring and pseudo-files. Latencies are not kept.
    pub calls: BTreeMap<Feature, CallCounts>,
    pub operations: BTreeMap<Feature, CallCounts>,
    pub foreign: Vec<ForeignCall>,
    pub lost: ProfileLost,
    /// Starts of the unit (or of the executable).
    pub starts: u64,
    /// When features were used first, where the kernel told it: else it was within the batch.
    pub first_seen_ms: BTreeMap<Feature, u64>,
}

impl SubjectDelta {
    pub fn new(subject: Subject) -> SubjectDelta {
        SubjectDelta {
            subject,
            observed_ms: 0,
            calls: BTreeMap::new(),
            operations: BTreeMap::new(),
            foreign: Vec::new(),
            lost: ProfileLost::default(),
            starts: 0,
            first_seen_ms: BTreeMap::new(),
        }
    }

    /// Adds what was counted later of the same subject.
    pub fn add(&mut self, later: SubjectDelta) {
        self.observed_ms += later.observed_ms;
        add_counts(&mut self.calls, later.calls);
        add_counts(&mut self.operations, later.operations);
        for call in later.foreign {
            let same = |known: &&mut ForeignCall| {
                (known.number, known.abi.as_str()) == (call.number, call.abi.as_str())
            };
            match self.foreign.iter_mut().find(same) {
                Some(known) => known.calls += call.calls,
                None => self.foreign.push(call),
            }
        }
        self.lost += later.lost;
        self.starts += later.starts;
        for (feature, at_ms) in later.first_seen_ms {
            self.first_seen_ms.entry(feature).or_insert(at_ms);
        }
    }
}

fn add_counts(counts: &mut BTreeMap<Feature, CallCounts>, later: BTreeMap<Feature, CallCounts>) {
    for (feature, more) in later {
        match counts.entry(feature) {
            Entry::Vacant(entry) => {
                entry.insert(more);
            }
            Entry::Occupied(mut entry) => {
                let counts = entry.get_mut();
                counts.calls += more.calls;
                for (errno, calls) in more.errors {
                    *counts.errors.entry(errno).or_default() += calls;
                }
            }
        }
    }
}

impl ProfileBatch {
    /// Adds the batch that follows, which then must not be handed over itself. For when the
    /// database could not be written to: memory stays bounded by what there is to count.
    pub fn merge(&mut self, later: ProfileBatch) {
        self.until_ms = later.until_ms;
        self.length_ms += later.length_ms;
        for delta in later.subjects {
            let same = |known: &&mut SubjectDelta| known.subject == delta.subject;
            match self.subjects.iter_mut().find(same) {
                Some(known) => known.add(delta),
                None => self.subjects.push(delta),
            }
        }
        match (&mut self.kept, later.kept) {
            (Some(kept), Some(later)) => kept.merge(later),
            (none, later @ Some(_)) => *none = later,
            (_, None) => {}
        }
    }
}
