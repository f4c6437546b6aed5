//! Typed access to the in-kernel maps. Moves bytes; knows no meaning.
#![expect(
    unsafe_code,
    reason = "aya wants the promise that a record is plain bytes"
)]

use aya::maps::{Array, HashMap, MapData, PerCpuArray, PerCpuHashMap, PerCpuValues, RingBuf};
use aya::{Ebpf, Pod};
use loupe_common::profile_abi::{
    CallKey, CallShape, ExecutableKey, FileKey, Offsets, Settings, SlotKey, SlotNotes, SlotUse,
    WatchedCgroup, WatchedProcess,
};
use loupe_common::scope::{Scope, ScopeLevel, scope_index};
use loupe_common::stats::{
    ErrorKey, ForeignKey, LATENCY_BUCKETS, LATENCY_SLOTS, Latency, LostCounts, MAX_IO_URING_OP,
    MAX_SYSCALL, OperationKey, Selector, SlotStats, io_uring_index, latency_index,
};

use super::TracerError;

/// A shared record, marked as plain bytes for aya.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Plain<T: Copy + 'static>(pub T);

macro_rules! plain {
    ($($record:ty),*) => {
        $(
            // SAFETY: the record is `repr(C)`, made of integers, and its compile-time size
            // assertion or named padding leaves no byte undefined.
            unsafe impl Pod for Plain<$record> {}
        )*
    };
}

plain!(
    Scope,
    ScopeLevel,
    SlotStats,
    ErrorKey,
    ForeignKey,
    Latency,
    OperationKey,
    Selector,
    CallKey,
    CallShape,
    ExecutableKey,
    FileKey,
    Offsets,
    Settings,
    SlotKey,
    SlotNotes,
    SlotUse,
    WatchedCgroup,
    WatchedProcess
);

pub struct Maps {
    scopes: Array<MapData, Plain<Scope>>,
    runs: HashMap<MapData, u64, Plain<Scope>>,
    newborn: HashMap<MapData, u32, u64>,
    stats: PerCpuArray<MapData, Plain<SlotStats>>,
    errors: PerCpuHashMap<MapData, Plain<ErrorKey>, u64>,
    foreign: PerCpuHashMap<MapData, Plain<ForeignKey>, u64>,
    operations: PerCpuHashMap<MapData, Plain<OperationKey>, u64>,
    latencies: PerCpuArray<MapData, Plain<Latency>>,
    io_uring: PerCpuArray<MapData, u64>,
    cpus: usize,
}

pub fn map_error(name: &'static str) -> impl Fn(aya::maps::MapError) -> TracerError {
    move |source| TracerError::Map {
        name,
        source: Box::new(source),
    }
}

pub fn take<T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<T, TracerError> {
    // The object is ours: a map that is not in it means that there is no object.
    let map = ebpf.take_map(name).ok_or(TracerError::NotEmbedded)?;
    T::try_from(map).map_err(map_error(name))
}

/// The ring buffer, for its consumer.
pub fn take_ring(ebpf: &mut Ebpf) -> Result<RingBuf<MapData>, TracerError> {
    take(ebpf, "EVENTS")
}

