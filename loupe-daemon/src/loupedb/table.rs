//! One CSV file of the data set as rows, with what is odd about it. Knows no verdicts.

use std::collections::BTreeMap;

/// The last syscall number that the data set's tables have (`rseq` of x86-64).
pub(super) const LAST_SYSCALL: u16 = 334;

/// A table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Counted from 1; `None`: the file as a whole.
    pub(super) line: Option<usize>,
    pub(super) what: String,
}

/// The columns after the number, by number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table<const N: usize> {
    pub(super) rows: BTreeMap<u16, Row<N>>,
    /// What is odd; each thing once.
    pub(super) odd: Vec<(Option<usize>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<const N: usize> {
    pub(super) line: usize,
    /// `Y` or `N`.
    pub(super) cells: [bool; N],
}

/// Reads a table of `N` columns after the number.
pub(super) fn read<const N: usize>(text: &str) -> Result<Table<N>, Broken> {
    let mut table = Table {
        rows: BTreeMap::new(),
        odd: Vec::new(),
    };
    let mut header = false;
    let mut twice = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(before) = line.find('#') {
            if header || !table.rows.is_empty() {
                return Err(broken(number, "a second header"));
            }
            if before > 0 {
                let odd = format!("the header begins with `{}`", &line[..before]);
                table.odd.push((Some(number), odd));
            }
            header = true;
            continue;
        }
        let (key, row) = table.row(number, line)?;
        match table.rows.get(&key) {
            Some(other) if other.cells == row.cells => twice.push(key),
            Some(other) => {
                let what = format!("{key} is also in line {}, and not the same", other.line);
                return Err(broken(number, what));
            }
            None => {
                table.rows.insert(key, row);
            }
        }
    }
    if table.rows.is_empty() {
        return Err(Broken {
            line: None,
            what: "no row".to_owned(),
        });
    }
    if !header {
        table.odd.push((Some(1), "there is no header".to_owned()));
    }
    if !twice.is_empty() {
        let odd = format!("rows that are there twice: {}", numbers(&twice));
        table.odd.push((None, odd));
    }
    table.count();
    Ok(table)
}

fn broken(line: usize, what: impl Into<String>) -> Broken {
    Broken {
        line: Some(line),
        what: what.into(),
    }
}

fn numbers(numbers: &[u16]) -> String {
    let words: Vec<String> = numbers.iter().map(u16::to_string).collect();
    words.join(", ")
}

impl<const N: usize> Table<N> {
    fn row(&mut self, line: usize, text: &str) -> Result<(u16, Row<N>), Broken> {
        let cells: Vec<&str> = text.split(',').map(str::trim).collect();
        if cells.len() != N + 1 {
            let what = format!("{} columns instead of {}", cells.len(), N + 1);
            return Err(broken(line, what));
        }
        let mut key = cells[0];
        // A header that was cut short leaves its last letter in the first row.
        if let (None, Some(rest)) = (self.rows.first_key_value(), key.strip_prefix('N')) {
            let odd = format!("the first row begins with a stray `N`: `{key}`");
            self.odd.push((Some(line), odd));
            key = rest;
        }
        let key = key
            .parse()
            .map_err(|_| broken(line, format!("`{key}` is no number of a syscall")))?;
        let mut row = Row {
            line,
            cells: [false; N],
        };
        for (cell, text) in row.cells.iter_mut().zip(&cells[1..]) {
            *cell = match *text {
                "Y" => true,
                "N" => false,
                other => return Err(broken(line, format!("`{other}` is neither Y nor N"))),
            };
        }
        Ok((key, row))
    }

    /// Are there as many rows as there are syscalls?
    fn count(&mut self) {
        let more: Vec<u16> = self
            .rows
            .range(LAST_SYSCALL + 1..)
            .map(|(key, _)| *key)
            .collect();
        let is_used = |key: &u16| self.rows[key].cells[0];
        let (used, unused): (Vec<u16>, Vec<u16>) = more.into_iter().partition(is_used);
        let missing: Vec<u16> = (0..=LAST_SYSCALL)
            .filter(|key| !self.rows.contains_key(key))
            .collect();
        if !unused.is_empty() {
            let odd = format!(
                "more rows than the {} of the data set: {} (unused; left out)",
                LAST_SYSCALL + 1,
                numbers(&unused)
            );
            self.odd.push((None, odd));
        }
        if !used.is_empty() {
            let odd = format!(
                "numbers above {LAST_SYSCALL}, which are used: {}",
                numbers(&used)
            );
            self.odd.push((None, odd));
        }
        if !missing.is_empty() {
            let odd = format!("no row (taken as unused): {}", numbers(&missing));
            self.odd.push((None, odd));
        }
    }
}
