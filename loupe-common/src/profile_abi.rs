//! What the in-kernel programs of a profile share with user space: keys, counts, events.
//!
//! Counts belong to a *slot*: an owner (a watched cgroup that people have a name for) and an
//! executable. They only grow while the slot lives. See `docs/design/profile.md`.

use crate::stats::Selector;

/// A watched cgroup, by its id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchedCgroup {
    /// The cgroup that its calls are counted for; cgroups that are made below have the same.
    pub owner: u64,
    /// A combination of the `WATCH_*` flags.
    pub flags: u32,
    pub pad: u32,
}

const _: () = assert!(size_of::<WatchedCgroup>() == 16);

/// Calls of processes that are directly in it are counted.
pub const WATCH_COUNT: u32 = 1 << 0;
/// A cgroup that is made directly below is an owner of its own; one whose name ends with
/// [`SLICE_SUFFIX`] is a cgroup of this kind itself.
pub const WATCH_CHILDREN_ARE_OWNERS: u32 = 1 << 1;

pub const SLICE_SUFFIX: [u8; 6] = *b".slice";

/// Whose a process is, by its id (that of its first thread, in the root namespace).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchedProcess {
    pub owner: u64,
    /// [`NO_SLOT`]: its executable has not been looked at yet.
    pub slot: u32,
    /// One of the `WATCHED_BY_*`.
    pub reason: u32,
}

const _: () = assert!(size_of::<WatchedProcess>() == 16);

pub const NO_SLOT: u32 = u32::MAX;

/// Its cgroup is watched. An entry like this is only remembered, and holds as long as that is so.
pub const WATCHED_BY_CGROUP: u32 = 0;
/// It, or what forked it, was asked for; wherever it is.
pub const WATCHED_BY_ID: u32 = 1;
/// What it executes was asked for; where no cgroup of it is watched.
pub const WATCHED_BY_EXECUTABLE: u32 = 2;

/// An executable file: the inode, and the device as the kernel writes it
/// (`major << 20 | minor`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutableKey {
    pub inode: u64,
    pub device: u32,
    pub pad: u32,
}

const _: () = assert!(size_of::<ExecutableKey>() == 16);

/// What a slot is for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotKey {
    pub owner: u64,
    pub executable: ExecutableKey,
}

const _: () = assert!(size_of::<SlotKey>() == 24);

/// Key of the counts of calls.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallKey {
    pub slot: u32,
    /// Of a native syscall, below [`crate::stats::MAX_SYSCALL`]; from [`IO_URING`] on that of an
    /// operation of io_uring.
    pub number: u32,
}

const _: () = assert!(size_of::<CallKey>() == 8);

/// Added to the number of an operation of io_uring.
pub const IO_URING: u32 = 1 << 16;

/// What is looked at in a call of a syscall, by its number; written by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallShape {
    pub selector: Selector,
    /// The argument that is a path, from 1; 0: none is.
    pub path: u8,
    /// 1: what it returns is a descriptor of that file.
    pub opens: u8,
    pub pad: [u8; 6],
}

const _: () = assert!(size_of::<CallShape>() == 32);

/// Bytes of the longest path of a pseudo-file that is kept.
pub const FILE_PATH_BYTES: usize = 184;

/// Key of the counts of pseudo-files.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    pub slot: u32,
    /// Positive errno; 0: no error.
    pub errno: u16,
    /// Bytes of the path; the others are 0.
    pub length: u16,
    pub path: [u8; FILE_PATH_BYTES],
}

const _: () = assert!(size_of::<FileKey>() == 192);

/// What the programs are to do; written by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// 1: the programs that count are attached.
    pub counting: u32,
    /// 1: processes outside of watched cgroups may be watched.
    pub elsewhere: u32,
    /// 1: calls that nobody watches are counted, too, in one sum.
    pub others: u32,
    pub pad: u32,
}

const _: () = assert!(size_of::<Settings>() == 16);

/// Per slot and CPU: starts and losses. Of no slot: what was lost where there is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotNotes {
    /// Successful execs.
    pub starts: u64,
    pub lost: LossCounts,
}

