//! Pseudo-files: what the kernel shows as files below `/proc`, `/sys` and `/dev`.
//!
//! Names that differ from run to run are written alike: the process's own directory in `/proc`
//! is `/proc/self`, another's is `/proc/<pid>`. This knows names only; it looks at no file.

use std::fmt;

/// The directories in which everything is a pseudo-file.
const TOPS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Whose path it is: the ids that the process itself sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    pub pid: u32,
    pub tid: u32,
}

/// The normalised path of a pseudo-file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PseudoFile(Box<str>);

impl PseudoFile {
    /// The pseudo-file of an absolute path without `.`, `..` and doubled slashes; `None` where
    /// it lies elsewhere, or is no such path.
    pub fn new(path: &str, own: Option<Own>) -> Option<PseudoFile> {
        let top = TOPS.into_iter().find(|top| is_below(path, top))?;
        let rest: Vec<&str> = path[top.len()..].split('/').skip(1).collect();
        let odd = |part: &&str| matches!(*part, "" | "." | "..");
        if rest.iter().any(odd) || path.contains('\0') {
            return None;
        }
        let rest: Vec<&str> = match top {
            "/proc" => process_part(rest, own),
            "/dev" => device_part(rest),
            "/sys" => system_part(rest),
            _ => rest,
        };
        let mut text = top.to_owned();
        for part in rest {
            text.push('/');
            text.push_str(part);
        }
        Some(PseudoFile(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies in `/dev`.
    pub fn is_device(&self) -> bool {
        is_below(&self.0, "/dev")
    }
}

impl fmt::Display for PseudoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn number(part: &str) -> Option<u32> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().unwrap_or(u32::MAX))
}

/// Numbers of processes, threads and descriptors, and addresses, are written alike.
fn process_part(mut rest: Vec<&str>, own: Option<Own>) -> Vec<&str> {
    let Some(first) = rest.first_mut() else {
        return rest;
    };
    let named = ["self", "thread-self", "<pid>"].contains(first);
    if let Some(pid) = number(first) {
        *first = match own {
            Some(own) if own.pid == pid => "self",
            _ => "<pid>",
        };
    } else if !named {
        return rest;
    }
    let mut inner = &mut rest[1..];
    if let [task, tid, below @ ..] = inner
        && *task == "task"
    {
        if number(tid).is_some() {
            *tid = "<tid>";
        }
        inner = below;
    }
    match inner {
        ["fd" | "fdinfo", descriptor, ..] if number(descriptor).is_some() => *descriptor = "<fd>",
        ["map_files", range, ..] => *range = "<range>",
        _ => {}
    }
    rest
}

/// Terminals are numbered as they come; the names of shared memory are the application's own.
fn device_part(mut rest: Vec<&str>) -> Vec<&str> {
    match &mut rest[..] {
        ["pts", terminal, ..] if number(terminal).is_some() => *terminal = "<n>",
        ["shm" | "mqueue", _, ..] => rest.truncate(1),
        _ => {}
    }
    rest
}

/// Where cgroups are mounted, below `/sys`.
const CGROUPS: [&str; 2] = ["fs", "cgroup"];

/// The names of cgroups are the host's own: units, containers, sessions. What is a feature is that
/// there are cgroups, and their interface files.
fn system_part(rest: Vec<&str>) -> Vec<&str> {
    let Some([path @ .., last]) = rest.strip_prefix(&CGROUPS) else {
        return rest;
    };
    let (has_path, file) = match is_cgroup_file(last) {
        true => (!path.is_empty(), Some(*last)),
        false => (true, None),
    };
    let path = has_path.then_some("<path>");
    CGROUPS.into_iter().chain(path).chain(file).collect()
}

/// What the interface files of cgroups begin with: the core's and the controllers' names
/// (`Documentation/admin-guide/cgroup-v2.rst`, and `cgroup-v1/` beside it).
const CGROUP_CONTROLLERS: [&str; 18] = [
    "cgroup",
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "io",
    "blkio",
    "pids",
    "rdma",
    "hugetlb",
    "misc",
    "dmem",
    "irq",
    "devices",
    "freezer",
    "net_cls",
    "net_prio",
    "perf_event",
];

fn is_cgroup_file(name: &str) -> bool {
    let is_unit = [".service", ".slice", ".scope", ".socket", ".mount", ".swap"]
        .iter()
        .any(|ending| name.ends_with(ending));
    let of_controller = name
        .split_once('.')
        .is_some_and(|(controller, _)| CGROUP_CONTROLLERS.contains(&controller));
    let of_version_1 = ["tasks", "notify_on_release", "release_agent"].contains(&name);
    of_version_1 || of_controller && !is_unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(path: &str) -> Option<String> {
        let own = Own { pid: 17, tid: 18 };
        PseudoFile::new(path, Some(own)).map(|file| file.to_string())
    }

    #[test]
    fn what_differs_from_run_to_run_is_written_alike() {
        for (path, written) in [
            ("/proc/17/maps", "/proc/self/maps"),
            ("/proc/self/maps", "/proc/self/maps"),
            ("/proc/1/status", "/proc/<pid>/status"),
            ("/proc/99999999999/stat", "/proc/<pid>/stat"),
            ("/proc/17/task/18/comm", "/proc/self/task/<tid>/comm"),
            ("/proc/17/task/18/fd/3", "/proc/self/task/<tid>/fd/<fd>"),
            ("/proc/self/task", "/proc/self/task"),
            ("/proc/self/fd/12", "/proc/self/fd/<fd>"),
            ("/proc/17", "/proc/self"),
            ("/proc/sys/kernel/pid_max", "/proc/sys/kernel/pid_max"),
            ("/proc/irq/17/fd/3", "/proc/irq/17/fd/3"),
            ("/dev/pts/3", "/dev/pts/<n>"),
            ("/dev/shm/sem.mine", "/dev/shm"),
            ("/dev/urandom", "/dev/urandom"),
            (
                "/sys/devices/system/cpu/online",
                "/sys/devices/system/cpu/online",
            ),
            ("/proc", "/proc"),
            ("/sys/fs/cgroup", "/sys/fs/cgroup"),
            (
                "/sys/fs/cgroup/cgroup.controllers",
                "/sys/fs/cgroup/cgroup.controllers",
            ),
            (
                "/sys/fs/cgroup/system.slice/x@1.service/memory.max",
                "/sys/fs/cgroup/<path>/memory.max",
            ),
            (
                "/sys/fs/cgroup/system.slice/memory.service",
                "/sys/fs/cgroup/<path>",
            ),
            (
                "/sys/fs/cgroup/cpu/jobs/tasks",
                "/sys/fs/cgroup/<path>/tasks",
            ),
            ("/sys/fs/bpf/mine", "/sys/fs/bpf/mine"),
        ] {
            assert_eq!(normalised(path).as_deref(), Some(written), "{path}");
            // Written once, it stays as it is.
            assert_eq!(normalised(written).as_deref(), Some(written));
        }
    }

    #[test]
    fn other_paths_are_none() {
        for path in ["/etc/passwd", "/process", "/devel/x", "proc/self", "/", ""] {
            assert_eq!(normalised(path), None, "{path}");
        }
        for path in ["/proc//self", "/proc/../etc", "/dev/./null", "/proc/"] {
            assert_eq!(normalised(path), None, "{path}");
        }
    }

    #[test]
    fn nobodys_own_process_is_another() {
        let file = PseudoFile::new("/proc/17/maps", None).expect("a pseudo-file");
        assert_eq!(file.as_str(), "/proc/<pid>/maps");
        assert!(!file.is_device());
        assert!(PseudoFile::new("/dev/null", None).expect("one").is_device());
    }
}
