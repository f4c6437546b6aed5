//! The shape of the database and how an older one is brought to it.
//!
//! Migrations are an ordered list; `user_version` is how many of them a database has seen.
//! Each runs in the same transaction as its new version number, so a crash leaves one version
//! or the next. A migration that was ever released is never edited.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

/// Marks a database as Loupe's (`PRAGMA application_id`): the letters "Loup".
pub(super) const APPLICATION_ID: i64 = 0x4c6f_7570;

/// What kind of database a file is to be.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    pub application_id: i64,
    pub migrations: &'a [&'a str],
}

impl<'a> Shape<'a> {
    /// The database of analyses and profiles.
    pub(super) fn loupe(migrations: &'a [&'a str]) -> Shape<'a> {
        Shape {
            application_id: APPLICATION_ID,
            migrations,
        }
    }
}

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
];

/// Who writes, for `meta`.
const WRITER: &str = concat!("loupe ", env!("CARGO_PKG_VERSION"));

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Ours, at a version that is known; 0 is an empty file.
    Version(i64),
    Newer {
        version: i64,
        writer: Option<String>,
    },
    /// Another program's database.
    Foreign,
}

/// Looks, and changes nothing.
pub(super) fn identify(
    connection: &Connection,
    shape: Shape<'_>,
) -> Result<Found, rusqlite::Error> {
    let (application, version, objects): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_master)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let empty = (application, version, objects) == (0, 0, 0);
    if application != shape.application_id && !empty {
        return Ok(Found::Foreign);
    }
    if version > shape.migrations.len() as i64 {
        let writer = connection
            .query_row("SELECT value FROM meta WHERE key = 'writer'", [], |row| {
                row.get(0)
            })
            .optional()
            // A future version may keep this elsewhere; it only makes the message better.
            .unwrap_or(None);
        return Ok(Found::Newer { version, writer });
    }
    Ok(Found::Version(version))
}

/// Runs the migrations that the database lacks.
pub(super) fn migrate(
    connection: &mut Connection,
    shape: Shape<'_>,
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have come first.
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let seen = usize::try_from(version).unwrap_or(0);
    let Some(missing) = shape
        .migrations
        .get(seen..)
        .filter(|missing| !missing.is_empty())
    else {
        return Ok(());
    };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('writer', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [WRITER],
    )?;
    transaction.pragma_update(None, "application_id", shape.application_id)?;
    transaction.pragma_update(None, "user_version", shape.migrations.len() as i64)?;
    transaction.commit()
}
