//! Records of the ring buffer: what must be seen once, or in order.
//!
//! Every record starts with [`EventHeader`], whose `kind` says how to read the rest.

/// Kinds of [`EventHeader::kind`].
pub const EVENT_FIRST_SEEN: u32 = 1;
pub const EVENT_EXEC: u32 = 2;
pub const EVENT_FORK: u32 = 3;
pub const EVENT_EXIT: u32 = 4;
pub const EVENT_LISTEN: u32 = 5;
pub const EVENT_CALL: u32 = 6;
/// The target installed a seccomp filter of its own.
pub const EVENT_OWN_FILTER: u32 = 7;
/// Somebody outside the run sent a signal to one of its processes. The header's `pid`, `tid`
/// and the name are the sender's.
pub const EVENT_OUTSIDE_SIGNAL: u32 = 8;

/// How every record starts. Fixed-width, no implicit padding.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventHeader {
    pub kind: u32,
    pub slot: u32,
    /// The cgroup that the process was in: tells the target from its launcher, and a
    /// record of an earlier user of the slot from this one's.
    pub cgroup_id: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    pub pid: u32,
    pub tid: u32,
}

/// A syscall number was returned from for the first time in its slot
/// (first on its CPU: user space keeps the earliest).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallEvent {
    pub header: EventHeader,
    pub number: u32,
    pub abi: u32,
    pub result: i64,
    /// Only for [`EVENT_CALL`]: time in the call in nanoseconds, 0 if its enter was not seen.
    pub duration_ns: u64,
    pub args: [u64; 6],
}

/// Bytes of a path that a stream shows, with the NUL at its end.
pub const PATH_BYTES: usize = 192;

/// [`EVENT_CALL`] of a call that names a file: a longer record of the same kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathCallEvent {
    pub call: CallEvent,
    /// Ends with a NUL, behind which is anything; empty where it could not be read.
    pub path: [u8; PATH_BYTES],
}

/// [`EVENT_EXEC`], [`EVENT_FORK`] (`other` is the child's pid), [`EVENT_EXIT`]
/// (`other` is the exit code as `wait` reports it), [`EVENT_LISTEN`] (`other` is the descriptor),
/// [`EVENT_OWN_FILTER`], [`EVENT_OUTSIDE_SIGNAL`] (`other` is the receiver's thread id, `signal`
/// the signal).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessEvent {
    pub header: EventHeader,
    pub other: u32,
    pub signal: u32,
    /// The task's command name, NUL-padded.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<EventHeader>() == 32);
const _: () = assert!(size_of::<CallEvent>() == 32 + 24 + 48);
const _: () = assert!(size_of::<PathCallEvent>() == size_of::<CallEvent>() + PATH_BYTES);
const _: () = assert!(size_of::<ProcessEvent>() == 32 + 24);
