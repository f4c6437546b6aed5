//! Names and numbers, from the files in which Loupe has them: syscalls, their operations and flags,
//! what in a call's arguments tells them, and what is submitted to io_uring.

/// Named values, as in the table of operations.
pub type Set = &'static [(u64, &'static str)];

#[path = "../../../loupe-common/src/operations/meaning.rs"]
pub mod meaning;
#[path = "../../../loupe-common/src/operations/x86_64.rs"]
mod operations;
#[path = "../../../loupe-common/src/io_uring/table.rs"]
mod rings;
#[path = "../../../loupe-common/src/syscalls/x86_64.rs"]
mod syscalls;

pub use operations::TABLE as SETS;
pub use rings::TABLE as RING_OPERATIONS;
pub use syscalls::TABLE as SYSCALLS;

use meaning::{ROWS, Row};

pub const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The number of a syscall. No such name is an error when the probe is compiled.
pub const fn number(name: &str) -> usize {
    let mut index = 0;
    while index < SYSCALLS.len() {
        if same(SYSCALLS[index].1, name) {
            return SYSCALLS[index].0 as usize;
        }
        index += 1;
    }
    panic!("no syscall of this name")
}

/// The value of a name in a set. No such name is an error when the probe is compiled.
pub const fn value(set: &str, name: &str) -> usize {
    let mut index = 0;
    while index < SETS.len() {
        if same(SETS[index].0, set) {
            let values = SETS[index].1;
            let mut index = 0;
            while index < values.len() {
                if same(values[index].1, name) {
                    return values[index].0 as usize;
                }
                index += 1;
            }
        }
        index += 1;
    }
    panic!("no value of this name")
}

/// The number of an operation of io_uring. No such name is an error when the probe is compiled.
pub const fn ring_operation(name: &str) -> u8 {
    let mut index = 0;
    while index < RING_OPERATIONS.len() {
        if same(RING_OPERATIONS[index].1, name) {
            return RING_OPERATIONS[index].0;
        }
        index += 1;
    }
    panic!("no operation of this name")
}

/// What the arguments of a vectored syscall mean.
pub fn row(syscall: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.syscall == syscall)
}

/// A set whose name may end in another name: `sockopt *`.
pub fn set(name: &str, before: &str) -> Set {
    let found = SETS.iter().find(|(known, _)| match name.strip_suffix('*') {
        Some(stem) => known.strip_prefix(stem) == Some(before),
        None => *known == name,
    });
    found.map_or(&[], |(_, values)| values)
}

/// The number of a syscall, as a constant.
macro_rules! nr {
    ($name:literal) => {
        const { $crate::tables::number($name) }
    };
}

/// The value of a name in a set, as a constant.
macro_rules! val {
    ($set:literal, $name:literal) => {
        const { $crate::tables::value($set, $name) }
    };
}

pub(crate) use {nr, val};
