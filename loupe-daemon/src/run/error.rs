//! Why a run came to nothing, which says nothing about what was run.

use std::io;

use crate::cgroup::CgroupError;
use crate::inject::CompileError;
use crate::launcher::LauncherError;
use crate::launcher::protocol::Role;
use crate::tracer::TracerError;

/// A run could not be made, watched or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    #[error(transparent)]
    Tracer(#[from] TracerError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the {} `{program}` cannot be executed: {source}", role_name(*.role))]
    Exec {
        role: Role,
        program: String,
        source: io::Error,
    },
    #[error("the engine's own {what} failed: {source}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
    #[error("cancelled")]
    Cancelled,
}

impl RunError {
    /// Whether it may be that the host was too busy for it, or that somebody had a hand in it: the
    /// next run may go well.
    pub fn may_be_overload(&self) -> bool {
        matches!(self, RunError::Launcher(error) if error.may_be_overload())
    }
}

/// An error of a system call that the engine makes for itself.
pub fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Application => "command",
        Role::Test => "test",
        Role::Probe => "command of `ready`",
    }
}
