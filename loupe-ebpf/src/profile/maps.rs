//! The maps, and the one way to account for what does not fit into them. Their sizes are set by
//! user space at load; those here are of no meaning, but for the arrays of one.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap, Queue, RingBuf},
};
use loupe_common::{
    profile_abi::{
        CallKey, CallShape, ExecutableKey, FileKey, Settings, SlotKey, SlotNotes, SlotUse,
        WatchedCgroup, WatchedProcess,
    },
    stats::{ErrorKey, ForeignKey, MAX_SYSCALL, OperationKey},
};

use crate::{
    count::{again, first},
    path::Scratch,
};

#[map]
pub static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);

/// By cgroup id; written by user space and, as cgroups come and go, by the programs.
#[map]
pub static CGROUPS: HashMap<u64, WatchedCgroup> =
    HashMap::with_max_entries(1 << 13, BPF_F_NO_PREALLOC);

/// By process id.
#[map]
pub static PROCESSES: HashMap<u32, WatchedProcess> =
    HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

/// Executables that are watched wherever they run, with their owners; written by user space only.
#[map]
pub static EXECUTABLES: HashMap<ExecutableKey, u64> =
    HashMap::with_max_entries(1 << 10, BPF_F_NO_PREALLOC);

#[map]
pub static SLOTS: HashMap<SlotKey, u32> = HashMap::with_max_entries(1 << 11, BPF_F_NO_PREALLOC);

/// Numbers of slots that are nobody's. User space gives them, and gives them back.
#[map]
pub static FREE_SLOTS: Queue<u32> = Queue::with_max_entries(1 << 11, 0);

// Counts are by CPU, so that counting needs no atomic; allocated on demand, so that hosts with
// many CPUs do not pay for entries that nobody uses.

#[map]
pub static CALLS: PerCpuHashMap<CallKey, u64> =
    PerCpuHashMap::with_max_entries(1 << 17, BPF_F_NO_PREALLOC);

#[map]
pub static ERRORS: PerCpuHashMap<ErrorKey, u64> =
    PerCpuHashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

#[map]
pub static OPERATIONS: PerCpuHashMap<OperationKey, u64> =
    PerCpuHashMap::with_max_entries(1 << 17, BPF_F_NO_PREALLOC);

#[map]
pub static FOREIGN: PerCpuHashMap<ForeignKey, u64> =
    PerCpuHashMap::with_max_entries(1 << 12, BPF_F_NO_PREALLOC);

#[map]
pub static FILES: PerCpuHashMap<FileKey, u64> =
    PerCpuHashMap::with_max_entries(1 << 15, BPF_F_NO_PREALLOC);

/// By syscall number; written by user space only, before anything is attached.
#[map]
pub static SHAPES: Array<CallShape> = Array::with_max_entries(MAX_SYSCALL as u32, 0);

/// By slot.
#[map]
pub static NOTES: PerCpuArray<SlotNotes> = PerCpuArray::with_max_entries(1 << 11, 0);

/// What is lost where there is no slot.
#[map]
pub static NOWHERE: PerCpuArray<SlotNotes> = PerCpuArray::with_max_entries(1, 0);

/// Calls that nobody watches.
#[map]
pub static OTHERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// By slot.
#[map]
pub static USES: Array<SlotUse> = Array::with_max_entries(1 << 11, 0);

/// Room to put paths together in. A program is not preempted by another one that uses it.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 22, 0);

/// How many keys of each kind one slot may make; set by user space at load.
#[unsafe(no_mangle)]
static SLOT_LIMITS: SlotUse = SlotUse {
    errors: 0,
    operations: 0,
    foreign: 0,
    files: 0,
};

/// What was lost, by cause.
#[derive(Clone, Copy)]
pub enum Loss {
    Event,
    Call,
    Error,
    Operation,
    Foreign,
    File,
    Executable,
}

/// Counts a loss of this slot, or of none ([`loupe_common::profile_abi::NO_SLOT`]).
#[inline(always)]
pub fn count_loss(slot: u32, loss: Loss) {
    let notes = NOTES.get_ptr_mut(slot).or_else(|| NOWHERE.get_ptr_mut(0));
    let Some(notes) = notes else {
        return;
    };
    // SAFETY: the verifier proved the pointer non-null and in bounds; the record is this CPU's own
    // and the program is not preempted by another one that writes it.
    let lost = unsafe { &mut (*notes).lost };
    match loss {
        Loss::Event => lost.events += 1,
        Loss::Call => lost.calls += 1,
        Loss::Error => lost.errors += 1,
        Loss::Operation => lost.operations += 1,
        Loss::Foreign => lost.foreign += 1,
        Loss::File => lost.pseudo_files += 1,
        Loss::Executable => lost.executables += 1,
    }
}

/// A map of which one slot may fill a part only.
pub trait Bounded: Sized + 'static {
    const LOSS: Loss;
    fn map() -> &'static PerCpuHashMap<Self, u64>;
    fn used(all: &mut SlotUse) -> &mut u32;
    fn limit(all: &'static SlotUse) -> *const u32;
}

macro_rules! bounded {
    ($key:ty, $map:ident, $field:ident, $loss:ident) => {
        impl Bounded for $key {
            const LOSS: Loss = Loss::$loss;

            #[inline(always)]
            fn map() -> &'static PerCpuHashMap<Self, u64> {
                &$map
            }

            #[inline(always)]
            fn used(all: &mut SlotUse) -> &mut u32 {
                &mut all.$field
            }

            #[inline(always)]
            fn limit(all: &'static SlotUse) -> *const u32 {
                &raw const all.$field
            }
        }
    };
}

bounded!(ErrorKey, ERRORS, errors, Error);
bounded!(OperationKey, OPERATIONS, operations, Operation);
bounded!(ForeignKey, FOREIGN, foreign, Foreign);
bounded!(FileKey, FILES, files, File);

/// Adds one to a counter of this slot, or to what the slot has lost.
#[inline(always)]
pub fn count_in<K: Bounded>(slot: u32, key: &K) {
    if again(K::map(), key) {
        return;
    }
    let Some(uses) = USES.get_ptr_mut(slot) else {
        return;
    };
    // SAFETY: non-null and in bounds by the look-up. Several CPUs may add at once and lose one
    // another's: the bound is kept nearly.
    let used = K::used(unsafe { &mut *uses });
    // SAFETY: read-only data set by user space; volatile, because that comes after compilation.
    let limit = unsafe { core::ptr::read_volatile(K::limit(&SLOT_LIMITS)) };
    if *used < limit && first(K::map(), key) {
        *used += 1;
    } else if !again(K::map(), key) {
        count_loss(slot, K::LOSS);
    }
}
