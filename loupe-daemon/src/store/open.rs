//! From a path to a connection that is fit for use: made where it is not there, refused where
//! it is not ours, brought to the present shape. Knows nothing of what is stored.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::claim::Claims;
use super::error::{BUSY_TIMEOUT, StoreError};
use super::schema::{self, Found, Shape};

pub(super) fn connection(
    path: &Path,
    claims: &Claims,
    shape: Shape<'_>,
) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    make_directory(path).map_err(failed)?;
    // An empty file becomes a database by a step that SQLite lets fail, without waiting, when
    // another process so much as looks at the file.
    let _making = match is_empty(path).map_err(failed)? {
        true => Some(claims.making().map_err(failed)?),
        false => None,
    };
    let sorted = |error| StoreError::from_sqlite(path, error);
    let new = !path.try_exists().map_err(failed)?;
    // No SQLITE_OPEN_URI: a path is a path, whatever it looks like.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sorted)?;
    if new {
        // Outputs of applications will be in it. By its path: to open and close the file here
        // would drop the locks that other connections of this process may have on it by now.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sorted)?;
    match schema::identify(&connection, shape).map_err(sorted)? {
        Found::Version(_) => {}
        Found::Foreign => {
            return Err(StoreError::Foreign {
                path: path.to_owned(),
            });
        }
        Found::Newer { version, writer } => {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                found: version,
                known: shape.migrations.len() as i64,
                writer,
            });
        }
    }
    // SQLite opens what it may not write for reading, and says nothing.
    if connection.is_readonly("main").map_err(sorted)? {
        return Err(StoreError::ReadOnly {
            path: path.to_owned(),
        });
    }
    set_up(&mut connection, shape).map_err(sorted)?;
    Ok(connection)
}

/// For the owner only.
fn make_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory),
        _ => Ok(()),
    }
}

/// Nothing is there, or a file without content.
fn is_empty(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn set_up(connection: &mut Connection, shape: Shape<'_>) -> Result<(), rusqlite::Error> {
    // Where a file system cannot do it (shared memory is needed) SQLite stays with its old
    // journal, which is slower and keeps the same promises.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    schema::migrate(connection, shape)
}
