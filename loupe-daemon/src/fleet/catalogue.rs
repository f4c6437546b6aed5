//! Units as the whole fleet has them: which sets their executables have, on how many hosts. Counted
//! per set first, so that a question costs what there are of sets, not of hosts times features.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use loupe_common::profile::SubjectKind;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::bundle::Hour;
use super::database::Fleet;
use crate::plan::service::is_managers;
use crate::store::{StoreError, matches_name};

/// Number of a feature's name in the database.
pub type Word = i64;

/// Sets that a host has together, each with its subject, and how many hosts have just these.
pub type Place = (Vec<(i64, i64)>, u64);

/// A version of an executable of a unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Version {
    pub executable: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
}

#[derive(Debug)]
pub struct Member {
    pub subject: i64,
    pub version: Version,
    /// On how many hosts it has which set.
    pub tallies: Vec<(i64, u64)>,
}

/// A unit, with every executable that it was seen to run anywhere.
#[derive(Debug)]
pub struct Unit {
    pub name: String,
    pub kind: SubjectKind,
    pub members: Vec<Member>,
    pub places: Vec<Place>,
}

/// What is asked about.
#[derive(Debug)]
pub struct Catalogue {
    pub words: HashMap<Word, String>,
    pub sets: HashMap<i64, Vec<Word>>,
    pub units: Vec<Unit>,
}

impl Unit {
    pub fn hosts(&self) -> u64 {
        self.places.iter().map(|(_, hosts)| hosts).sum()
    }

    /// Without what the service manager does before it starts a service; where that is all there is,
    /// it is the service.
    pub fn own(&self) -> BTreeSet<i64> {
        let is_own = |member: &&Member| {
            self.kind != SubjectKind::Unit
                || !is_managers(&format!("/systemd/{}", member.version.executable))
        };
        let own: BTreeSet<i64> = self
            .members
            .iter()
            .filter(is_own)
            .map(|member| member.subject)
            .collect();
        match own.is_empty() {
            true => self.members.iter().map(|member| member.subject).collect(),
            false => own,
        }
    }
}

impl Catalogue {
    /// The features of these sets together.
    pub fn features(&self, sets: impl Iterator<Item = i64>) -> BTreeSet<Word> {
        let all = sets.filter_map(|set| self.sets.get(&set));
        all.flatten().copied().collect()
    }

    pub fn word(&self, word: Word) -> &str {
        self.words.get(&word).map_or("", String::as_str)
    }
}

impl Fleet {
    /// The units of this name or pattern; `None`: all.
    pub(super) fn catalogue(&self, name: Option<&str>) -> Result<Catalogue, StoreError> {
        self.read(|connection| {
            let words: HashMap<Word, String> = connection
                .prepare_cached("SELECT id, word FROM words")?
                .query_map([], |row| row.try_into())?
                .collect::<rusqlite::Result<_>>()?;
            let units = units(connection, name)?;
            let mut sets: HashMap<i64, Vec<Word>> = HashMap::new();
            let wanted: BTreeSet<i64> = units
                .iter()
                .flat_map(|unit| &unit.members)
                .flat_map(|member| member.tallies.iter().map(|(set, _)| *set))
                .collect();
            let mut of_set =
                connection.prepare_cached("SELECT word FROM set_words WHERE set_id = ?1")?;
            for set in wanted {
                let features = of_set.query_map([set], |row| row.get(0))?;
                sets.insert(set, features.collect::<rusqlite::Result<_>>()?);
            }
            Ok(Catalogue { words, sets, units })
        })
    }