/// One counter for every place that can lose something.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// Events that found the ring buffer full.
    pub events: u64,
    /// Calls that found their map full.
    pub calls: u64,
    pub errors: u64,
    pub operations: u64,
    pub foreign: u64,
    /// Uses of pseudo-files that found their map full, or whose path is longer than is kept.
    pub pseudo_files: u64,
    /// Calls of an executable that no slot was left for; cgroups that found their map full.
    pub executables: u64,
}

const _: () = assert!(size_of::<SlotNotes>() == 64);

/// How many keys of a kind a slot has made, so that none takes the room of all others.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotUse {
    pub errors: u32,
    pub operations: u32,
    pub foreign: u32,
    pub files: u32,
}

const _: () = assert!(size_of::<SlotUse>() == 16);

/// Kinds of events: the first four bytes of each.
pub const EVENT_CGROUP_MADE: u32 = 1;
pub const EVENT_CGROUP_GONE: u32 = 2;
pub const EVENT_SLOT_OPENED: u32 = 3;
pub const EVENT_FIRST_CALL: u32 = 4;

pub const CGROUP_NAME_BYTES: usize = 256;

/// [`EVENT_CGROUP_MADE`], [`EVENT_CGROUP_GONE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupEvent {
    pub kind: u32,
    /// The `WATCH_*` flags that it has from its parent.
    pub flags: u32,
    pub id: u64,
    /// 0: it has none, or is gone.
    pub parent: u64,
    /// 0: nobody watches it.
    pub owner: u64,
    /// The last component of its path, NUL-terminated.
    pub name: [u8; CGROUP_NAME_BYTES],
}

const _: () = assert!(size_of::<CgroupEvent>() == 32 + 256);

/// Bytes of an executable's path in an event.
pub const EXECUTABLE_PATH_BYTES: usize = 256;

/// [`EVENT_SLOT_OPENED`]: an executable was seen for the first time with this owner.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotEvent {
    pub kind: u32,
    pub slot: u32,
    pub key: SlotKey,
    pub cgroup: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
    pub pid: u32,
    pub uid: u32,
    pub comm: [u8; 16],
    /// As far as its mount's root, `/`-separated, NUL-terminated; user space knows better as long as
    /// the process lives.
    pub path: [u8; EXECUTABLE_PATH_BYTES],
}

const _: () = assert!(size_of::<SlotEvent>() == 8 + 24 + 16 + 8 + 16 + 256);

/// [`EVENT_FIRST_CALL`]: the first call of this number in its slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstCallEvent {
    pub kind: u32,
    pub slot: u32,
    /// As in [`CallKey`].
    pub number: u32,
    pub pad: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub time_ns: u64,
}

const _: () = assert!(size_of::<FirstCallEvent>() == 24);

/// Where members of the kernel's structures are, in bytes; set by user space at load, from the
/// running kernel's own type information.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    pub task_tgid: u32,
    pub task_signal: u32,
    pub task_mm: u32,
    pub task_files: u32,
    pub signal_live: u32,
    pub signal_pids: u32,
    pub pid_level: u32,
    pub pid_numbers: u32,
    pub upid_nr: u32,
    pub upid_size: u32,
    pub mm_exe_file: u32,
    pub file_inode: u32,
    /// `f_path.dentry`.
    pub file_dentry: u32,
    pub inode_number: u32,
    pub inode_mode: u32,
    pub inode_superblock: u32,
    pub superblock_magic: u32,
    pub superblock_device: u32,
    pub superblock_root: u32,
    pub superblock_type: u32,
    pub type_name: u32,
    pub dentry_parent: u32,
    /// `d_name.name`.
    pub dentry_name: u32,
    pub dentry_inode: u32,
    /// From an inode of procfs to its process: less than 0 where the process comes first.
    pub proc_pid: i32,
    pub files_table: u32,
    pub table_size: u32,
    pub table_files: u32,
    pub cgroup_node: u32,
    pub cgroup_root: u32,
    pub cgroup_self: u32,
    pub state_parent: u32,
    pub hierarchy_id: u32,
    pub node_id: u32,
    pub node_name: u32,
    pub pad: u32,
}

const _: () = assert!(size_of::<Offsets>() == 36 * 4);
