//! Tables of names with a status: a header that names the columns, a row for each syscall, with
//! tabs or commas between. Columns: `syscall` (or `name`, `feature`), `status`, and where they are there
//! `errno` and `note`.

use std::collections::BTreeMap;
use std::path::Path;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;

use super::names::Names;
use super::{OsError, OsProfile, ReadProfile, Remark, name_of};
use crate::plan::need::Answer;

struct Columns {
    separator: char,
    syscall: usize,
    status: usize,
    errno: Option<usize>,
    note: Option<usize>,
    count: usize,
}

/// The columns of a table; `None`: the text is none.
fn columns(text: &str) -> Option<Columns> {
    let header = header(text)?;
    let separator = if header.contains('\t') { '\t' } else { ',' };
    let names: Vec<String> = header
        .split(separator)
        .map(|name| bare(name).to_lowercase())
        .collect();
    let find = |wanted: &[&str]| {
        names
            .iter()
            .position(|name| wanted.contains(&name.as_str()))
    };
    Some(Columns {
        separator,
        syscall: find(&["syscall", "name", "feature"])?,
        status: find(&["status", "state", "support"])?,
        errno: find(&["errno", "error"]),
        note: find(&["note", "notes", "comment"]),
        count: names.len(),
    })
}

fn header(text: &str) -> Option<&str> {
    let mut lines = text.lines();
    lines.find(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

/// Without the quotes that some tables have.
fn bare(cell: &str) -> &str {
    let cell = cell.trim();
    let quoted = cell
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    quoted.unwrap_or(cell)
}

pub(super) fn is_table(text: &str) -> bool {
    columns(text).is_some()
}

/// What a word says of a call.
enum Status {
    Whole,
    Partial,
    Answer(Answer),
    /// It fails: the other column says how.
    Error,
}

fn status(word: &str) -> Option<Status> {
    Some(match word.to_lowercase().as_str() {
        "full" | "yes" | "true" | "works" | "supported" | "implemented" | "implement" => {
            Status::Whole
        }
        "partial" | "partially" | "partially supported" => Status::Partial,
        "fake" | "lies" | "noop" | "no-op" | "dummy" | "ignored" => Status::Answer(Answer::Fake),
        "stub" | "no" | "false" | "enosys" | "missing" | "unsupported" | "unimplemented" => {
            Status::Answer(Answer::Stub)
        }
        "kill" | "kills" | "crash" | "crashes" | "panic" | "hangs" => Status::Answer(Answer::Kill),
        "error" | "errno" => Status::Error,
        _ => {
            let errno = word.strip_prefix("errno ").unwrap_or(word);
            Status::Answer(Answer::failing(errno.parse().ok()?))
        }
    })
}

pub(super) fn read(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let columns = columns(text).ok_or_else(|| OsError::Empty {
        path: path.to_owned(),
    })?;
    let mut names = Names::of(path);
    let mut remarks = Vec::new();
    let mut seen: BTreeMap<Feature, usize> = BTreeMap::new();
    let mut profile = OsProfile {
        name: table_name(path),
        ..OsProfile::default()
    };
    let mut is_header = true;
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if std::mem::take(&mut is_header) {
            continue;
        }
        let line_number = index + 1;
        // What is too much belongs to the last column, which are notes mostly.
        let cells: Vec<&str> = line
            .splitn(columns.count, columns.separator)
            .map(bare)
            .collect();
        let cell = |column: usize| cells.get(column).copied().unwrap_or_default();
        let mut odd = |what: String| remarks.push(Remark::new(path, line_number, what));
        let Some(feature) = names.take(cell(columns.syscall), Some(line_number)) else {
            continue;
        };
        if let Some(first) = seen.insert(feature.clone(), line_number) {
            odd(format!(
                "{feature} is in line {first} already; this one counts"
            ));
        }
        let errno = columns.errno.map(cell).filter(|word| !word.is_empty());
        let word = cell(columns.status);
        let (answer, partial) = match status(word) {
            Some(Status::Whole) => (Answer::Implement, false),
            Some(Status::Partial) => (Answer::Implement, true),
            Some(Status::Answer(answer)) => (answer, false),
            Some(Status::Error) => match errno.map(str::parse::<Errno>) {
                Some(Ok(errno)) => (Answer::failing(errno), false),
                Some(Err(error)) => {
                    odd(format!("{error}; {feature} is taken to fail with ENOSYS"));
                    (Answer::Stub, false)
                }
                None => {
                    odd(format!(
                        "which errno is not said; {feature} is taken to fail with ENOSYS"
                    ));
                    (Answer::Stub, false)
                }
            },
            None => {
                odd(format!(
                    "`{word}` is no status (full, partial, fake, stub, error, kill or an errno); \
                     left out"
                ));
                continue;
            }
        };
        profile.set(&feature, answer);
        if partial {
            profile.partial.insert(feature.clone());
        }
        let note = columns.note.map(cell).filter(|note| !note.is_empty());
        if let Some(note) = note {
            profile.notes.insert(feature, note.to_owned());
        }
    }
    remarks.extend(names.finish());
    remarks.sort();
    Ok(ReadProfile { profile, remarks })
}

/// `gvisor.status.tsv` is one of gvisor.
fn table_name(path: &Path) -> String {
    let name = name_of(path);
    name.strip_suffix(".status").unwrap_or(&name).to_owned()
}
