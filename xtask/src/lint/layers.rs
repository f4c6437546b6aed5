//! Whether the rooms of `loupe-daemon` call only what is below them: the order is the table in
//! ARCHITECTURE.md, and every `crate::room` in a source file must name a row above its own.
//!
//! Reads text, not Rust: a path that is put together by `super::super::` is not seen, and none of
//! the house's files has one that leaves its room.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The heading above the table.
const HEADING: &str = "## Modules of loupe-daemon";
/// Modules of the library that are no rooms: helpers of every test.
const NO_ROOMS: [&str; 1] = ["testing"];

/// Checks the whole library.
pub fn check(root: &Path) -> Result<()> {
    let text = root.join("ARCHITECTURE.md");
    let text =
        fs::read_to_string(&text).with_context(|| format!("cannot read {}", text.display()))?;
    let order = rooms(&text)?;
    let source = root.join("loupe-daemon/src");
    let mut complaints = Vec::new();
    for file in rust_files(&source)? {
        let path = file.strip_prefix(&source).unwrap_or(&file);
        let Some(room) = room_of(path).filter(|room| !NO_ROOMS.contains(&room.as_str())) else {
            continue;
        };
        if is_test(path) {
            continue;
        }
        let code =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        complaints.extend(complaints_about(path, &room, &code, &order));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "the order of the rooms in ARCHITECTURE.md is broken:\n{}",
        complaints.join("\n")
    )
}

/// The rows of the table, by their place from the kernel upwards.
fn rooms(architecture: &str) -> Result<BTreeMap<String, usize>> {
    let (_, after) = architecture
        .split_once(HEADING)
        .with_context(|| format!("ARCHITECTURE.md has no heading \"{HEADING}\""))?;
    let rows = after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    let mut order = BTreeMap::new();
    for (place, row) in rows.enumerate() {
        let first = row.split('|').nth(1).unwrap_or_default();
        for name in first.split(',') {
            order.insert(name.trim().trim_matches('`').to_owned(), place);
        }
    }
    Ok(order)
}

/// The room that a file belongs to; the files at the top that are none have none.
fn room_of(path: &Path) -> Option<String> {
    let first = path.components().next()?.as_os_str().to_str()?;
    let room = first.trim_end_matches(".rs");
    (room != "lib" && room != "bin").then(|| room.to_owned())
}

/// Files of tests only, which may set any scene.
fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

fn complaints_about(
    path: &Path,
    room: &str,
    code: &str,
    order: &BTreeMap<String, usize>,
) -> Vec<String> {
    let shown = path.display();
    let Some(own) = order.get(room) else {
        return vec![format!("  {shown}: the room `{room}` is not in the table")];
    };
    let mut complaints = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        for other in rooms_named(line) {
            let is_above = order.get(other).is_some_and(|place| place > own);
            if is_above {
                let number = number + 1;
                complaints.push(format!(
                    "  {shown}:{number}: `{room}` calls `{other}`, which is above it"
                ));
            }
        }
    }
    complaints
}

/// What follows each `crate::` of a line.
fn rooms_named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.is_empty()).then_some(name)
    })
}

/// All of a folder and below it.
pub(super) fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let path = entry.context("cannot list the sources")?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "## Modules of loupe-daemon, from the kernel upwards

| module | what it is for |
| --- | --- |
| `cgroup` | cgroups |
| `server`, `link` | the daemon |
| `client` | the command line |

Text.
";

    fn complaints(path: &str, code: &str) -> Vec<String> {
        let path = Path::new(path);
        let room = room_of(path).expect("a room");
        complaints_about(path, &room, code, &rooms(TABLE).expect("a table"))
    }

    #[test]
    fn a_lower_room_may_not_call_a_higher_one() {
        let found = complaints("cgroup.rs", "use std::fs;\nuse crate::client::Talk;\n");
        assert_eq!(
            found,
            ["  cgroup.rs:2: `cgroup` calls `client`, which is above it"]
        );
        assert!(complaints("client/talk.rs", "use crate::cgroup::X;\n").is_empty());
        assert!(complaints("link/sys.rs", "let x = crate::server::y();\n").is_empty());
        assert!(complaints("cgroup.rs", "// as crate::client does\n").is_empty());
    }

    #[test]
    fn a_room_that_the_table_lacks_is_named() {
        let found = complaints("attic.rs", "");
        assert_eq!(found, ["  attic.rs: the room `attic` is not in the table"]);
    }

    #[test]
    fn a_document_without_the_table_is_an_error() {
        assert!(rooms("# Architecture").is_err());
    }
}
