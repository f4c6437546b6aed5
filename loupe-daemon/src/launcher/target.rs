//! Is the program that was just executed the target? The target is known by its path, and looked
//! up at each exec, in the view of the process that executes: it may have been built a moment
//! ago. Compared by file, so a link or another root directory makes no difference.

mod executed;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstatat;
use nix::unistd::Pid;

use super::protocol::Identity;
use super::rights::within_rights_of;
pub use executed::Executed;
use executed::FileId;

/// What `/proc/PID/exe` shows of a program that only ever was in memory begins with.
const IN_MEMORY: &str = "/memfd:";
/// How a workload names one.
const MEMFD: &str = "memfd:";

/// Whether a target is the name of a program in memory (`memfd_create`), which has no path.
pub fn is_in_memory(target: &Path) -> bool {
    target.as_os_str().as_bytes().starts_with(MEMFD.as_bytes())
}

/// The program that is measured.
pub struct Target {
    path: PathBuf,
    /// The host's `/proc`: the keeper and the traced processes know each other by its numbers.
    proc: OwnedFd,
    /// With whose rights paths are looked up.
    identity: Identity,
}

impl Target {
    pub fn new(path: &Path, proc: OwnedFd, identity: Identity) -> Target {
        Target {
            path: path.to_owned(),
            proc,
            identity,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `pid`, which stands at its exec stop, executes.
    pub fn executed(&self, pid: Pid) -> io::Result<Executed> {
        Executed::look(&self.proc, pid, &self.identity)
    }

    /// Whether that is the target: as its binary, as the script that its interpreter was started
    /// for, or as the program that a dynamic loader was.
    pub fn is(&self, pid: Pid, executed: &Executed) -> io::Result<bool> {
        if is_in_memory(&self.path) {
            let name = self.path.to_string_lossy();
            return Ok(executed.names().any(|executed| executed == name));
        }
        let is = |target: Option<FileId>| target.is_some_and(|target| executed.is(target));
        // As the keeper sees it, which is as the sandbox has it; and as the process does, whose
        // root directory and mounts may be its own.
        let here = within_rights_of(&self.identity, || {
            let file = fstatat(AT_FDCWD, &self.path, AtFlags::empty());
            file.ok().map(FileId::from)
        })?;
        Ok(is(here) || is(executed::lead(&self.proc, pid, &self.path, &self.identity)?))
    }
}
