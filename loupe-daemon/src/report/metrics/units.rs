//! Subjects by unit, as metrics tell them apart, and which units have rows.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::profile::{Maturity, Observation, ProfileLost, SubjectKind, SubjectStatus};
use prometheus_client::encoding::EncodeLabelSet;

use crate::plan::observed_together;

/// Units that have rows: those that were observed last, so that a row may go and come again and
/// never counts backwards. Far more than a host has at a time; transient units come and go for years.
pub(super) const MOST_UNITS: usize = 1000;

/// What stands for a name where there is none.
const NAMELESS: &str = "other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct Label {
    pub kind: &'static str,
    pub unit: String,
}

impl Label {
    fn of(kind: SubjectKind, name: &str) -> Label {
        // The last component of a path; names of units are their own.
        let last = name.trim_end_matches('/').rsplit('/').next();
        Label {
            kind: kind.as_str(),
            unit: match last.unwrap_or_default() {
                "" => NAMELESS.to_owned(),
                last => last.to_owned(),
            },
        }
    }
}

/// What is known of one unit.
#[derive(Debug)]
pub struct Row<'a> {
    pub label: Label,
    subjects: Vec<&'a SubjectStatus>,
}

/// See the module.
#[derive(Debug)]
pub struct Units<'a> {
    pub rows: Vec<Row<'a>>,
    labels: BTreeSet<Label>,
    pub left_out: u64,
}

impl<'a> Units<'a> {
    pub fn of(subjects: &'a [SubjectStatus]) -> Units<'a> {
        let mut by_label: BTreeMap<Label, Vec<&SubjectStatus>> = BTreeMap::new();
        for status in subjects {
            let subject = &status.subject;
            let label = Label::of(subject.kind, &subject.name);
            by_label.entry(label).or_default().push(status);
        }
        let mut rows: Vec<Row<'_>> = by_label
            .into_iter()
            .map(|(label, subjects)| Row { label, subjects })
            .collect();
        let left_out = rows.len().saturating_sub(MOST_UNITS);
        if left_out > 0 {
            rows.sort_by_cached_key(|row| std::cmp::Reverse(row.observation().until_ms));
            rows.truncate(MOST_UNITS);
        }
        Units {
            labels: rows.iter().map(|row| row.label.clone()).collect(),
            rows,
            left_out: left_out as u64,
        }
    }

    /// `None`: it has no rows.
    pub fn label(&self, kind: SubjectKind, name: &str) -> Option<&Label> {
        self.labels.get(&Label::of(kind, name))
    }
}

impl Row<'_> {
    fn sum(&self, of: impl Fn(&SubjectStatus) -> u64) -> u64 {
        self.subjects.iter().map(|status| of(status)).sum()
    }

    pub fn features(&self) -> u64 {
        self.current().map(|status| status.features).sum()
    }

    pub fn new_features(&self) -> u64 {
        self.current().map(|status| status.new_last_hour).sum()
    }

    pub fn processes(&self) -> u64 {
        self.sum(|status| status.processes)
    }

    pub fn calls(&self) -> u64 {
        self.sum(|status| status.calls)
    }

    pub fn lost(&self) -> ProfileLost {
        let mut all = ProfileLost::default();
        for status in &self.subjects {
            all += status.lost;
        }
        all
    }

    /// One that still learns makes the unit learn.
    pub fn is_stable(&self) -> bool {
        self.current()
            .all(|status| matches!(status.maturity, Maturity::Stable { .. }))
    }

    pub fn observation(&self) -> Observation {
        observed_together(self.subjects.iter().map(|status| &status.observation))
    }

    /// The newest build of each executable.
    fn current(&self) -> impl Iterator<Item = &SubjectStatus> {
        let mut newest: BTreeMap<(u32, &str), &SubjectStatus> = BTreeMap::new();
        let age = |status: &SubjectStatus| {
            let observation = &status.observation;
            (observation.until_ms, observation.from_ms)
        };
        for status in &self.subjects {
            let subject = &status.subject;
            let key = (subject.uid, subject.executable.path.as_str());
            let known = newest.entry(key).or_insert(status);
            if age(status) > age(known) {
                *known = status;
            }
        }
        newest.into_values()
    }
}
