//! What is counted in the kernel, per trace slot.
//!
//! The layout is one fixed-size record per slot and CPU, so counting is an array look-up
//! (which the verifier turns into plain address arithmetic) and an increment without a lock.
//! Rare things (errors, foreign calls, latencies) live in hash maps beside it.

/// Native syscall numbers below this are counted in [`SlotStats::calls`]; the highest
/// number in use is below 480 on every architecture.
pub const MAX_SYSCALL: usize = 512;

/// Per slot and CPU: the number of finished calls by native syscall number, and the losses.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SlotStats {
    pub calls: [u64; MAX_SYSCALL],
    pub lost: LostCounts,
}

/// One counter for every place that can lose something.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostCounts {
    /// Events that found the ring buffer full.
    pub events: u64,
    /// Errors that found the error map full.
    pub errors: u64,
    /// Foreign or out-of-range calls that found their map full.
    pub foreign: u64,
    /// Latencies that found one of their maps full, or whose enter was not seen.
    pub latency: u64,
    /// Operations that found their map full, or whose selector could not be read.
    pub operations: u64,
}

const _: () = assert!(size_of::<SlotStats>() == MAX_SYSCALL * 8 + 40);

/// Key of the error counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ErrorKey {
    pub slot: u16,
    pub number: u16,
    /// Positive.
    pub errno: u16,
    pub pad: u16,
}

/// What of a syscall's arguments tells its operations and flags apart; all zero for a syscall
/// that is counted as a whole. One for each number below [`MAX_SYSCALL`], written by user space.
///
/// The counted value is `first argument & first_mask | (second argument & second_mask) << 32`; of
/// a selector in memory, the 64-bit word at `first argument + offset`, and `first_mask`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub kind: u8,
    /// From 0.
    pub first: u8,
    pub second: u8,
    pub offset: u8,
    /// The argument that is a path, from 1; 0: none is. Read where calls are streamed.
    pub path: u8,
    pub pad: [u8; 3],
    pub first_mask: u64,
    /// 0: there is no second argument.
    pub second_mask: u64,
}

impl Selector {
    pub const NONE: u8 = 0;
    pub const REGISTERS: u8 = 1;
    pub const MEMORY: u8 = 2;
}

const _: () = assert!(size_of::<Selector>() == 24);

/// Key of the counts by operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OperationKey {
    pub slot: u16,
    pub number: u16,
    /// Positive errno; 0: no error.
    pub errno: u16,
    pub pad: u16,
    /// See [`Selector`].
    pub value: u64,
}

const _: () = assert!(size_of::<OperationKey>() == 16);

/// Native ABI of the kernel.
pub const ABI_NATIVE: u32 = 0;
/// 32-bit compatibility calls (i386 numbers on x86-64).
pub const ABI_COMPAT: u32 = 1;
/// The x32 ABI (numbers with bit 30 set).
pub const ABI_X32: u32 = 2;

/// Key of the calls that [`SlotStats::calls`] has no place for: other ABIs, and native
/// numbers from [`MAX_SYSCALL`] on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ForeignKey {
    pub slot: u32,
    pub abi: u32,
    pub number: u32,
    pub pad: u32,
}

/// Operations of io_uring below this are counted; Linux 6.17 has 63.
pub const MAX_IO_URING_OP: u32 = 127;

/// Where a slot's count of one operation is; that of all together is behind the last.
pub const fn io_uring_index(slot: u32, opcode: u32) -> u32 {
    slot * (MAX_IO_URING_OP + 1) + opcode
}

/// Buckets of a latency histogram: bucket `i` holds calls of `[2^i, 2^(i+1))` nanoseconds,
/// the last one everything longer (over two seconds).
pub const LATENCY_BUCKETS: usize = 32;

/// Slots below this can record latencies: the room for them is in an array, which costs an
/// eighth of a hash map, and a trace that wants latencies is somebody's who watches it.
pub const LATENCY_SLOTS: u32 = 8;

/// Where a slot's latencies of one syscall are; `slot` is below [`LATENCY_SLOTS`] and `number`
/// below [`MAX_SYSCALL`].
pub const fn latency_index(slot: u32, number: u32) -> u32 {
    slot * MAX_SYSCALL as u32 + number
}

/// Time spent in one syscall of one slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub total_ns: u64,
    pub max_ns: u64,
    pub buckets: [u64; LATENCY_BUCKETS],
}
