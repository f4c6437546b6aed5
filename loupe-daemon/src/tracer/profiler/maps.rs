//! Typed access to the maps of a profile. Moves records; knows no meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, OwnedFd};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap, Queue};
use aya::{Ebpf, Pod};
use loupe_common::profile_abi::{
    CallKey, CallShape, ExecutableKey, FileKey, LossCounts, NO_SLOT, Settings, SlotKey, SlotNotes,
    SlotUse, WATCHED_BY_CGROUP, WatchedCgroup, WatchedProcess,
};
use loupe_common::stats::{ErrorKey, ForeignKey, OperationKey};

use super::records::Record;
use crate::sys::bpf;
use crate::tracer::TracerError;
use crate::tracer::maps::{Plain, map_error};

/// Counts by CPU, under keys that begin with a slot.
pub struct Counts<K: Copy + 'static>
where
    Plain<K>: Pod,
{
    name: &'static str,
    map: PerCpuHashMap<MapData, Plain<K>, u64>,
    descriptor: OwnedFd,
    cpus: usize,
}

impl<K: Copy + Record> Counts<K>
where
    Plain<K>: Pod,
{
    fn take(found: &mut Found, name: &'static str, cpus: usize) -> Result<Self, TracerError> {
        let map = found.remove(name).ok_or(TracerError::NotEmbedded)?;
        let descriptor = match &map {
            Map::PerCpuHashMap(data) => data.fd().as_fd().try_clone_to_owned(),
            _ => return Err(TracerError::NotEmbedded),
        };
        Ok(Counts {
            name,
            map: PerCpuHashMap::try_from(map).map_err(map_error(name))?,
            descriptor: descriptor.map_err(TracerError::Thread)?,
            cpus,
        })
    }

    /// All keys and their sums.
    pub fn all(&self) -> Result<Vec<(K, u64)>, TracerError> {
        let value_bytes = size_of::<u64>() * self.cpus;
        let entries = bpf::entries(&self.descriptor, size_of::<K>(), value_bytes);
        let entries = entries.map_err(io_error(self.name))?;
        let keys = entries.keys.chunks_exact(size_of::<K>()).map(K::read);
        let sums = entries.values.chunks_exact(value_bytes).map(sum);
        Ok(keys.zip(sums).collect())
    }

    /// Removes the keys of these slots.
    pub fn remove(&mut self, is_closed: impl Fn(u32) -> bool) -> Result<(), TracerError> {
        let entries = self.all()?;
        for (key, _) in entries.into_iter().filter(|(key, _)| is_closed(key.slot())) {
            remove_entry(self.map.remove(&Plain(key)), self.name)?;
        }
        Ok(())
    }
}

/// The sum of the values of all CPUs.
fn sum(values: &[u8]) -> u64 {
    let words = values.as_chunks().0;
    words.iter().map(|word| u64::from_ne_bytes(*word)).sum()
}

fn io_error(name: &'static str) -> impl Fn(std::io::Error) -> TracerError {
    move |source| TracerError::ReadMap { name, source }
}

/// What is gone already is gone.
fn remove_entry(result: Result<(), MapError>, name: &'static str) -> Result<(), TracerError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        other => other.map_err(map_error(name)),
    }
}

/// Maps by name, loaded or pinned.
pub type Found = BTreeMap<&'static str, Map>;

pub fn take<T: TryFrom<Map, Error = MapError>>(
    found: &mut Found,
    name: &'static str,
) -> Result<T, TracerError> {
    // The object is ours: a map that is not in it means that there is no object.
    let map = found.remove(name).ok_or(TracerError::NotEmbedded)?;
    T::try_from(map).map_err(map_error(name))
}

pub struct Maps {
    settings: Array<MapData, Plain<Settings>>,
    cgroups: HashMap<MapData, u64, Plain<WatchedCgroup>>,
    processes: HashMap<MapData, u32, Plain<WatchedProcess>>,
    executables: HashMap<MapData, Plain<ExecutableKey>, u64>,
    slots: HashMap<MapData, Plain<SlotKey>, u32>,
    free_slots: Queue<MapData, u32>,
    pub calls: Counts<CallKey>,
    pub errors: Counts<ErrorKey>,
    pub operations: Counts<OperationKey>,
    pub foreign: Counts<ForeignKey>,
    pub files: Counts<FileKey>,
    notes: PerCpuArray<MapData, Plain<SlotNotes>>,
    nowhere: PerCpuArray<MapData, Plain<SlotNotes>>,
    others: PerCpuArray<MapData, u64>,
    uses: Array<MapData, Plain<SlotUse>>,
    cpus: usize,
}

