//! What the host has before and after: processes, namespaces, mounts, cgroups, files, objects of
//! the BPF system. A difference is something that Loupe left behind.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to let go of what nobody holds any more (network namespaces
/// and BPF objects end asynchronously). Not a promise about Loupe's speed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Places where a careless program drops files.
const SHARED_DIRECTORIES: [&str; 3] = ["/run", "/dev/shm", "/srv"];
/// The same, but everybody's: only names that can be ours are looked at.
const BUSY_DIRECTORIES: [&str; 2] = ["/tmp", "/var/tmp"];

/// What there is at one moment, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// `scene` is a directory whose programs, and whatever was started in it, are of interest.
    pub fn take(scene: &Path) -> Snapshot {
        let others = Others::find();
        let mut all = BTreeSet::new();
        all.extend(cgroups(&others));
        all.extend(mounts());
        all.extend(namespaces(&others));
        all.extend(processes(scene, &others));
        all.extend(files(scene));
        if others.is_empty() {
            all.extend(bpf_objects());
        }
        Snapshot(all)
    }

    /// This file is meant to be there.
    pub fn accept_file(&mut self, path: &Path) {
        self.0.insert(format!("file {}", path.display()));
    }

    /// What is there now and was not there then.
    pub fn new_since(&self, before: &Snapshot) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// Waits until nothing is left that was not there before.
///
/// # Panics
/// If something stays.
pub fn assert_none(before: &Snapshot, scene: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = Snapshot::take(scene).new_since(before);
        if left.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            let left: Vec<String> = left.iter().map(|line| explain(line)).collect();
            panic!("left behind: {left:#?}");
        }
        std::thread::yield_now();
    }
}

/// Where cgroup v2 is mounted.
pub fn cgroup2_mount() -> Option<PathBuf> {
    fs::read_to_string("/proc/self/mounts")
        .ok()?
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .and_then(|fields| fields.get(1).map(PathBuf::from))
}

/// Loupes that somebody else runs on this host at the same time, by their process ids and process
/// namespaces: what is theirs is not left behind. The cgroups of their runs are named after them
/// (`<pid>-<number>-<namespace>`), and locked by them.
struct Others(BTreeSet<(u32, u64)>);

impl Others {
    fn find() -> Others {
        let mut found = BTreeSet::new();
        let mut open: Vec<PathBuf> = cgroup2_mount().into_iter().collect();
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let name = entry.file_name();
                    let owner = name.to_str().and_then(owner);
                    found.extend(owner.filter(|owner| is_anothers(*owner, &entry.path())));
                    open.push(entry.path());
                }
            }
        }
        Others(found)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this process, or one that it comes from, is theirs.
    fn have_process(&self, pid: u32) -> bool {
        if self.is_empty() {
            return false;
        }
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let own = process_namespace();
        self.have_path(&cgroup) || lineage(pid).any(|pid| self.0.contains(&(pid, own)))
    }

    /// Whether a part of this text is the name of one of their runs.
    fn have_path(&self, text: &str) -> bool {
        text.split(['/', '\n'])
            .filter_map(owner)
            .any(|owner| self.0.contains(&owner))
    }
}

/// The process that a run's cgroup is named after, and its process namespace; in the names of an
/// older release, our own is meant.
fn owner(run: &str) -> Option<(u32, u64)> {
    let mut parts = run.split('-');
    let pid = parts.next()?.parse().ok()?;
    parts.next()?.parse::<u64>().ok()?;
    let namespace = match parts.next() {
        Some(namespace) => namespace.parse().ok()?,
        None => process_namespace(),
    };
    Some((pid, namespace))
}

fn process_namespace() -> u64 {
    let metadata = fs::metadata("/proc/self/ns/pid");
    metadata.expect("a process has its namespaces").ino()
}

/// Whether the owner is there, and does not come from this test.
fn is_anothers((pid, namespace): (u32, u64), run: &Path) -> bool {
    if namespace != process_namespace() {
        // Its process cannot be looked at; its lock can.
        let locked = |run: File| matches!(run.try_lock(), Err(TryLockError::WouldBlock));
        return File::open(run).is_ok_and(locked);
    }
    let own = std::process::id();
    Path::new(&format!("/proc/{pid}")).exists() && lineage(pid).all(|pid| pid != own)
}

/// A process, its parent, and so on.
pub fn lineage(pid: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(pid), |pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; state and parent follow it.
        stat.rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()
    })
}

