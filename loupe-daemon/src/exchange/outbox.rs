//! What a host has told and what waits to be told, in a file of its own beside the database. What is put
//! in is sent until the server has it, over any number of restarts. It has bounds: what waits for
//! long is joined to one telling, so it never holds more than all that the host knows.

use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::message::{self, Piece};
use super::stream;
use crate::fleet::{Known, pack};
use crate::store::{Shape, StoreError, open_as};

/// Marks the file (`PRAGMA application_id`): the letters "LouO".
const APPLICATION_ID: i64 = 0x4c6f_754f;
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];
/// Messages that wait before they are joined to fewer.
const MOST_WAITING: u64 = 60;

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
    host: String,
}

/// What was told so far, and when everything was told for the last time.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub known: Known,
    pub whole_ms: u64,
}

impl Outbox {
    /// Opens the outbox of this host, and makes it where there is none. What another host left there (the
    /// fleet has given this one another id) is forgotten.
    pub fn open(path: &Path, host: &str) -> Result<Outbox, StoreError> {
        let shape = Shape {
            application_id: APPLICATION_ID,
            migrations: MIGRATIONS,
        };
        let mut outbox = Outbox {
            path: path.to_owned(),
            connection: open_as(path, shape)?,
            host: host.to_owned(),
        };
        let own = outbox.host.clone();
        outbox.write(|transaction| {
            let others = transaction.execute("DELETE FROM told WHERE host != ?1", [own])?;
            if others > 0 {
                transaction.execute("DELETE FROM outbox", [])?;
            }
            Ok(())
        })?;
        Ok(outbox)
    }

    /// `None`: nothing, or nothing that can be read. Then all has to be told.
    pub fn told(&self) -> Result<Option<Told>, StoreError> {
        let row: Option<(Vec<u8>, i64)> = self.sorted(
            self.connection
                .query_row("SELECT state, whole_ms FROM told", [], |row| row.try_into())
                .optional(),
        )?;
        let subject = stream::facts_of(&self.host);
        Ok(row.and_then(|(state, whole_ms)| {
            let bundle = message::read(&subject, &state).ok()?;
            Some(Told {
                known: Known::of(&bundle),
                whole_ms: whole_ms.unsigned_abs(),
            })
        }))
    }

    /// Puts messages in, with what is told once they are. All or nothing.
    pub fn put(&mut self, told: &Told, pieces: &[Piece]) -> Result<(), StoreError> {
        let whole = told.known.bundles(usize::MAX);
        let state = match whole.first().map(|it| pack(it, Compression::default())) {
            Some(Ok(state)) => state,
            Some(Err(error)) => return self.sorted(Err(unwritable(error))),
            None => Vec::new(),
        };
        let host = self.host.clone();
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO told VALUES (?1, ?2, ?3)",
                params![
                    host,
                    state,
                    i64::try_from(told.whole_ms).unwrap_or(i64::MAX)
                ],
            )?;
            insert(transaction, pieces)
        })?;
        match self.backlog()? > MOST_WAITING {
            true => self.squeeze(),
            false => Ok(()),
        }
    }

    /// The oldest that waits.
    pub fn next(&self) -> Result<Option<Piece>, StoreError> {
        self.sorted(
            self.connection
                .query_row(
                    "SELECT id, payload FROM outbox ORDER BY number LIMIT 1",
                    [],
                    |row| {
                        Ok(Piece {
                            id: row.get(0)?,
                            payload: row.get(1)?,
                        })
                    },
                )
                .optional(),
        )
    }

    /// The server has it.
    pub fn done(&mut self, id: &str) -> Result<(), StoreError> {
        let gone = self
            .connection
            .execute("DELETE FROM outbox WHERE id = ?1", [id]);
        self.sorted(gone).map(|_| ())
    }

    /// Messages that wait.
    pub fn backlog(&self) -> Result<u64, StoreError> {
        let count = self
            .connection
            .query_row("SELECT count(*) FROM outbox", [], |row| {
                row.get::<_, i64>(0)
            });
        self.sorted(count).map(i64::unsigned_abs)
    }

    /// Joins all that waits to as few messages as it takes. What cannot be read any more takes what
    /// was told with it: then all of it is told anew.
    fn squeeze(&mut self) -> Result<(), StoreError> {
        let subject = stream::facts_of(&self.host);
        self.write(|transaction| {
            let mut joined: Option<Known> = None;
            let mut waiting = transaction.prepare("SELECT payload FROM outbox ORDER BY number")?;
            let mut rows = waiting.query([])?;
            let mut all_read = true;
            while let Some(row) = rows.next()? {
                let payload: Vec<u8> = row.get(0)?;
                match message::read(&subject, &payload) {
                    Ok(bundle) => match &mut joined {
                        Some(joined) => joined.join(&bundle),
                        None => joined = Some(Known::of(&bundle)),
                    },
                    Err(_) => all_read = false,
                }
            }
            drop(rows);
            drop(waiting);
            transaction.execute("DELETE FROM outbox", [])?;
            if !all_read {
                transaction.execute("DELETE FROM told", [])?;
            }
            let Some(joined) = joined else {
                return Ok(());
            };
            insert(transaction, &Piece::all_of(&joined).map_err(unwritable)?)
        })
    }

    fn sorted<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, error))
    }

    fn write(
        &mut self,
        body: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let done = transaction.and_then(|transaction| {
            body(&transaction)?;
            transaction.commit()
        });
        self.sorted(done)
    }
}

