//! What the host's services really use: finds out whose a cgroup is, opens windows of observation,
//! and hands what was counted in them to the store. It injects nothing and runs nothing.
//!
//! `docs/design/profile.md` goes through it.

mod containers;
mod difference;
mod duty;
mod executables;
mod loaded;
mod marks;
mod meter;
mod naming;
mod observer;
mod once;
mod outbox;
mod owners;
mod pending;
mod pinning;
mod rounds;
mod selection;
mod service;
mod tally;
mod targets;
mod tree;
mod unrecorded;
mod watchers;

use std::io;
use std::path::PathBuf;

use loupe_common::profile::Target;

use crate::cgroup::CgroupError;
use crate::store::StoreError;
use crate::tracer::TracerError;
use crate::tracer::profiler::ProfilerBounds;

pub use duty::Choice;
pub use once::{ObserveError, observe};
pub use pinning::{Keeper, Left, Pinning};
pub use service::{AskError, Readings, Service};
pub use tally::SyscallCalls;
pub use targets::TargetError;

/// What is watched, and at what price, as the configuration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub targets: Vec<Target>,
    pub duty: Choice,
    pub bounds: ProfilerBounds,
    /// What is loaded stays loaded while the daemon is restarted.
    pub pin: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            targets: Vec::new(),
            duty: Choice::Measured,
            bounds: ProfilerBounds::default(),
            pin: false,
        }
    }
}

/// Its members see everybody's profiles, and say what is watched.
pub const GROUP: &str = "loupe-profile";

/// Whose profiles somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Everything,
    /// Those of the cgroups of this user.
    Own(u32),
}

impl Access {
    pub fn sees(self, uid: u32) -> bool {
        match self {
            Access::Everything => true,
            Access::Own(own) => own == uid,
        }
    }
}

/// Why services cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tracer(#[from] TracerError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("cannot look at the hierarchy of cgroups at {}: {source}", path.display())]
    Walk { path: PathBuf, source: io::Error },
    #[error("what the in-kernel programs tell goes to somebody else")]
    Taken,
    #[error("what was recorded of in-kernel counts cannot be used: {0}")]
    Record(#[source] serde_json::Error),
    #[error("the file in memory cannot be read: {0}")]
    Unrecorded(#[source] std::io::Error),
    #[error("the database does not know what of its counts is recorded")]
    Unknown,
    #[error("cannot start a thread that observes: {0}")]
    Thread(#[source] io::Error),
}

/// The hierarchy of cgroups as it is now.
fn hierarchy() -> Result<tree::Tree, ProfileError> {
    let mount = crate::cgroup::hierarchy()?;
    tree::Tree::walk(&mount).map_err(|source| ProfileError::Walk {
        path: mount,
        source,
    })
}
