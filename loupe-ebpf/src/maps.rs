//! The maps, and the one way to account for what does not fit into them.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use loupe_common::{
    scope::{SCOPE_ENTRIES, SLOTS, Scope, ScopeLevel},
    stats::{
        ErrorKey, ForeignKey, LATENCY_SLOTS, Latency, MAX_SYSCALL, OperationKey, Selector,
        SlotStats, io_uring_index,
    },
};

/// Direct-mapped by the low bits of the cgroup id; written by user space only.
#[map]
pub static SCOPES: Array<Scope> = Array::with_max_entries(SCOPE_ENTRIES, 0);

/// The depth of the traced cgroups; see [`ScopeLevel`].
#[map]
pub static LEVEL: Array<ScopeLevel> = Array::with_max_entries(1, 0);

/// The cgroups of each run, its launcher's too, by their ids; written by user space only. Looked
/// at where something rare happens.
#[map]
pub static RUNS: HashMap<u64, Scope> = HashMap::with_max_entries(4 * SLOTS, BPF_F_NO_PREALLOC);

/// Tasks that were forked in a traced cgroup and have not returned to user space yet, by thread
/// id, with the id of that cgroup.
#[map]
pub static NEWBORN: HashMap<u32, u64> = HashMap::with_max_entries(1 << 15, BPF_F_NO_PREALLOC);

#[map]
pub static STATS: PerCpuArray<SlotStats> = PerCpuArray::with_max_entries(SLOTS, 0);

// Per CPU, so that counting needs no atomic; allocated on demand, so that hosts with many
// CPUs do not pay for entries that nobody uses.

#[map]
pub static ERRORS: PerCpuHashMap<ErrorKey, u64> =
    PerCpuHashMap::with_max_entries(16384, BPF_F_NO_PREALLOC);

/// By syscall number; written by user space only, before anything is attached.
#[map]
pub static SELECTORS: Array<Selector> = Array::with_max_entries(MAX_SYSCALL as u32, 0);

#[map]
pub static OPERATIONS: PerCpuHashMap<OperationKey, u64> =
    PerCpuHashMap::with_max_entries(32768, BPF_F_NO_PREALLOC);

#[map]
pub static FOREIGN: PerCpuHashMap<ForeignKey, u64> =
    PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

#[map]
pub static LATENCIES: PerCpuArray<Latency> =
    PerCpuArray::with_max_entries(LATENCY_SLOTS * MAX_SYSCALL as u32, 0);

#[map]
pub static IO_URING: PerCpuArray<u64> = PerCpuArray::with_max_entries(io_uring_index(SLOTS, 0), 0);

/// One megabyte holds nine thousand calls, a hundred milliseconds at ninety thousand a second;
/// user space may enlarge it.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Tasks whose enter times can be kept at once; a power of two.
pub const ENTERED_ENTRIES: u32 = 1 << 16;

/// When a task entered the syscall that it is in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entered {
    /// 0: in no call.
    pub tid: u32,
    pub number: u32,
    pub time_ns: u64,
}

/// Direct-mapped by the low bits of the thread id. Two tasks that collide lose one latency,
/// which the exit program counts.
#[map]
pub static ENTERED: Array<Entered> = Array::with_max_entries(ENTERED_ENTRIES, 0);

/// What was lost, by cause.
pub enum Loss {
    Event,
    Error,
    Foreign,
    Latency,
    Operation,
}

/// Counts a loss of this slot.
#[inline(always)]
pub fn count_loss(slot: u32, loss: Loss) {
    let Some(stats) = STATS.get_ptr_mut(slot) else {
        return;
    };
    // SAFETY: the verifier proved the pointer non-null and in bounds; the record is this
    // CPU's own and the program is not preempted by another one that writes it.
    let lost = unsafe { &mut (*stats).lost };
    match loss {
        Loss::Event => lost.events += 1,
        Loss::Error => lost.errors += 1,
        Loss::Foreign => lost.foreign += 1,
        Loss::Latency => lost.latency += 1,
        Loss::Operation => lost.operations += 1,
    }
}
