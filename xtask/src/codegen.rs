//! `cargo xtask codegen`: the tables that come from the kernel's headers.
//!
//! The output is committed, so that a build needs no headers and a change shows in review; it
//! depends on nothing but the pinned headers, so that two runs are identical and `--check` can tell
//! a table that was edited by hand or left behind.

mod extra;
mod headers;
mod io_uring;
mod operations;
mod sources;
mod syscalls;

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, step};
use headers::Headers;

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing; fail if a table is not what the headers say
    #[arg(long)]
    check: bool,
}

/// One generated file.
pub struct Table {
    /// Relative to the workspace.
    pub path: String,
    pub text: String,
}

/// Everything that is generated. A new kind of table is a module with such a function.
fn tables(headers: &Headers) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    tables.extend(syscalls::tables(headers)?);
    tables.extend(io_uring::tables(headers)?);
    tables.extend(operations::tables(headers)?);
    Ok(tables)
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let headers = Headers::pinned()?;
    let tables = tables(&headers)?;
    if arguments.check {
        check(&tables)
    } else {
        write(&tables)
    }
}

fn write(tables: &[Table]) -> Result<()> {
    for table in tables {
        let path = workspace::root().join(&table.path);
        fs::write(&path, &table.text)
            .with_context(|| format!("cannot write {}", path.display()))?;
        step(&format!("Wrote {}", table.path));
    }
    Ok(())
}

fn check(tables: &[Table]) -> Result<()> {
    let mut drifted = Vec::new();
    for table in tables {
        let path = workspace::root().join(&table.path);
        let committed = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        if committed != table.text {
            eprint!("{}", difference(&table.path, &committed, &table.text));
            drifted.push(&*table.path);
        }
    }
    if !drifted.is_empty() {
        bail!(
            "not what the pinned headers say: {}; run `cargo xtask codegen` and commit the result",
            drifted.join(", ")
        );
    }
    step(&format!("{} generated tables are up to date", tables.len()));
    Ok(())
}

/// The first lines that differ, as a hint; `git diff` after a new run shows all.
fn difference(path: &str, committed: &str, generated: &str) -> String {
    const SHOWN: usize = 10;
    let (old, new): (Vec<_>, Vec<_>) = (committed.lines().collect(), generated.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line));
    let come = new.iter().filter(|line| !old.contains(line));
    let lines: Vec<_> = gone
        .map(|line| format!("-{line}\n"))
        .chain(come.map(|line| format!("+{line}\n")))
        .collect();
    let mut text = format!("{path}:\n");
    text.extend(lines.iter().take(SHOWN).map(String::as_str));
    if lines.is_empty() {
        text.push_str("  the same lines in another order\n");
    } else if lines.len() > SHOWN {
        text.push_str(&format!("  and {} lines more\n", lines.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_tables_are_what_the_headers_say() {
        let headers = Headers::pinned().expect("cargo has fetched the headers");
        check(&tables(&headers).expect("the headers are readable")).expect("no drift");
    }

    #[test]
    fn a_difference_names_what_went_and_what_came() {
        let text = difference("t.rs", "a\nb\n", "a\nc\n");
        assert_eq!(text, "t.rs:\n-b\n+c\n");
        let reordered = difference("t.rs", "a\nb\n", "b\na\n");
        assert!(reordered.contains("another order"), "{reordered}");
    }
}
