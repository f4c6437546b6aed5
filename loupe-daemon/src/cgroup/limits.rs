//! What the kernel holds a replay's processes to, and what it says of how many there are. Where
//! a controller is not in this hierarchy (hybrid hosts have them in cgroup v1's), nothing is
//! enforced by the kernel; `replay` looks instead.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::{CgroupError, ReplayCgroup, at, members};
use crate::sys::files;

impl ReplayCgroup {
    /// Sets the limits that the kernel can enforce here.
    pub fn limit(&self, tasks: u64, memory_bytes: u64) -> Result<(), CgroupError> {
        for (controller, file, limit) in [
            ("pids", "pids.max", tasks),
            ("memory", "memory.max", memory_bytes),
        ] {
            let path = self.directory.join(file);
            if let Some(parent) = self.directory.parent()
                && !path.exists()
            {
                // A controller comes down one level at a time, from the place to the parent of all
                // runs and from there to the run.
                if let Some(place) = parent.parent().filter(|place| !is_root(place)) {
                    enable(place, controller);
                }
                enable(parent, controller);
            }
            // Opened as it is: what is not there cannot be created either.
            let opened = fs::OpenOptions::new().write(true).open(&path);
            match opened.and_then(|mut file| file.write_all(limit.to_string().as_bytes())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(at("write", &path))?,
            }
        }
        Ok(())
    }

    /// Processes and threads of the run, those that keep the sandbox included.
    pub fn task_count(&self) -> Result<u64, CgroupError> {
        if let Ok(text) = files::read(self.directory.join("pids.current"))
            && let Ok(count) = text.trim().parse()
        {
            return Ok(count);
        }
        let of = |directory| Ok(members(directory, "cgroup.threads")?.len() as u64);
        Ok(of(&self.target())? + of(&self.launcher())?)
    }

    /// How often the kernel refused a new process or thread, for the limit. `None`: the kernel does
    /// not enforce it here.
    pub fn refused_tasks(&self) -> Option<u64> {
        event(&self.directory.join("pids.events"), "max")
    }

    /// How many processes the kernel ended, for the limit of memory. `None`: the kernel does not
    /// enforce it here.
    pub fn ended_for_memory(&self) -> Option<u64> {
        event(&self.directory.join("memory.events"), "oom_kill")
    }

    /// Times that the kernel killed one of its processes for lack of memory. Where the memory
    /// controller does not count for this cgroup: times that it did so anywhere on the host.
    pub fn out_of_memory_kills(&self) -> u64 {
        event(&self.directory.join("memory.events"), "oom_kill")
            .or_else(|| event(Path::new("/proc/vmstat"), "oom_kill"))
            .unwrap_or(0)
    }
}

/// The root of all cgroups: what is enabled there is the administrator's or the service manager's
/// to say, and holds for the whole host. Only it has no type.
fn is_root(place: &Path) -> bool {
    !place.join("cgroup.type").exists()
}

/// Has a controller for what is below `parent`, if the ones above let it. Where they do not,
/// `limit` finds no file to write to.
fn enable(parent: &Path, controller: &str) {
    let names = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    if names.split_whitespace().any(|name| name == controller) {
        let path = parent.join("cgroup.subtree_control");
        if let Err(error) = fs::write(&path, format!("+{controller}")) {
            tracing::debug!("cannot write {}: {error}", path.display());
        }
    }
}

/// A count that is absent where the controller is.
fn event(path: &Path, name: &str) -> Option<u64> {
    let text = files::read(path).ok()?;
    text.lines().find_map(|line| {
        let (key, count) = line.split_once(' ')?;
        (key == name).then(|| count.trim().parse().ok())?
    })
}
