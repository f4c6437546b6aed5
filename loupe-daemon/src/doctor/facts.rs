//! What the host says about itself, read from `/proc` and `/sys` (or from a copy of them in a
//! test). It judges nothing: what could not be read is absent.

use std::fs;
use std::path::{Path, PathBuf};

/// Everything that the checks look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub kernel_release: Option<String>,
    pub machine: &'static str,
    /// Bytes of the kernel's type information.
    pub btf_bytes: Option<u64>,
    /// Bytes of the in-kernel programs in this binary.
    pub object_bytes: usize,
    /// Effective uid.
    pub uid: u32,
    /// Effective capabilities.
    pub capabilities: Option<u64>,
    pub cgroup2: Option<Cgroup2>,
    /// Words of `actions_avail`; absent without seccomp filters.
    pub seccomp_actions: Option<Vec<String>>,
    pub overlay: Overlay,
    /// Kinds of namespaces that exist and may be made.
    pub namespaces: Vec<String>,
    /// Yama's `ptrace_scope`; absent without Yama.
    pub ptrace_scope: Option<u32>,
    /// `kernel.io_uring_disabled`; absent on kernels that cannot disable it.
    pub io_uring_disabled: Option<u32>,
    pub io_uring_exists: bool,
    /// Operations of io_uring are counted on this kernel; absent where that cannot be told.
    pub io_uring_counted: Option<bool>,
    /// The word in brackets in `/sys/kernel/security/lockdown`.
    pub lockdown: Option<String>,
    pub bpf_jit: Option<u32>,
    pub cpus: usize,
    pub memory_available_kib: Option<u64>,
    /// The database's path, and the free bytes there.
    pub database: Option<(PathBuf, u64)>,
    /// A group `loupe` exists.
    pub group: bool,
    pub daemon: DaemonFact,
    pub trial: Trial,
}

/// What came of tracing `true`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trial {
    /// Something that Loupe needs is known to be missing.
    #[default]
    Untried,
    Traced {
        calls: u64,
        /// Calls of `exit_group`: a program makes one.
        ends: u64,
    },
    Failed(String),
}

/// Where cgroup v2 is mounted, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup2 {
    pub path: PathBuf,
    pub read_only: bool,
    /// A cgroup that `cgroup.kill` can be looked for in exists, and has it.
    pub kill: Option<bool>,
}

/// How the overlay file system is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    Loaded,
    /// A module that the first mount loads.
    Module,
    #[default]
    Absent,
}

/// What a connection to the daemon's socket gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DaemonFact {
    /// There is no socket.
    #[default]
    Absent,
    Answers {
        version: String,
    },
    /// A socket that no process listens on.
    Dead,
    /// This user may not connect.
    Denied,
    /// It answered something strange.
    Strange(String),
}

