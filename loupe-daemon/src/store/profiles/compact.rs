//! Older counts go into coarser steps, and what nobody wants any more goes.

use std::collections::BTreeMap;

use rusqlite::params;

use super::super::{Store, StoreError};
use super::counts::Counts;
use super::query::ProfileQuery;
use super::step::{Step, of_row_id, row_id};

impl Store {
    /// Merges minutes into hours, hours into days and days into months, by their age. To be called
    /// once an hour. What was recorded before is on the disk when it returns.
    ///
    /// Each hour, day or month is a transaction of its own: others do not wait for long, and what
    /// fails (a full disk) leaves what is done.
    pub fn compact_profiles(&self, now_ms: u64) -> Result<(), StoreError> {
        for step in Step::ALL {
            if let Some((coarser, age_ms)) = step.coarser() {
                let end = coarser.index(now_ms.saturating_sub(age_ms));
                while self.merge_oldest(step, coarser, end)? {}
            }
        }
        // A checkpoint brings the log to the disk first.
        let connection = self.connection();
        self.sorted(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())))
    }

    /// Merges the oldest rows that lie in one coarse step before `end`; whether there were any.
    fn merge_oldest(&self, step: Step, coarser: Step, end: i64) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let sql = format!("SELECT id, counts FROM {} ORDER BY id", step.table());
            let mut statement = self.sorted(transaction.prepare_cached(&sql))?;
            let mut rows = self.sorted(statement.query([]))?;
            let mut into: Option<i64> = None;
            let mut last = 0;
            let mut sums: BTreeMap<i64, Counts> = BTreeMap::new();
            while let Some(row) = self.sorted(rows.next())? {
                let id: i64 = self.sorted(row.get(0))?;
                let (time, subject) = of_row_id(id);
                let coarse = step.index_in(coarser, time);
                if coarse >= end || *into.get_or_insert(coarse) != coarse {
                    break;
                }
                let packed = self.sorted(row.get_ref(1))?;
                let packed = packed.as_blob().map_err(rusqlite::Error::from);
                let counts = self.unpack(step, id, self.sorted(packed)?)?;
                sums.entry(subject).or_default().add(counts);
                last = id;
            }
            drop(rows);
            let Some(into) = into.filter(|_| !sums.is_empty()) else {
                return Ok(false);
            };
            for (subject, mut counts) in sums {
                let id = row_id(into, subject);
                if let Some(known) = self.counts(transaction, coarser, id)? {
                    counts.add(known);
                }
                self.put_counts(transaction, coarser, id, &counts)?;
            }
            let sql = format!("DELETE FROM {} WHERE id <= ?1", step.table());
            self.sorted(transaction.execute(&sql, [last]))?;
            Ok(true)
        })
    }

    /// Forgets the profiles that the query asks for and that were last observed before this moment;
    /// how many there were. Nothing is forgotten unless somebody asks for it.
    pub fn forget_profiles(
        &self,
        query: &ProfileQuery,
        last_observed_before_ms: u64,
    ) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let mut gone = self.subjects(transaction)?;
            gone.retain(|row| {
                row.known.until_ms < last_observed_before_ms && query.asks_for(&row.subject)
            });
            for step in Step::ALL {
                let sql = format!("DELETE FROM {} WHERE id = ?1", step.table());
                let mut delete = self.sorted(transaction.prepare_cached(&sql))?;
                for time in self.times(transaction, step)? {
                    for row in &gone {
                        self.sorted(delete.execute([row_id(time, row.id)]))?;
                    }
                }
            }
            for row in &gone {
                self.sorted(transaction.execute(
                    "DELETE FROM profile_subjects WHERE id = ?1",
                    params![row.id],
                ))?;
            }
            Ok(gone.len() as u64)
        })
    }
}
