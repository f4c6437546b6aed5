//! `loupe fleet show NAME`: what all hosts together saw a unit use, and what only few of them did.

use std::collections::BTreeMap;

use loupe_common::profile::SubjectKind;
use serde::Serialize;

use super::bundle::{Calendar, Hour};
use super::catalogue::{Catalogue, Unit, Version, Word};
use super::database::Fleet;
use super::lattice::observed_ms;
use super::merge::decode;
use crate::store::StoreError;

/// A feature is an outlier on at most this part of the unit's hosts: 5 %, and always where only one
/// of three or more hosts has it.
const OUTLIERS: u64 = 20;
const HOSTS_FOR_OUTLIERS: u64 = 3;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Shown {
    pub name: String,
    pub kind: SubjectKind,
    pub hosts: u64,
    pub versions: Vec<VersionRow>,
    /// The one on the most hosts first.
    pub features: Vec<FeatureRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct VersionRow {
    #[serde(flatten)]
    pub version: Version,
    pub hosts: u64,
    /// On all hosts together.
    pub observed_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FeatureRow {
    pub feature: String,
    pub hosts: u64,
    pub first_hour: Hour,
    /// On few of the unit's hosts only.
    pub outlier: bool,
}

impl Fleet {
    /// The units of this name or pattern.
    pub fn show(&self, name: &str) -> Result<Vec<Shown>, StoreError> {
        let catalogue = self.catalogue(Some(name))?;
        let units = catalogue.units.iter();
        units.map(|unit| self.shown(&catalogue, unit)).collect()
    }

    fn shown(&self, catalogue: &Catalogue, unit: &Unit) -> Result<Shown, StoreError> {
        let hosts = unit.hosts();
        let mut counts: BTreeMap<Word, u64> = BTreeMap::new();
        for (sets, hosts) in &unit.places {
            for word in catalogue.features(sets.iter().map(|(_, set)| *set)) {
                *counts.entry(word).or_default() += hosts;
            }
        }
        let mut features = Vec::new();
        for (word, count) in counts {
            let mut first_hour = Hour::MAX;
            for member in &unit.members {
                let first = self.first_seen(member.subject, word)?;
                first_hour = first_hour.min(first.unwrap_or(Hour::MAX));
            }
            features.push(FeatureRow {
                feature: catalogue.word(word).to_owned(),
                hosts: count,
                first_hour,
                outlier: is_outlier(count, hosts),
            });
        }
        features.sort_by(|a, b| (b.hosts, &a.feature).cmp(&(a.hosts, &b.feature)));
        let mut versions = Vec::new();
        for member in &unit.members {
            versions.push(VersionRow {
                version: member.version.clone(),
                hosts: member.tallies.iter().map(|(_, hosts)| hosts).sum(),
                observed_ms: self.observed(member.subject)?,
            });
        }
        Ok(Shown {
            name: unit.name.clone(),
            kind: unit.kind,
            hosts,
            versions,
            features,
        })
    }
}

impl Fleet {
    fn observed(&self, subject: i64) -> Result<u64, StoreError> {
        self.read(|connection| {
            let mut calendars = connection.prepare_cached(
                "SELECT days, hosts FROM calendars
                 JOIN (SELECT calendar, count(*) AS hosts FROM members WHERE subject = ?1
                       GROUP BY calendar) ON calendar = id",
            )?;
            let mut sum = 0_u64;
            let mut rows = calendars.query([subject])?;
            while let Some(row) = rows.next()? {
                let days: String = row.get(0)?;
                let hosts = row.get::<_, i64>(1)?.unsigned_abs();
                let observed = observed_ms(&decode::<Calendar>(&days)?);
                sum = sum.saturating_add(observed.saturating_mul(hosts));
            }
            Ok(sum)
        })
    }
}

fn is_outlier(count: u64, hosts: u64) -> bool {
    hosts >= HOSTS_FOR_OUTLIERS && (count == 1 || count * OUTLIERS <= hosts)
}