impl Maps {
    pub fn take(ebpf: &mut Ebpf) -> Result<Maps, TracerError> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| TracerError::Thread(error))?;
        Ok(Maps {
            scopes: take(ebpf, "SCOPES")?,
            runs: take(ebpf, "RUNS")?,
            newborn: take(ebpf, "NEWBORN")?,
            stats: take(ebpf, "STATS")?,
            errors: take(ebpf, "ERRORS")?,
            foreign: take(ebpf, "FOREIGN")?,
            operations: take(ebpf, "OPERATIONS")?,
            latencies: take(ebpf, "LATENCIES")?,
            io_uring: take(ebpf, "IO_URING")?,
            cpus,
        })
    }

    pub fn scope(&self, index: u32) -> Result<Scope, TracerError> {
        Ok(self.scopes.get(&index, 0).map_err(map_error("SCOPES"))?.0)
    }

    pub fn set_scope(&mut self, index: u32, scope: Scope) -> Result<(), TracerError> {
        self.scopes
            .set(index, Plain(scope), 0)
            .map_err(map_error("SCOPES"))
    }

    /// Frees the entry of this cgroup, if it is still its own.
    pub fn close_scope(&mut self, cgroup_id: u64) -> Result<(), TracerError> {
        let index = scope_index(cgroup_id);
        if self.scope(index)?.cgroup_id == cgroup_id {
            self.set_scope(index, Scope::default())?;
        }
        Ok(())
    }

    /// These cgroups are those of the run.
    pub fn set_run(&mut self, ids: &[u64], scope: Scope) -> Result<(), TracerError> {
        for id in ids {
            self.runs
                .insert(id, Plain(scope), 0)
                .map_err(map_error("RUNS"))?;
        }
        Ok(())
    }

    pub fn close_run(&mut self, ids: &[u64]) -> Result<(), TracerError> {
        for id in ids {
            match self.runs.remove(id) {
                Err(aya::maps::MapError::KeyNotFound) => {}
                other => other.map_err(map_error("RUNS"))?,
            }
        }
        Ok(())
    }

    /// Forgets children that tasks of this cgroup made in another one. Nothing there sees their
    /// first return, so they would stay in the table.
    pub fn forget_newborn(&mut self, cgroup_id: u64) -> Result<(), TracerError> {
        let entries = self.newborn.iter().filter_map(Result::ok);
        let left: Vec<u32> = entries
            .filter(|(_, born_in)| *born_in == cgroup_id)
            .map(|(tid, _)| tid)
            .collect();
        for tid in left {
            match self.newborn.remove(&tid) {
                Err(aya::maps::MapError::KeyNotFound) => {}
                other => other.map_err(map_error("NEWBORN"))?,
            }
        }
        Ok(())
    }

    /// Forgets what an earlier user of the slot left.
    pub fn clear_slot(&mut self, slot: u32) -> Result<(), TracerError> {
        const ZERO: SlotStats = SlotStats {
            calls: [0; MAX_SYSCALL],
            lost: LostCounts {
                events: 0,
                errors: 0,
                foreign: 0,
                latency: 0,
                operations: 0,
            },
        };
        // One value for each possible CPU is what the kernel wants and `cpus` says.
        let zeros =
            PerCpuValues::try_from(vec![Plain(ZERO); self.cpus]).map_err(TracerError::Thread)?;
        self.stats.set(slot, zeros, 0).map_err(map_error("STATS"))?;
        self.take_errors(slot)?;
        self.take_foreign(slot)?;
        self.take_io_uring(slot)?;
        self.take_operations(slot)?;
        Ok(())
    }

    /// The slot's counts, one record per CPU.
    pub fn stats(&self, slot: u32) -> Result<Vec<SlotStats>, TracerError> {
        let values = self.stats.get(&slot, 0).map_err(map_error("STATS"))?;
        Ok(values.iter().map(|plain| plain.0).collect())
    }

    /// Removes and returns the slot's error counts.
    pub fn take_errors(&mut self, slot: u32) -> Result<Vec<(ErrorKey, u64)>, TracerError> {
        let name = "ERRORS";
        let found = take_entries(&mut self.errors, name, |key| u32::from(key.0.slot) == slot)?;
        Ok(found
            .into_iter()
            .map(|(key, values)| (key.0, values.iter().sum()))
            .collect())
    }

    pub fn take_foreign(&mut self, slot: u32) -> Result<Vec<(ForeignKey, u64)>, TracerError> {
        let found = take_entries(&mut self.foreign, "FOREIGN", |key| key.0.slot == slot)?;
        Ok(found
            .into_iter()
            .map(|(key, values)| (key.0, values.iter().sum()))
            .collect())
    }

    /// Removes and returns the slot's operations of io_uring, by number.
    pub fn take_io_uring(&mut self, slot: u32) -> Result<Vec<(u8, u64)>, TracerError> {
        let mut found = Vec::new();
        // Mostly there are none, which one look tells.
        let all = io_uring_index(slot, MAX_IO_URING_OP);
        let all = self.io_uring.get(&all, 0).map_err(map_error("IO_URING"))?;
        if all.iter().sum::<u64>() == 0 {
            return Ok(found);
        }
        for opcode in 0..=MAX_IO_URING_OP {
            let index = io_uring_index(slot, opcode);
            let counts = self
                .io_uring
                .get(&index, 0)
                .map_err(map_error("IO_URING"))?;
            let count: u64 = counts.iter().sum();
            if count > 0 {
                if opcode < MAX_IO_URING_OP {
                    found.push((opcode as u8, count));
                }
                let zeros = PerCpuValues::try_from(vec![0; self.cpus]);
                let zeros = zeros.map_err(TracerError::Thread)?;
                self.io_uring
                    .set(index, zeros, 0)
                    .map_err(map_error("IO_URING"))?;
            }
        }
        Ok(found)
    }

    pub fn take_operations(&mut self, slot: u32) -> Result<Vec<(OperationKey, u64)>, TracerError> {
        let mine = |key: &Plain<OperationKey>| u32::from(key.0.slot) == slot;
        let found = take_entries(&mut self.operations, "OPERATIONS", mine)?;
        Ok(found
            .into_iter()
            .map(|(key, values)| (key.0, values.iter().sum()))
            .collect())
    }

    /// Removes and returns the latencies of one syscall, one record per CPU.
    pub fn take_latency(&mut self, slot: u32, number: u32) -> Result<Vec<Latency>, TracerError> {
        const NONE: Latency = Latency {
            total_ns: 0,
            max_ns: 0,
            buckets: [0; LATENCY_BUCKETS],
        };
        if slot >= LATENCY_SLOTS || number >= MAX_SYSCALL as u32 {
            return Ok(Vec::new());
        }
        let index = latency_index(slot, number);
        let found = self
            .latencies
            .get(&index, 0)
            .map_err(map_error("LATENCIES"))?;
        let zeros =
            PerCpuValues::try_from(vec![Plain(NONE); self.cpus]).map_err(TracerError::Thread)?;
        self.latencies
            .set(index, zeros, 0)
            .map_err(map_error("LATENCIES"))?;
        Ok(found.iter().map(|plain| plain.0).collect())
    }
}

