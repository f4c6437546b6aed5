//! What the end-to-end tests share: the table of truth, a witness that is not Loupe, ways to
//! run Loupe and to look for what it left behind. The tests themselves are in `tests/`, the
//! programs that they measure in `src/bin/`, the workload files in `workloads/`.

pub mod analysis;
pub mod binaries;
pub mod browser;
pub mod command;
pub mod daemon;
pub mod figures;
pub mod fleet;
pub mod ground_truth;
pub mod host;
pub mod leftovers;
pub mod member;
pub mod network;
pub mod operations;
pub mod random;
pub mod requirement;
pub mod scene;
pub mod schema;
pub mod servers;
pub mod trace;
pub mod witness;
