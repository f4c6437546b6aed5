//! Features that share their replays from the first, as a [`Design`] says.
//!
//! Where groups fail, what breaks them is looked for among the features without any passing group
//! ([`suspects`]). Without what fails alone then, the groups are tried again, and in halves where they still
//! fail. Whoever lacks passes after all that, be it that all its groups are odd, is replayed alone once.
//!
//! [`suspects`]: super::suspects

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::Way;
use super::design::Design;
use super::suspects::halves;
use crate::explore::ledger::{Stop, all};
use crate::explore::purpose::way;
use crate::explore::tally::Rule;

type Group = BTreeSet<Feature>;

impl Way<'_, '_, '_> {
    /// Leaves features out as a design says. They are sorted, the least likely to work first.
    pub(super) fn together(&mut self, features: &[Feature]) -> Result<(), Stop> {
        let passes = self.evidence.baseline.rule.passes as usize;
        let Some(design) = Design::new(features.len(), passes) else {
            return Ok(());
        };
        let members = |group: usize| -> Group {
            let in_group = design.places.iter().zip(features);
            let in_group = in_group.filter(|(places, _)| places.contains(&group));
            in_group.map(|(_, feature)| feature.clone()).collect()
        };
        let mut groups = self.try_groups((0..design.groups).map(members).collect())?;
        loop {
            let is_suspect = |feature: &&Feature| {
                !self.evidence.has_own(feature) && !self.evidence.passed_with_others(feature)
            };
            let suspects: Vec<Feature> = features.iter().filter(is_suspect).cloned().collect();
            if suspects.is_empty() {
                break;
            }
            self.find_broken(suspects)?;
            let is_broken = |feature: &&Feature| !self.evidence.may_work(feature);
            let broken: Group = features.iter().filter(is_broken).cloned().collect();
            let again = groups.extract_if(.., |group| !group.is_disjoint(&broken));
            let again = again.map(|group| group.difference(&broken).cloned().collect());
            let again = again.collect();
            groups.extend(self.try_groups(again)?);
        }
        self.halve(groups)?;
        let mut short = self.open(features);
        short.retain(|feature| !self.evidence.has_own(feature));
        self.alone(short)
    }

    /// Tries the halves of groups that fail although none of their members is known to: most of what only
    /// fails together is told apart so. Members that lack no pass are left out.
    fn halve(&mut self, mut groups: Vec<Group>) -> Result<(), Stop> {
        while !groups.is_empty() {
            groups.retain(|group| !self.evidence.passed(group));
            let lacking = groups.into_iter().map(|group| {
                let members: Vec<Feature> = group.into_iter().collect();
                self.open(&members)
            });
            let parts = lacking.flat_map(halves);
            let parts = parts.map(|part| part.into_iter().collect()).collect();
            groups = self.try_groups(parts)?;
        }
        Ok(())
    }

    /// Replays groups once each; what is left of a group may be the same as another's, or too
    /// little to be one.
    pub(super) fn try_groups(&mut self, groups: BTreeSet<Group>) -> Result<Vec<Group>, Stop> {
        let groups: Vec<Group> = groups.into_iter().filter(|it| it.len() > 1).collect();
        let (action, count) = (way(self.evidence.action), groups.len());
        all((1..).zip(groups).map(|(number, group)| {
            let purpose = format_args!("{action} group {number} of {count}");
            let ruling = self
                .asker
                .ask(&self.policy(&group), Rule::once(), purpose)?;
            self.evidence.add_set(group.clone(), ruling);
            Ok(group)
        }))
    }
}
