//! Asterinas' SCML, which describes calls that are supported down to their flags:
//!
//! ```text
//! access = O_RDONLY | O_RDWR;                    // a named set of flags
//! struct pollfd = { events = POLLIN, .. };       // a named shape
//! open(path, flags = <access> | O_CLOEXEC, ..);  // a call that is supported
//! ```
//!
//! A profile knows whole features, so a call that is described is taken as implemented; that
//! it is limited to some flags is remarked, not kept.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::names::Names;
use super::{OsError, OsProfile, ReadProfile, Remark, name_of, read_text};

pub(super) fn read(path: &Path, text: &str) -> Result<ReadProfile, OsError> {
    let mut names = Names::of(path);
    let mut implement = BTreeSet::new();
    let mut limited = BTreeSet::new();
    for statement in statements(path, text)? {
        let Some(call) = call(path, &statement)? else {
            continue;
        };
        // A call is described once for each way to use it: that is no duplicate.
        if let Some(feature) = names.take(call.name, Some(statement.line)) {
            if call.limited {
                limited.insert(feature.to_string());
            }
            implement.insert(feature);
        }
    }
    let mut remarks = names.finish();
    if !limited.is_empty() {
        let names: Vec<String> = limited.into_iter().collect();
        remarks.push(Remark::new(
            path,
            None,
            format!(
                "taken as implemented as a whole, though limited to some arguments: {}",
                names.join(", ")
            ),
        ));
    }
    Ok(ReadProfile {
        profile: OsProfile {
            name: name_of(path),
            implement,
            ..OsProfile::default()
        },
        remarks,
    })
}

/// Every `.scml` file of a directory and those below, as one profile.
pub(super) fn read_tree(directory: &Path) -> Result<ReadProfile, OsError> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    let mut whole = ReadProfile {
        profile: OsProfile {
            name: name_of(directory),
            ..OsProfile::default()
        },
        remarks: Vec::new(),
    };
    for file in &files {
        let part = read(file, &read_text(file)?)?;
        whole.profile.implement.extend(part.profile.implement);
        whole.remarks.extend(part.remarks);
    }
    if whole.profile.implement.is_empty() {
        return Err(OsError::Empty {
            path: directory.to_owned(),
        });
    }
    Ok(whole)
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

struct Call<'a> {
    name: &'a str,
    /// To some values of some argument.
    limited: bool,
}

/// `None`: the definition of a name.
fn call<'a>(path: &Path, statement: &'a Statement) -> Result<Option<Call<'a>>, OsError> {
    let wrong = |what: &str| OsError::Syntax {
        path: path.to_owned(),
        line: statement.line,
        what: what.to_owned(),
    };
    let text = statement.text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    let (name, rest) = (&text[..end], text[end..].trim());
    if name.is_empty() {
        return Err(wrong("neither a call nor the definition of a name"));
    }
    if name == "struct" || rest.starts_with('=') {
        return Ok(None);
    }
    let Some(arguments) = rest.strip_prefix('(') else {
        return Err(wrong("neither a call nor the definition of a name"));
    };
    let Some(arguments) = arguments.strip_suffix(')') else {
        return Err(wrong("this call has no `)` at its end"));
    };
    Ok(Some(Call {
        name,
        limited: arguments.contains('='),
    }))
}
