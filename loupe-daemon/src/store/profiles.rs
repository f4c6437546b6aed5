//! What services really used, kept for years: batches in, profiles out.
//!
//! A batch is one transaction. Its counts lie in a row for each subject and minute; older rows are
//! merged into hours, days and months. It looks at no process and no clock.

mod batch;
mod compact;
mod counts;
mod days;
mod events;
mod gaps;
mod kept;
mod news;
mod pattern;
mod query;
mod record;
mod rows;
mod step;
mod subjects;
mod words;

use loupe_common::profile::Target;
use rusqlite::Transaction;

use super::{Store, StoreError};

pub use batch::{ProfileBatch, SubjectDelta};
pub use days::ObservedDays;
pub use kept::Kept;
pub use news::ProfileNews;
pub use pattern::{fits, matches_name};
pub use query::{ProfileQuery, ProfileSummary};

impl Store {
    /// What was asked to be watched, in the order of their words.
    pub fn profile_targets(&self) -> Result<Vec<Target>, StoreError> {
        let words: Vec<String> = self.rows(
            "SELECT target FROM profile_targets ORDER BY target",
            [],
            |row| row.get(0),
        )?;
        words
            .iter()
            .map(|word| self.decode_word("a target", word))
            .collect()
    }

    /// Keeps targets, over restarts too. On the disk when it returns; which of them are new.
    pub fn add_profile_targets(&self, targets: &[Target]) -> Result<Vec<Target>, StoreError> {
        self.change_targets(
            "INSERT INTO profile_targets (target) VALUES (?1) ON CONFLICT DO NOTHING",
            targets,
        )
    }

    /// Gives targets up: which of them there were. Their profiles stay.
    pub fn remove_profile_targets(&self, targets: &[Target]) -> Result<Vec<Target>, StoreError> {
        self.change_targets("DELETE FROM profile_targets WHERE target = ?1", targets)
    }

    fn change_targets(&self, sql: &str, targets: &[Target]) -> Result<Vec<Target>, StoreError> {
        self.write_to_disk(|transaction| {
            let mut changed = Vec::new();
            for target in targets {
                if self.sorted(transaction.execute(sql, [target.to_string()]))? > 0 {
                    changed.push(target.clone());
                }
            }
            Ok(changed)
        })
    }

    /// The size of the database with its log, in bytes.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let pages: i64 = self.read(|connection| {
            connection.query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
        })?;
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        let log = match std::fs::metadata(&log) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(source) => {
                return Err(StoreError::Open {
                    path: log.into(),
                    source,
                });
            }
        };
        Ok(unsigned(pages) + log)
    }

    /// Reads several things as they are at one moment.
    fn reading<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.connection();
        let transaction = self.sorted(connection.unchecked_transaction())?;
        body(&transaction)
    }

    /// A word that is written as its `Display` says.
    fn decode_word<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        word: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_value(serde_json::Value::from(word)).map_err(|source| StoreError::Decode {
            path: self.path.clone(),
            what: format!("{what}, {word:?}"),
            source,
        })
    }
}

/// Numbers of SQLite have a sign. No time and no count comes near it.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Of a column that [`number`] filled.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
