//! Groups whose replays do not begin as they should: members are taken from them until they do.
//!
//! To begin a replay takes little, so what keeps one from beginning is found before a group is
//! replayed as a whole. Each member alone does not; two or more together do.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::Grouping;
use crate::explore::beginning::Beginning;

/// Features without all of which no replay begins as it should.
pub(super) type Conflicts = Vec<BTreeSet<Feature>>;

impl Grouping<'_, '_> {
    /// Those of a group without which a replay begins as it should: of those that keep it from
    /// that together, the least likely to work is taken away. What was found out of earlier groups
    /// is known of this one, unless that is not known yet.
    pub(super) fn that_begin(
        &mut self,
        members: BTreeSet<Feature>,
        features: &[Feature],
        conflicts: &mut Option<Conflicts>,
    ) -> Option<BTreeSet<Feature>> {
        let likely_first = features
            .iter()
            .rev()
            .filter(|feature| members.contains(*feature));
        let mut list: Vec<Feature> = likely_first.cloned().collect();
        if list.len() < 2 || self.begins_without(&list)? {
            return Some(members);
        }
        // Other groups need not wait for this one, but those that do not begin either.
        let known = conflicts.take()?;
        *conflicts = Some(self.without_conflicts(&mut list, known)?);
        Some(list.into_iter().collect())
    }

    /// Takes features from a list until it has no conflict, neither a known one nor another.
    fn without_conflicts(
        &mut self,
        list: &mut Vec<Feature>,
        mut known: Conflicts,
    ) -> Option<Conflicts> {
        for conflict in &known {
            resolve(list, conflict);
        }
        while list.len() > 1 && !self.begins_without(list)? {
            let conflict = self.conflict(list)?;
            resolve(list, &conflict);
            known.push(conflict);
        }
        Some(known)
    }

    /// The fewest of a list that keep a replay from beginning as it should, of those that the
    /// shortest part of it has that does.
    fn conflict(&mut self, list: &[Feature]) -> Option<BTreeSet<Feature>> {
        let mut conflict: Vec<Feature> = Vec::new();
        let mut rest = list.to_vec();
        loop {
            let with = |length: usize| [&conflict[..], &rest[..length]].concat();
            // None does so alone.
            let (mut begins, mut fails) = (usize::from(conflict.is_empty()), rest.len());
            while fails - begins > 1 {
                let middle = usize::midpoint(begins, fails);
                match self.begins_without(&with(middle))? {
                    true => begins = middle,
                    false => fails = middle,
                }
            }
            rest.truncate(fails);
            conflict.extend(rest.pop());
            if rest.is_empty() || conflict.len() > 1 && !self.begins_without(&conflict)? {
                return Some(conflict.into_iter().collect());
            }
        }
    }

    /// What is odd without one of them says nothing of all of them.
    fn begins_without(&mut self, list: &[Feature]) -> Option<bool> {
        let policy = self.policy(&list.iter().cloned().collect());
        let is_odd = |feature: &Feature| {
            let known = self.beginnings.and_then(|known| known.get(feature));
            known == Some(&Beginning::Odd)
        };
        let worst = match list.iter().any(is_odd) {
            true => Beginning::Odd,
            false => Beginning::Starts,
        };
        let beginning = self.asker.probe(&policy)?;
        Some(beginning >= worst)
    }
}

/// Takes the last of a conflict from a list that has all of it.
fn resolve(list: &mut Vec<Feature>, conflict: &BTreeSet<Feature>) {
    let in_list = list.iter().filter(|feature| conflict.contains(*feature));
    if in_list.count() == conflict.len() {
        let last = list.iter().rposition(|feature| conflict.contains(feature));
        last.map(|last| list.remove(last));
    }
}
