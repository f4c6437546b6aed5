//! How well a subject is known: the chance of something new, learning or stable, the growth of its
//! profile. Pure figures; it knows no kernel, no database and no features, only when they came.
//!
//! `docs/design/profile.md` has the arithmetic and says where it ends.

mod curve;
mod maturity;
#[cfg(test)]
mod simulation;
mod unseen;

pub(crate) use curve::curve;
pub(crate) use maturity::Learning;
pub(crate) use unseen::{Appearance, Blocks, unseen};
