//! `loupe fleet drift --since`: what a unit does since a moment, on some host and in some version, that
//! it did nowhere before. A unit that nobody had before is told as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::bundle::Hour;
use super::catalogue::{Unit, Version, Word};
use super::database::Fleet;
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FleetDrift {
    pub schema: &'static str,
    pub since_hour: Hour,
    /// By unit, version and feature.
    pub new: Vec<NewUse>,
    pub new_units: Vec<NewUnit>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct NewUse {
    pub name: String,
    #[serde(flatten)]
    pub version: Version,
    pub feature: String,
    pub hosts: u64,
    pub first_hour: Hour,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct NewUnit {
    pub name: String,
    pub hosts: u64,
    pub features: u64,
    pub first_hour: Hour,
}

/// Counts of what is since the moment, by subject and set.
#[derive(Default)]
struct Since {
    /// Members that began since.
    begun: HashMap<(i64, i64), u64>,
    /// Of those that were there before: features that came since.
    later: HashMap<(i64, i64, Word), u64>,
    subjects: HashSet<i64>,
}

impl Fleet {
    pub fn drift(&self, since_hour: Hour) -> Result<FleetDrift, StoreError> {
        let catalogue = self.catalogue(None)?;
        let since = self.since(since_hour)?;
        let mut drift = FleetDrift {
            schema: "loupe.fleet-drift/1",
            since_hour,
            new: Vec::new(),
            new_units: Vec::new(),
        };
        for unit in &catalogue.units {
            let touched = unit
                .members
                .iter()
                .any(|one| since.subjects.contains(&one.subject));
            if !touched {
                continue;
            }
            let Some(before) = before(unit, &since, &catalogue.sets) else {
                let sets = unit.members.iter().flat_map(|member| &member.tallies);
                drift.new_units.push(NewUnit {
                    name: unit.name.clone(),
                    hosts: unit.hosts(),
                    features: catalogue.features(sets.map(|(set, _)| *set)).len() as u64,
                    first_hour: self.begun(unit)?,
                });
                continue;
            };
            for member in &unit.members {
                let mut new: BTreeMap<Word, u64> = BTreeMap::new();
                for (set, hosts) in &member.tallies {
                    let words = catalogue.sets.get(set).into_iter().flatten();
                    for word in words.filter(|word| !before.contains(word)) {
                        *new.entry(*word).or_default() += hosts;
                    }
                }
                for (word, hosts) in new {
                    drift.new.push(NewUse {
                        name: unit.name.clone(),
                        version: member.version.clone(),
                        feature: catalogue.word(word).to_owned(),
                        hosts,
                        first_hour: self.first_seen(member.subject, word)?.unwrap_or_default(),
                    });
                }
            }
        }
        drift.new.sort_by(|a, b| {
            (&a.name, &a.version, &a.feature).cmp(&(&b.name, &b.version, &b.feature))
        });
        Ok(drift)
    }

    /// When anybody saw the unit for the first time.
    fn begun(&self, unit: &Unit) -> Result<Hour, StoreError> {
        self.read(|connection| {
            let mut first = connection.prepare_cached(
                "SELECT min(first_hour) FROM members WHERE subject = ?1 AND set_id = ?2",
            )?;
            let mut begun = Hour::MAX;
            for member in &unit.members {
                for (set, _) in &member.tallies {
                    let hour: Option<Hour> =
                        first.query_row([member.subject, *set], |row| row.get(0))?;
                    begun = begun.min(hour.unwrap_or(Hour::MAX));
                }
            }
            Ok(begun)
        })
    }

    fn since(&self, hour: Hour) -> Result<Since, StoreError> {
        self.read(|connection| {
            let mut since = Since::default();
            let mut begun = connection.prepare_cached(
                "SELECT subject, set_id, count(*) FROM members WHERE first_hour >= ?1
                 GROUP BY subject, set_id",
            )?;
            let mut rows = begun.query([hour])?;
            while let Some(row) = rows.next()? {
                let (subject, set): (i64, i64) = (row.get(0)?, row.get(1)?);
                since
                    .begun
                    .insert((subject, set), row.get::<_, i64>(2)?.unsigned_abs());
                since.subjects.insert(subject);
            }
            // What came since is little: it is looked up by its hour, and each with its one member.
            let mut later = connection.prepare_cached(
                "SELECT l.subject, m.set_id, l.word, count(*) FROM later l
                 CROSS JOIN members m ON m.subject = l.subject AND m.host = l.host
                 WHERE l.hour >= ?1 AND m.first_hour < ?1
                 GROUP BY 1, 2, 3",
            )?;
            let mut rows = later.query([hour])?;
            while let Some(row) = rows.next()? {
                let (subject, set, word): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let count = row.get::<_, i64>(3)?.unsigned_abs();
                since.later.insert((subject, set, word), count);
                since.subjects.insert(subject);
            }
            Ok(since)
        })
    }
}

/// What the unit did before on any host in any version; `None`: nobody had it.
fn before(unit: &Unit, since: &Since, sets: &HashMap<i64, Vec<Word>>) -> Option<BTreeSet<Word>> {
    let mut known = BTreeSet::new();
    let mut anybody = false;
    for member in &unit.members {
        for (set, hosts) in &member.tallies {
            let begun = since.begun.get(&(member.subject, *set)).copied();
            let old = hosts.saturating_sub(begun.unwrap_or_default());
            if old == 0 {
                continue;
            }
            anybody = true;
            for word in sets.get(set).into_iter().flatten() {
                let later = since.later.get(&(member.subject, *set, *word)).copied();
                if later.unwrap_or_default() < old {
                    known.insert(*word);
                }
            }
        }
    }
    anybody.then_some(known)
}
