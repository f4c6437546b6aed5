//! What the engine and a keeper say to each other. JSON in packets; descriptors ride along.

use std::path::PathBuf;

use loupe_common::replay::{ExitStatus, Usage};
use loupe_common::word::{self, Word};
use serde::{Deserialize, Serialize};

pub use super::places::{Link, Place};
use super::supervisor::Supervised;
use crate::inject::Notified;

/// Whose rights a process gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// What a keeper does before it reports [`FromKeeper::Ready`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preparation {
    /// The cgroup directory of the run; the keeper joins its `launcher`.
    pub cgroup: PathBuf,
    /// Pin the whole run to this CPU.
    pub cpu: Option<usize>,
    /// `None`: no sandbox, the command runs right here.
    pub sandbox: Option<SandboxSpec>,
}

/// How the sandbox differs from the host. What is of the host is opened with the rights of
/// `identity`, for each sandbox anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Directories below `/tmp`, `/run` or `/dev/shm` that must be seen all the same.
    pub visible: Vec<Place>,
    /// Links there that lead to what the workload names.
    pub links: Vec<Link>,
    /// What is written through to the host.
    pub writable: Vec<Place>,
    /// Copies to make.
    pub files: Vec<Copied>,
    pub identity: Identity,
    /// Limit of the memory that written files may take, in bytes.
    pub scratch_bytes: u64,
}

/// A file or directory to copy into the sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copied {
    pub from: Place,
    /// Absolute, in the sandbox.
    pub to: PathBuf,
}

/// A process to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandSpec {
    /// Looked up in the `PATH` of `environment` when it has no slash.
    pub argv: Vec<Word>,
    pub environment: Vec<(Word, Word)>,
    #[serde(with = "word::path")]
    pub directory: PathBuf,
    pub identity: Identity,
    /// A session of its own, without a terminal.
    pub new_session: bool,
    /// Signals that the command ignores from its start; bit `n - 1` is signal `n`. All others
    /// have their default effect.
    #[serde(default)]
    pub ignored_signals: u64,
}

/// One classic BPF instruction: code, jump if true, jump if false, constant.
pub type Instruction = (u16, u8, u8, u32);

/// The two kinds of processes that a keeper starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    Application,
    Test,
    /// Asks whether the application is ready.
    Probe,
}

/// From the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToKeeper {
    /// Start the application. Descriptors: stdin, stdout, stderr, and `cgroup.procs` of the
    /// target's cgroup, opened for writing.
    Start {
        command: CommandSpec,
        /// The binary that is the target.
        #[serde(with = "word::path")]
        target: PathBuf,
        /// The filter for the target; empty: none.
        filter: Vec<Instruction>,
        /// What the keeper answers itself; `None`: nothing.
        #[serde(default)]
        notified: Option<Notified>,
        /// The target finds no vDSO in its auxiliary vector.
        #[serde(default)]
        hide_vdso: bool,
    },
    /// Run the test, or a probe. Descriptors: stdin, stdout, stderr.
    Run {
        role: Role,
        command: CommandSpec,
    },
    Signal {
        role: Role,
        signal: i32,
    },
    /// End whatever is left, report, and exit.
    Finish,
}

/// From the keeper, and about it from the launcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromKeeper {
    /// The launcher has forked the keeper, whose pidfd this brings. May come after what the keeper
    /// says itself.
    Forked {
        pid: i32,
    },
    Ready,
    /// This step of the preparation, or of what came after it, failed; the keeper is gone.
    Failed {
        step: String,
        errno: i32,
    },
    /// The target was executed, is in its cgroup and under its filter.
    TargetStarted {
        pid: i32,
        /// The kernel has told it where the vDSO is.
        vdso: bool,
        /// It is a 32-bit program, and no filter is on it.
        i386: bool,
    },
    /// Something was executed that is not the target, which was not there yet.
    Executed {
        programs: Vec<String>,
    },
    /// The target was executed, but the filter is not on it: it was killed.
    TargetRefused {
        why: String,
    },
    /// The process could not be executed.
    ExecFailed {
        role: Role,
        errno: i32,
    },
    Exited {
        role: Role,
        status: ExitStatus,
    },
    /// Nothing is left of the run.
    Finished {
        usage: Usage,
        /// Processes that go on, outside the run's cgroup.
        #[serde(default)]
        left: u64,
        /// Absent where nothing was notified.
        #[serde(default)]
        supervised: Option<Supervised>,
        /// MiB of the sandbox's memory for files, if it was full.
        #[serde(default)]
        full_mib: Option<u64>,
    },
}
