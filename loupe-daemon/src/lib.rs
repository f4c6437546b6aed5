//! Loupe in user space: everything but the in-kernel programs and the shared types.
//!
//! Data flows one way: `tracer`, `inject` and `launcher` know the kernel; `replay` runs one
//! workload once; `explore` decides which replays to ask for; `store` keeps them; `engine`
//! puts these together for the two front doors, `client` and `server`; `plan` says what an OS is
//! to do next; `report` prints.
//!
//! It is a library only for the two programs and the benchmarks: all rooms are private, so that
//! the compiler sees what nobody uses.

#![deny(unsafe_code)]
#![warn(unused_crate_dependencies)]

mod arch;
mod backend;
mod cgroup;
mod client;
mod completeness;
mod dispatch;
mod doctor;
mod engine;
mod exchange;
mod executable;
mod explore;
mod fleet;
mod formats;
mod inject;
mod launcher;
mod link;
mod loupedb;
mod nats;
mod plan;
mod profile;
mod replay;
mod report;
mod run;
mod server;
mod spread;
mod store;
mod sys;
mod text;
mod tracer;

pub use client::main as loupe;
pub use launcher::main_if_asked as launcher_if_asked;
pub use server::main as louped;

/// Analyses whose replays workers run, for tests and benchmarks with workers of their own.
pub mod spreading {
    pub use crate::dispatch::{ACK_WAIT, Coordinator, Shipment, WorkerLink};
    pub use crate::engine::{
        AnalyzeOptions, Engine, HostWorker, How, Package, Packages, ProgressSink, analyze_spread,
        host_class,
    };
    pub use crate::launcher::protocol::Identity;
    pub use crate::replay::Workload;
    pub use crate::spread::{
        Answer, Bench, Claims, HostFilter, Job, Local, RealClock, Worker, work,
    };
    pub use crate::store::Store;
    pub use tokio_util::sync::CancellationToken;
}

/// What the benchmarks measure from inside, without a command line around it.
pub mod benchmarks {
    pub use crate::cgroup::{ReplayCgroup, move_process};
    pub use crate::launcher::Launcher;
    pub use crate::launcher::protocol::Identity;
    pub use crate::replay::{
        BaselineFacts, Heartbeat, Job, Mode, Pace, Part, Prepared, Runner, Workload,
    };
    pub use crate::run::Cancel;
    pub use crate::tracer::profiler;
    pub use crate::tracer::{TraceOptions, Tracer};

    /// What made-up hosts tell a fleet.
    pub mod fleet {
        pub use crate::exchange::{Piece, facts_of};
        pub use crate::fleet::{Bundle, FleetSubject, Host, Member, schema};
    }
}

/// What `--version` prints: the release, and the commit where the build knew it.
pub(crate) const VERSION: &str = env!("LOUPE_VERSION");

/// The time by the host's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Locks a mutex whose data stays valid even if a holder panicked.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod testing;
