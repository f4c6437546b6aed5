//! The fleet's database for real: what the order, the repetition and the loss of imports change
//! (nothing but what is lost), and what files are refused.

mod answers;
mod files;
mod journey;
mod semilattice;
mod size;
mod tables;

use std::path::Path;

use super::bundle::{Bundle, Calendar, FleetSubject, Host, schema};
use super::database::Fleet;
use super::lattice::Member;
use loupe_common::profile::SubjectKind;

pub(super) fn open(directory: &Path, name: &str) -> Fleet {
    Fleet::open(&directory.join(name)).expect("opened")
}

pub(super) fn subject(name: &str, executable: &str, version: &str) -> FleetSubject {
    FleetSubject {
        name: name.to_owned(),
        kind: SubjectKind::Unit,
        executable: executable.to_owned(),
        build_id: Some(format!("b{version}")),
        package: Some(executable.to_owned()),
        version: Some(version.to_owned()),
    }
}

/// Observed from one hour to another, with when each feature was first seen.
pub(super) fn member(first: u32, last: u32, features: &[(&str, u32)]) -> Member {
    let first_seen = |(name, hour): &(&str, u32)| ((*name).to_owned(), *hour);
    Member {
        features: features.iter().map(first_seen).collect(),
        times: Some((first, last)),
        magnitude: 3,
        calendar: Calendar::from([("2026-11-29".to_owned(), u64::from(last) * 60_000)]),
        lost: 0,
    }
}

pub(super) fn bundle(host: u32, made_ms: u64, members: Vec<(FleetSubject, Member)>) -> Bundle {
    let mut bundle = Bundle {
        schema: schema(),
        host: Host {
            made_ms,
            id: format!("{host:032x}"),
            name: Some(format!("host{host}")),
            kernel: "6.12.1".to_owned(),
            arch: "x86_64".to_owned(),
            loupe: "0.1.0".to_owned(),
            kept_home: 0,
        },
        sets: Default::default(),
        calendars: Default::default(),
        subjects: Vec::new(),
    };
    for (subject, member) in members {
        bundle.tell(subject, member);
    }
    bundle
}

/// Everything that is in the database, by names instead of the numbers of rows.
pub fn content(fleet: &Fleet) -> Vec<String> {
    const TABLES: [&str; 7] = [
        "SELECT 'host', key, state, subject_count, lost_count FROM hosts",
        "SELECT 'word', word FROM words",
        "SELECT 'set', name, words.word FROM sets JOIN set_words ON set_id = sets.id
             JOIN words ON words.id = set_words.word",
        "SELECT 'calendar', name, days FROM calendars",
        "SELECT 'subject', name, kind, executable, build_id, package, version FROM subjects",
        "SELECT 'member', s.name, s.executable, s.version, h.key, sets.name, first_hour, last_hour,
                magnitude, c.name, lost
         FROM members m JOIN subjects s ON s.id = subject JOIN hosts h ON h.id = host
              JOIN sets ON sets.id = set_id JOIN calendars c ON c.id = calendar",
        "SELECT 'tally', s.name, s.executable, s.version, sets.name, hosts
         FROM tallies JOIN subjects s ON s.id = subject JOIN sets ON sets.id = set_id",
    ];
    const LATER: &str = "SELECT 'later', s.name, s.executable, s.version, h.key, w.word, hour
         FROM later JOIN subjects s ON s.id = subject JOIN hosts h ON h.id = host
              JOIN words w ON w.id = later.word";
    let mut lines = Vec::new();
    for sql in TABLES.into_iter().chain([LATER]) {
        let rows: Vec<String> = fleet
            .read(|connection| {
                let mut statement = connection.prepare(sql)?;
                let columns = statement.column_count();
                statement
                    .query_map([], |row| {
                        let cells = (0..columns).map(|column| {
                            row.get::<_, rusqlite::types::Value>(column)
                                .map(|value| format!("{value:?}"))
                        });
                        Ok(cells.collect::<Result<Vec<_>, _>>()?.join(" "))
                    })?
                    .collect()
            })
            .expect("readable");
        lines.extend(rows);
    }
    lines.sort();
    lines
}
