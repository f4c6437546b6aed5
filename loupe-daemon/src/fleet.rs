//! Many hosts: what each has seen, as a file that travels, merged into one database, and questions
//! about all of them together.
//!
//! The merge is a semilattice (unions, minima, maxima), so that the order, the repetition and the
//! loss of files do not matter to what the others bring. It opens no socket, watches nothing and
//! prints nothing. docs/fleet.md is the manual.

mod bundle;
mod catalogue;
mod database;
mod drift;
mod error;
mod export;
mod gap;
mod hosts;
mod identity;
mod lattice;
mod merge;
mod show;
mod who;

#[cfg(test)]
mod tests;

pub use bundle::{Bundle, read_bundle, write_bundle};
pub use catalogue::Version;
pub use database::Fleet;
pub use drift::FleetDrift;
pub use error::FleetError;
pub use export::export;
pub use gap::FleetGap;
pub use hosts::{HostRow, called};
pub use identity::{Salt, host_of_this_machine};
pub use merge::Merged;
pub use show::Shown;
pub use who::Who;
