//! The daemon's jobs: what was ordered, by whom, and what became of it. They have their numbers
//! for good, and what has not ended outlives the daemon. Runs nothing, and knows no queue.

use std::sync::Arc;

use loupe_common::wire::Failure;
use rusqlite::{Row, params};

use super::claim::Claim;
use super::{Store, StoreError, StoredAnalysis, encode, now_ms};

/// The jobs of a database. While this value lives, no other daemon has them.
#[derive(Debug)]
pub struct JobBook {
    store: Arc<Store>,
    _claim: Claim,
}

/// What is kept of an order.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    pub owner: u32,
    pub application: &'a str,
    pub workload: &'a str,
    /// All that it takes to do it, in the daemon's own words.
    pub definition: &'a str,
    pub detached: bool,
}

/// The state of a job, as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredState {
    /// It has not ended.
    Waiting,
    Finished,
    Failed,
    Cancelled,
}

/// A job as it was kept.
#[derive(Clone, Debug)]
pub struct StoredJob {
    pub id: u64,
    pub owner: u32,
    pub application: String,
    pub workload: String,
    /// Empty once it has ended.
    pub definition: String,
    pub detached: bool,
    pub state: StoredState,
    pub submitted_ms: i64,
    pub ended_ms: Option<i64>,
    /// Daemons that ended unexpectedly while they worked on it.
    pub crashes: u32,
    /// Its analysis exists already.
    pub begun: bool,
    /// Milliseconds of the turns that it had.
    pub ran_ms: u64,
    /// Replays of the turns that it had.
    pub replays: u64,
    /// Steps done at its end.
    pub done: u64,
    /// The analysis of a finished job.
    pub analysis: Option<i64>,
    /// The reason of a failed or cancelled job.
    pub failure: Option<Failure>,
}