    /// The names of all units.
    pub fn names(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT DISTINCT name FROM subjects")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// The number of a feature that anybody has.
    pub(super) fn word(&self, feature: &str) -> Result<Option<Word>, StoreError> {
        use rusqlite::OptionalExtension as _;
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id FROM words WHERE word = ?1")?
                .query_row([feature], |row| row.get(0))
                .optional()
        })
    }

    /// The first hour in which the subject was seen to use the feature, on any host.
    pub(super) fn first_seen(&self, subject: i64, word: Word) -> Result<Option<Hour>, StoreError> {
        self.read(|connection| {
            let some_later = connection
                .prepare_cached("SELECT 1 FROM later WHERE subject = ?1 AND word = ?2")?
                .exists([subject, word])?;
            let sql = match some_later {
                // Every host that has it had it in the first hour: one look into the index for each set.
                false => {
                    "SELECT min((SELECT min(first_hour) FROM members m
                                 WHERE m.subject = t.subject AND m.set_id = t.set_id))
                     FROM tallies t WHERE t.subject = ?1
                      AND t.set_id IN (SELECT set_id FROM set_words WHERE word = ?2)"
                }
                // The hosts of one subject, never of all.
                true => {
                    "SELECT min(coalesce(l.hour, m.first_hour)) FROM members m
                     LEFT JOIN later l ON l.subject = ?1 AND l.word = ?2 AND l.host = m.host
                     WHERE m.subject = ?1
                      AND m.set_id IN (SELECT set_id FROM set_words WHERE word = ?2)"
                }
            };
            connection
                .prepare_cached(sql)?
                .query_row([subject, word], |row| row.get(0))
        })
    }
}

fn units(connection: &Connection, name: Option<&str>) -> rusqlite::Result<Vec<Unit>> {
    let mut by_name: BTreeMap<(String, String), Unit> = BTreeMap::new();
    let mut all = connection.prepare_cached(
        "SELECT id, name, kind, executable, package, version, build_id FROM subjects
         ORDER BY name, kind, executable, package, version, build_id",
    )?;
    let mut of_subject = connection
        .prepare_cached("SELECT set_id, hosts FROM tallies WHERE subject = ?1 ORDER BY set_id")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let unit: String = row.get(1)?;
        if name.is_some_and(|pattern| !matches_name(pattern, &unit)) {
            continue;
        }
        let text = |column| -> rusqlite::Result<Option<String>> {
            let text: String = row.get(column)?;
            Ok((!text.is_empty()).then_some(text))
        };
        let subject = row.get(0)?;
        let tallies = of_subject.query_map([subject], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        let member = Member {
            subject,
            version: Version {
                executable: row.get(3)?,
                package: text(4)?,
                version: text(5)?,
                build_id: text(6)?,
            },
            tallies: tallies.collect::<rusqlite::Result<_>>()?,
        };
        let kind: String = row.get(2)?;
        by_name
            .entry((unit.clone(), kind.clone()))
            .or_insert_with(|| Unit {
                name: unit,
                kind: kind_of(&kind),
                members: Vec::new(),
                places: Vec::new(),
            })
            .members
            .push(member);
    }
    let mut units: Vec<Unit> = by_name.into_values().collect();
    for unit in &mut units {
        unit.places = places(connection, &unit.members)?;
    }
    Ok(units)
}

fn kind_of(word: &str) -> SubjectKind {
    [
        SubjectKind::Unit,
        SubjectKind::Container,
        SubjectKind::Executable,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == word)
    .unwrap_or(SubjectKind::Other)
}

/// What hosts have together. Where there is one executable, the tallies tell.
fn places(connection: &Connection, members: &[Member]) -> rusqlite::Result<Vec<Place>> {
    if let [only] = members {
        let alone = |(set, hosts): &(i64, u64)| (vec![(only.subject, *set)], *hosts);
        return Ok(only.tallies.iter().map(alone).collect());
    }
    let mut by_host: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    let mut of_subject =
        connection.prepare_cached("SELECT host, set_id FROM members WHERE subject = ?1")?;
    for member in members {
        let mut rows = of_subject.query(params![member.subject])?;
        while let Some(row) = rows.next()? {
            let sets = by_host.entry(row.get(0)?).or_default();
            sets.push((member.subject, row.get(1)?));
        }
    }
    let mut together: BTreeMap<Vec<(i64, i64)>, u64> = BTreeMap::new();
    for sets in by_host.into_values() {
        *together.entry(sets).or_default() += 1;
    }
    Ok(together.into_iter().collect())
}
