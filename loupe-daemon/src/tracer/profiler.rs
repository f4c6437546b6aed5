//! The profiler: in-kernel programs that count, per watched cgroup and executable, what services
//! call, for as long as they run. It says what was counted; whose a cgroup is and when to look is
//! decided elsewhere.
//!
//! Loading attaches what runs rarely (cgroups made and removed, exec, exit). The program at the end
//! of each syscall is attached only while a [`Window`] is open. All that is loaded goes with the
//! last clone of the [`Profiler`] and its windows; what is pinned ([`Pins`]) stays as long as the
//! pins, and another process can take it over.

mod counts;
mod events;
mod executable;
mod load;
mod maps;
mod offsets;
mod pins;
mod programs;
mod records;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loupe_common::feature::Feature;
use loupe_common::profile::ProfileLost;
use loupe_common::profile_abi::{
    NO_SLOT, Settings, WATCH_COUNT, WATCHED_BY_EXECUTABLE, WATCHED_BY_ID, WatchedProcess,
};
use loupe_common::trace::{CallCounts, ForeignCall};
use tokio::sync::mpsc;

use serde::{Deserialize, Serialize};

use super::TracerError;
use crate::lock;
use crate::sys::bpf;
pub use executable::ExecutableId;
pub use pins::Pins;
use programs::{Group, Programs};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watch {
    /// Calls of its processes are counted for the owner, and so are those of each cgroup that is
    /// made below.
    Count,
    /// Each cgroup that is made directly below is an owner of its own; one whose name ends with
    /// `.slice` is watched as this one is. Calls of processes directly in it are nobody's.
    ChildrenAreOwners,
}

/// What the in-kernel programs tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whoever takes this has taken all that was told before [`Profiler::mark`] returned this
    /// number.
    Mark(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// What a slot has counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    // First, so that nothing is attached any more when the thread ends.
    kernel: Mutex<Kernel>,
    consumer: events::Consumer,
}

struct Kernel {
    programs: Programs,
    maps: maps::Maps,
    settings: Settings,
    /// They stay as long as this does.
    always: Group,
    counting: Group,
    windows: usize,
    /// What is pinned and attached stays so, for another process.
    is_left: bool,
    /// The kernel has io_uring, and tells nothing of it.
    blind_to_io_uring: bool,
    receiver: Option<mpsc::Receiver<ProfilerEvent>>,
    /// Executables and owners of processes that are watched wherever they are.
    executables: BTreeSet<ExecutableId>,
    process_owners: BTreeSet<u64>,
}

impl ProfilerBounds {
    /// Their numbers are kept in 16 bits.
    fn slots(&self) -> u32 {
        self.slots.clamp(1, u32::from(u16::MAX))
    }
}

/// A slot that is open: whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotOwner {
    pub owner: u64,
    pub executable: ExecutableId,
}

/// Keeps the programs that count attached until it is dropped.
pub struct Window {
    profiler: Profiler,
}

/// A window that an earlier process has opened.
pub struct TakenWindow {
    pub window: Window,
    /// How long ago.
    pub attached: Duration,
}

/// Has the kernel measure what programs cost, those of others too, until it is dropped. The
/// measuring itself costs each run of a program some ten nanoseconds.
pub struct CostMeter {
    _statistics: OwnedFd,
}

impl Profiler {
    /// Loads the programs and attaches those that run rarely.
    pub fn load(bounds: &ProfilerBounds) -> Result<Profiler, TracerError> {
        Ok(Profiler::of(load::load(bounds, None)?))
    }

    /// The same, with everything pinned.
    pub fn load_pinned(bounds: &ProfilerBounds, pins: Pins) -> Result<Profiler, TracerError> {
        Ok(Profiler::of(load::load(bounds, Some(pins))?))
    }

    /// Takes over what an earlier process has loaded and pinned, which went on counting. The window
    /// that it had open, if it had. What is not as this process would have made it is refused.
    pub fn take_over(
        bounds: &ProfilerBounds,
        pins: Pins,
    ) -> Result<(Profiler, Option<TakenWindow>), TracerError> {
        let profiler = Profiler::of(load::take_over(bounds, pins)?);
        let attached = lock(&profiler.shared.kernel).counting.attached_for();
        let window = attached.map(|attached| TakenWindow {
            attached,
            window: Window {
                profiler: profiler.clone(),
            },
        });
        Ok((profiler, window))
    }

