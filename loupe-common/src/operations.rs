//! Operations and flags: the parts of a vectored syscall.
//!
//! A call has exactly one *operation*, chosen by the value of one argument or two
//! (`fcntl:F_SETFD`, `socket:AF_INET/SOCK_STREAM`), and any number of *flags*, each a bit or a
//! named value of some bits (`mmap:MAP_POPULATE`, `openat:O_RDWR`). Names come from the kernel's
//! headers (`cargo xtask codegen`), what is where from the table in [`meaning`]. Names, not
//! values, go to disk: values differ between architectures.

mod aarch64;
mod decode;
mod list;
pub mod meaning;
mod parse;
mod rows;
mod x86_64;

use std::fmt;
use std::sync::Arc;

pub use decode::{Decoded, decode, named_arguments, operation_of};
use meaning::{Meaning, Part, Place, Row};
pub use parse::UnknownOperation;

use crate::syscalls::{Arch, Syscall};

/// Named values, sorted by value.
type Set = &'static [(u64, &'static str)];

impl Arch {
    /// A set of named values; empty where the architecture has none.
    fn set(self, name: &str) -> Set {
        let table = match self {
            Arch::X86_64 => x86_64::TABLE,
            Arch::Aarch64 => aarch64::TABLE,
        };
        let found = table.binary_search_by_key(&name, |(set, _)| set);
        found.map_or(&[], |index| table[index].1)
    }
}

/// One operation or flag of a syscall, by name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    syscall: Syscall,
    is_flag: bool,
    name: Arc<str>,
}

/// What must hold of an argument: these bits have this value. Bits above 32 are in the mask only
/// where the kernel looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// From 0.
    pub argument: u8,
    pub mask: u64,
    pub value: u64,
}

/// The name of all operations that have none.
const UNNAMED: &str = "*";

/// Why calls of an operation cannot be told from others by their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// What selects it is in memory, which seccomp cannot read.
    InMemory,
    /// It has no value on this architecture.
    NotOnThisArchitecture,
    /// It is what is left of a syscall when all that has a name is taken away.
    Unnamed,
}

impl Operation {
    pub fn syscall(&self) -> Syscall {
        self.syscall
    }

    /// A flag, of which a call may have several.
    pub fn is_flag(&self) -> bool {
        self.is_flag
    }

    /// Without the syscall's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All operations of a syscall that have no name, at once: `ioctl:*`. `None` where a call's arguments
    /// do not tell its operation.
    pub fn unnamed(syscall: Syscall) -> Option<Operation> {
        let row = Row::of(syscall)?;
        (row.selects() && row.place == Place::Registers).then(|| Operation {
            syscall,
            is_flag: false,
            name: UNNAMED.into(),
        })
    }

    /// Whether it stands for all operations that have no name.
    pub fn is_unnamed(&self) -> bool {
        &*self.name == UNNAMED
    }

    /// Whether it is one of those that have no name: a number, or a number in a part of it.
    pub fn has_no_name(&self) -> bool {
        !self.is_flag && self.name.split('/').any(|part| part.starts_with("0x"))
    }

    /// What all must hold of a call's arguments, if it is a call of this operation.
    pub fn tests(&self) -> Result<Vec<Test>, Unreachable> {
        let row = Row::of(self.syscall).ok_or(Unreachable::NotOnThisArchitecture)?;
        if row.place != Place::Registers {
            return Err(Unreachable::InMemory);
        }
        if self.is_unnamed() {
            return Err(Unreachable::Unnamed);
        }
        self.values(row).ok_or(Unreachable::NotOnThisArchitecture)
    }

    /// By part of the row, on this architecture.
    fn values(&self, row: &Row) -> Option<Vec<Test>> {
        if self.is_flag {
            return row.parts.iter().find_map(|part| {
                let (mask, value) = part.flag_value(Arch::NATIVE, &self.name, false)?;
                Some(vec![part.test(mask, value)])
            });
        }
        let parts = row
            .parts
            .iter()
            .filter(|part| part.meaning == Meaning::Selects);
        let mut tests = Vec::new();
        let mut before = "";
        let mut names = self.name.split('/');
        for part in parts {
            let name = names.next()?;
            let value = part.value(Arch::NATIVE, before, name)?;
            tests.push(part.test(part.mask, value));
            before = name;
        }
        names.next().is_none().then_some(tests)
    }
}

impl Part {
    fn test(&self, mask: u64, value: u64) -> Test {
        Test {
            argument: self.argument,
            mask,
            value,
        }
    }

    /// The sets that name this part's values. `before`: the name of the part before it, which
    /// some depend on.
    fn sets(&self, arch: Arch, before: &str) -> impl Iterator<Item = Set> {
        let before = before.to_owned();
        self.sets
            .iter()
            .map(move |set| match set.strip_suffix('*') {
                Some(stem) => arch.set(&format!("{stem}{before}")),
                None => arch.set(set),
            })
    }

    /// The preferred name of a value, or the value in hexadecimal.
    fn name(&self, before: &str, value: u64) -> String {
        let named = self.sets(Arch::NATIVE, before).find_map(|set| {
            let index = set.partition_point(|(known, _)| *known < value);
            set.get(index).filter(|(known, _)| *known == value)
        });
        named.map_or_else(|| format!("{value:#x}"), |(_, name)| (*name).to_owned())
    }

    /// The value of a name, or of a hexadecimal number.
    fn value(&self, arch: Arch, before: &str, name: &str) -> Option<u64> {
        let named = self.sets(arch, before).find_map(|set| {
            let (value, _) = set.iter().find(|(_, known)| *known == name)?;
            Some(*value)
        });
        named.or_else(|| {
            let value = u64::from_str_radix(name.strip_prefix("0x")?, 16).ok()?;
            (value & !self.mask == 0).then_some(value)
        })
    }

    /// Which bits must have which value for a flag of this part to be there. `named_bits`: a bit
    /// that has a name may be written as a bit, too, as before it had one.
    fn flag_value(&self, arch: Arch, name: &str, named_bits: bool) -> Option<(u64, u64)> {
        match self.meaning {
            Meaning::Selects => None,
            Meaning::Field => self.value(arch, "", name).map(|value| (self.mask, value)),
            Meaning::Flags => {
                let bit = |digits: &str| 1u64.checked_shl(digits.parse().ok()?);
                let value = match name.strip_prefix("bit").and_then(bit) {
                    Some(bit) if named_bits || self.name("", bit).starts_with("0x") => bit,
                    Some(_) => return None,
                    None => self
                        .value(arch, "", name)
                        .filter(|_| !name.starts_with("0x"))?,
                };
                (value != 0 && value & !self.mask == 0).then_some((value, value))
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.syscall, self.name))
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
