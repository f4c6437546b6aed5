//! Subjects: their rows, their sums, their gaps. What they used is elsewhere.

use loupe_common::profile::{Executable, Interval, Maturity, ProfileLost, Subject, SubjectKind};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::super::{Store, StoreError, encode};
use super::{number, unsigned};
use crate::completeness::{Blocks, Learning};

/// A subject as it is kept.
#[derive(Clone, Debug)]
pub(super) struct SubjectRow {
    pub id: i64,
    pub subject: Subject,
    pub predecessor: Option<i64>,
    /// The first and the last moment that was observed.
    pub known: Interval,
    pub observed_ms: u64,
    pub calls: u64,
    pub starts: u64,
    pub lost: ProfileLost,
    pub features: u64,
    pub operations: u64,
    pub blocks: Blocks,
    pub learning: Learning,
    /// When it became stable, and by which batch.
    pub stable: Option<(u64, i64)>,
}

const COLUMNS: &str = "id, kind, name, uid, path, build_id, package, version, predecessor, \
                       from_ms, until_ms, observed_ms, calls, starts, lost, features, operations, \
                       blocks, block_covered_ms, block_observed_ms, quiet_ms, restarted_ms, \
                       stable_ms, stable_batch";

const KINDS: [SubjectKind; 5] = [
    SubjectKind::Unit,
    SubjectKind::Container,
    SubjectKind::Cgroup,
    SubjectKind::Executable,
    SubjectKind::Other,
];

impl SubjectRow {
    pub fn maturity(&self) -> Maturity {
        match self.stable {
            Some((since_ms, _)) => Maturity::Stable { since_ms },
            None => Maturity::Learning,
        }
    }

    /// A row, and its losses as they are written.
    fn from_row(row: &Row<'_>) -> Result<(SubjectRow, String), rusqlite::Error> {
        let count = |column: &str| row.get(column).map(unsigned);
        let some = |column: &str| {
            row.get(column)
                .map(|text: String| (!text.is_empty()).then_some(text))
        };
        let kind: String = row.get("kind")?;
        let restarted_ms: Option<i64> = row.get("restarted_ms")?;
        let stable_ms: Option<i64> = row.get("stable_ms")?;
        let stable_batch: Option<i64> = row.get("stable_batch")?;
        let subject = Subject {
            kind: KINDS
                .into_iter()
                .find(|known| known.as_str() == kind)
                .unwrap_or(SubjectKind::Other),
            name: row.get("name")?,
            executable: Executable {
                path: row.get("path")?,
                build_id: some("build_id")?,
                package: some("package")?,
                version: some("version")?,
            },
            uid: row.get("uid")?,
        };
        let subject = SubjectRow {
            id: row.get("id")?,
            subject,
            predecessor: row.get("predecessor")?,
            known: Interval {
                from_ms: count("from_ms")?,
                until_ms: count("until_ms")?,
            },
            observed_ms: count("observed_ms")?,
            calls: count("calls")?,
            starts: count("starts")?,
            lost: ProfileLost::default(),
            features: count("features")?,
            operations: count("operations")?,
            blocks: Blocks {
                complete: count("blocks")?,
                covered_ms: count("block_covered_ms")?,
                observed_ms: count("block_observed_ms")?,
            },
            learning: Learning {
                quiet_ms: count("quiet_ms")?,
                restarted_ms: restarted_ms.map(unsigned),
            },
            stable: stable_ms.map(unsigned).zip(stable_batch),
        };
        Ok((subject, row.get("lost")?))
    }
}

impl Store {
    fn subject_rows(
        &self,
        connection: &Connection,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<SubjectRow>, StoreError> {
        let rows: Vec<(SubjectRow, String)> =
            self.sorted(connection.prepare_cached(sql).and_then(|mut statement| {
                statement
                    .query_map(parameters, SubjectRow::from_row)?
                    .collect()
            }))?;
        rows.into_iter()
            .map(|(mut row, lost)| {
                let what = || format!("the losses of {}", row.subject.name);
                row.lost = self.decode(what, &lost)?;
                Ok(row)
            })
            .collect()
    }

    /// All subjects, by name and path, earlier builds first.
    pub(super) fn subjects(&self, connection: &Connection) -> Result<Vec<SubjectRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM profile_subjects ORDER BY name, path, id");
        self.subject_rows(connection, &sql, [])
    }

