//! The sandbox's `/proc`: what acts on the whole host is read-only there, as in a container.
//!
//! Only root could write to it at all, so a sandbox of anybody else has `/proc` as it is. Root
//! can undo this, as it can anything: it keeps root's workloads from changing the host by
//! accident, not on purpose.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use super::{SetupError, at};
use crate::sys::mounts::Tree;

const FLAGS: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(MsFlags::MS_NOEXEC);

/// Directories of `/proc` in which nothing acts on the host: a trigger in `pressure` is its
/// descriptor's own, the others cannot be written to.
const HARMLESS: [&str; 3] = ["pressure", "sysvipc", "tty"];

/// Below `/proc/sys`, what belongs to a namespace of the sandbox: network, message queues,
/// System V IPC, host name.
const NAMESPACED: [&str; 12] = [
    "net",
    "fs/mqueue",
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
    "kernel/hostname",
    "kernel/domainname",
];

/// Mounts a new `/proc` of this process's namespace.
pub fn mount_new() -> Result<(), SetupError> {
    mount(Some("proc"), "/proc", Some("proc"), FLAGS, None::<&str>).map_err(at("mount /proc"))
}

/// What of `/proc` acts on the host and can be written to. Looked up once in a process, and
/// known to what it forks: it takes longer than to act on it.
pub fn of_the_host() -> &'static [PathBuf] {
    static PATHS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    // Without an answer each sandbox tells that it has no `/proc`.
    PATHS.get_or_init(|| look_up(Path::new("/proc")).unwrap_or_default())
}

fn look_up(proc: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(proc)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_process = name.as_bytes()[0].is_ascii_digit();
        if is_process || HARMLESS.iter().any(|harmless| name == *harmless) {
            continue;
        }
        let kind = entry.file_type()?;
        let writable =
            || -> io::Result<bool> { Ok(entry.metadata()?.permissions().mode() & 0o222 != 0) };
        // The links (`self`, `net`, `mounts`) lead to what belongs to a process.
        if kind.is_dir() || kind.is_file() && writable()? {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Makes these parts of `/proc` read-only, but for what belongs to the sandbox.
pub fn protect(paths: &[PathBuf]) -> Result<(), SetupError> {
    let mut own = Vec::new();
    for name in NAMESPACED {
        let path = Path::new("/proc/sys").join(name);
        // Not every kernel has them all.
        if let Some(tree) = copy_of_mount(&path)? {
            own.push((path, tree));
        }
    }
    for path in paths {
        let step = || format!("make {} read-only", path.display());
        let nothing = None::<&str>;
        match mount(Some(path), path, nothing, MsFlags::MS_BIND, nothing) {
            // Of the host's process namespace only.
            Err(Errno::ENOENT) => continue,
            other => other.map_err(at(step()))?,
        }
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | FLAGS;
        mount(nothing, path, nothing, flags, nothing).map_err(at(step()))?;
    }
    own.into_iter().try_for_each(|(path, tree)| {
        tree.attach_at(&path)
            .map_err(at(format!("keep {} writable", path.display())))
    })
}

/// A mount of what is at `path`, attached nowhere yet; `None` where nothing is.
fn copy_of_mount(path: &Path) -> Result<Option<Tree>, SetupError> {
    match Tree::copy_one_at(path) {
        Ok(tree) => Ok(Some(tree)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(at(format!("keep {} writable", path.display()))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_the_host_is_found_and_what_is_a_process_own_is_not() {
        let paths = look_up(Path::new("/proc")).expect("readable");
        let has = |path: &str| paths.iter().any(|found| found == Path::new(path));
        assert!(has("/proc/sys"));
        for path in [
            "/proc/self",
            "/proc/1",
            "/proc/net",
            "/proc/pressure",
            "/proc/meminfo",
        ] {
            assert!(!has(path), "{path}");
        }
        // Where the kernel has it.
        let request = Path::new("/proc/sysrq-trigger");
        assert_eq!(has("/proc/sysrq-trigger"), request.exists());
    }
}
