//! Which processes are traced: the table that maps a cgroup to a trace slot.
//!
//! The programs run at every syscall of the host, so the look-up must cost next to nothing
//! for processes that nobody asked about. A direct-mapped array does: a cgroup id selects one
//! entry by its low bits, and the entry counts only if it holds that very id. User space
//! resolves the rare collision of two live traces by making another cgroup (ids ascend).

/// Entries of the scope table; a power of two.
pub const SCOPE_ENTRIES: u32 = 1024;

/// Traces that can be open at once.
pub const SLOTS: u32 = 128;

/// One entry of the scope table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The cgroup's id (the inode number of its directory); 0 marks a free entry.
    pub cgroup_id: u64,
    /// Index into the per-slot maps, below [`SLOTS`].
    pub slot: u32,
    /// A combination of the `SCOPE_*` flags.
    pub flags: u32,
}

const _: () = assert!(size_of::<Scope>() == 16);

/// Syscalls of this cgroup are counted (the target's cgroup, not its launcher's).
pub const SCOPE_COUNT: u32 = 1 << 0;
/// Every syscall is sent over the ring buffer as a [`crate::event::CallEvent`].
pub const SCOPE_STREAM: u32 = 1 << 1;
/// The time between enter and exit is recorded; needs the enter program.
pub const SCOPE_LATENCY: u32 = 1 << 2;

/// How deep below the kernel's own cgroup root the traced cgroups lie.
///
/// User space cannot tell: a cgroup namespace and a mount of a part of the tree hide what is
/// above. So it names a cgroup, puts a process into it, and a program notes the level.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeLevel {
    /// The cgroup whose level is asked for.
    pub cgroup_id: u64,
    /// Its level; 0 until it is known: nothing is traced in the root.
    pub level: u32,
    pub pad: u32,
}

const _: () = assert!(size_of::<ScopeLevel>() == 16);

/// The entry that a cgroup id selects.
pub const fn scope_index(cgroup_id: u64) -> u32 {
    (cgroup_id as u32) & (SCOPE_ENTRIES - 1)
}