    /// The row of a subject, made where there is none: `at` is then all that is known of it.
    pub(super) fn subject_row(
        &self,
        transaction: &Transaction<'_>,
        subject: &Subject,
        at: Interval,
    ) -> Result<SubjectRow, StoreError> {
        let executable = &subject.executable;
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let sql = format!(
            "SELECT {COLUMNS} FROM profile_subjects
             WHERE kind = ?1 AND name = ?2 AND uid = ?3 AND path = ?4 AND build_id = ?5
               AND package = ?6 AND version = ?7"
        );
        let key = params![
            subject.kind.as_str(),
            subject.name,
            subject.uid,
            executable.path,
            text(&executable.build_id),
            text(&executable.package),
            text(&executable.version),
        ];
        if let Some(row) = self.subject_rows(transaction, &sql, key)?.pop() {
            return Ok(row);
        }
        let predecessor: Option<i64> = self.sorted(
            transaction
                .query_row(
                    "SELECT id FROM profile_subjects
                     WHERE kind = ?1 AND name = ?2 AND uid = ?3 AND path = ?4
                     ORDER BY until_ms DESC, id DESC LIMIT 1",
                    params![
                        subject.kind.as_str(),
                        subject.name,
                        subject.uid,
                        executable.path
                    ],
                    |row| row.get(0),
                )
                .optional(),
        )?;
        self.sorted(transaction.execute(
            "INSERT INTO profile_subjects
                 (kind, name, uid, path, build_id, package, version, predecessor, from_ms, until_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                subject.kind.as_str(),
                subject.name,
                subject.uid,
                executable.path,
                text(&executable.build_id),
                text(&executable.package),
                text(&executable.version),
                predecessor,
                number(at.from_ms),
                number(at.until_ms),
            ],
        ))?;
        let sql = format!("SELECT {COLUMNS} FROM profile_subjects WHERE id = ?1");
        let id = transaction.last_insert_rowid();
        let made = self.subject_rows(transaction, &sql, [id])?.pop();
        made.ok_or_else(|| {
            StoreError::from_sqlite(&self.path, rusqlite::Error::QueryReturnedNoRows)
        })
    }

    /// Writes the sums back.
    pub(super) fn keep_subject(
        &self,
        transaction: &Transaction<'_>,
        row: &SubjectRow,
    ) -> Result<(), StoreError> {
        let lost = encode("the losses of a profile", &row.lost)?;
        let kept = transaction
            .prepare_cached(
                "UPDATE profile_subjects SET from_ms = ?2, until_ms = ?3, observed_ms = ?4,
                     calls = ?5, starts = ?6, lost = ?7, features = ?8, operations = ?9,
                     blocks = ?10, block_covered_ms = ?11, block_observed_ms = ?12,
                     quiet_ms = ?13, restarted_ms = ?14, stable_ms = ?15, stable_batch = ?16
                 WHERE id = ?1",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    row.id,
                    number(row.known.from_ms),
                    number(row.known.until_ms),
                    number(row.observed_ms),
                    number(row.calls),
                    number(row.starts),
                    lost,
                    number(row.features),
                    number(row.operations),
                    number(row.blocks.complete),
                    number(row.blocks.covered_ms),
                    number(row.blocks.observed_ms),
                    number(row.learning.quiet_ms),
                    row.learning.restarted_ms.map(number),
                    row.stable.map(|(at_ms, _)| number(at_ms)),
                    row.stable.map(|(_, batch)| batch),
                ])
            });
        self.sorted(kept)?;
        Ok(())
    }

    pub(super) fn gaps(
        &self,
        connection: &Connection,
        subject: i64,
    ) -> Result<Vec<Interval>, StoreError> {
        self.sorted(
            connection
                .prepare_cached(
                    "SELECT from_ms, until_ms FROM profile_gaps WHERE subject = ?1
                     ORDER BY from_ms",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map([subject], |row| {
                            Ok(Interval {
                                from_ms: row.get(0).map(unsigned)?,
                                until_ms: row.get(1).map(unsigned)?,
                            })
                        })?
                        .collect()
                }),
        )
    }

    /// Writes what differs between two lists of a subject's gaps.
    pub(super) fn keep_gaps(
        &self,
        transaction: &Transaction<'_>,
        subject: i64,
        before: &[Interval],
        after: &[Interval],
    ) -> Result<(), StoreError> {
        for gap in before.iter().filter(|gap| !after.contains(gap)) {
            self.sorted(transaction.execute(
                "DELETE FROM profile_gaps WHERE subject = ?1 AND from_ms = ?2",
                params![subject, number(gap.from_ms)],
            ))?;
        }
        for gap in after.iter().filter(|gap| !before.contains(gap)) {
            self.sorted(transaction.execute(
                "INSERT INTO profile_gaps (subject, from_ms, until_ms) VALUES (?1, ?2, ?3)",
                params![subject, number(gap.from_ms), number(gap.until_ms)],
            ))?;
        }
        Ok(())
    }
}
