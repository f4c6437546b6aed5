//! Groups whose replays do not begin as they should: members are taken from them until they do.
//!
//! To begin a replay takes little, so what keeps one from beginning is found before a group is
//! replayed as a whole. Each member alone does not; two or more together do.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::Way;
use crate::explore::beginning::Beginning;
use crate::explore::conflict::narrow;
use crate::explore::ledger::Stop;

/// Features without all of which no replay begins as it should.
pub(super) type Conflicts = Vec<BTreeSet<Feature>>;

impl Way<'_, '_, '_> {
    /// Those of a group without which a replay begins as it should: of those that keep it from
    /// that together, the least likely to work is taken away. What was found out of earlier groups
    /// is known of this one, unless that is not known yet.
    pub(super) fn that_begin(
        &mut self,
        members: BTreeSet<Feature>,
        features: &[Feature],
        conflicts: &mut Option<Conflicts>,
    ) -> Result<BTreeSet<Feature>, Stop> {
        let likely_first = features
            .iter()
            .rev()
            .filter(|feature| members.contains(*feature));
        let mut list: Vec<Feature> = likely_first.cloned().collect();
        if self.begins_without(&list)? {
            return Ok(members);
        }
        // Other groups need not wait for this one, but those that do not begin either.
        let known = conflicts.take().ok_or(Stop::Pending)?;
        *conflicts = Some(self.without_conflicts(&mut list, known)?);
        Ok(list.into_iter().collect())
    }

    /// Takes features from a list until it has no conflict, neither a known one nor another.
    fn without_conflicts(
        &mut self,
        list: &mut Vec<Feature>,
        mut known: Conflicts,
    ) -> Result<Conflicts, Stop> {
        for conflict in &known {
            resolve(list, conflict);
        }
        while !self.begins_without(list)? {
            let conflict = narrow(list, |part| self.begins_without(part))?;
            let conflict = conflict.into_iter().collect();
            resolve(list, &conflict);
            known.push(conflict);
        }
        Ok(known)
    }

    /// Whether a replay begins as it should without these. What is odd without one of them says
    /// nothing of all of them.
    fn begins_without(&mut self, list: &[Feature]) -> Result<bool, Stop> {
        // None keeps it from that alone.
        if list.len() < 2 {
            return Ok(true);
        }
        let policy = self.policy(&list.iter().cloned().collect());
        let is_odd = |feature: &Feature| {
            let known = self.beginnings.and_then(|known| known.get(feature));
            known == Some(&Beginning::Odd)
        };
        let worst = match list.iter().any(is_odd) {
            true => Beginning::Odd,
            false => Beginning::Starts,
        };
        Ok(self.asker.begin(&policy, "begins as a group")? >= worst)
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
