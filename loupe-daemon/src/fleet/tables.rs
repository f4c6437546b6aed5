//! `loupe fleet export --parquet`: the fleet as tables for an analytics engine. As in the database, members
//! refer to sets, and sets to features: all facts in one table would be a thousand times as much.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::bundle::Hour;
use super::catalogue::{Version, Word};
use super::columns::{Cell, Columns, Kind, Table};
use super::database::Fleet;
use super::hosts::HostRow;
use super::overview::Seen;
use super::{FleetError, HOUR_MS};
use crate::store::StoreError;

/// What a file of one table is called.
pub const ENDING: &str = "parquet";

const HOSTS: Columns = &[
    ("host", Kind::Text),
    ("name", Kind::Text),
    ("kernel", Kind::Text),
    ("arch", Kind::Text),
    ("loupe", Kind::Text),
    ("told", Kind::Moment),
    ("heard", Kind::Moment),
    ("subjects", Kind::Number),
    ("lost", Kind::Number),
];
const SUBJECTS: Columns = &[
    ("subject", Kind::Number),
    ("name", Kind::Text),
    ("kind", Kind::Text),
    ("executable", Kind::Text),
    ("build_id", Kind::Text),
    ("package", Kind::Text),
    ("version", Kind::Text),
];
const SETS: Columns = &[("set", Kind::Number), ("feature", Kind::Text)];
const MEMBERS: Columns = &[
    ("subject", Kind::Number),
    ("host", Kind::Text),
    ("set", Kind::Number),
    ("first_seen", Kind::Moment),
    ("last_seen", Kind::Moment),
    ("magnitude", Kind::Number),
    ("lost", Kind::Number),
];
const LATER: Columns = &[
    ("subject", Kind::Number),
    ("host", Kind::Text),
    ("feature", Kind::Text),
    ("first_seen", Kind::Moment),
];
const USES: Columns = &[
    ("name", Kind::Text),
    ("kind", Kind::Text),
    ("executable", Kind::Text),
    ("package", Kind::Text),
    ("version", Kind::Text),
    ("build_id", Kind::Text),
    ("feature", Kind::Text),
    ("hosts", Kind::Number),
    ("first_seen", Kind::Moment),
];

/// Tables that are the database's own, each with how it is asked for; hours become moments.
const PLAIN: [(&str, Columns, &str); 4] = [
    (
        "subjects",
        SUBJECTS,
        "SELECT id, name, kind, executable, nullif(build_id, ''), nullif(package, ''),
                nullif(version, '') FROM subjects ORDER BY id",
    ),
    (
        "sets",
        SETS,
        "SELECT set_id, words.word FROM set_words JOIN words ON words.id = set_words.word
         ORDER BY set_id, words.word",
    ),
    (
        "members",
        MEMBERS,
        "SELECT subject, key, set_id, first_hour, last_hour, magnitude, lost FROM members
         JOIN hosts ON hosts.id = host ORDER BY subject, host",
    ),
    (
        "later",
        LATER,
        "SELECT subject, key, words.word, hour FROM later JOIN words ON words.id = later.word
         JOIN hosts ON hosts.id = host ORDER BY subject, host, words.word",
    ),
];

/// What can go wrong on the way from the database to a file.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(#[from] FleetError),
}

impl Fleet {
    /// All tables, as files in this directory, which is made; or into this file (`*.parquet`) one flat
    /// table, of what each version of an executable uses on how many hosts. Tells which were written.
    pub fn export_tables(&self, path: &Path) -> Result<Vec<PathBuf>, TablesError> {
        if path.extension().is_some_and(|ending| ending == ENDING) {
            self.uses(path)?;
            return Ok(vec![path.to_owned()]);
        }
        fs::create_dir_all(path).map_err(|source| FleetError::Write {
            path: path.to_owned(),
            source,
        })?;
        let place = |name: &str| path.join(name).with_extension(ENDING);
        let mut written = vec![place("uses"), place("hosts")];
        self.uses(&written[0])?;
        self.host_table(&written[1])?;
        for (name, columns, sql) in PLAIN {
            let path = place(name);
            self.plain(&path, columns, sql)?;
            written.push(path);
        }
        Ok(written)
    }

    fn host_table(&self, path: &Path) -> Result<(), TablesError> {
        let mut table = Table::create(path, HOSTS)?;
        for row in self.hosts()? {
            let HostRow {
                host,
                subjects,
                lost,
                heard,
            } = row;
            table.push(vec![
                host.id.into(),
                Cell::Text(host.name),
                host.kernel.into(),
                host.arch.into(),
                host.loupe.into(),
                number(host.made_ms),
                Cell::Number(heard.map(|heard| heard.at_ms.cast_signed())),
                number(subjects),
                number(lost),
            ])?;
        }
        Ok(table.finish()?)
    }

    fn plain(&self, path: &Path, columns: Columns, sql: &str) -> Result<(), TablesError> {
        let mut table = Table::create(path, columns)?;
        let wrong = self.read(|connection| {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let mut cells = Vec::with_capacity(columns.len());
                for (at, (_, kind)) in columns.iter().enumerate() {
                    cells.push(match kind {
                        Kind::Number => Cell::Number(row.get(at)?),
                        Kind::Text => Cell::Text(row.get(at)?),
                        Kind::Moment => moment(row.get(at)?),
                    });
                }
                if let Err(error) = table.push(cells) {
                    return Ok(Some(error));
                }
            }
            Ok(None)
        })?;
        match wrong {
            Some(error) => Err(error.into()),
            None => Ok(table.finish()?),
        }
    }

    fn uses(&self, path: &Path) -> Result<(), TablesError> {
        let catalogue = self.catalogue(None)?;
        let mut table = Table::create(path, USES)?;
        for unit in &catalogue.units {
            for member in &unit.members {
                let mut counts: BTreeMap<Word, i64> = BTreeMap::new();
                let seen = self.read(|connection| {
                    let mut seen = Seen::new(connection);
                    for (set, hosts) in &member.tallies {
                        let words = catalogue.sets.get(set).map_or(&[][..], Vec::as_slice);
                        for word in words {
                            *counts.entry(*word).or_default() += hosts.cast_signed();
                        }
                        seen.look_at(member.subject, *set, words)?;
                    }
                    Ok(seen.by_word)
                })?;
                let Version {
                    executable,
                    package,
                    version,
                    build_id,
                } = &member.version;
                for (word, hosts) in counts {
                    table.push(vec![
                        unit.name.clone().into(),
                        unit.kind.as_str().to_owned().into(),
                        executable.clone().into(),
                        Cell::Text(package.clone()),
                        Cell::Text(version.clone()),
                        Cell::Text(build_id.clone()),
                        catalogue.word(word).to_owned().into(),
                        hosts.into(),
                        seen.get(&word)
                            .map_or(Cell::Number(None), |hour| moment(*hour)),
                    ])?;
                }
            }
        }
        Ok(table.finish()?)
    }
}

fn number(number: u64) -> Cell {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn moment(hour: Hour) -> Cell {
    number(u64::from(hour) * HOUR_MS)
}
