//! The executables that are seen, each looked at once: what is known of a file is
//! [`crate::executable`]'s. Remembers; finds nothing out itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use loupe_common::profile::Executable;

use crate::executable;
use crate::tracer::profiler::{ExecutableId, SlotOpened};

/// Executables of which the facts are kept; then all are forgotten.
const MOST_KNOWN: usize = 4096;

/// Which file it is. Another build has another inode, or other times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// The facts of executables that were seen.
#[derive(Debug, Default)]
pub struct Executables {
    known: BTreeMap<Identity, Executable>,
    /// As it was when it was last looked at.
    by_id: BTreeMap<ExecutableId, Executable>,
}

impl Executables {
    /// What a process executed when it was seen. It may have ended since, or run another program.
    pub fn of(&mut self, opened: &SlotOpened) -> Executable {
        let id = opened.executable;
        let found = self
            .of_process(opened.pid, id)
            .or_else(|| self.by_id.get(&id).cloned())
            .or_else(|| self.of_path(&opened.path, id));
        match found {
            Some(found) => {
                if self.by_id.len() >= MOST_KNOWN {
                    self.by_id.clear();
                }
                self.by_id.insert(id, found.clone());
                found
            }
            // The kernel's word for it, from the root of its mount on.
            None => Executable {
                path: opened.path.clone(),
                ..Executable::default()
            },
        }
    }

    /// `None` where the process runs another by now, or has ended.
    fn of_process(&mut self, pid: u32, id: ExecutableId) -> Option<Executable> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let file = open_same(&process, &process.join("exe"), id)?;
        // Of the very file: the process may execute another one at any moment.
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        // What the kernel appends to the name of a file that is not there any more.
        let path = path.to_string_lossy();
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned();
        self.facts(file, path, || trusted_root(pid))
    }

    /// Of the file that has this name in this process's own root, if it is the one.
    fn of_path(&mut self, path: &str, id: ExecutableId) -> Option<Executable> {
        let file = open_same(Path::new("/proc/self"), Path::new(path), id)?;
        let root = || Some(File::open("/").ok()?.into());
        self.facts(file, path.to_owned(), root)
    }

    fn facts(
        &mut self,
        file: File,
        path: String,
        root: impl FnOnce() -> Option<OwnedFd>,
    ) -> Option<Executable> {
        let metadata = file.metadata().ok()?;
        let key = Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let root = root();
        let executable = executable::facts(file, path, root.as_ref().map(AsFd::as_fd));
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(key, executable.clone());
        Some(executable)
    }
}

/// The root directory that the process sees; `None` where it has a user namespace of its own: there,
/// what lies below the root can be a file system whose server keeps those waiting who look at it.
fn trusted_root(pid: u32) -> Option<OwnedFd> {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    let same = namespace(&pid.to_string()).is_some_and(|its| Some(its) == namespace("self"));
    let root = same.then(|| File::open(format!("/proc/{pid}/root")));
    root?.ok().map(OwnedFd::from)
}

/// Opens the file of this path if it is this one.
fn open_same(process: &Path, path: &Path, id: ExecutableId) -> Option<File> {
    let file = executable::open_local(process, path)?;
    (file.metadata().ok()?.ino() == id.inode).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(pid: u32, path: &str, executable: ExecutableId) -> SlotOpened {
        SlotOpened {
            slot: 1,
            owner: 2,
            cgroup: 3,
            executable,
            pid,
            uid: 0,
            path: path.to_owned(),
            comm: String::new(),
            at_ns: 0,
        }
    }

    #[test]
    fn facts_of_this_very_test_are_found_while_it_runs_and_afterwards() {
        let own = std::env::current_exe().expect("a path");
        let path = own.to_str().expect("text");
        let id = ExecutableId::of_path(&own).expect("there");
        let running = Executables::default().of(&opened(std::process::id(), path, id));
        assert_eq!(running.path, path);
        assert_eq!(running.package, None);
        // It has ended, and its file has a name still.
        const NOBODY: u32 = u32::MAX - 1;
        let mut executables = Executables::default();
        assert_eq!(executables.of(&opened(NOBODY, path, id)), running);
        // By now the name is another's.
        assert_eq!(executables.of(&opened(NOBODY, "/elsewhere", id)), running);
        let other = ExecutableId {
            inode: id.inode + 1,
            ..id
        };
        let unknown = executables.of(&opened(std::process::id(), path, other));
        assert_eq!((unknown.path.as_str(), unknown.build_id), (path, None));
    }
}
