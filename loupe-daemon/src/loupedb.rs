//! The paper's data set format, in and out.
//!
//! `APP/WORKLOAD/RUN/data/dyn.csv` has one row for each syscall of x86-64, 0 to 334: number,
//! used, works faked, works stubbed, works both; `static_binary.csv` and `static_sources.csv`
//! beside it say what static analysis finds. `NAME.syscalls` at the top are OS profiles.
//!
//! Reading takes a run whole or not at all, and tells everything odd, once per file. Nothing
//! here knows the database.

mod analysis;
mod layout;
mod table;
mod write;

#[cfg(test)]
mod tests;

pub use analysis::FORMAT;
pub use layout::{Choice, DataSet, LoupedbError, read};
pub use write::write;
