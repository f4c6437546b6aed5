//! Operations of io_uring: what an application submits to a ring instead of making a syscall.

mod table;

use std::fmt;

pub use table::TABLE;

/// What the name of an operation starts with where it is written as a feature.
pub const PREFIX: &str = "io_uring:";

/// One operation (`IORING_OP_READV`), by its number, which is the same on every architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IoUringOp(u8);

impl IoUringOp {
    pub fn from_number(number: u8) -> IoUringOp {
        IoUringOp(number)
    }

    /// Its name; one that is newer than the table is kept as `IORING_OP_<number>`.
    pub fn from_name(name: &str) -> Option<IoUringOp> {
        if let Some((number, _)) = TABLE.iter().find(|(_, known)| *known == name) {
            return Some(IoUringOp(*number));
        }
        let number: u8 = name.strip_prefix("IORING_OP_")?.parse().ok()?;
        Some(IoUringOp(number))
    }
}

impl fmt::Display for IoUringOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TABLE.binary_search_by_key(&self.0, |entry| entry.0) {
            Ok(index) => f.pad(&format!("{PREFIX}{}", TABLE[index].1)),
            Err(_) => f.pad(&format!("{PREFIX}IORING_OP_{}", self.0)),
        }
    }
}

impl fmt::Debug for IoUringOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_back_from_their_names() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for (number, name) in TABLE {
            let operation = IoUringOp::from_name(name).expect("known");
            assert_eq!(operation, IoUringOp::from_number(*number));
            assert_eq!(operation.to_string(), format!("io_uring:{name}"));
        }
        let newer = IoUringOp::from_number(200);
        assert_eq!(newer.to_string(), "io_uring:IORING_OP_200");
        assert_eq!(IoUringOp::from_name("IORING_OP_200"), Some(newer));
        assert_eq!(IoUringOp::from_name("IORING_OP_MADE_UP"), None);
    }
}
