//! The fleet as a whole, for what is shown at once: each unit with all that it was seen to use anywhere,
//! on how many hosts, and since when. Looks at few members: most have nothing that others had not before.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::bundle::Hour;
use super::catalogue::{Catalogue, Unit, Word};
use super::database::Fleet;
use super::told::is_rest;
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq)]
pub struct UnitOverview {
    pub name: String,
    pub hosts: u64,
    /// The first in which anybody saw it.
    pub first_hour: Hour,
    /// By feature.
    pub uses: BTreeMap<String, Use>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Of the unit's hosts.
    pub hosts: u64,
    pub first_hour: Hour,
}

impl UnitOverview {
    /// What it was not seen to do in its first hour already, with when it began.
    pub fn later(&self) -> impl Iterator<Item = (&str, &Use)> {
        let is_later = |(_, used): &(&String, &Use)| used.first_hour > self.first_hour;
        let later = self.uses.iter().filter(is_later);
        later.map(|(name, used)| (name.as_str(), used))
    }
}

impl Fleet {
    /// All units; the one on the most hosts first.
    pub fn overview(&self) -> Result<Vec<UnitOverview>, StoreError> {
        let catalogue = self.catalogue(None)?;
        self.read(|connection| {
            let mut units = Vec::new();
            for unit in &catalogue.units {
                units.push(overview(connection, &catalogue, unit)?);
            }
            units.sort_by(|a, b| (b.hosts, &a.name).cmp(&(a.hosts, &b.name)));
            Ok(units)
        })
    }
}

fn overview(
    connection: &Connection,
    catalogue: &Catalogue,
    unit: &Unit,
) -> rusqlite::Result<UnitOverview> {
    let mut counts: BTreeMap<Word, u64> = BTreeMap::new();
    for (sets, hosts) in &unit.places {
        let words = catalogue.features(sets.iter().map(|(_, set)| *set));
        for word in words
            .into_iter()
            .filter(|word| !is_rest(catalogue.word(*word)))
        {
            *counts.entry(word).or_default() += hosts;
        }
    }
    let mut seen = Seen::new(connection);
    for member in &unit.members {
        for (set, _) in &member.tallies {
            let words = catalogue.sets.get(set).map_or(&[][..], Vec::as_slice);
            seen.look_at(member.subject, *set, words)?;
        }
    }
    let first_hour = seen.first_hour;
    let uses = counts.into_iter().map(|(word, hosts)| {
        let first = seen.by_word.get(&word).copied();
        let used = Use {
            hosts,
            first_hour: first.unwrap_or(first_hour),
        };
        (catalogue.word(word).to_owned(), used)
    });
    Ok(UnitOverview {
        name: unit.name.clone(),
        hosts: unit.hosts(),
        first_hour,
        uses: uses.collect(),
    })
}

/// What was seen when for the first time, on any host.
pub(super) struct Seen<'a> {
    connection: &'a Connection,
    first_hour: Hour,
    pub by_word: HashMap<Word, Hour>,
}

impl Seen<'_> {
    pub fn new(connection: &Connection) -> Seen<'_> {
        Seen {
            connection,
            first_hour: Hour::MAX,
            by_word: HashMap::new(),
        }
    }

    /// Members in the order in which they began: one that began after all features of its set were seen
    /// has nothing to add, and nobody after it.
    pub fn look_at(&mut self, subject: i64, set: i64, words: &[Word]) -> rusqlite::Result<()> {
        let mut members = self.connection.prepare_cached(
            "SELECT host, first_hour FROM members WHERE subject = ?1 AND set_id = ?2
             ORDER BY first_hour",
        )?;
        let mut later = self
            .connection
            .prepare_cached("SELECT word, hour FROM later WHERE host = ?1 AND subject = ?2")?;
        let mut rows = members.query(params![subject, set])?;
        while let Some(row) = rows.next()? {
            let (host, began): (i64, Hour) = (row.get(0)?, row.get(1)?);
            self.first_hour = self.first_hour.min(began);
            let known = |word| self.by_word.get(word).copied().unwrap_or(Hour::MAX);
            if words.iter().all(|word| known(word) <= began) {
                break;
            }
            let later: HashMap<Word, Hour> = later
                .query_map(params![host, subject], |row| row.try_into())?
                .collect::<rusqlite::Result<_>>()?;
            for word in words {
                let hour = later.get(word).copied().unwrap_or(began);
                let first = self.by_word.entry(*word).or_insert(hour);
                *first = (*first).min(hour);
            }
        }
        Ok(())
    }
}
