//! What a replay may hold at most, processes and memory, and what ends it when it holds more.
//!
//! Where the kernel has the controllers it enforces the limits itself, and its word is what
//! counts. Elsewhere a look every [`INTERVAL`] has to do: a replay that forks or writes to memory
//! as fast as it can comes a little further, and no further. One thread looks at all replays; it
//! goes before everything else, for a host that is overrun is when it is needed.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use loupe_common::replay::{Failure, Limited, Outcome};

use super::workload::Limits;
use crate::cgroup::{self, CgroupError, ReplayCgroup};
use crate::sys::{files, process};
use crate::{launcher, lock};

/// Processes and threads of a replay, unless its workload says otherwise.
const PROCESSES: u64 = 2048;
/// A replay may hold half of the host's memory, unless its workload says otherwise.
const MEMORY_PART: u64 = 2;
/// A 32nd of the host's memory is not for replays.
const RESERVE_PART: u64 = 32;
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// Looks may take a tenth of the time.
const COST_PART: u32 = 10;

const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;

/// What a replay may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub processes: u64,
    pub memory_bytes: u64,
}

impl Bounds {
    pub fn of(limits: &Limits) -> Bounds {
        let memory = limits.memory.map(|mib| mib * MIB);
        Bounds {
            processes: limits.processes.unwrap_or(PROCESSES),
            memory_bytes: memory.unwrap_or_else(|| host_memory().total / MEMORY_PART),
        }
    }

    fn processes_reached(self) -> Failure {
        Failure::LimitReached {
            what: Limited::Processes,
            limit: self.processes,
        }
    }

    fn memory_reached(self) -> Failure {
        Failure::LimitReached {
            what: Limited::Memory,
            limit: self.memory_bytes / MIB,
        }
    }

    /// What the kernel says that it has enforced.
    pub fn enforced(self, cgroup: &ReplayCgroup) -> Option<Failure> {
        if cgroup.ended_for_memory() > Some(0) {
            return Some(self.memory_reached());
        }
        (cgroup.refused_tasks() > Some(0)).then(|| self.processes_reached())
    }
}

/// Has a replay looked at for as long as it lives.
pub struct Guard(Arc<Guarded>);

struct Guarded {
    bounds: Bounds,
    cgroup: ReplayCgroup,
    /// What everything in the sandbox ends with, where there is one.
    sandbox: Option<OwnedFd>,
    /// The host had memory to spare when the replay began.
    had_room: bool,
    /// What is to become of the replay, once it was ended.
    breach: Mutex<Option<Outcome>>,
}

/// The replays that run, and what tells of a new one.
#[derive(Default)]
struct Watch {
    guarded: Mutex<Vec<Arc<Guarded>>>,
    more: Condvar,
}

impl Guard {
    pub fn new(bounds: Bounds, cgroup: &ReplayCgroup, sandbox: Option<OwnedFd>) -> Guard {
        let host = host_memory();
        let guarded = Arc::new(Guarded {
            bounds,
            cgroup: cgroup.clone(),
            sandbox,
            had_room: host.available / 2 > host.total / RESERVE_PART,
            breach: Mutex::default(),
        });
        let watch = watch();
        lock(&watch.guarded).push(Arc::clone(&guarded));
        watch.more.notify_one();
        Guard(guarded)
    }

    /// What is to become of the replay, if it held more than it may and was ended.
    pub fn breach(&self) -> Option<Outcome> {
        lock(&self.0.breach).clone()
    }

    /// What the kernel has enforced.
    pub fn enforced(&self) -> Option<Failure> {
        self.0.bounds.enforced(&self.0.cgroup)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&watch().guarded).retain(|guarded| !Arc::ptr_eq(guarded, &self.0));
    }
}

fn watch() -> &'static Watch {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    static THREAD: OnceLock<()> = OnceLock::new();
    let watch = WATCH.get_or_init(Watch::default);
    THREAD.get_or_init(|| {
        let thread = std::thread::Builder::new().name("guard".to_owned());
        if let Err(error) = thread.spawn(move || look_for_ever(watch)) {
            tracing::warn!("nothing looks at what replays hold: {error}");
        }
    });
    watch
}

fn look_for_ever(watch: &Watch) {
    go_first();
    loop {
        let guarded = lock(&watch.guarded);
        let guarded = watch
            .more
            .wait_while(guarded, |guarded| guarded.is_empty())
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let begin = Instant::now();
        for guarded in &guarded {
            guarded.look();
        }
        // Held by nobody but its session from here on.
        drop(guarded);
        std::thread::sleep(INTERVAL.max(begin.elapsed() * COST_PART));
    }
}

/// Gives this thread the highest priority that is not real time.
fn go_first() {
    if let Err(error) = process::go_first() {
        tracing::debug!("looking at what replays hold has no priority: {error}");
    }
}