/// How a job has ended.
#[derive(Clone, Copy, Debug)]
pub enum JobEnding<'a> {
    /// With this analysis.
    Finished(i64),
    Failed(&'a Failure),
    Cancelled(&'a Failure),
}

const COLUMNS: &str = "id, owner, application, workload, definition, detached, state, \
                       submitted_ms, ended_ms, crashes, begun, ran_ms, replays, done, analysis, \
                       failure";

impl Store {
    /// The jobs, for one daemon at a time. What an earlier daemon was at when it was killed
    /// counts one crash more.
    pub fn keep_jobs(self: &Arc<Self>) -> Result<JobBook, StoreError> {
        let claim = self.claims.jobs();
        let claim = claim.map_err(|source| self.claims_error(source))?;
        let claim = claim.ok_or_else(|| StoreError::JobsKept {
            path: self.path.clone(),
        })?;
        self.write(|transaction| {
            self.sorted(transaction.execute(
                "UPDATE jobs SET crashes = crashes + 1, running = 0 WHERE running = 1",
                [],
            ))
        })?;
        Ok(JobBook {
            store: Arc::clone(self),
            _claim: claim,
        })
    }
}

impl JobBook {
    /// Keeps an order; the number that it has from now on. On the disk when it returns: the
    /// client is told it.
    pub fn add(&self, job: &NewJob<'_>) -> Result<u64, StoreError> {
        self.store.write_to_disk(|transaction| {
            self.store.sorted(transaction.execute(
                "INSERT INTO jobs (owner, application, workload, definition, detached, state,
                                   submitted_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'waiting', ?6)",
                params![
                    job.owner,
                    job.application,
                    job.workload,
                    job.definition,
                    job.detached,
                    now_ms()
                ],
            ))?;
            Ok(transaction.last_insert_rowid().unsigned_abs())
        })
    }

    /// Lists the jobs that have not ended, oldest first.
    pub fn waiting(&self) -> Result<Vec<StoredJob>, StoreError> {
        self.select("state = 'waiting' ORDER BY id", [])
    }

    /// What has ended, of this owner or of all, oldest first.
    pub fn ended(&self, owner: Option<u32>) -> Result<Vec<StoredJob>, StoreError> {
        self.select(
            "state <> 'waiting' AND (?1 IS NULL OR owner = ?1) ORDER BY id",
            [owner],
        )
    }

    /// One that has ended and is still remembered.
    pub fn ended_job(&self, id: u64) -> Result<Option<StoredJob>, StoreError> {
        let found = self.select("state <> 'waiting' AND id = ?1", [number(id)])?;
        Ok(found.into_iter().next())
    }

    /// The result of a finished job, if it is still there.
    pub fn result(&self, job: &StoredJob) -> Result<Option<StoredAnalysis>, StoreError> {
        let Some(analysis) = job.analysis else {
            return Ok(None);
        };
        let found = self.store.results_of(Some(job.owner), Some(analysis))?;
        Ok(found.into_iter().next())
    }

    /// It goes on without a client from now on.
    pub fn detach(&self, id: u64) -> Result<(), StoreError> {
        self.store.write_to_disk(|transaction| {
            let sql = "UPDATE jobs SET detached = 1 WHERE id = ?1";
            self.store.sorted(transaction.execute(sql, [number(id)]))?;
            Ok(())
        })
    }

    /// The daemon begins to work on it.
    pub fn takes_up(&self, id: u64) -> Result<(), StoreError> {
        self.update("UPDATE jobs SET running = 1 WHERE id = ?1", id)
    }

    /// Its analysis exists.
    pub fn has_begun(&self, id: u64) -> Result<(), StoreError> {
        self.update("UPDATE jobs SET begun = 1 WHERE id = ?1", id)
    }

    /// The daemon has stopped to work on it, and will go on later.
    pub fn puts_back(&self, id: u64, ran_ms: u64, replays: u64) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            self.store.sorted(transaction.execute(
                "UPDATE jobs SET running = 0, crashes = 0, ran_ms = ?2, replays = ?3
                 WHERE id = ?1",
                params![number(id), number(ran_ms), number(replays)],
            ))?;
            Ok(())
        })
    }

    /// It has ended. Of its owner's ended jobs the newest `keep` are remembered.
    pub fn ends(
        &self,
        id: u64,
        ending: JobEnding<'_>,
        done: u64,
        keep: u32,
    ) -> Result<(), StoreError> {
        let (state, analysis, failure) = match ending {
            JobEnding::Finished(analysis) => ("finished", Some(analysis), None),
            JobEnding::Failed(failure) => ("failed", None, Some(failure)),
            JobEnding::Cancelled(failure) => ("cancelled", None, Some(failure)),
        };
        let failure = failure.map(|failure| encode("a failure", failure));
        let failure = failure.transpose()?;
        self.store.write(|transaction| {
            self.store.sorted(transaction.execute(
                "UPDATE jobs SET state = ?2, ended_ms = ?3, running = 0, definition = '',
                                 done = ?4, analysis = ?5, failure = ?6
                 WHERE id = ?1 AND state = 'waiting'",
                params![number(id), state, now_ms(), number(done), analysis, failure],
            ))?;
            self.store.sorted(transaction.execute(
                "DELETE FROM jobs WHERE state <> 'waiting'
                   AND owner = (SELECT owner FROM jobs WHERE id = ?1)
                   AND id NOT IN (
                       SELECT id FROM jobs WHERE state <> 'waiting'
                          AND owner = (SELECT owner FROM jobs WHERE id = ?1)
                       ORDER BY ended_ms DESC, id DESC LIMIT ?2)",
                params![number(id), keep],
            ))?;
            Ok(())
        })
    }

    fn update(&self, sql: &str, id: u64) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            self.store.sorted(transaction.execute(sql, [number(id)]))?;
            Ok(())
        })
    }

    fn select(
        &self,
        which: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<StoredJob>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE {which}");
        let rows: Vec<(StoredJob, Option<String>)> = self.store.read(|connection| {
            connection
                .prepare_cached(&sql)?
                .query_map(parameters, job)?
                .collect()
        })?;
        rows.into_iter()
            .map(|(mut job, failure)| {
                let what = || format!("the end of job {}", job.id);
                let failure = failure.map(|text| self.store.decode(what, &text));
                job.failure = failure.transpose()?;
                Ok(job)
            })
            .collect()
    }
}

/// Numbers of SQLite have a sign. No count and no id comes near it.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A row, and its failure as it is written.
fn job(row: &Row<'_>) -> Result<(StoredJob, Option<String>), rusqlite::Error> {
    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let state: String = row.get("state")?;
    let job = StoredJob {
        id: count("id")?,
        owner: row.get("owner")?,
        application: row.get("application")?,
        workload: row.get("workload")?,
        definition: row.get("definition")?,
        detached: row.get("detached")?,
        // The table allows no other.
        state: match state.as_str() {
            "finished" => StoredState::Finished,
            "failed" => StoredState::Failed,
            "cancelled" => StoredState::Cancelled,
            _ => StoredState::Waiting,
        },
        submitted_ms: row.get("submitted_ms")?,
        ended_ms: row.get("ended_ms")?,
        crashes: row.get("crashes")?,
        begun: row.get("begun")?,
        ran_ms: count("ran_ms")?,
        replays: count("replays")?,
        done: count("done")?,
        analysis: row.get("analysis")?,
        failure: None,
    };
    Ok((job, row.get("failure")?))
}
