//! The fleet's own database: opened by the rules of the house's other one. What is merged and asked
//! is in files of its own.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::store::{Shape, StoreError, open_as, words_at};

/// Marks a database as a fleet's (`PRAGMA application_id`): the letters "LouF".
const APPLICATION_ID: i64 = 0x4c6f_7546;
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
];
const SHAPE: Shape<'static> = Shape {
    application_id: APPLICATION_ID,
    migrations: MIGRATIONS,
};
/// Kibibytes of the database that are kept in memory: indices of some ten thousand hosts.
const CACHE_KIB: i64 = 64 << 10;

/// What such a database is called, beside the ordinary one.
pub const DATABASE: &str = "fleet.db";

/// What hosts have told of, for whoever is just typing a name: nothing is made or waited for.
pub fn names_at(path: &Path) -> Vec<String> {
    words_at(path, "SELECT DISTINCT name FROM subjects ORDER BY name")
}

/// What many hosts have told.
#[derive(Debug)]
pub struct Fleet {
    path: PathBuf,
    connection: Connection,
}

impl Fleet {
    /// Opens the database, and makes it (readable by its owner only) where it does not exist.
    pub fn open(path: &Path) -> Result<Fleet, StoreError> {
        let connection = open_as(path, SHAPE)?;
        let fleet = Fleet {
            path: path.to_owned(),
            connection,
        };
        let cached = fleet
            .connection
            .pragma_update(None, "cache_size", -CACHE_KIB);
        fleet.sorted(cached)?;
        Ok(fleet)
    }

    pub(super) fn sorted<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, error))
    }

    pub(super) fn read<T>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.sorted(body(&self.connection))
    }

    /// One transaction, which holds the right to write from its start.
    pub(super) fn write<T>(
        &mut self,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let done = transaction.and_then(|transaction| {
            let value = body(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        self.sorted(done)
    }
}
