//! Loupe in user space: everything but the in-kernel programs and the shared types.
//!
//! Data flows one way: `tracer`, `inject` and `launcher` know the kernel; `replay` runs one
//! workload once; `explore` decides which replays to ask for; `store` keeps them; `engine`
//! puts these together for the two front doors, `client` and `server`; `report` prints.

pub mod engine;
pub mod explore;
pub mod replay;
pub mod store;