impl Maps {
    pub fn take(found: &mut Found) -> Result<Maps, TracerError> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| TracerError::Thread(error))?;
        Ok(Maps {
            settings: take(found, "SETTINGS")?,
            cgroups: take(found, "CGROUPS")?,
            processes: take(found, "PROCESSES")?,
            executables: take(found, "EXECUTABLES")?,
            slots: take(found, "SLOTS")?,
            free_slots: take(found, "FREE_SLOTS")?,
            calls: Counts::take(found, "CALLS", cpus)?,
            errors: Counts::take(found, "ERRORS", cpus)?,
            operations: Counts::take(found, "OPERATIONS", cpus)?,
            foreign: Counts::take(found, "FOREIGN", cpus)?,
            files: Counts::take(found, "FILES", cpus)?,
            notes: take(found, "NOTES")?,
            nowhere: take(found, "NOWHERE")?,
            others: take(found, "OTHERS")?,
            uses: take(found, "USES")?,
            cpus,
        })
    }

    pub fn set(&mut self, settings: Settings) -> Result<(), TracerError> {
        self.settings
            .set(0, Plain(settings), 0)
            .map_err(map_error("SETTINGS"))
    }

    pub fn settings(&self) -> Result<Settings, TracerError> {
        let settings = self.settings.get(&0, 0).map_err(map_error("SETTINGS"))?;
        Ok(settings.0)
    }

    pub fn watch(&mut self, cgroup: u64, watched: WatchedCgroup) -> Result<(), TracerError> {
        self.cgroups
            .insert(cgroup, Plain(watched), 0)
            .map_err(map_error("CGROUPS"))
    }

    pub fn unwatch(&mut self, cgroup: u64) -> Result<(), TracerError> {
        remove_entry(self.cgroups.remove(&cgroup), "CGROUPS")
    }

    pub fn watched(&self) -> Result<Vec<(u64, WatchedCgroup)>, TracerError> {
        let entries = self.cgroups.iter().map(|entry| match entry {
            Ok((id, watched)) => Ok((id, watched.0)),
            Err(error) => Err(map_error("CGROUPS")(error)),
        });
        entries.collect()
    }

    pub fn watch_process(
        &mut self,
        process: u32,
        watched: WatchedProcess,
    ) -> Result<(), TracerError> {
        self.processes
            .insert(process, Plain(watched), 0)
            .map_err(map_error("PROCESSES"))
    }

    pub fn processes(&self) -> Result<Vec<(u32, WatchedProcess)>, TracerError> {
        let entries = self.processes.iter().map(|entry| match entry {
            Ok((process, watched)) => Ok((process, watched.0)),
            Err(error) => Err(map_error("PROCESSES")(error)),
        });
        entries.collect()
    }

    /// Forgets processes; those that are still watched are looked at in their next call.
    pub fn forget(
        &mut self,
        is_forgotten: impl Fn(&WatchedProcess) -> bool,
    ) -> Result<(), TracerError> {
        for (process, _) in self.processes()?.iter().filter(|(_, of)| is_forgotten(of)) {
            remove_entry(self.processes.remove(process), "PROCESSES")?;
        }
        Ok(())
    }

    pub fn forget_slots(&mut self, is_closed: impl Fn(u32) -> bool) -> Result<(), TracerError> {
        // A process that was asked for by its id has no cgroup that would bring it back.
        for (process, of) in self.processes()? {
            if of.reason != WATCHED_BY_CGROUP && is_closed(of.slot) {
                let unlooked = WatchedProcess {
                    slot: NO_SLOT,
                    ..of
                };
                self.watch_process(process, unlooked)?;
            }
        }
        self.forget(|process| is_closed(process.slot))
    }

    /// Forgets the processes that run an executable for this reason.
    pub fn forget_executable(
        &mut self,
        executable: ExecutableKey,
        reason: u32,
    ) -> Result<(), TracerError> {
        let slots = self.slots()?;
        let of: BTreeSet<u32> = slots
            .iter()
            .filter(|(key, _)| key.executable == executable)
            .map(|(_, slot)| *slot)
            .collect();
        self.forget(|process| process.reason == reason && of.contains(&process.slot))
    }

    pub fn watch_executable(&mut self, key: ExecutableKey, owner: u64) -> Result<(), TracerError> {
        self.executables
            .insert(Plain(key), owner, 0)
            .map_err(map_error("EXECUTABLES"))
    }

    pub fn executables(&self) -> Result<Vec<(ExecutableKey, u64)>, TracerError> {
        let entries = self.executables.iter().map(|entry| match entry {
            Ok((key, owner)) => Ok((key.0, owner)),
            Err(error) => Err(map_error("EXECUTABLES")(error)),
        });
        entries.collect()
    }

    pub fn unwatch_executable(&mut self, key: ExecutableKey) -> Result<(), TracerError> {
        remove_entry(self.executables.remove(&Plain(key)), "EXECUTABLES")
    }

    /// Every slot that is somebody's.
    pub fn slots(&self) -> Result<Vec<(SlotKey, u32)>, TracerError> {
        let entries = self.slots.iter().map(|entry| match entry {
            Ok((key, slot)) => Ok((key.0, slot)),
            Err(error) => Err(map_error("SLOTS")(error)),
        });
        entries.collect()
    }

    pub fn close_slot(&mut self, key: SlotKey) -> Result<(), TracerError> {
        remove_entry(self.slots.remove(&Plain(key)), "SLOTS")
    }

    /// Gives the number of a slot, to be used (again).
    pub fn free_slot(&mut self, slot: u32) -> Result<(), TracerError> {
        let zeros = vec![Plain(SlotNotes::default()); self.cpus];
        let zeros = zeros.try_into().map_err(TracerError::Thread)?;
        self.notes.set(slot, zeros, 0).map_err(map_error("NOTES"))?;
        self.uses
            .set(slot, Plain(SlotUse::default()), 0)
            .map_err(map_error("USES"))?;
        self.free_slots
            .push(slot, 0)
            .map_err(map_error("FREE_SLOTS"))
    }

    pub fn notes(&self, slot: u32) -> Result<SlotNotes, TracerError> {
        let values = self.notes.get(&slot, 0).map_err(map_error("NOTES"))?;
        Ok(total(values.iter().map(|value| &value.0)))
    }

    /// What no slot knows.
    pub fn nowhere(&self) -> Result<SlotNotes, TracerError> {
        let values = self.nowhere.get(&0, 0).map_err(map_error("NOWHERE"))?;
        Ok(total(values.iter().map(|value| &value.0)))
    }

    pub fn others(&self) -> Result<u64, TracerError> {
        let values = self.others.get(&0, 0).map_err(map_error("OTHERS"))?;
        Ok(values.iter().sum())
    }
}

/// The sum over CPUs.
fn total<'a>(values: impl Iterator<Item = &'a SlotNotes>) -> SlotNotes {
    values.fold(SlotNotes::default(), |sum, one| SlotNotes {
        starts: sum.starts + one.starts,
        lost: LossCounts {
            events: sum.lost.events + one.lost.events,
            calls: sum.lost.calls + one.lost.calls,
            errors: sum.lost.errors + one.lost.errors,
            operations: sum.lost.operations + one.lost.operations,
            foreign: sum.lost.foreign + one.lost.foreign,
            pseudo_files: sum.lost.pseudo_files + one.lost.pseudo_files,
            executables: sum.lost.executables + one.lost.executables,
        },
    })
}

/// Tells the in-kernel programs what to look at in each syscall.
pub fn set_shapes(ebpf: &mut Ebpf, shapes: &[CallShape]) -> Result<(), TracerError> {
    let name = "SHAPES";
    let mut map: Array<MapData, Plain<CallShape>> = crate::tracer::maps::take(ebpf, name)?;
    for (number, shape) in (0..).zip(shapes) {
        map.set(number, Plain(*shape), 0).map_err(map_error(name))?;
    }
    Ok(())
}
