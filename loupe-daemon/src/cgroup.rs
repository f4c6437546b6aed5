//! The cgroups of replays: `loupe/<run>/launcher` and `loupe/<run>/target` under the cgroup v2 root.
//!
//! The directory's inode number is the id that the in-kernel programs see. Processes start in
//! `launcher`; a target moves to `target` at its exec and everything it spawns stays there, so
//! what belongs to the target is a matter of membership. Knows no processes beyond their ids.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Depth of `target` below the cgroup v2 root.
pub const TARGET_LEVEL: u32 = 3;
const PARENT: &str = "loupe";

/// A cgroup operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error("no cgroup v2 hierarchy is mounted (mount one: mount -t cgroup2 none /sys/fs/cgroup)")]
    NotMounted,
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

/// Where cgroup v2 is mounted (its own place on hybrid hosts, such as `/sys/fs/cgroup/unified`).
pub fn mount_point() -> Result<PathBuf, CgroupError> {
    let path = Path::new("/proc/self/mountinfo");
    let mounts = fs::read_to_string(path).map_err(at("read", path))?;
    mounts
        .lines()
        .find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut fields = left.split(' ').skip(3);
            let (root, mount) = (fields.next()?, fields.next()?);
            (right.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(mount))
        })
        .ok_or(CgroupError::NotMounted)
}

/// The cgroups of one replay. Dropping does not remove them; [`ReplayCgroup::remove`] does.
#[derive(Clone, Debug)]
pub struct ReplayCgroup {
    pub directory: PathBuf,
}

impl ReplayCgroup {
    /// Makes the directories. `run` must be unique among the living.
    pub fn create(run: &str) -> Result<ReplayCgroup, CgroupError> {
        let directory = mount_point()?.join(PARENT).join(run);
        let cgroup = ReplayCgroup { directory };
        for path in [cgroup.launcher(), cgroup.target()] {
            create_all(&path).map_err(at("create", &path))?;
        }
        Ok(cgroup)
    }

    pub fn launcher(&self) -> PathBuf {
        self.directory.join("launcher")
    }

    pub fn target(&self) -> PathBuf {
        self.directory.join("target")
    }

    /// Whoever is written into it (`0`: the writer) becomes part of the target.
    pub fn target_procs(&self) -> Result<fs::File, CgroupError> {
        let path = self.target().join("cgroup.procs");
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.map_err(at("open", &path))
    }

    /// The id of the target's cgroup, as the in-kernel programs see it.
    pub fn target_id(&self) -> Result<u64, CgroupError> {
        let path = self.target();
        Ok(fs::metadata(&path).map_err(at("stat", &path))?.ino())
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
        let text = fs::read_to_string(self.directory.join("cpu.pressure")).ok()?;
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

    /// Removes the empty directories. The kernel refuses while a process is left (EBUSY).
    pub fn remove(&self) -> Result<(), CgroupError> {
        for path in [self.launcher(), self.target(), self.directory.clone()] {
            match fs::remove_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(at("remove", &path))?,
            }
        }
        // Shared by all runs: goes with the last one, whoever that is.
        if let Some(parent) = self.directory.parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

/// Another run that ends removes the shared parent when it looks empty, which may be between
/// our making it and our making something in it.
fn create_all(path: &Path) -> io::Result<()> {
    const TRIES: usize = 100;
    let mut result = Ok(());
    for _ in 0..TRIES {
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
    fs::write(&path, "1").map_err(at("write", &path))
}

fn cpu_us(directory: &Path) -> Result<u64, CgroupError> {
    let path = directory.join("cpu.stat");
    let text = fs::read_to_string(&path).map_err(at("read", &path))?;
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
    let text = fs::read_to_string(&path).map_err(at("read", &path))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Moves a process (all its threads).
pub fn move_process(pid: i32, directory: &Path) -> Result<(), CgroupError> {
    let path = directory.join("cgroup.procs");
    fs::write(&path, pid.to_string()).map_err(at("write", &path))
}

/// Clears away what a Loupe that was killed left behind: runs are named `<pid>-<n>`, and a
/// run whose process is gone has no owner.
pub fn remove_orphans() -> Result<(), CgroupError> {
    remove_runs(|owner| !Path::new("/proc").join(owner.to_string()).exists())
}

/// Ends and clears away every run of this process.
pub fn remove_runs_of(process: u32) -> Result<(), CgroupError> {
    remove_runs(|owner| owner == process)
}

fn remove_runs(chosen: impl Fn(u32) -> bool) -> Result<(), CgroupError> {
    let parent = mount_point()?.join(PARENT);
    let entries = match fs::read_dir(&parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at("list", &parent))?,
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-'));
        let Some(owner) = owner.and_then(|(pid, _)| pid.parse::<u32>().ok()) else {
            continue;
        };
        if !chosen(owner) {
            continue;
        }
        let run = ReplayCgroup {
            directory: entry.path(),
        };
        // Another Loupe may be clearing the same one: what is gone is gone. Killed processes
        // leave their cgroup a moment later.
        let _ = run.kill();
        for _ in 0..1000 {
            if run.remove().is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
