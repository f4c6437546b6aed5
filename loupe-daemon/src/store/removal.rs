//! Analyses that are to go, with their replays. What somebody works on stays.

use rusqlite::params;

use super::choice::{Choosable as _, WorkloadKind, choose};
use super::selector::Selector;
use super::{Store, StoreError};

/// What is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal<'a> {
    /// The analysis that this name says exactly (`124`, `x~1`), else all that have it (`x/y`).
    Named(&'a Selector),
    /// All that was measured elsewhere.
    Imported,
    /// What was given up, and what was interrupted and has been measured anew since; of each workload
    /// also what was measured before so many.
    Unused { keep: Option<u32> },
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    pub analyses: u64,
    pub replays: u64,
    /// Bytes that the database is smaller by.
    pub bytes: u64,
}

impl Store {
    /// Removes analyses of a user (`None`: of anybody). Nothing is removed where somebody works on one
    /// that was named.
    pub fn remove(&self, owner: Option<u32>, what: Removal<'_>) -> Result<Cleared, StoreError> {
        let ids = self.to_remove(owner, what)?;
        let mut claims = Vec::new();
        let mut free = Vec::new();
        for id in ids {
            match (self.claim(id)?, what) {
                (Some(claim), _) => {
                    claims.push(claim);
                    free.push(id);
                }
                (None, Removal::Unused { .. }) => {}
                (None, _) => return Err(StoreError::InProgress { analysis: id }),
            }
        }
        let size = || std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let before = size();
        let mut cleared = Cleared::default();
        self.write(|transaction| {
            for id in &free {
                let replays: i64 = self.sorted(transaction.query_row(
                    "SELECT count(*) FROM replays WHERE analysis = ?1",
                    [id],
                    |row| row.get(0),
                ))?;
                let gone =
                    self.sorted(transaction.execute("DELETE FROM analyses WHERE id = ?1", [id]))?;
                cleared.analyses += gone as u64;
                cleared.replays += replays.unsigned_abs();
            }
            Ok(())
        })?;
        if matches!(what, Removal::Unused { .. }) {
            self.read(|connection| connection.execute_batch("VACUUM"))?;
            // The file itself gets smaller when its log is emptied into it.
            self.read(|connection| {
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            })?;
            cleared.bytes = before.saturating_sub(size());
        }
        Ok(cleared)
    }

    fn to_remove(&self, owner: Option<u32>, what: Removal<'_>) -> Result<Vec<i64>, StoreError> {
        let id = |row: &rusqlite::Row<'_>| row.get(0);
        match what {
            Removal::Imported => self.rows(
                "SELECT id FROM analyses
                 WHERE definition = 'null' AND (?1 IS NULL OR owner = ?1)",
                params![owner],
                id,
            ),
            Removal::Unused { keep } => self.rows(
                "SELECT id FROM analyses AS analyses WHERE (?1 IS NULL OR owner = ?1) AND CASE state
                    WHEN 'abandoned' THEN 1
                    WHEN 'unfinished' THEN EXISTS (
                        SELECT 1 FROM analyses AS other
                        WHERE other.application = analyses.application
                          AND other.workload = analyses.workload AND other.state = 'finished'
                          AND other.owner = analyses.owner AND other.definition <> 'null'
                          AND other.id > analyses.id)
                    ELSE ?2 IS NOT NULL AND ?2 <= (
                        SELECT count(*) FROM analyses AS other
                        WHERE other.application = analyses.application
                          AND other.workload = analyses.workload AND other.state = 'finished'
                          AND other.owner = analyses.owner
                          AND (other.definition = 'null') = (analyses.definition = 'null')
                          AND (other.ended_ms, other.id) > (analyses.ended_ms, analyses.id))
                    END",
                params![owner, keep],
                id,
            ),
            Removal::Named(selector) => {
                let all = self.candidates(owner, selector)?;
                if !selector.is_exact() {
                    return Ok(all.iter().map(|one| one.standing().id).collect());
                }
                let chosen = choose(&all, selector, WorkloadKind::Any);
                Ok(chosen.map(|chosen| chosen.item.standing().id).into_iter().collect())
            }
        }
    }
}