/// What waits already waits once.
fn insert(connection: &Connection, pieces: &[Piece]) -> rusqlite::Result<()> {
    for piece in pieces {
        connection.execute(
            "INSERT INTO outbox (id, payload) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![piece.id, piece.payload],
        )?;
    }
    Ok(())
}

fn unwritable(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::sample;

    fn known(made_ms: u64, features: &[&str]) -> Known {
        Known::of(&sample::bundle(7, made_ms, features))
    }

    fn told(known: &Known) -> Told {
        Told {
            known: known.clone(),
            whole_ms: 5,
        }
    }

    fn put(outbox: &mut Outbox, known: &Known) {
        let pieces = Piece::all_of(known).expect("packed");
        outbox.put(&told(known), &pieces).expect("put");
    }

    #[test]
    fn what_is_put_in_waits_over_restarts_until_the_server_has_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("outbox.db");
        let first = known(1, &["read"]);
        let id = first.host.id.clone();
        let mut outbox = Outbox::open(&path, &id).expect("opened");
        assert_eq!(outbox.told().expect("read"), None);
        put(&mut outbox, &first);
        drop(outbox);
        let mut outbox = Outbox::open(&path, &id).expect("opened");
        assert_eq!(outbox.told().expect("read"), Some(told(&first)));
        let piece = outbox.next().expect("read").expect("one");
        assert_eq!(vec![piece.clone()], Piece::all_of(&first).expect("packed"));
        outbox.done(&piece.id).expect("done");
        assert_eq!(outbox.next().expect("read"), None);
        assert_eq!(outbox.told().expect("read"), Some(told(&first)));
    }

    #[test]
    fn what_waits_for_long_is_joined_and_nothing_of_it_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let names: Vec<String> = (0..3 * MOST_WAITING)
            .map(|at| format!("call{at}"))
            .collect();
        let mut sum = known(1, &[]);
        let id = sum.host.id.clone();
        let mut outbox = Outbox::open(&directory.path().join("o"), &id).expect("opened");
        for (at, name) in names.iter().enumerate() {
            let next = known(at as u64 + 2, &[name]);
            sum.join(&sample::bundle(7, at as u64 + 2, &[name]));
            let pieces = Piece::all_of(&next).expect("packed");
            outbox.put(&told(&sum), &pieces).expect("put");
            assert!(outbox.backlog().expect("read") <= MOST_WAITING);
        }
        let mut sent = known(1, &[]);
        while let Some(piece) = outbox.next().expect("read") {
            let bundle = message::read(&stream::facts_of(&id), &piece.payload).expect("read");
            sent.join(&bundle);
            outbox.done(&piece.id).expect("done");
        }
        assert_eq!(sent, sum);
    }

    #[test]
    fn another_id_begins_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("outbox.db");
        let first = known(1, &["read"]);
        let mut outbox = Outbox::open(&path, &first.host.id).expect("opened");
        put(&mut outbox, &first);
        drop(outbox);
        let outbox = Outbox::open(&path, &"f".repeat(32)).expect("opened");
        assert_eq!(outbox.told().expect("read"), None);
        assert_eq!(outbox.backlog().expect("read"), 0);
    }
}
