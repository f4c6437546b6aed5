//! `loupe fleet gap` and what a plan is made of: what an OS lacks for the units of a fleet. All that a
//! unit was seen to use counts as needed, as for one host's profile.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use loupe_common::feature::Feature;
use serde::Serialize;

use super::catalogue::Catalogue;
use super::database::Fleet;
use super::told::{Meanings, asked_by_all};
use crate::plan::need::{Answer, is_restart};
use crate::plan::{Named, Need, OsProfile};
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FleetGap {
    pub schema: &'static str,
    pub os: String,
    pub units: u64,
    /// Units that would not run somewhere; the one on the most hosts first.
    pub lacking: Vec<Lacking>,
    /// What is missing; what keeps the most away first.
    pub missing: Vec<Missing>,
    /// Names of other architectures or later kernels, of which nothing can be said here.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Lacking {
    pub name: String,
    /// On which it runs today, and of these those on which something that it uses is missing.
    pub hosts: u64,
    pub would_not_run: u64,
    pub missing: BTreeSet<Feature>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Missing {
    pub feature: Feature,
    pub units: u64,
    /// Units on hosts: a unit counts for each host on which it uses the feature.
    pub places: u64,
}

impl Fleet {
    pub fn gap(&self, os: &OsProfile) -> Result<FleetGap, StoreError> {
        Ok(gap(&self.catalogue(None)?, os))
    }

    /// The same of several OSes.
    pub fn gaps(&self, oses: &[OsProfile]) -> Result<Vec<FleetGap>, StoreError> {
        let catalogue = self.catalogue(None)?;
        Ok(oses.iter().map(|os| gap(&catalogue, os)).collect())
    }

    /// What each unit was seen to use anywhere, and on how many hosts it runs.
    pub fn needs(&self) -> Result<Vec<(Named, u64)>, StoreError> {
        let catalogue = self.catalogue(None)?;
        let meanings = Meanings::of(&catalogue.words);
        let units = catalogue.units.iter();
        let needs = units.filter_map(|unit| {
            let own = unit.own();
            let members = unit
                .members
                .iter()
                .filter(|member| own.contains(&member.subject));
            let sets: BTreeSet<i64> = members
                .flat_map(|member| member.tallies.iter().map(|(set, _)| *set))
                .collect();
            let sets = sets.iter().filter_map(|set| catalogue.sets.get(set));
            let used = asked_by_all(sets.map(|words| meanings.asked(words)));
            let need = Need::of_features(&unit.name, &used).without_restart();
            let named = Named {
                name: need.application.clone(),
                need,
            };
            (!named.need.used.is_empty()).then(|| (named, unit.hosts()))
        });
        Ok(needs.collect())
    }
}

fn gap(catalogue: &Catalogue, os: &OsProfile) -> FleetGap {
    let mut gap = FleetGap {
        schema: "loupe.fleet-gap/1",
        os: os.name.clone(),
        units: catalogue.units.len() as u64,
        lacking: Vec::new(),
        missing: Vec::new(),
        unknown: BTreeSet::new(),
    };
    let meanings = Meanings::of(&catalogue.words);
    let lacks: HashMap<i64, BTreeSet<Feature>> = catalogue
        .sets
        .iter()
        .map(|(set, words)| (*set, lacking(&meanings.asked(words), os)))
        .collect();
    gap.unknown = meanings.unknown;
    let mut counts: BTreeMap<Feature, (u64, u64)> = BTreeMap::new();
    for unit in &catalogue.units {
        let own = unit.own();
        let mut row = Lacking {
            name: unit.name.clone(),
            hosts: unit.hosts(),
            would_not_run: 0,
            missing: BTreeSet::new(),
        };
        for (sets, hosts) in &unit.places {
            let own = sets.iter().filter(|(subject, _)| own.contains(subject));
            let missing: BTreeSet<&Feature> = own
                .filter_map(|(_, set)| lacks.get(set))
                .flatten()
                .collect();
            if missing.is_empty() {
                continue;
            }
            row.would_not_run += hosts;
            for feature in missing {
                counts.entry(feature.clone()).or_default().1 += hosts;
                row.missing.insert(feature.clone());
            }
        }
        for feature in &row.missing {
            counts.entry(feature.clone()).or_default().0 += 1;
        }
        if row.would_not_run > 0 {
            gap.lacking.push(row);
        }
    }
    gap.lacking
        .sort_by(|a, b| (b.would_not_run, &a.name).cmp(&(a.would_not_run, &b.name)));
    gap.missing = counts
        .into_iter()
        .map(|(feature, (units, places))| Missing {
            feature,
            units,
            places,
        })
        .collect();
    gap.missing
        .sort_by(|a, b| (b.places, b.units, &a.feature).cmp(&(a.places, a.units, &b.feature)));
    gap
}

/// What of this the OS does not have. Where it says nothing of a syscall's operations, the syscall is what
/// it lacks.
fn lacking(asked: &BTreeSet<Feature>, os: &OsProfile) -> BTreeSet<Feature> {
    let missing = asked
        .iter()
        .filter(|feature| !is_restart(feature) && os.answer(feature) != Answer::Implement);
    missing
        .map(|feature| match feature.parent() {
            Some(whole) if !os.speaks_of_operations(&whole) => whole,
            _ => feature.clone(),
        })
        .collect()
}
