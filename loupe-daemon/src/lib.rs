//! Loupe in user space: everything but the in-kernel programs and the shared types.
//!
//! Data flows one way: `tracer`, `inject` and `launcher` know the kernel; `replay` runs one
//! workload once; `explore` decides which replays to ask for; `store` keeps them; `engine`
//! puts these together for the two front doors, `client` and `server`; `plan` says what an OS is
//! to do next; `report` prints.

pub mod backend;
pub mod cgroup;
pub mod client;
pub mod doctor;
pub mod engine;
pub mod explore;
pub mod formats;
pub mod inject;
pub mod launcher;
pub mod link;
pub mod loupedb;
pub mod plan;
pub mod replay;
pub mod report;
pub mod server;
pub mod store;
pub mod text;
pub mod tracer;

/// Locks a mutex whose data stays valid even if a holder panicked.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod testing;
