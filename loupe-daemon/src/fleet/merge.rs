//! A bundle goes into the database, in one transaction. What the join is, `lattice` says; this keeps
//! sets and calendars as long as somebody has them, and the tallies right.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::Serialize;

use super::bundle::{
    Bundle, Calendar, FeatureSet, FleetSubject, Host, Hour, calendar_name, set_name,
};
use super::database::Fleet;
use super::heard::Heard;
use super::lattice::{Member, join_hosts};
use crate::store::StoreError;

/// What an import changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    pub new_host: bool,
    /// Subjects that the host had not told of.
    pub new: u64,
    /// Subjects of which it told more.
    pub changed: u64,
    pub unchanged: u64,
}

/// A member's row, with what it refers to.
struct Row {
    set: i64,
    calendar: i64,
    member: Member,
}

impl Fleet {
    /// Merges it: in any order, again, or in parts, the database ends with the same content.
    pub fn merge(&mut self, bundle: &Bundle) -> Result<Merged, StoreError> {
        self.write(|transaction| merge(transaction, bundle).map(|(_, merged)| merged))
    }

    /// Merges many, in one transaction, and keeps when each was heard.
    pub fn merge_all(
        &mut self,
        bundles: impl Iterator<Item = (Bundle, Heard)>,
    ) -> Result<Merged, StoreError> {
        self.write(|transaction| {
            let mut sum = Merged::default();
            for (bundle, heard) in bundles {
                let (host, merged) = merge(transaction, &bundle)?;
                heard.keep(transaction, host)?;
                sum.add(merged);
            }
            Ok(sum)
        })
    }
}

impl Merged {
    pub fn add(&mut self, other: Merged) {
        self.new_host |= other.new_host;
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
    }
}

/// The number of the host, and what changed.
fn merge(transaction: &Transaction<'_>, bundle: &Bundle) -> rusqlite::Result<(i64, Merged)> {
    let mut merge = Merge {
        transaction,
        merged: Merged::default(),
        left: BTreeSet::new(),
        left_calendars: BTreeSet::new(),
    };
    let host = merge.host(&bundle.host)?;
    for told in &bundle.subjects {
        // Both are there: the bundle was checked when it was read.
        let (Some(set), Some(calendar)) = (
            bundle.sets.get(&told.set),
            bundle.calendars.get(&told.calendar),
        ) else {
            continue;
        };
        merge.member(host, &told.subject, Member::told(told, set, calendar))?;
    }
    merge.sweep()?;
    Ok((host, merge.merged))
}

struct Merge<'a> {
    transaction: &'a Transaction<'a>,
    merged: Merged,
    /// Sets and calendars that a member had before: perhaps nobody has them now.
    left: BTreeSet<i64>,
    left_calendars: BTreeSet<i64>,
}