/// The namespaces of a replay, as `/proc/self/ns` and `/proc/sys/user` call them.
pub const NAMESPACES: &[(&str, &str)] = &[
    ("mnt", "mnt"),
    ("pid", "pid"),
    ("net", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
];

/// Where to look: `/`, or a directory with a copy of the parts of `/proc` and `/sys` that count.
#[derive(Clone, Debug)]
pub struct Host {
    pub root: PathBuf,
}

impl Host {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim_end().to_owned())
    }

    fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.read(path)?.parse().ok()
    }

    /// What the files say. The rest is the live host's: see [`Facts::of_this_host`].
    pub fn files(&self) -> Facts {
        Facts {
            io_uring_disabled: self.number("/proc/sys/kernel/io_uring_disabled"),
            io_uring_exists: self.has_symbol("io_uring_setup"),
            bpf_jit: self.number("/proc/sys/net/core/bpf_jit_enable"),
            memory_available_kib: self.field("/proc/meminfo", "MemAvailable:"),
            ..self.obstacles()
        }
    }

    /// Collects only the facts that can make Loupe impossible. That takes about a millisecond, so
    /// it is done before any work.
    fn obstacles(&self) -> Facts {
        let release = self.read("/proc/sys/kernel/osrelease");
        Facts {
            btf_bytes: fs::metadata(self.path("/sys/kernel/btf/vmlinux"))
                .ok()
                .map(|metadata| metadata.len()),
            capabilities: self.capabilities(),
            cgroup2: self.cgroup2(),
            seccomp_actions: self
                .read("/proc/sys/kernel/seccomp/actions_avail")
                .map(|words| words.split_whitespace().map(str::to_owned).collect()),
            overlay: self.overlay(release.as_deref()),
            namespaces: self.namespaces(),
            ptrace_scope: self.number("/proc/sys/kernel/yama/ptrace_scope"),
            lockdown: self.lockdown(),
            kernel_release: release,
            ..Facts::default()
        }
    }

    fn field(&self, path: &str, name: &str) -> Option<u64> {
        let text = self.read(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn capabilities(&self) -> Option<u64> {
        let text = self.read("/proc/self/status")?;
        let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    }

    /// On hybrid hosts cgroup v2 is beside the v1 controllers, at `/sys/fs/cgroup/unified`.
    fn cgroup2(&self) -> Option<Cgroup2> {
        let mounts = self.read("/proc/self/mountinfo")?;
        let mut found: Vec<(&str, &str, bool)> = mounts
            .lines()
            .filter_map(|line| {
                let (left, right) = line.split_once(" - ")?;
                let mut fields = left.split(' ').skip(3);
                let (root, path, options) = (fields.next()?, fields.next()?, fields.next()?);
                let read_only = options.split(',').any(|option| option == "ro");
                right
                    .starts_with("cgroup2 ")
                    .then_some((root, path, read_only))
            })
            .collect();
        // As an engine chooses.
        found.sort_by_key(|(root, _, read_only)| (*read_only, *root != "/"));
        let (_, path, read_only) = found.first()?;
        Some(Cgroup2 {
            path: PathBuf::from(path),
            read_only: *read_only,
            kill: self.cgroup_kill(path),
        })
    }

    /// The root cgroup has no `cgroup.kill`; any other tells.
    fn cgroup_kill(&self, mount: &str) -> Option<bool> {
        fs::read_dir(self.path(mount))
            .ok()?
            .flatten()
            .find(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path().join("cgroup.kill").exists())
    }

    fn overlay(&self, release: Option<&str>) -> Overlay {
        let filesystems = self.read("/proc/filesystems").unwrap_or_default();
        if filesystems
            .lines()
            .any(|line| line.split_whitespace().last() == Some("overlay"))
        {
            return Overlay::Loaded;
        }
        let modules = release
            .and_then(|release| self.read(&format!("/lib/modules/{release}/modules.dep")))
            .unwrap_or_default();
        match modules.contains("/overlay.ko") {
            true => Overlay::Module,
            false => Overlay::Absent,
        }
    }

    fn namespaces(&self) -> Vec<String> {
        NAMESPACES
            .iter()
            .filter(|(name, limit)| {
                let limit = self.number::<u64>(&format!("/proc/sys/user/max_{limit}_namespaces"));
                // A symbolic link whose target is no path.
                let exists = fs::symlink_metadata(self.path(&format!("/proc/self/ns/{name}")));
                exists.is_ok() && limit != Some(0)
            })
            .map(|(name, _)| (*name).to_owned())
            .collect()
    }

    fn lockdown(&self) -> Option<String> {
        let text = self.read("/sys/kernel/security/lockdown")?;
        let (_, rest) = text.split_once('[')?;
        let (word, _) = rest.split_once(']')?;
        Some(word.to_owned())
    }

    /// Whether the kernel has this symbol; without a readable list, it is taken to have it.
    fn has_symbol(&self, name: &str) -> bool {
        match self.read("/proc/kallsyms") {
            Some(symbols) => symbols.lines().any(|line| line.ends_with(name)),
            None => true,
        }
    }
}

impl Facts {
    /// What can make it impossible that this very process traces and replays.
    pub fn for_this_process(object: &[u8]) -> Facts {
        let host = Host {
            root: PathBuf::from("/"),
        };
        Facts {
            machine: std::env::consts::ARCH,
            object_bytes: object.len(),
            uid: nix::unistd::geteuid().as_raw(),
            ..host.obstacles()
        }
    }

    /// Looks at this host. The daemon is asked by the caller, who knows how.
    pub fn of_this_host(object: &[u8], database: Option<&Path>, daemon: DaemonFact) -> Facts {
        let host = Host {
            root: PathBuf::from("/"),
        };
        Facts {
            machine: std::env::consts::ARCH,
            object_bytes: object.len(),
            io_uring_counted: crate::tracer::counts_io_uring(),
            uid: nix::unistd::geteuid().as_raw(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            database: database.and_then(free_bytes),
            group: nix::unistd::Group::from_name(loupe_common::wire::GROUP)
                .is_ok_and(|group| group.is_some()),
            daemon,
            ..host.files()
        }
    }
}

/// Free bytes for ordinary users in the nearest directory of `path` that exists.
fn free_bytes(path: &Path) -> Option<(PathBuf, u64)> {
    let existing = path.ancestors().find(|parent| parent.is_dir())?;
    let found = nix::sys::statvfs::statvfs(existing).ok()?;
    let free = found.blocks_available() * found.fragment_size();
    Some((existing.to_owned(), free))
}
