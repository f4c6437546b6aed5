//! The rows of counts: one by one, a time's, a subject's. Knows no words.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::{Store, StoreError};
use super::counts::Counts;
use super::step::{Step, of_row_id, row_id};

impl Store {
    pub(super) fn counts(
        &self,
        connection: &Connection,
        step: Step,
        id: i64,
    ) -> Result<Option<Counts>, StoreError> {
        let sql = format!("SELECT counts FROM {} WHERE id = ?1", step.table());
        let packed: Option<Vec<u8>> = self.sorted(
            connection
                .prepare_cached(&sql)
                .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional()),
        )?;
        packed
            .map(|packed| self.unpack(step, id, &packed))
            .transpose()
    }

    pub(super) fn unpack(&self, step: Step, id: i64, packed: &[u8]) -> Result<Counts, StoreError> {
        Counts::unpack(packed).map_err(|broken| StoreError::Damaged {
            path: self.path.clone(),
            message: format!("row {id} of {}: {broken}", step.table()),
        })
    }

    pub(super) fn put_counts(
        &self,
        transaction: &Transaction<'_>,
        step: Step,
        id: i64,
        counts: &Counts,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {} (id, counts) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET counts = excluded.counts",
            step.table()
        );
        let written = transaction
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.execute(params![id, counts.pack()]));
        self.sorted(written).map(|_| ())
    }

    /// The times of which a table has rows. Each is found by one look-up.
    pub(super) fn times(
        &self,
        connection: &Connection,
        step: Step,
    ) -> Result<Vec<i64>, StoreError> {
        let sql = format!("SELECT min(id) FROM {} WHERE id >= ?1", step.table());
        let mut statement = self.sorted(connection.prepare_cached(&sql))?;
        let mut times = Vec::new();
        let mut from = 0_i64;
        loop {
            let first: Option<i64> = self.sorted(statement.query_row([from], |row| row.get(0)))?;
            let Some((time, _)) = first.map(of_row_id) else {
                return Ok(times);
            };
            times.push(time);
            from = row_id(time + 1, 0);
        }
    }
}
