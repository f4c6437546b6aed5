//! Asterinas' SCML, which describes calls that are supported down to their flags:
//!
//! ```text
//! access = O_RDONLY | O_RDWR;                    // a named set of flags
//! struct pollfd = { events = POLLIN, .. };       // a named shape
//! open(path, flags = <access> | O_CLOEXEC, ..);  // a call that is supported
//! ```
//!
//! What limits an argument to operations or flags is kept ([`described`]); that something else is
//! limited, as a structure, is remarked, and not kept. [`to_scml`] writes it.

mod described;
#[cfg(test)]
mod tests;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use described::{Described, Limit, Limits};

use super::names::Names;
pub use written::to_scml;

use super::{OsError, OsProfile, ReadProfile, Remark, name_of, read_text};

pub(super) fn read(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let mut described = Described::default();
    let mut remarks = describe(path, text, &mut described)?;
    remarks.extend(wider(path, &described));
    Ok(profile(path, &described, remarks))
}

/// Every `.scml` file of a directory and those below, as one profile.
pub(super) fn read_tree(directory: &Path) -> Result<ReadProfile, OsError> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    let mut described = Described::default();
    let mut remarks = Vec::new();
    for file in &files {
        remarks.extend(describe(file, &read_text(file)?, &mut described)?);
    }
    remarks.extend(wider(directory, &described));
    let whole = profile(directory, &described, remarks);
    if whole.profile.implement.is_empty() {
        return Err(OsError::Empty {
            path: directory.to_owned(),
        });
    }
    Ok(whole)
}

fn profile(path: &Path, described: &Described, remarks: Vec<Remark>) -> ReadProfile {
    let (implement, stub) = described.features();
    let profile = OsProfile {
        name: name_of(path),
        implement,
        stub,
        ..OsProfile::default()
    };
    ReadProfile { profile, remarks }
}

fn wider(path: &Path, described: &Described) -> Option<Remark> {
    let names: Vec<String> = described.wider.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| {
        let what = format!(
            "limited to some arguments in a way that is not kept: {}",
            names.join(", ")
        );
        Remark::new(path, None, what)
    })
}

/// Adds what a file describes; what is odd about it comes back.
fn describe(path: &Path, text: &str, to: &mut Described) -> Result<Vec<Remark>, OsError> {
    let mut names = Names::of(path);
    let statements = statements(path, text)?;
    let mut sets: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for statement in &statements {
        match meaning(path, statement)? {
            Meaning::Set { name, values } => {
                sets.insert(name, values);
            }
            Meaning::Shape => {}
            Meaning::Call { name, arguments } => calls.push((statement.line, name, arguments)),
        }
    }
    for (line, name, arguments) in calls {
        // A call is described once for each way to use it: that is no duplicate.
        let found = names.take(name, Some(line));
        let Some(syscall) = found.and_then(|feature| feature.syscall()) else {
            continue;
        };
        let strangers = to.add(syscall, &limits(arguments, &sets));
        if !strangers.is_empty() {
            let what = format!(
                "unknown operations or flags of {syscall}, left out: {}",
                strangers.join(", ")
            );
            names.remarks.push(Remark::new(path, line, what));
        }
    }
    Ok(names.finish())
}

/// What the arguments of a call are limited to.
fn limits(arguments: &str, sets: &BTreeMap<&str, &str>) -> Limits {
    let arguments = split(arguments, ',').into_iter().enumerate();
    arguments
        .filter_map(|(index, argument)| {
            let (_, values) = argument.split_once('=')?;
            let mut names = BTreeSet::new();
            let is_names = expand(values, sets, &mut names, sets.len());
            Some((
                index,
                if is_names {
                    Limit::Names(names)
                } else {
                    Limit::Other
                },
            ))
        })
        .collect()
}

/// Adds the names that a pattern is made of; `false`: it is made of something else. `depth`: how often
/// a set may be named by another, at most.
fn expand(
    values: &str,
    sets: &BTreeMap<&str, &str>,
    names: &mut BTreeSet<String>,
    depth: usize,
) -> bool {
    split(values, '|').into_iter().all(|value| {
        let set = value
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'));
        match set {
            Some(set) => match (sets.get(set.trim()), depth.checked_sub(1)) {
                (Some(values), Some(depth)) => expand(values, sets, names, depth),
                _ => false,
            },
            // No flag at all.
            None if value == "0" => true,
            None => {
                names.insert(value.to_owned());
                value.chars().all(is_of_a_name)
            }
        }
    })
}

/// Splits where no bracket is open. Empty pieces are left out.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut open = 0_usize;
    let pieces = text.split(|character: char| {
        match character {
            '(' | '[' | '{' | '<' => open += 1,
            ')' | ']' | '}' | '>' => open = open.saturating_sub(1),
            _ => {}
        }
        open == 0 && character == at
    });
    pieces
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .collect()
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), OsError> {
    let failed = |source| OsError::Read {
        path: directory.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let path = entry.path();
        // Links are not followed: they could lead in a circle.
        if kind.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "scml") {
            files.push(path);
        }
    }
    Ok(())
}

struct Statement {
    /// The line that it begins in.
    line: usize,
    /// Without comments, line breaks and the semicolon.
    text: String,
}

fn statements(path: &Path, text: &str) -> Result<Vec<Statement>, OsError> {
    let mut statements = Vec::new();
    let mut open: Option<Statement> = None;
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for character in code.chars().chain([' ']) {
            match character {
                ';' => statements.extend(open.take()),
                space if space.is_whitespace() && open.is_none() => {}
                other => open
                    .get_or_insert_with(|| Statement {
                        line: index + 1,
                        text: String::new(),
                    })
                    .text
                    .push(other),
            }
        }
    }
    match open {
        Some(unfinished) => Err(OsError::Syntax {
            path: path.to_owned(),
            line: unfinished.line,
            what: "this statement has no `;` at its end".to_owned(),
        }),
        None => Ok(statements),
    }
}

enum Meaning<'a> {
    /// A named set of values.
    Set {
        name: &'a str,
        values: &'a str,
    },
    /// A named structure.
    Shape,
    Call {
        name: &'a str,
        arguments: &'a str,
    },
}

fn meaning<'a>(path: &Path, statement: &'a Statement) -> Result<Meaning<'a>, OsError> {
    let wrong = |what: &str| OsError::Syntax {
        path: path.to_owned(),
        line: statement.line,
        what: what.to_owned(),
    };
    let text = statement.text.trim();
    let end = text
        .find(|character: char| !is_of_a_name(character))
        .unwrap_or(text.len());
    let (name, rest) = (&text[..end], text[end..].trim());
    if name.is_empty() {
        return Err(wrong("neither a call nor the definition of a name"));
    }
    if name == "struct" {
        return Ok(Meaning::Shape);
    }
    if let Some(values) = rest.strip_prefix('=') {
        return Ok(Meaning::Set { name, values });
    }
    let Some(arguments) = rest.strip_prefix('(') else {
        return Err(wrong("neither a call nor the definition of a name"));
    };
    let Some(arguments) = arguments.strip_suffix(')') else {
        return Err(wrong("this call has no `)` at its end"));
    };
    Ok(Meaning::Call { name, arguments })
}