impl Guarded {
    fn look(&self) {
        if lock(&self.breach).is_some() {
            return;
        }
        match self.find() {
            Ok(None) => {}
            Ok(found) => {
                *lock(&self.breach) = found;
                // The one works at once, the other on what the test has started, too.
                let target = self.cgroup.kill_target();
                if let Some(sandbox) = &self.sandbox
                    && let Err(error) = launcher::kill(sandbox)
                {
                    tracing::warn!("cannot end a replay at its limit: {error}");
                }
                if let Err(error) = target {
                    tracing::debug!("cannot end a replay at its limit: {error}");
                }
            }
            // It has just ended, mostly.
            Err(error) => tracing::debug!("cannot look at what a replay holds: {error}"),
        }
    }

    fn find(&self) -> Result<Option<Outcome>, CgroupError> {
        let Bounds {
            processes,
            memory_bytes,
        } = self.bounds;
        // Where the kernel enforces a limit it is exact, and what is counted here is not: a page of a
        // library is resident in every process, and charged to none of them.
        let too_many = match self.cgroup.refused_tasks() {
            Some(refused) => refused > 0,
            None => self.cgroup.task_count()? >= processes,
        };
        if too_many {
            return Ok(Some(Outcome::Failed(self.bounds.processes_reached())));
        }
        let too_much = match self.cgroup.ended_for_memory() {
            Some(ended) => ended > 0,
            None => holds_more(&self.cgroup, memory_bytes)?,
        };
        if too_much {
            return Ok(Some(Outcome::Failed(self.bounds.memory_reached())));
        }
        // What no process has mapped is nobody's (a memfd, System V shared memory).
        let host = host_memory();
        let short = self.had_room && host.available < host.total / RESERVE_PART;
        Ok(short.then(|| Outcome::Invalid {
            why: format!(
                "the host had only {} MiB of memory left, so what ran was ended",
                host.available / MIB
            ),
        }))
    }
}

/// Whether all processes of a replay together hold more memory than this. Pages that they share
/// count once; only where they would be too many if each counted them is that worth its time.
fn holds_more(cgroup: &ReplayCgroup, bytes: u64) -> Result<bool, CgroupError> {
    let mut processes = cgroup::members(&cgroup.target(), "cgroup.procs")?;
    processes.extend(cgroup::members(&cgroup.launcher(), "cgroup.procs")?);
    let sum = |of: fn(&Path) -> Option<u64>| -> u64 {
        let paths = processes.iter().map(|pid| format!("/proc/{pid}"));
        // One that has ended holds nothing.
        paths.filter_map(|path| of(Path::new(&path))).sum()
    };
    Ok(sum(resident_bytes) > bytes && sum(proportional_bytes) > bytes)
}

fn resident_bytes(process: &Path) -> Option<u64> {
    let text = files::read(process.join("statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_bytes())
}

fn proportional_bytes(process: &Path) -> Option<u64> {
    let text = files::read(process.join("smaps_rollup")).ok()?;
    kib_of(&text, "Pss:").map(|kib| kib * KIB)
}

fn page_bytes() -> u64 {
    let bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten();
    bytes.map_or(4 * KIB, |bytes| bytes as u64)
}

#[derive(Clone, Copy, Debug)]
struct HostMemory {
    total: u64,
    available: u64,
}

/// Zero is unknown, and then no reason for anything.
fn host_memory() -> HostMemory {
    let text = files::read("/proc/meminfo").unwrap_or_default();
    let bytes = |key| kib_of(&text, key).unwrap_or(0) * KIB;
    HostMemory {
        total: bytes("MemTotal:"),
        available: bytes("MemAvailable:"),
    }
}

/// The number of KiB in a line `key   123 kB`.
fn kib_of(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workload_does_not_say_comes_from_the_host() {
        let bounds = Bounds::of(&Limits::default());
        assert_eq!(bounds.processes, PROCESSES);
        assert_eq!(bounds.memory_bytes, host_memory().total / 2);
        let own = Bounds::of(&Limits {
            memory: Some(64),
            processes: Some(10),
            ..Limits::default()
        });
        assert_eq!((own.memory_bytes, own.processes), (64 << 20, 10));
    }

    #[test]
    fn a_process_shares_what_is_proportional_and_holds_what_is_resident() {
        let ourselves = Path::new("/proc/self");
        let (all, own) = (resident_bytes(ourselves), proportional_bytes(ourselves));
        // Shared libraries are resident in full.
        assert!(
            own.is_some_and(|own| own > MIB && all > Some(own)),
            "{all:?} {own:?}"
        );
        assert_eq!(resident_bytes(Path::new("/proc/4194305")), None);
    }
}
