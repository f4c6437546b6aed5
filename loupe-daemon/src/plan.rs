//! What an OS has to do next: OS profiles, what applications need, and plans that bring the two
//! together.
//!
//! Pure, but for the readers of profiles: nothing here runs an application, reads the database
//! or prints. A plan is made from measured needs ([`Need`]) and a profile ([`OsProfile`]), and
//! is sound: whoever does literally what its steps say has every application's need met at the
//! step that promises it, and ever after ([`check`] replays a plan to see).

mod answer;
pub mod because;
mod build;
pub mod change;
pub mod check;
pub mod compare;
pub mod coverage;
pub mod distance;
pub mod drift;
pub mod gap;
mod instance;
pub mod make;
pub mod need;
pub mod os;
mod paper;
pub mod part;
pub mod prediction;
mod reach;
pub mod schedule;
pub mod select;
pub mod service;
pub mod statistics;
pub mod steps;
pub mod weights;
pub mod what_if;

#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;

pub use crate::store::WorkloadKind;
pub use check::{Check, CheckError, Checked, check};
pub use make::{Strategy, make};
pub use need::{Need, NeedBasis};
pub use os::OsProfile;
pub use select::{Named, SelectError, Selection};
pub use service::{Service, observed_together};
pub use steps::{Clash, Plan, Step};