    /// What keeps everything that is pinned, and the name of it, which no other has.
    pub fn pinned(&self) -> Result<Option<(OwnedFd, String)>, TracerError> {
        let kernel = lock(&self.shared.kernel);
        let Some(pins) = kernel.programs.pins() else {
            return Ok(None);
        };
        let top = pins.top().try_clone_to_owned();
        Ok(Some((
            top.map_err(TracerError::Pin)?,
            pins.set().to_owned(),
        )))
    }

    fn of((kernel, consumer): (Kernel, events::Consumer)) -> Profiler {
        Profiler {
            shared: Arc::new(Shared {
                kernel: Mutex::new(kernel),
                consumer,
            }),
        }
    }

    /// Events, where everything is pinned: what is not taken stays in the kernel, for another process.
    pub fn take_events(&self, most: usize) -> Vec<ProfilerEvent> {
        self.shared.consumer.take(most)
    }

    /// Waits until there are events to take; `false`: there will be none any more.
    pub fn wait_for_events(&self) -> bool {
        self.shared.consumer.wait()
    }

    /// Nobody waits for events any more.
    pub fn stop_waiting(&self) {
        self.shared.consumer.stop();
    }

    /// From now on everything that is pinned stays as it is, windows too.
    pub fn leave(&self) {
        lock(&self.shared.kernel).is_left = true;
    }

    /// What the programs tell, once; `None` if somebody has taken it. What finds the channel full is
    /// counted as a lost event.
    pub fn events(&self) -> Option<mpsc::Receiver<ProfilerEvent>> {
        lock(&self.shared.kernel).receiver.take()
    }

    /// Hands out the events that are still in the ring buffer.
    pub fn flush(&self) {
        self.shared.consumer.drain();
    }

    /// The same, with a mark behind them, of a higher number than any before. `None`: too many
    /// events wait for somebody to take them.
    pub fn mark(&self) -> Option<u64> {
        self.shared.consumer.mark()
    }

