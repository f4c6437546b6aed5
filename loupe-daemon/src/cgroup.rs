//! The cgroups of replays: `loupe/<run>/launcher` and `loupe/<run>/target`, below the cgroup that
//! is delegated to Loupe, else below the root of the tree.
//!
//! The directory's inode number is the id that the in-kernel programs see. Processes start in
//! `launcher`; a target moves to `target` at its exec and everything it spawns stays there, so
//! what belongs to the target is a matter of membership. Knows no processes beyond their ids.

mod limits;
mod owner;
mod place;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};

use crate::lock;
use crate::sys::{files, process};
pub use owner::{remove_orphans, remove_runs_of};
pub use place::{candidates, enter_leaf, hierarchy, own, settle};

const PARENT: &str = "loupe";
const LAUNCHER: &str = "launcher";
const TARGET: &str = "target";

/// A cgroup operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error("no cgroup v2 hierarchy is mounted (mount one: mount -t cgroup2 none /sys/fs/cgroup)")]
    NotMounted,
    #[error("cgroup v2 is mounted read-only at {0} (remount it: mount -o remount,rw {0})")]
    ReadOnly(String),
    #[error(
        "a process cannot be moved to {}: {source} (in a container, mount the tree that it may \
         use: mount -t cgroup2 none /sys/fs/cgroup)",
        path.display()
    )]
    Enter { path: PathBuf, source: io::Error },
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CgroupError + 'a {
    move |source| CgroupError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The cgroups of one replay. Dropping does not remove them; [`ReplayCgroup::remove`] does.
#[derive(Clone, Debug)]
pub struct ReplayCgroup {
    pub directory: PathBuf,
    /// Held as long as the run is somebody's; see `owner`.
    _lock: Option<Arc<fs::File>>,
}

/// Runs of this process whose directories could not be removed.
static STUCK: Mutex<Vec<ReplayCgroup>> = Mutex::new(Vec::new());

impl ReplayCgroup {
    /// Makes the directories of a new run, which is this process's until all clones are dropped.
    pub fn create() -> Result<ReplayCgroup, CgroupError> {
        remove_stuck();
        ReplayCgroup::create_in(&place::place()?)
    }

    pub fn create_in(place: &Path) -> Result<ReplayCgroup, CgroupError> {
        let (directory, lock) = owner::create(&place.join(PARENT), &[LAUNCHER, TARGET])?;
        Ok(ReplayCgroup {
            directory,
            _lock: Some(lock),
        })
    }

    /// Somebody else's.
    pub fn of(directory: PathBuf) -> ReplayCgroup {
        ReplayCgroup {
            directory,
            _lock: None,
        }
    }

    pub fn launcher(&self) -> PathBuf {
        self.directory.join(LAUNCHER)
    }

    pub fn target(&self) -> PathBuf {
        self.directory.join(TARGET)
    }

    /// Opens the file that moves processes to the target's cgroup: the process whose number is
    /// written to it (`0`: the writer).
    pub fn target_procs(&self) -> Result<fs::File, CgroupError> {
        let path = self.target().join("cgroup.procs");
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.map_err(at("open", &path))
    }

    /// The id of the target's cgroup, as the in-kernel programs see it.
    pub fn target_id(&self) -> Result<u64, CgroupError> {
        id(&self.target())
    }

    /// The ids of all its cgroups.
    pub fn ids(&self) -> Result<[u64; 3], CgroupError> {
        Ok([
            id(&self.directory)?,
            id(&self.launcher())?,
            self.target_id()?,
        ])
    }

    /// Has a process that does nothing else enter the target's cgroup and leave it again by its
    /// end.
    pub fn visit_target(&self) -> Result<(), CgroupError> {
        let procs = self.target_procs()?;
        let path = self.target();
        let error = |source: io::Error| CgroupError::Enter {
            path: path.clone(),
            source,
        };
        let child = process::fork_to_write(&procs, b"0").map_err(|errno| error(errno.into()))?;
        match waitpid(child, None).map_err(|errno| error(errno.into()))? {
            WaitStatus::Exited(_, 0) => Ok(()),
            WaitStatus::Exited(_, errno) => Err(error(io::Error::from_raw_os_error(errno))),
            _ => Err(error(io::ErrorKind::Interrupted.into())),
        }
    }

    /// A cgroup for the target with another id (the old one's slot in a table was taken).
    pub fn renew_target(&self) -> Result<(), CgroupError> {
        let path = self.target();
        fs::remove_dir(&path).map_err(at("remove", &path))?;
        fs::create_dir(&path).map_err(at("create", &path))
    }

