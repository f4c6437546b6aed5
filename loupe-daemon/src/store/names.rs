//! Names in a database, for whoever is just typing one. To look makes nothing, changes nothing and waits for
//! nothing; what cannot be read at once, or is of another shape, has no names.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What can be named.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Finished analyses with their numbers, by application and workload.
    pub analyses: Vec<(i64, String, String)>,
    /// Units, containers and cgroups that there are profiles of.
    pub subjects: Vec<String>,
}

impl Names {
    /// Those in the database at `path`.
    pub fn at(path: &Path) -> Names {
        let Some(connection) = only_look(path) else {
            return Names::default();
        };
        Names {
            analyses: rows(
                &connection,
                "SELECT id, application, workload FROM analyses WHERE state = 'finished'
                 ORDER BY application, workload, id",
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            ),
            subjects: rows(
                &connection,
                "SELECT DISTINCT name FROM profile_subjects ORDER BY name",
                |row| row.get(0),
            ),
        }
    }
}

/// The first column of what a question finds in any of our databases.
pub fn words_at(path: &Path, question: &str) -> Vec<String> {
    let connection = only_look(path);
    connection.map_or_else(Vec::new, |connection| {
        rows(&connection, question, |row| row.get(0))
    })
}

/// A database that is older has no such table: then there are no such names.
fn rows<T>(
    connection: &Connection,
    question: &str,
    row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let found = connection
        .prepare(question)
        .and_then(|mut statement| statement.query_map([], row)?.collect());
    found.unwrap_or_default()
}

/// SQLite makes files beside a database that it reads, where nobody has it open. So such a database is
/// called immutable: nobody changes it now, and what would show that somebody does is its log.
fn only_look(path: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let is_open = Path::new(&log).try_exists().ok()?;
    let opened = match is_open {
        true => Connection::open_with_flags(path, flags),
        false => {
            let uri = format!("file:{}?immutable=1", escaped(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
    };
    opened.ok()
}

/// A path as a part of an address.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::fs;

    use super::*;

    fn files(directory: &Path) -> BTreeSet<OsString> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect()
    }

    #[test]
    fn to_look_makes_nothing_and_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a b%?#.db");
        assert_eq!(Names::at(&path), Names::default());
        assert_eq!(files(directory.path()), BTreeSet::new());

        // Of an old shape: it has no profiles, and is not brought to the present one.
        let connection = Connection::open(&path).expect("opened");
        connection
            .execute_batch(
                "CREATE TABLE analyses (id INTEGER, application TEXT, workload TEXT, state TEXT);
                 INSERT INTO analyses VALUES (7, 'redis', 'bench', 'finished'),
                                             (8, 'redis', 'bench', 'unfinished');",
            )
            .expect("written");
        drop(connection);
        let before = (files(directory.path()), fs::read(&path).expect("read"));
        let names = Names::at(&path);
        assert_eq!(
            names.analyses,
            [(7, "redis".to_owned(), "bench".to_owned())]
        );
        assert!(names.subjects.is_empty());
        let after = (files(directory.path()), fs::read(&path).expect("read"));
        assert_eq!(before, after);
        fs::write(&path, "no database").expect("written");
        assert_eq!(Names::at(&path), Names::default());
    }

    #[test]
    fn what_is_still_in_the_log_is_seen() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("loupe.db");
        let store = crate::store::Store::open(&path).expect("opened");
        let connection = Connection::open(&path).expect("opened");
        connection
            .execute(
                "INSERT INTO profile_subjects (kind, name, uid, path, build_id, package, version,
                                               from_ms, until_ms)
                 VALUES ('unit', 'nginx.service', 0, '/n', '', '', '', 1, 2)",
                [],
            )
            .expect("written");
        assert_eq!(Names::at(&path).subjects, ["nginx.service"]);
        drop((store, connection));
    }
}
