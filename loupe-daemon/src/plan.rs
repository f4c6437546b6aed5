//! What an OS has to do next: OS profiles, what applications need, and plans that bring the two
//! together.
//!
//! Pure, but for the readers of profiles: nothing here runs an application, reads the database
//! or prints. A plan is made from measured needs ([`Need`]) and a profile ([`OsProfile`]), and
//! is sound: whoever does literally what its steps say has every application's need met at the
//! step that promises it, and ever after ([`check`] replays a plan to see).

pub mod need;
pub mod os;
pub mod steps;

pub use need::{Need, NeedBasis};
pub use os::{OsError, OsProfile, Remark};
pub use steps::{Clash, Plan, Step};