    /// CPU time of the target's processes, in microseconds.
    pub fn target_cpu_us(&self) -> Result<u64, CgroupError> {
        cpu_us(&self.target())
    }

    /// CPU time of the test and of what makes the sandbox, in microseconds.
    pub fn launcher_cpu_us(&self) -> Result<u64, CgroupError> {
        cpu_us(&self.launcher())
    }

    /// CPU time of all its processes, in microseconds.
    pub fn cpu_us(&self) -> Result<u64, CgroupError> {
        cpu_us(&self.directory)
    }

    /// How long all of its processes that wanted to run were kept from it by others; `None`
    /// where the kernel does not account for it (pressure stall information).
    pub fn stalled(&self) -> Option<Duration> {
        let text = files::read(self.directory.join("cpu.pressure")).ok()?;
        let full = text.lines().find(|line| line.starts_with("full "))?;
        let (_, micros) = full.rsplit_once("total=")?;
        micros.parse().ok().map(Duration::from_micros)
    }

    /// Kills the target's processes.
    pub fn kill_target(&self) -> Result<(), CgroupError> {
        kill_all(&self.target())
    }

    /// Kills every process in it, whatever it ignores.
    pub fn kill(&self) -> Result<(), CgroupError> {
        kill_all(&self.directory)
    }

    /// Whether any process is in it or below.
    pub fn is_populated(&self) -> Result<bool, CgroupError> {
        let path = self.directory.join("cgroup.events");
        let text = files::read(&path).map_err(at("read", &path))?;
        Ok(text.lines().any(|line| line == "populated 1"))
    }

    /// Removes the empty directories, those that a workload has made below among them. The kernel
    /// refuses while a process is left (EBUSY).
    pub fn remove(&self) -> Result<(), CgroupError> {
        remove_tree(&self.directory)?;
        // Shared by all runs: goes with the last one, whoever that is.
        if let Some(parent) = self.directory.parent() {
            drop(fs::remove_dir(parent));
        }
        Ok(())
    }

    /// Removes it now, or, where that fails, with the next run or at the end.
    pub fn remove_or_later(&self) {
        if self.remove().is_err() {
            self.remove_later();
        }
    }

    pub fn remove_later(&self) {
        lock(&STUCK).push(self.clone());
    }
}

/// Tries once more to remove what could not be removed.
pub fn remove_stuck() {
    lock(&STUCK).retain(|run| {
        // What may still be in it has no business any more.
        drop(run.kill());
        run.remove().is_err()
    });
}

fn remove_tree(directory: &Path) -> Result<(), CgroupError> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(directory) {
        Err(error) if gone(&error) => return Ok(()),
        other => other.map_err(at("list", directory))?,
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Err(error) if gone(&error) => Ok(()),
        other => other.map_err(at("remove", directory)),
    }
}

fn id(directory: &Path) -> Result<u64, CgroupError> {
    Ok(fs::metadata(directory)
        .map_err(at("stat", directory))?
        .ino())
}

/// Another run that ends removes the shared parent when it looks empty, which may be between
/// our making it and our making something in it.
fn create_all(path: &Path) -> io::Result<()> {
    const MAX_TRIES: usize = 100;
    let mut result = Ok(());
    for _ in 0..MAX_TRIES {
        result = fs::create_dir_all(path);
        match &result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    result
}

fn kill_all(directory: &Path) -> Result<(), CgroupError> {
    let path = directory.join("cgroup.kill");
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|mut file| io::Write::write_all(&mut file, b"1"))
        .map_err(at("write", &path))
}

fn cpu_us(directory: &Path) -> Result<u64, CgroupError> {
    let path = directory.join("cpu.stat");
    let text = files::read(&path).map_err(at("read", &path))?;
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    usage.and_then(|value| value.parse().ok()).ok_or_else(|| {
        at("parse", &path)(io::Error::new(io::ErrorKind::InvalidData, "no usage_usec"))
    })
}

/// Ids listed in `cgroup.procs` or `cgroup.threads`.
pub fn members(directory: &Path, file: &str) -> Result<Vec<i32>, CgroupError> {
    let path = directory.join(file);
    let text = files::read(&path).map_err(at("read", &path))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Moves a process (all its threads).
pub fn move_process(pid: i32, directory: &Path) -> Result<(), CgroupError> {
    let path = directory.join("cgroup.procs");
    fs::write(&path, pid.to_string()).map_err(at("write", &path))
}
