//! What a hub notes of the hosts that it hears: when, how far their clocks are off, how much waits
//! there, and what it refused. No facts: the merge does not depend on it.

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::database::Fleet;
use crate::store::StoreError;

/// Subjects of which a refusal is kept. Hosts have one each, and others cannot send.
const MOST_REFUSED: i64 = 20_000;

/// Of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Heard {
    /// When it came to the server, by the server's clock.
    pub at_ms: u64,
    /// How much later the host's clock was, when it sent it, than the server's when it came. The way is
    /// in it, so that a clock that is right seems to be some milliseconds late.
    pub offset_ms: i64,
    /// Messages that waited at the host, this one among them.
    pub backlog: u64,
}

/// What was refused of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Refused {
    pub subject: String,
    pub at_ms: u64,
    pub why: String,
    pub times: u64,
}

impl Heard {
    /// The latest counts, whatever the order in which they come.
    pub(super) fn keep(&self, transaction: &Transaction<'_>, host: i64) -> rusqlite::Result<()> {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        transaction
            .prepare_cached(
                "INSERT INTO heard VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, offset_ms = excluded.offset_ms,
                     backlog = excluded.backlog
                 WHERE excluded.at_ms >= at_ms",
            )?
            .execute(params![
                host,
                whole(self.at_ms),
                self.offset_ms,
                whole(self.backlog)
            ])?;
        Ok(())
    }
}

impl Fleet {
    /// Keeps that something was refused, and why.
    pub fn refuse(&mut self, subject: &str, at_ms: u64, why: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            let kept: i64 =
                transaction.query_row("SELECT count(*) FROM refused", [], |row| row.get(0))?;
            let subject = if kept < MOST_REFUSED { subject } else { "…" };
            transaction
                .prepare_cached(
                    "INSERT INTO refused VALUES (?1, ?2, ?3, 1)
                     ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, why = excluded.why,
                         times = times + 1",
                )?
                .execute(params![
                    subject,
                    i64::try_from(at_ms).unwrap_or(i64::MAX),
                    why
                ])?;
            Ok(())
        })
    }

    /// The last comes first.
    pub fn refused(&self) -> Result<Vec<Refused>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT subject, at_ms, why, times FROM refused ORDER BY at_ms DESC, subject",
                )?
                .query_map([], |row| {
                    Ok(Refused {
                        subject: row.get(0)?,
                        at_ms: row.get::<_, i64>(1)?.unsigned_abs(),
                        why: row.get(2)?,
                        times: row.get::<_, i64>(3)?.unsigned_abs(),
                    })
                })?
                .collect()
        })
    }
}