impl Merge<'_> {
    fn host(&mut self, told: &Host) -> rusqlite::Result<i64> {
        let known: Option<(i64, String)> = self
            .transaction
            .prepare_cached("SELECT id, state FROM hosts WHERE key = ?1")?
            .query_row([&told.id], |row| row.try_into())
            .optional()?;
        let before = match &known {
            Some((_, text)) => Some(decode(text)?),
            None => None,
        };
        self.merged.new_host = before.is_none();
        let state = encode(&join_hosts(before, told))?;
        match known {
            Some((id, _)) => {
                self.transaction
                    .prepare_cached("UPDATE hosts SET state = ?2 WHERE id = ?1")?
                    .execute(params![id, state])?;
                Ok(id)
            }
            None => self
                .transaction
                .prepare_cached("INSERT INTO hosts (key, state) VALUES (?1, ?2)")?
                .insert(params![told.id, state]),
        }
    }

    fn member(&mut self, host: i64, subject: &FleetSubject, told: Member) -> rusqlite::Result<()> {
        let subject = self.subject(subject)?;
        let before = self.known(host, subject)?;
        let mut member = told;
        if let Some(row) = &before {
            member.join(row.member.clone());
            if member == row.member {
                self.merged.unchanged += 1;
                return Ok(());
            }
        }
        let set = self.set(&member.set())?;
        let calendar = self.calendar(&member.calendar)?;
        match &before {
            None => {
                self.merged.new += 1;
                self.count(subject, set, 1)?;
            }
            Some(row) => {
                self.merged.changed += 1;
                if row.set != set {
                    self.count(subject, row.set, -1)?;
                    self.count(subject, set, 1)?;
                    self.left.insert(row.set);
                }
                if row.calendar != calendar {
                    self.left_calendars.insert(row.calendar);
                }
            }
        }
        self.sum_up(host, before.as_ref().map(|row| &row.member), &member)?;
        let (first, last) = member.times.unwrap_or_default();
        self.transaction
            .prepare_cached("INSERT OR REPLACE INTO members VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")?
            .execute(params![
                subject,
                host,
                set,
                first,
                last,
                member.magnitude,
                calendar,
                in_row(member.lost)
            ])?;
        let later = member.later();
        if before.is_some_and(|row| row.member.later() != later) {
            self.transaction
                .prepare_cached("DELETE FROM later WHERE host = ?1 AND subject = ?2")?
                .execute([host, subject])?;
        }
        for (feature, hour) in later {
            let word = self.word(&feature)?;
            self.transaction
                .prepare_cached("INSERT OR REPLACE INTO later VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![subject, word, host, hour])?;
        }
        Ok(())
    }

    /// Keeps the host's sums right, where one of its members changes.
    fn sum_up(&self, host: i64, before: Option<&Member>, now: &Member) -> rusqlite::Result<()> {
        let lost_before = before.map_or(0, |member| in_row(member.lost));
        self.transaction
            .prepare_cached(
                "UPDATE hosts SET subject_count = subject_count + ?2, lost_count = lost_count + ?3
                 WHERE id = ?1",
            )?
            .execute(params![
                host,
                before.is_none(),
                in_row(now.lost) - lost_before
            ])?;
        Ok(())
    }

    fn known(&self, host: i64, subject: i64) -> rusqlite::Result<Option<Row>> {
        let row = self
            .transaction
            .prepare_cached(
                "SELECT set_id, first_hour, last_hour, magnitude, calendar, lost, days
                 FROM members JOIN calendars ON calendars.id = calendar
                 WHERE subject = ?1 AND host = ?2",
            )?
            .query_row([subject, host], |row| {
                let days: String = row.get(6)?;
                Ok(Row {
                    set: row.get(0)?,
                    calendar: row.get(4)?,
                    member: Member {
                        features: BTreeMap::new(),
                        times: Some((row.get(1)?, row.get(2)?)),
                        magnitude: row.get(3)?,
                        calendar: decode(&days)?,
                        lost: row.get::<_, i64>(5)?.unsigned_abs(),
                    },
                })
            })
            .optional()?;
        let Some(mut row) = row else {
            return Ok(None);
        };
        let first = row.member.times.map_or(0, |(first, _)| first);
        let features: Vec<(String, Option<Hour>)> = self
            .transaction
            .prepare_cached(
                "SELECT words.word, later.hour FROM set_words
                 JOIN words ON words.id = set_words.word
                 LEFT JOIN later ON later.subject = ?2 AND later.word = set_words.word
                      AND later.host = ?3
                 WHERE set_id = ?1",
            )?
            .query_map([row.set, subject, host], |row| row.try_into())?
            .collect::<rusqlite::Result<_>>()?;
        let first_seen =
            |(feature, later): (String, Option<Hour>)| (feature, later.unwrap_or(first));
        row.member.features = features.into_iter().map(first_seen).collect();
        Ok(Some(row))
    }

    fn subject(&self, subject: &FleetSubject) -> rusqlite::Result<i64> {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let key = params![
            subject.name,
            subject.kind.as_str(),
            subject.executable,
            text(&subject.build_id),
            text(&subject.package),
            text(&subject.version),
        ];
        let known = self
            .transaction
            .prepare_cached(
                "SELECT id FROM subjects WHERE name = ?1 AND kind = ?2 AND executable = ?3
                     AND build_id = ?4 AND package = ?5 AND version = ?6",
            )?
            .query_row(key, |row| row.get(0))
            .optional()?;
        match known {
            Some(id) => Ok(id),
            None => self
                .transaction
                .prepare_cached(
                    "INSERT INTO subjects (name, kind, executable, build_id, package, version)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .insert(key),
        }
    }

    fn word(&self, word: &str) -> rusqlite::Result<i64> {
        let known = self
            .transaction
            .prepare_cached("SELECT id FROM words WHERE word = ?1")?
            .query_row([word], |row| row.get(0))
            .optional()?;
        match known {
            Some(id) => Ok(id),
            None => self
                .transaction
                .prepare_cached("INSERT INTO words (word) VALUES (?1)")?
                .insert([word]),
        }
    }

    fn set(&self, features: &FeatureSet) -> rusqlite::Result<i64> {
        let name = set_name(features);
        let known = self
            .transaction
            .prepare_cached("SELECT id FROM sets WHERE name = ?1")?
            .query_row([&name], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let id = self
            .transaction
            .prepare_cached("INSERT INTO sets (name) VALUES (?1)")?
            .insert([&name])?;
        for feature in features {
            let word = self.word(feature)?;
            self.transaction
                .prepare_cached("INSERT INTO set_words VALUES (?1, ?2)")?
                .execute([id, word])?;
        }
        Ok(id)
    }

    fn calendar(&self, calendar: &Calendar) -> rusqlite::Result<i64> {
        let name = calendar_name(calendar);
        let known = self
            .transaction
            .prepare_cached("SELECT id FROM calendars WHERE name = ?1")?
            .query_row([&name], |row| row.get(0))
            .optional()?;
        match known {
            Some(id) => Ok(id),
            None => self
                .transaction
                .prepare_cached("INSERT INTO calendars (name, days) VALUES (?1, ?2)")?
                .insert([name, encode(calendar)?]),
        }
    }

    fn count(&self, subject: i64, set: i64, change: i64) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached(
                "INSERT INTO tallies VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET hosts = hosts + excluded.hosts",
            )?
            .execute([subject, set, change])?;
        if change < 0 {
            self.transaction
                .prepare_cached(
                    "DELETE FROM tallies WHERE subject = ?1 AND set_id = ?2 AND hosts = 0",
                )?
                .execute([subject, set])?;
        }
        Ok(())
    }

    /// Forgets the sets and calendars that nobody has any more: which there were on the way depends
    /// on the order of the imports.
    fn sweep(&self) -> rusqlite::Result<()> {
        for set in &self.left {
            let gone = self
                .transaction
                .prepare_cached(
                    "DELETE FROM sets WHERE id = ?1
                     AND NOT EXISTS (SELECT 1 FROM tallies WHERE set_id = ?1)",
                )?
                .execute([set])?;
            if gone > 0 {
                self.transaction
                    .prepare_cached("DELETE FROM set_words WHERE set_id = ?1")?
                    .execute([set])?;
            }
        }
        for calendar in &self.left_calendars {
            self.transaction
                .prepare_cached(
                    "DELETE FROM calendars WHERE id = ?1
                     AND NOT EXISTS (SELECT 1 FROM members WHERE calendar = ?1)",
                )?
                .execute([calendar])?;
        }
        Ok(())
    }
}

/// The database's numbers have a sign.
fn in_row(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn encode(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}