/// How deep traced cgroups lie: the question, and the answer.
pub struct LevelMap<'a>(Array<&'a mut MapData, Plain<ScopeLevel>>);

impl LevelMap<'_> {
    pub fn of(ebpf: &mut Ebpf) -> Result<LevelMap<'_>, TracerError> {
        let name = "LEVEL";
        let map = ebpf.map_mut(name).ok_or(TracerError::NotEmbedded)?;
        Ok(LevelMap(Array::try_from(map).map_err(map_error(name))?))
    }

    pub fn ask(&mut self, cgroup_id: u64) -> Result<(), TracerError> {
        let question = ScopeLevel {
            cgroup_id,
            ..ScopeLevel::default()
        };
        self.0
            .set(0, Plain(question), 0)
            .map_err(map_error("LEVEL"))
    }

    /// 0: nobody was seen there.
    pub fn answer(&self) -> Result<u32, TracerError> {
        let found = self.0.get(&0, 0).map_err(map_error("LEVEL"))?;
        Ok(found.0.level)
    }
}

/// Tells the in-kernel programs what selects the operations of each syscall, by its number.
pub fn set_selectors(
    ebpf: &mut Ebpf,
    selectors: impl Iterator<Item = (u32, Selector)>,
) -> Result<(), TracerError> {
    let name = "SELECTORS";
    let mut map: Array<MapData, Plain<Selector>> = take(ebpf, name)?;
    for (number, selector) in selectors {
        map.set(number, Plain(selector), 0)
            .map_err(map_error(name))?;
    }
    Ok(())
}

/// Removes and returns the entries whose key belongs to the caller. Entries of other slots may
/// come and go meanwhile; those of the caller's slot do not, for its trace is closed.
fn take_entries<K: Pod, V: Pod>(
    map: &mut PerCpuHashMap<MapData, K, V>,
    name: &'static str,
    mine: impl Fn(&K) -> bool,
) -> Result<Vec<(K, PerCpuValues<V>)>, TracerError> {
    let keys: Vec<K> = map.keys().filter_map(Result::ok).filter(mine).collect();
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        found.push((key, map.get(&key, 0).map_err(map_error(name))?));
        map.remove(&key).map_err(map_error(name))?;
    }
    Ok(found)
}
