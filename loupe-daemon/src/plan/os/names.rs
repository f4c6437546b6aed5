//! Names from files as features, with a remark on every one that is none, or is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loupe_common::feature::Feature;
use loupe_common::syscalls::{Arch, Syscall};

use super::Remark;

/// Collects the features of one file.
pub(super) struct Names<'a> {
    path: &'a Path,
    seen: BTreeMap<Feature, u32>,
    pub(super) remarks: Vec<Remark>,
}

impl<'a> Names<'a> {
    pub(super) fn of(path: &'a Path) -> Names<'a> {
        Names {
            path,
            seen: BTreeMap::new(),
            remarks: Vec::new(),
        }
    }

    /// A name of any feature, or a number of x86-64. One that is not known gets a remark and is left out.
    pub(super) fn take(&mut self, word: &str, line: Option<usize>) -> Option<Feature> {
        let found = match word.parse::<u16>() {
            Ok(number) => numbered(number)
                .ok_or_else(|| format!("no syscall of x86-64 has the number {number}; left out")),
            Err(_) => named(word),
        };
        match found {
            Ok(feature) => Some(feature),
            Err(what) => {
                self.remarks.push(Remark::new(self.path, line, what));
                None
            }
        }
    }

    /// Adds a name to a set, as [`Names::take`] does, and remembers one that is there twice.
    pub(super) fn add(&mut self, word: &str, line: Option<usize>, to: &mut BTreeSet<Feature>) {
        if let Some(feature) = self.take(word, line) {
            *self.seen.entry(feature.clone()).or_default() += 1;
            to.insert(feature);
        }
    }

    /// The remarks, with one on everything that was there more than once.
    pub(super) fn finish(mut self) -> Vec<Remark> {
        let twice: Vec<String> = self
            .seen
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(feature, _)| feature.to_string())
            .collect();
        if !twice.is_empty() {
            let (count, names) = (twice.len(), twice.join(", "));
            let what = match count {
                1 => format!("1 name is there more than once: {names}"),
                _ => format!("{count} names are there more than once: {names}"),
            };
            self.remarks.push(Remark::new(self.path, None, what));
        }
        self.remarks
    }
}

/// Numbers in files are x86-64's, whatever this machine is.
fn numbered(number: u16) -> Option<Feature> {
    let table = Arch::X86_64.table();
    let index = table.binary_search_by_key(&number, |entry| entry.0).ok()?;
    Syscall::from_name(table[index].1).map(Feature::from)
}

fn named(word: &str) -> Result<Feature, String> {
    word.parse().map_err(|error| format!("{error}; left out"))
}
