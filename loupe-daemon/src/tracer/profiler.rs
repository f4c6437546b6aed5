//! The profiler: in-kernel programs that count, per watched cgroup and executable, what services
//! call, for as long as they run. It says what was counted; whose a cgroup is and when to look is
//! decided elsewhere.
//!
//! Loading attaches what runs rarely (cgroups made and removed, exec, exit). The program at the end
//! of each syscall is attached only while a [`Window`] is open. All that is loaded goes with the
//! last clone of the [`Profiler`] and its windows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use loupe_common::feature::Feature;
use loupe_common::profile::ProfileLost;
use loupe_common::trace::{CallCounts, ForeignCall};
use tokio::sync::mpsc;

use super::TracerError;
use crate::lock;

/// How much the maps hold. Memory is taken as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfilerBounds {
    /// Watched cgroups.
    pub cgroups: u32,
    /// Pairs of owner and executable, at most 65,535.
    pub slots: u32,
    /// Processes whose slot is remembered; those beyond are looked at in each call.
    pub processes: u32,
    /// Pairs of slot and syscall.
    pub calls: u32,
    pub errors: u32,
    pub operations: u32,
    pub files: u32,
}

impl Default for ProfilerBounds {
    /// For 300 units.
    fn default() -> Self {
        ProfilerBounds {
            cgroups: 1 << 13,
            slots: 1 << 11,
            processes: 1 << 16,
            calls: 1 << 17,
            errors: 1 << 16,
            operations: 1 << 17,
            files: 1 << 15,
        }
    }
}

/// How a cgroup is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Calls of its processes are counted for the owner, and so are those of each cgroup that is
    /// made below.
    Count,
    /// Each cgroup that is made directly below is an owner of its own; one whose name ends with
    /// `.slice` is watched as this one is. Calls of processes directly in it are nobody's.
    ChildrenAreOwners,
}

/// What the in-kernel programs tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfilerEvent {
    /// Anywhere in the kernel's own hierarchy (cgroup v2).
    CgroupMade {
        id: u64,
        parent: u64,
        /// What its calls are counted for; `None`: they are not counted.
        owner: Option<u64>,
        /// How it is watched, because its parent is.
        watch: Option<Watch>,
        /// The last component of its path.
        name: String,
    },
    CgroupGone {
        id: u64,
    },
    /// An executable was seen with this owner for the first time. May come while no window is open:
    /// executables are seen at their exec, too.
    SlotOpened(SlotOpened),
    /// The first call of its kind in its slot: a syscall, or an operation of io_uring.
    FirstSeen {
        slot: u32,
        feature: Feature,
        /// `CLOCK_MONOTONIC` in nanoseconds.
        at_ns: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotOpened {
    pub slot: u32,
    pub owner: u64,
    /// The cgroup that the process was in.
    pub cgroup: u64,
    pub executable: ExecutableId,
    pub pid: u32,
    pub uid: u32,
    /// From the root of the executable's mount on.
    pub path: String,
    pub comm: String,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
}

/// A file as the kernel knows it. Some file systems (overlayfs, btrfs) tell `stat` another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutableId {
    /// As `makedev` composes it.
    pub device: u64,
    pub inode: u64,
}

/// What a slot has counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotCounts {
    /// Syscalls, operations of io_uring and pseudo-files.
    pub calls: BTreeMap<Feature, CallCounts>,
    /// The same calls by operations and flags.
    pub operations: BTreeMap<Feature, CallCounts>,
    pub foreign: Vec<ForeignCall>,
    /// Successful execs, counted while no window is open, too.
    pub starts: u64,
    pub lost: ProfileLost,
}

/// What the programs have cost, while somebody measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramCost {
    pub run_ns: u64,
    pub runs: u64,
}

/// The loaded programs. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Profiler {
    shared: Arc<Shared>,
}

struct Shared {
    kernel: Mutex<Kernel>,
}

struct Kernel {
    events: Option<mpsc::Receiver<ProfilerEvent>>,
}

/// Keeps the programs that count attached until it is dropped.
pub struct Window {
    profiler: Profiler,
}

/// Has the kernel measure what programs cost, those of others too, until it is dropped. The
/// measuring itself costs each run of a program some ten nanoseconds.
pub struct CostMeter {
    _statistics: std::os::fd::OwnedFd,
}

impl Profiler {
    /// Loads the programs and attaches those that run rarely.
    pub fn load(_bounds: &ProfilerBounds) -> Result<Profiler, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// What the programs tell, once; `None` if somebody has taken it. What finds the channel full is
    /// counted as a lost event.
    pub fn events(&self) -> Option<mpsc::Receiver<ProfilerEvent>> {
        lock(&self.shared.kernel).events.take()
    }

    /// Attaches the programs that count. Windows may overlap.
    pub fn open_window(&self) -> Result<Window, TracerError> {
        Ok(Window {
            profiler: self.clone(),
        })
    }

    /// Watches a cgroup of the v2 hierarchy, by its id (the inode number of its directory). What is
    /// made below it from now on is watched at once; what is there already is the caller's to watch.
    pub fn watch(&self, _cgroup: u64, _owner: u64, _how: Watch) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Watches a cgroup no more. Those below it stay as they are.
    pub fn unwatch(&self, _cgroup: u64) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Every watched cgroup and its owner, those that the kernel has added and removed itself
    /// taken into account.
    pub fn watched(&self) -> Result<BTreeMap<u64, u64>, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Watches an executable outside of watched cgroups, running processes included. In a watched
    /// cgroup it is a slot of its own there anyway.
    pub fn watch_executable(
        &self,
        _executable: ExecutableId,
        _owner: u64,
    ) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    pub fn unwatch_executable(&self, _executable: ExecutableId) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Watches a process and what it forks from now on, whichever cgroup they are in.
    pub fn watch_process(&self, _pid: u32, _owner: u64) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    pub fn unwatch_process(&self, _pid: u32) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// What each slot has counted since it was opened.
    pub fn counts(&self) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Living processes by slot, of those that were seen.
    pub fn processes(&self) -> Result<BTreeMap<u32, u64>, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Ends these slots: returns what they have counted, to the last call. Their numbers may come
    /// again, in a [`ProfilerEvent::SlotOpened`]; so do executables of theirs that still run and are
    /// still watched.
    pub fn close_slots(&self, _slots: &[u32]) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// What was lost where no slot knows of it.
    pub fn lost(&self) -> Result<ProfileLost, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Whether calls that nobody watches are counted in one sum. That makes each of them a little
    /// dearer.
    pub fn count_others(&self, _on: bool) -> Result<(), TracerError> {
        Err(TracerError::NotEmbedded)
    }

    pub fn other_calls(&self) -> Result<u64, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// Has [`Profiler::cost`] grow while what is returned lives.
    pub fn measure_cost(&self) -> Result<CostMeter, TracerError> {
        Err(TracerError::NotEmbedded)
    }

    /// What all programs have cost so far, in the times in which it was measured.
    pub fn cost(&self) -> Result<ProgramCost, TracerError> {
        Err(TracerError::NotEmbedded)
    }
}

impl ExecutableId {
    /// Of a file, as the kernel knows it.
    pub fn of_path(_path: &std::path::Path) -> std::io::Result<ExecutableId> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        drop(lock(&self.profiler.shared.kernel));
    }
}
