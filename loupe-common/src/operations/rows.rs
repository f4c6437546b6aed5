//! Finds a syscall's row of the table in [`meaning`](super::meaning).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::meaning::{ROWS, Row};
use crate::syscalls::Syscall;

static BY_SYSCALL: LazyLock<BTreeMap<Syscall, &'static Row>> = LazyLock::new(|| {
    let rows = ROWS.iter();
    rows.filter_map(|row| Some((Syscall::from_name(row.syscall)?, row)))
        .collect()
});

impl Row {
    /// The row of a vectored syscall.
    pub fn of(syscall: Syscall) -> Option<&'static Row> {
        BY_SYSCALL.get(&syscall).copied()
    }

    /// The arguments that are looked at, with all their bits that mean something; at most two.
    pub fn arguments(&self) -> Vec<(u8, u64)> {
        let mut arguments: Vec<(u8, u64)> = Vec::new();
        for part in self.parts {
            match arguments
                .iter_mut()
                .find(|(known, _)| *known == part.argument)
            {
                Some((_, mask)) => *mask |= part.mask,
                None => arguments.push((part.argument, part.mask)),
            }
        }
        arguments
    }
}
