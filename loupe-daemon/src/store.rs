//! What Loupe remembers: analyses, their replays, their results, and profiles, in one SQLite file.
//!
//! Several processes may use a database at once, and any of them may be killed at any moment:
//! a replay that [`Store::record_replay`] returned for is kept. The store runs nothing, judges
//! nothing and prints nothing; every method blocks, briefly.
//!
//! **Durability.** The journal is a write-ahead log with `synchronous=NORMAL`: a commit is
//! handed to the kernel, not to the disk. A kill of any process (or all of them) therefore
//! loses nothing; a power cut may lose the last replays, never the database's consistency, and
//! what is lost is measured again when the analysis goes on. To wait for the disk at each
//! replay took 6 ms here instead of 0.4, as long as many a replay. The result of a whole
//! analysis is worth that wait: it is committed with `synchronous=FULL`, which also brings
//! every replay before it to the disk, for they are in the same log. Of profiles, a power cut may
//! lose what was recorded since they were last compacted, an hour at most.

mod choice;
mod claim;
mod error;
mod jobs;
mod names;
mod open;
// Until the service uses all of it.
#[allow(dead_code, unused_imports)]
mod profiles;
mod query;
mod removal;
mod results;
mod schema;
mod selector;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use loupe_common::analysis::Analysis;
use loupe_common::policy::Policy;
use loupe_common::replay::{Outcome, Replay};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior, params,
};

use crate::replay::Workload;
use claim::{Claim, Claims};
use schema::MIGRATIONS;

pub use choice::{Choosable, Key, RULE, Standing, WorkloadKind, choose, every_workload, is_suite};
pub use error::StoreError;
pub use jobs::{JobBook, JobEnding, NewJob, StoredJob, StoredState};
pub use names::{Names, words_at};
#[allow(unused_imports)]
pub use profiles::{
    Kept, ObservedDays, ProfileBatch, ProfileNews, ProfileQuery, ProfileSummary, SubjectDelta,
    fits, matches_name,
};
pub use query::{Evidence, Listed, Progressing, StoredAnalysis, StoredReplay, VerdictCounts};
pub use removal::{Cleared, Removal};
pub use results::Import;
pub use schema::Shape;
pub use selector::{Selector, Which};

/// Opens a database of another kind by the same rules: made where it is not there, refused where it
/// is another's or newer, brought to the present shape.
pub fn open_as(path: &Path, shape: Shape<'_>) -> Result<Connection, StoreError> {
    open::connection(path, &Claims::beside(path), shape)
}

/// The number of the first replay that is no replica of its policy, no look and no control, but a
/// trial of how replays get on with each other: far beyond the numbers that `explore` deals out.
pub const FIRST_TRIAL: u32 = 10_000_000;

/// An open database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    claims: Claims,
    connection: Mutex<Connection>,
}

/// An analysis in progress. While this value lives, nobody else continues the same analysis;
/// it must be kept until the analysis is finished or given up.
#[derive(Debug)]
#[must_use = "dropping it lets another process continue the same analysis"]
pub struct AnalysisRun {
    pub id: i64,
    _claim: Claim,
}

