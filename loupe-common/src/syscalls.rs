//! Syscall names and numbers of the architectures that Loupe knows.
//!
//! The tables are generated from pinned kernel headers (`cargo xtask codegen`). Names, not
//! numbers, go to disk, so that data from one machine stays readable on another.

mod aarch64;
mod arguments;
mod x86_64;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// An instruction-set architecture whose native ABI Loupe has a table of.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
pub enum Arch {
    #[serde(rename = "x86_64")]
    X86_64,
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// The architecture that this program was compiled for.
    pub const NATIVE: Arch = if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };

    /// Number and name of every syscall, sorted by number.
    pub fn table(self) -> &'static [(u16, &'static str)] {
        match self {
            Arch::X86_64 => x86_64::TABLE,
            Arch::Aarch64 => aarch64::TABLE,
        }
    }
}

/// Every name of any architecture, sorted, with the position that [`Syscall`] holds.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut names: Vec<_> = [Arch::X86_64, Arch::Aarch64]
        .iter()
        .flat_map(|arch| arch.table().iter().map(|(_, name)| *name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// Number by name, for the native architecture.
static NATIVE_NUMBERS: LazyLock<BTreeMap<&'static str, u16>> = LazyLock::new(|| {
    Arch::NATIVE
        .table()
        .iter()
        .map(|(number, name)| (*name, *number))
        .collect()
});

/// A syscall, by name. Sorts alphabetically; numbers that the tables do not know yet sort last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Syscall(Inner);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Inner {
    /// Index into [`NAMES`].
    Named(u16),
    /// A native number without a name: a kernel newer than the tables.
    Numbered(u32),
}

impl Syscall {
    /// The syscall of this name on any known architecture.
    pub fn from_name(name: &str) -> Option<Syscall> {
        let index = NAMES.binary_search(&name).ok()?;
        Some(Syscall(Inner::Named(index as u16)))
    }

    /// The syscall with this native number. A number that the table lacks is kept as
    /// `syscall_<number>`.
    pub fn from_number(number: u32) -> Syscall {
        let table = Arch::NATIVE.table();
        u16::try_from(number)
            .ok()
            .and_then(|number| table.binary_search_by_key(&number, |entry| entry.0).ok())
            .and_then(|index| Syscall::from_name(table[index].1))
            .unwrap_or(Syscall(Inner::Numbered(number)))
    }

    /// The number on the native architecture; `None` where it does not exist.
    pub fn number(self) -> Option<u32> {
        match self.0 {
            Inner::Named(index) => NATIVE_NUMBERS
                .get(NAMES[usize::from(index)])
                .map(|number| u32::from(*number)),
            Inner::Numbered(number) => Some(number),
        }
    }

    /// The number on `arch`; `None` where it does not exist or has no name.
    pub fn number_on(self, arch: Arch) -> Option<u32> {
        let Inner::Named(index) = self.0 else {
            return None;
        };
        let name = NAMES[usize::from(index)];
        let (number, _) = arch.table().iter().find(|(_, other)| *other == name)?;
        Some(u32::from(*number))
    }

    /// Known names that are close to a misspelt one, best first, at most three.
    pub fn suggestions(misspelt: &str) -> Vec<&'static str> {
        crate::text::nearest(misspelt, NAMES.iter().copied())
    }
}

/// Levenshtein distance of a word to a known name; names are short, so the plain table is enough.
/// A word that is far longer is infinitely far away: it may be a mebibyte from a socket, and is
/// compared with every name.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    if a.chars().nth(2 * b.len() + 8).is_some() {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Inner::Named(index) => f.pad(NAMES[usize::from(index)]),
            Inner::Numbered(number) => f.pad(&format!("syscall_{number}")),
        }
    }
}

impl fmt::Debug for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No syscall has this name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown syscall `{name}`{}", hint(.name))]
pub struct UnknownSyscall {
    pub name: String,
}

fn hint(name: &str) -> String {
    match Syscall::suggestions(name).as_slice() {
        [] => String::new(),
        near => format!(" (did you mean {}?)", near.join(", ")),
    }
}

impl std::str::FromStr for Syscall {
    type Err = UnknownSyscall;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if let Some(syscall) = Syscall::from_name(name) {
            return Ok(syscall);
        }
        name.strip_prefix("syscall_")
            .and_then(|digits| digits.parse().ok())
            .map(Syscall::from_number)
            .ok_or_else(|| UnknownSyscall {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_mebibyte_is_near_to_nothing_and_not_compared() {
        let long = "x".repeat(1 << 20);
        assert_eq!(edit_distance(&long, "read"), usize::MAX);
        assert!(Syscall::suggestions(&long).is_empty());
        assert_eq!(edit_distance("raed", "read"), 2);
        assert!(Syscall::suggestions("opeenat").contains(&"openat"));
    }

    #[test]
    fn tables_reach_the_newest_syscalls() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let (last, _) = arch.table().last().expect("the table is not empty");
            assert!(*last >= 460, "{arch:?} ends at {last}");
            assert!(arch.table().is_sorted_by(|a, b| a.0 < b.0));
        }
    }

    #[test]
    fn well_known_numbers() {
        let futex = Syscall::from_name("futex").expect("futex exists");
        assert_eq!(futex.number_on(Arch::X86_64), Some(202));
        assert_eq!(futex.number_on(Arch::Aarch64), Some(98));
        let open = Syscall::from_name("open").expect("open exists");
        assert_eq!(open.number_on(Arch::Aarch64), None);
    }

    #[test]
    fn every_number_comes_back_from_its_name() {
        for (number, name) in Arch::NATIVE.table() {
            let syscall = Syscall::from_number(u32::from(*number));
            assert_eq!(syscall.to_string(), *name);
            assert_eq!(syscall.number(), Some(u32::from(*number)));
            assert_eq!(name.parse(), Ok(syscall));
        }
    }

    #[test]
    fn a_number_newer_than_the_table_survives_a_round_trip() {
        let future = Syscall::from_number(511);
        assert_eq!(future.to_string(), "syscall_511");
        assert_eq!("syscall_511".parse(), Ok(future));
        assert_eq!(
            "syscall_0".parse::<Syscall>().map(|s| s.to_string()),
            Ok("read".into())
        );
    }

    #[test]
    fn a_misspelt_name_gets_suggestions() {
        let error = "futexx".parse::<Syscall>().expect_err("no such syscall");
        assert!(error.to_string().contains("did you mean futex"), "{error}");
        let error = "zzzzzzzzzz"
            .parse::<Syscall>()
            .expect_err("no such syscall");
        assert_eq!(error.to_string(), "unknown syscall `zzzzzzzzzz`");
    }
}