fn cgroups(others: &Others) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = cgroup2_mount().into_iter().collect();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.to_string_lossy();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !others.have_path(&name) {
                // The directory of all runs is there as long as anybody's is.
                if !path.ends_with("loupe") || others.is_empty() {
                    found.push(format!("cgroup {name}"));
                }
                open.push(path);
            }
        }
    }
    found
}

/// How many cgroups there are of runs, of anybody's.
pub fn run_cgroups() -> usize {
    let all = cgroups(&Others(BTreeSet::new()));
    all.iter().filter(|name| name.contains("/loupe/")).count()
}

fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("the own mount table");
    table.lines().map(|line| format!("mount {line}")).collect()
}

/// Ids of all processes.
fn pids() -> Vec<u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Every namespace that a process of a run is in. Others come and go on a busy host; and one
/// without a process is gone.
fn namespaces(others: &Others) -> BTreeSet<String> {
    let pids = pids().into_iter();
    pids.filter(|pid| is_of_a_run(*pid) && !others.have_process(*pid))
        .flat_map(namespaces_of)
        .map(|namespace| format!("namespace {namespace}"))
        .collect()
}

/// Whatever a run starts is in its cgroup, and cannot leave it.
fn is_of_a_run(pid: u32) -> bool {
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    cgroup.contains("/loupe/")
}

fn namespaces_of(pid: u32) -> impl Iterator<Item = String> {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "uts"].into_iter();
    kinds.filter_map(move |kind| {
        let target = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
        Some(target.to_string_lossy().into_owned())
    })
}

/// A line of a snapshot, and for a namespace who is in it.
fn explain(line: &str) -> String {
    let Some(namespace) = line.strip_prefix("namespace ") else {
        return line.to_owned();
    };
    let inside = pids()
        .into_iter()
        .filter(|pid| namespaces_of(*pid).any(|id| id == namespace));
    let names = inside.map(|pid| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("{pid} {}", words.replace('\0', " "))
    });
    format!("{line}, in it: {:?}", names.collect::<Vec<_>>())
}

/// Processes of Loupe, and those that come from the scene by their program, directory or words.
fn processes(scene: &Path, others: &Others) -> Vec<String> {
    let scene_text = scene.to_string_lossy();
    let own = std::process::id();
    pids()
        .into_iter()
        .filter(|pid| *pid != own && !others.have_process(*pid))
        .filter_map(|pid| {
            let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
            let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let name = String::from_utf8_lossy(&read("comm")).trim().to_owned();
            let here = |path: Option<PathBuf>| path.is_some_and(|path| path.starts_with(scene));
            let ours = here(link("exe"))
                || here(link("cwd"))
                || words.contains(&*scene_text)
                || ["loupe", "louped", "loupe-launcher"].contains(&name.as_str())
                || words.starts_with("loupe-launcher");
            ours.then(|| format!("process {pid} {name}: {words}"))
        })
        .collect()
}

/// Names in the shared directories, and every path of the scene.
fn files(scene: &Path) -> Vec<String> {
    let names = |directory| fs::read_dir(directory).into_iter().flatten().flatten();
    let ours = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_a_test = name.starts_with("loupe-test");
        !of_a_test && (name.contains("loupe") || name.contains("victim"))
    };
    let shared = SHARED_DIRECTORIES.into_iter().flat_map(names);
    let busy = BUSY_DIRECTORIES.into_iter().flat_map(names).filter(ours);
    let mut found: Vec<String> = shared
        .chain(busy)
        .map(|entry| format!("file {}", entry.path().display()))
        .collect();
    let mut open = vec![scene.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            found.push(format!("file {}", entry.path().display()));
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    found
}

/// Ids of loaded BPF programs, maps and links. Nothing without the right to ask.
pub fn bpf_objects() -> Vec<String> {
    // enum bpf_cmd, include/uapi/linux/bpf.h
    let kinds = [("program", 11), ("map", 12), ("link", 31)];
    let mut found = Vec::new();
    for (kind, next_id) in kinds {
        let mut id = 0u32;
        loop {
            // union bpf_attr: start_id, next_id, open_flags
            let mut attribute = [id, 0, 0];
            // SAFETY: the kernel reads and writes the three words, which live across the call.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_bpf,
                    next_id,
                    attribute.as_mut_ptr(),
                    size_of_val(&attribute),
                )
            };
            if result != 0 {
                break;
            }
            id = attribute[1];
            found.push(format!("BPF {kind} {id}"));
        }
    }
    found
}