    /// Attaches the programs that count. Windows may overlap.
    pub fn open_window(&self) -> Result<Window, TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        let kernel = &mut *kernel;
        kernel.counting.hold(&mut kernel.programs)?;
        kernel.windows += 1;
        let window = Window {
            profiler: self.clone(),
        };
        kernel.tell_settings()?;
        Ok(window)
    }

    /// Watches a cgroup of the v2 hierarchy, by its id (the inode number of its directory). What is
    /// made below it from now on is watched at once; what is there already is the caller's to watch.
    pub fn watch(&self, cgroup: u64, owner: u64, how: Watch) -> Result<(), TracerError> {
        lock(&self.shared.kernel)
            .maps
            .watch(cgroup, how.record(owner))
    }

    /// Watches a cgroup no more. Those below it stay as they are.
    pub fn unwatch(&self, cgroup: u64) -> Result<(), TracerError> {
        lock(&self.shared.kernel).maps.unwatch(cgroup)
    }

    /// Every cgroup whose calls are counted, and for whom: with those that the kernel has added
    /// itself, without those that are gone.
    pub fn watched(&self) -> Result<BTreeMap<u64, u64>, TracerError> {
        let watched = lock(&self.shared.kernel).maps.watched()?;
        let counted = watched
            .into_iter()
            .filter(|(_, watched)| watched.flags & WATCH_COUNT != 0);
        Ok(counted.map(|(id, watched)| (id, watched.owner)).collect())
    }

    /// Every cgroup that is watched, for whom, and how.
    pub fn watches(&self) -> Result<BTreeMap<u64, (u64, Watch)>, TracerError> {
        let watched = lock(&self.shared.kernel).maps.watched()?.into_iter();
        let how = |(id, watched): (u64, loupe_common::profile_abi::WatchedCgroup)| {
            Some((id, (watched.owner, events::watch_of(watched.flags)?)))
        };
        Ok(watched.filter_map(how).collect())
    }

    /// Every executable that is watched wherever it runs, and for whom.
    pub fn watched_executables(&self) -> Result<BTreeMap<ExecutableId, u64>, TracerError> {
        let executables = lock(&self.shared.kernel).maps.executables()?.into_iter();
        Ok(executables
            .map(|(key, owner)| (ExecutableId::from_key(key), owner))
            .collect())
    }

    /// The slots that are open.
    pub fn slots(&self) -> Result<BTreeMap<u32, SlotOwner>, TracerError> {
        let slots = lock(&self.shared.kernel).maps.slots()?.into_iter();
        let owner = |key: loupe_common::profile_abi::SlotKey| SlotOwner {
            owner: key.owner,
            executable: ExecutableId::from_key(key.executable),
        };
        Ok(slots.map(|(key, slot)| (slot, owner(key))).collect())
    }

    /// The slots that anything was counted in: open ones, and those of [`Profiler::end_slots`].
    pub fn counted_slots(&self) -> Result<BTreeSet<u32>, TracerError> {
        let calls = lock(&self.shared.kernel).maps.calls.all()?;
        Ok(calls.into_iter().map(|(key, _)| key.slot).collect())
    }

    /// Watches an executable outside of watched cgroups, running processes included. In a watched
    /// cgroup it is a slot of its own there anyway.
    pub fn watch_executable(
        &self,
        executable: ExecutableId,
        owner: u64,
    ) -> Result<(), TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        kernel.executables.insert(executable);
        kernel.maps.watch_executable(executable.key(), owner)?;
        kernel.tell_settings()?;
        let watched = WatchedProcess {
            owner,
            slot: NO_SLOT,
            reason: WATCHED_BY_EXECUTABLE,
        };
        for pid in executable::processes().map_err(TracerError::Processes)? {
            // One that has ended meanwhile runs nothing.
            if ExecutableId::of_process(pid).is_ok_and(|running| running == executable) {
                kernel.maps.watch_process(pid, watched)?;
            }
        }
        Ok(())
    }

    pub fn unwatch_executable(&self, executable: ExecutableId) -> Result<(), TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        kernel.executables.remove(&executable);
        kernel.maps.unwatch_executable(executable.key())?;
        kernel.tell_settings()?;
        // Those of the others are found again by their next call in a watched cgroup, or are put
        // back here.
        kernel
            .maps
            .forget_executable(executable.key(), WATCHED_BY_EXECUTABLE)
    }

    /// Watches a process, what it has forked and what it forks, whichever cgroups they are in.
    pub fn watch_process(&self, pid: u32, owner: u64) -> Result<(), TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        kernel.process_owners.insert(owner);
        kernel.tell_settings()?;
        let watched = WatchedProcess {
            owner,
            slot: NO_SLOT,
            reason: WATCHED_BY_ID,
        };
        // Parents first: what they fork from then on is watched by the programs.
        let mut open = vec![pid];
        while let Some(pid) = open.pop() {
            kernel.maps.watch_process(pid, watched)?;
            open.extend(executable::children_of(pid));
        }
        Ok(())
    }

    /// Watches the processes no more that were watched for this owner.
    pub fn unwatch_processes(&self, owner: u64) -> Result<(), TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        kernel.process_owners.remove(&owner);
        kernel.tell_settings()?;
        kernel
            .maps
            .forget(|process| process.reason == WATCHED_BY_ID && process.owner == owner)
    }

    /// What each slot has counted since it was opened.
    pub fn counts(&self) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
        counts::read(&lock(&self.shared.kernel).maps)
    }

    /// Living processes by slot, of those that were seen.
    pub fn processes(&self) -> Result<BTreeMap<u32, u64>, TracerError> {
        let mut all = BTreeMap::new();
        for (_, process) in lock(&self.shared.kernel).maps.processes()? {
            if process.slot != NO_SLOT {
                *all.entry(process.slot).or_default() += 1;
            }
        }
        Ok(all)
    }

    /// Ends these slots and frees them: returns what they have counted, to the last call.
    pub fn close_slots(&self, slots: &[u32]) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
        let counts = self.end_slots(slots)?;
        self.free_slots(slots)?;
        Ok(counts)
    }

    /// Ends these slots: returns what they have counted, to the last call. Executables of theirs that
    /// still run and are still watched get others. Their counts stay, and their numbers do not come
    /// again, until they are freed.
    pub fn end_slots(&self, slots: &[u32]) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
        let closed: BTreeSet<u32> = slots.iter().copied().collect();
        let is_closed = |slot: u32| closed.contains(&slot);
        let mut kernel = lock(&self.shared.kernel);
        let maps = &mut kernel.maps;
        let keys = maps.slots()?;
        let keys: Vec<_> = keys
            .into_iter()
            .filter(|(_, slot)| is_closed(*slot))
            .collect();
        for (key, _) in &keys {
            maps.close_slot(*key)?;
        }
        // Once for what is there, and once more for what a program that still ran has put back.
        maps.forget_slots(is_closed)?;
        wait_for_programs();
        maps.forget_slots(is_closed)?;
        counts::read_slots(maps, closed.iter().copied())
    }

    /// Frees slots that have ended: their numbers may come again, in a
    /// [`ProfilerEvent::SlotOpened`].
    pub fn free_slots(&self, slots: &[u32]) -> Result<(), TracerError> {
        let closed: BTreeSet<u32> = slots.iter().copied().collect();
        let is_closed = |slot: u32| closed.contains(&slot);
        let mut kernel = lock(&self.shared.kernel);
        let maps = &mut kernel.maps;
        maps.calls.remove(is_closed)?;
        maps.errors.remove(is_closed)?;
        maps.operations.remove(is_closed)?;
        maps.foreign.remove(is_closed)?;
        maps.files.remove(is_closed)?;
        for slot in closed {
            maps.free_slot(slot)?;
        }
        Ok(())
    }

    /// Whether operations of io_uring happen here and are not counted.
    pub fn is_blind_to_io_uring(&self) -> bool {
        lock(&self.shared.kernel).blind_to_io_uring
    }

    /// What was lost where no slot knows of it, in the kernel.
    pub fn lost(&self) -> Result<ProfileLost, TracerError> {
        let nowhere = lock(&self.shared.kernel).maps.nowhere()?;
        Ok(counts::losses(&nowhere.lost))
    }

    /// Events that nobody in this process took in time: lost, too.
    pub fn dropped(&self) -> u64 {
        self.shared.consumer.dropped()
    }

    /// Whether calls that nobody watches are counted in one sum. That makes each of them a little
    /// dearer.
    pub fn count_others(&self, on: bool) -> Result<(), TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        kernel.settings.others = on.into();
        kernel.tell_settings()
    }

    pub fn other_calls(&self) -> Result<u64, TracerError> {
        lock(&self.shared.kernel).maps.others()
    }

    /// Has [`Profiler::cost`] grow while what is returned lives.
    pub fn measure_cost(&self) -> Result<CostMeter, TracerError> {
        let statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime);
        Ok(CostMeter {
            _statistics: statistics.map_err(TracerError::Statistics)?,
        })
    }

    /// What all programs have cost so far, in the times in which it was measured.
    pub fn cost(&self) -> Result<ProgramCost, TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        let mut cost = ProgramCost::default();
        let names = [kernel.always.names(), kernel.counting.names()].concat();
        for name in names {
            let program = kernel.programs.get(name)?;
            let info = program.info().map_err(super::program_error(name))?;
            cost.run_ns += u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
            cost.runs += info.run_count();
        }
        Ok(cost)
    }
}

impl Kernel {
    fn tell_settings(&mut self) -> Result<(), TracerError> {
        let elsewhere = !self.executables.is_empty() || !self.process_owners.is_empty();
        self.settings.elsewhere = elsewhere.into();
        self.settings.counting = (self.windows > 0).into();
        self.maps.set(self.settings)
    }
}

/// Programs run for some microseconds, so that where the kernel does not tell, a moment will do.
fn wait_for_programs() {
    const MOMENT: std::time::Duration = std::time::Duration::from_millis(50);
    if let Err(error) = bpf::wait_for_programs() {
        tracing::debug!("the kernel does not tell when its programs are through: {error}");
        std::thread::sleep(MOMENT);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let mut kernel = lock(&self.profiler.shared.kernel);
        if kernel.is_left {
            return;
        }
        kernel.windows -= 1;
        if let Err(error) = kernel.tell_settings() {
            tracing::warn!("cannot tell the programs that a window is closed: {error}");
        }
        kernel.counting.release();
    }
}