impl Store {
    /// Opens the database, and makes it (readable by its owner only) with its directory where
    /// it does not exist.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        Store::open_with(path, MIGRATIONS)
    }

    fn open_with(path: &Path, migrations: &[&str]) -> Result<Store, StoreError> {
        let claims = Claims::beside(path);
        let connection = open::connection(path, &claims, Shape::loupe(migrations))?;
        Ok(Store {
            path: path.to_owned(),
            claims,
            connection: Mutex::new(connection),
        })
    }

    /// Continues this user's newest unfinished analysis with this fingerprint that nobody is
    /// working on, or begins one. `fresh` abandons what is unfinished (its replays stay in the
    /// database, but are not found any more) and begins one.
    pub fn begin_analysis_of(
        &self,
        owner: u32,
        workload: &Workload,
        fingerprint: &str,
        fresh: bool,
    ) -> Result<AnalysisRun, StoreError> {
        let definition = encode("the workload", workload)?;
        self.write(|transaction| {
            let unfinished: Vec<i64> = self.sorted(
                transaction
                    .prepare_cached(
                        "SELECT id FROM analyses
                         WHERE fingerprint = ?1 AND owner = ?2 AND state = 'unfinished'
                         ORDER BY id DESC",
                    )
                    .and_then(|mut statement| {
                        statement
                            .query_map(params![fingerprint, owner], |row| row.get(0))?
                            .collect()
                    }),
            )?;
            for id in unfinished {
                let Some(claim) = self.claim(id)? else {
                    continue;
                };
                if fresh {
                    self.sorted(transaction.execute(
                        "UPDATE analyses SET state = 'abandoned', ended_ms = ?2 WHERE id = ?1",
                        params![id, now_ms()],
                    ))?;
                    continue;
                }
                return Ok(AnalysisRun { id, _claim: claim });
            }
            self.sorted(transaction.execute(
                "INSERT INTO analyses
                     (application, workload, definition, fingerprint, state, started_ms,
                      owner)
                 VALUES (?1, ?2, ?3, ?4, 'unfinished', ?5, ?6)",
                params![
                    workload.application,
                    workload.workload,
                    definition,
                    fingerprint,
                    now_ms(),
                    owner
                ],
            ))?;
            let id = transaction.last_insert_rowid();
            let claim = self.claim(id)?.ok_or_else(|| StoreError::Replaced {
                path: self.path.clone(),
                analysis: id,
            })?;
            Ok(AnalysisRun { id, _claim: claim })
        })
    }

    /// The replay of this policy that the analysis has already, with its id.
    pub fn find_replay(
        &self,
        analysis: i64,
        policy: &Policy,
        replica: u32,
    ) -> Result<Option<(i64, Replay)>, StoreError> {
        let key = query::policy_key(policy);
        let found: Option<(i64, String)> = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, replay FROM replays
                     WHERE analysis = ?1 AND policy = ?2 AND replica = ?3",
                )?
                .query_row(params![analysis, key, replica], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        })?;
        found
            .map(|(id, text)| Ok((id, self.decode(|| format!("replay {id}"), &text)?)))
            .transpose()
    }

    /// Keeps a finished replay of an analysis in progress, with why it was run, and returns its
    /// id. When this returns, no kill can lose the replay.
    pub fn record_replay(
        &self,
        analysis: i64,
        replica: u32,
        purpose: Option<&str>,
        replay: &Replay,
    ) -> Result<i64, StoreError> {
        // Before the lock is taken: the text can be some ten kilobytes.
        let whole = encode("a replay", replay)?;
        let outcome = encode("an outcome", &replay.outcome)?;
        let key = query::policy_key(&replay.policy);
        self.write(|transaction| {
            self.expect_in_progress(transaction, analysis)?;
            let inserted = transaction
                .prepare_cached(
                    "INSERT INTO replays (analysis, policy, rules, replica, outcome_kind,
                                          outcome, finished_ms, replay, purpose)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )
                .and_then(|mut statement| {
                    statement.insert(params![
                        analysis,
                        key,
                        replay.policy.len() as i64,
                        replica,
                        outcome_kind(&replay.outcome),
                        outcome,
                        now_ms(),
                        whole,
                        purpose
                    ])
                });
            let id = match inserted {
                // Nothing else in this row can break a constraint.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    return Err(StoreError::AlreadyRecorded {
                        analysis,
                        policy: replay.policy.to_string(),
                        replica,
                    });
                }
                other => self.sorted(other)?,
            };
            let mut rule = self.sorted(transaction.prepare_cached(
                "INSERT INTO replay_rules (replay, feature, action) VALUES (?1, ?2, ?3)",
            ))?;
            for (feature, action) in replay.policy.iter() {
                self.sorted(rule.execute(params![id, feature.to_string(), action.to_string()]))?;
            }
            Ok(id)
        })
    }

    /// Gives an analysis up for good: its replays stay in the database as evidence, but the next
    /// analysis of the same workload starts anew.
    pub fn abandon_analysis(&self, analysis: i64) -> Result<(), StoreError> {
        self.write(|transaction| {
            self.sorted(transaction.execute(
                "UPDATE analyses SET state = 'abandoned', ended_ms = ?2
                 WHERE id = ?1 AND state = 'unfinished'",
                params![analysis, now_ms()],
            ))?;
            Ok(())
        })
    }

    /// Keeps the result of an analysis in progress and closes it. On the disk when it returns.
    pub fn finish_analysis(&self, analysis: i64, result: &Analysis) -> Result<(), StoreError> {
        let result = encode("an analysis", result)?;
        self.write_to_disk(|transaction| {
            self.expect_in_progress(transaction, analysis)?;
            self.sorted(transaction.execute(
                "UPDATE analyses SET state = 'finished', ended_ms = ?2, result = ?3
                 WHERE id = ?1",
                params![analysis, now_ms(), result],
            ))?;
            Ok(())
        })
    }

    fn expect_in_progress(
        &self,
        transaction: &Transaction<'_>,
        analysis: i64,
    ) -> Result<(), StoreError> {
        let in_progress = transaction
            .prepare_cached("SELECT 1 FROM analyses WHERE id = ?1 AND state = 'unfinished'")
            .and_then(|mut statement| statement.exists([analysis]));
        match self.sorted(in_progress)? {
            true => Ok(()),
            false => Err(StoreError::NotInProgress { analysis }),
        }
    }

    fn claim(&self, analysis: i64) -> Result<Option<Claim>, StoreError> {
        self.claims
            .claim(analysis)
            .map_err(|source| self.claims_error(source))
    }

    fn claims_error(&self, source: io::Error) -> StoreError {
        StoreError::Open {
            path: self.claims.path().to_owned(),
            source,
        }
    }

    /// A panic under the lock cannot leave half a change: its transaction is rolled back.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, StoreError> {
        self.sorted(body(&self.connection()))
    }

    fn write<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write_on(&mut self.connection(), body)
    }

    /// [`Store::write`] that is on the disk when it returns, with all that was written before.
    fn write_to_disk<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        self.sorted(connection.pragma_update(None, "synchronous", "FULL"))?;
        let written = self.write_on(&mut connection, body);
        let restored = self.sorted(connection.pragma_update(None, "synchronous", "NORMAL"));
        written.and_then(|value| restored.map(|()| value))
    }

    /// One transaction. It takes the write lock at its start: one that begins as a reader and
    /// then writes fails at once, instead of waiting, when another process wrote in between.
    fn write_on<T>(
        &self,
        connection: &mut Connection,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction =
            self.sorted(connection.transaction_with_behavior(TransactionBehavior::Immediate))?;
        let value = body(&transaction)?;
        self.sorted(transaction.commit())?;
        Ok(value)
    }

    fn sorted<T>(&self, result: Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, error))
    }

    fn decode<T: serde::de::DeserializeOwned>(
        &self,
        what: impl FnOnce() -> String,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| StoreError::Decode {
            path: self.path.clone(),
            what: what(),
            source,
        })
    }
}

fn encode<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Encode { what, source })
}

fn outcome_kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Invalid { .. } => "invalid",
    }
}

/// As the database has moments.
fn now_ms() -> i64 {
    crate::now_ms().cast_signed()
}
