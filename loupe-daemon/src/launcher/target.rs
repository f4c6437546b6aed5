//! Is the program that was just executed the target? Compared by file, not by name.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::Pid;

/// Index of the file name in the auxiliary vector (`AT_EXECFN`).
const AT_EXECFN: u64 = 31;

/// The file that is the target, as seen from the same mounts as the processes it is compared
/// with.
pub struct Target {
    device: u64,
    inode: u64,
    /// The host's `/proc`: the keeper and the traced processes know each other by its numbers.
    proc: OwnedFd,
}

impl Target {
    pub fn new(path: &Path, proc: OwnedFd) -> nix::Result<Target> {
        let file = fstatat(AT_FDCWD, path, AtFlags::empty())?;
        Ok(Target {
            device: file.st_dev,
            inode: file.st_ino,
            proc,
        })
    }

    /// Whether `pid`, at its exec stop, executes the target: as its binary, or as the script
    /// that its interpreter was started for.
    pub fn matches(&self, pid: Pid) -> bool {
        let is_target = |path: &str| {
            fstatat(&self.proc, path, AtFlags::empty()).is_ok_and(|file| self.is(&file))
        };
        is_target(&format!("{pid}/exe"))
            || self
                .executed_name(pid)
                .is_some_and(|name| is_target(&resolve(pid, &name)))
    }

    fn is(&self, file: &FileStat) -> bool {
        file.st_dev == self.device && file.st_ino == self.inode
    }

    fn open(&self, path: &str) -> Option<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        openat(&self.proc, path, flags, Mode::empty())
            .ok()
            .map(File::from)
    }

    /// The name that was given to `execve`.
    fn executed_name(&self, pid: Pid) -> Option<String> {
        let mut vector = Vec::new();
        self.open(&format!("{pid}/auxv"))?
            .read_to_end(&mut vector)
            .ok()?;
        let word = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
        let address = vector.chunks_exact(16).find_map(|entry| {
            (word(&entry[..8])? == AT_EXECFN)
                .then(|| word(&entry[8..]))
                .flatten()
        })?;
        let mut name = [0; 4096];
        let length = self
            .open(&format!("{pid}/mem"))?
            .read_at(&mut name, address)
            .ok()?;
        let name = CStr::from_bytes_until_nul(&name[..length]).ok()?;
        name.to_str().ok().map(str::to_owned)
    }
}

/// A name as the process itself would resolve it, through `/proc`.
fn resolve(pid: Pid, name: &str) -> String {
    if name.starts_with('/') {
        format!("{pid}/root{name}")
    } else {
        format!("{pid}/cwd/{name}")
    }
}
