//! Many hosts: what each has seen, as a file that travels, merged into one database, and questions
//! about all of them together.
//!
//! The merge is a semilattice (unions, minima, maxima), so that the order, the repetition and the
//! loss of files do not matter to what the others bring. It opens no socket, watches nothing and
//! prints nothing. docs/fleet.md is the manual.

mod bundle;
mod catalogue;
mod columns;
mod database;
mod delta;
mod drift;
mod error;
mod export;
mod gap;
mod heard;
mod hosts;
mod identity;
mod lattice;
mod merge;
mod overview;
mod show;
mod tables;
mod told;
mod who;

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;

pub use bundle::{
    Bundle, FleetSubject, Host, hexadecimal, pack, read_bundle, replace, schema, unpack,
    write_bundle,
};
pub use catalogue::Version;
pub use database::{DATABASE, Fleet, names_at};
pub use delta::Known;
pub use drift::FleetDrift;
#[cfg(test)]
pub use drift::{NewUnit, NewUse};
pub use error::FleetError;
pub use export::export;
#[cfg(test)]
pub use gap::Lacking;
pub use gap::{FleetGap, Missing};
pub use heard::{Heard, Refused};
pub use hosts::{HostRow, called};
pub use identity::{Salt, host_of_this_machine, this_machine};
pub use lattice::Member;
pub use merge::Merged;
pub use overview::UnitOverview;
#[cfg(test)]
pub use overview::Use;
pub use show::Shown;
pub use tables::TablesError;
pub use told::is_named_operation;
pub use who::Who;

const HOUR_MS: u64 = 3_600_000;
