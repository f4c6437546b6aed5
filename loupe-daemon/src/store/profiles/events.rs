//! What happened to profiles: kept with their features, told as events.

use std::collections::HashMap;

use loupe_common::profile::{Happening, ProfileEvent};
use rusqlite::{Connection, params};

use super::super::{Store, StoreError};
use super::query::ProfileQuery;
use super::subjects::SubjectRow;
use super::words::{Word, Words};
use super::{number, unsigned};

/// A first use, as it is kept.
struct FirstUse {
    subject: i64,
    word: u32,
    at_ms: u64,
    drift: bool,
}

impl Store {
    /// What happened to these profiles since the query's moment, oldest first.
    pub fn profile_events(&self, query: &ProfileQuery) -> Result<Vec<ProfileEvent>, StoreError> {
        self.reading(|transaction| {
            let since_ms = query.since_ms.unwrap_or(0);
            let uses = self.first_uses(transaction, "first_seen_ms >= ?1", number(since_ms))?;
            let mut events = self.events(transaction, uses, |row| {
                row.stable
                    .map(|(at_ms, _)| at_ms)
                    .filter(|at_ms| *at_ms >= since_ms)
            })?;
            events.retain(|event| query.asks_for(&event.subject));
            Ok(events)
        })
    }

    /// What a batch brought.
    pub(super) fn events_of_batch(
        &self,
        connection: &Connection,
        batch: i64,
    ) -> Result<Vec<ProfileEvent>, StoreError> {
        let uses = self.first_uses(connection, "batch = ?1", batch)?;
        self.events(connection, uses, |row| {
            row.stable
                .filter(|(_, by)| *by == batch)
                .map(|(at_ms, _)| at_ms)
        })
    }

    fn first_uses(
        &self,
        connection: &Connection,
        which: &str,
        value: i64,
    ) -> Result<Vec<FirstUse>, StoreError> {
        let sql = format!(
            "SELECT subject, feature, first_seen_ms, drift FROM profile_uses WHERE {which}"
        );
        self.sorted(connection.prepare_cached(&sql).and_then(|mut statement| {
            statement
                .query_map(params![value], |row| {
                    Ok(FirstUse {
                        subject: row.get(0)?,
                        word: row.get(1)?,
                        at_ms: row.get(2).map(unsigned)?,
                        drift: row.get(3)?,
                    })
                })?
                .collect()
        }))
    }

    fn events(
        &self,
        connection: &Connection,
        uses: Vec<FirstUse>,
        became_stable: impl Fn(&SubjectRow) -> Option<u64>,
    ) -> Result<Vec<ProfileEvent>, StoreError> {
        let words = match uses.is_empty() {
            true => None,
            false => Some(Words::read(self, connection)?),
        };
        let subjects: HashMap<i64, SubjectRow> = self
            .subjects(connection)?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        let version = |row: &SubjectRow| row.subject.executable.version.clone();
        let mut events = Vec::new();
        for one in uses {
            let Some(Word::Feature(feature)) = words.as_ref().and_then(|words| words.get(one.word))
            else {
                continue; // Foreign calls are no features.
            };
            let Some(row) = subjects.get(&one.subject) else {
                continue; // Forgotten with its subject, in the same transaction.
            };
            let feature = feature.clone();
            let before = row.predecessor.and_then(|id| subjects.get(&id));
            events.push(ProfileEvent {
                at_ms: one.at_ms,
                subject: row.subject.clone(),
                what: match one.drift {
                    false => Happening::FirstSeen { feature },
                    true => Happening::Drift {
                        feature,
                        before: before.and_then(version),
                        now: version(row),
                    },
                },
            });
        }
        for row in subjects.values() {
            if let Some(at_ms) = became_stable(row) {
                events.push(ProfileEvent {
                    at_ms,
                    subject: row.subject.clone(),
                    what: Happening::Stable,
                });
            }
        }
        let order = |event: &ProfileEvent| {
            let feature = match &event.what {
                Happening::FirstSeen { feature } | Happening::Drift { feature, .. } => {
                    Some(feature.clone())
                }
                Happening::Stable => None,
            };
            (event.at_ms, event.subject.clone(), feature)
        };
        events.sort_by_cached_key(order);
        Ok(events)
    }
}
