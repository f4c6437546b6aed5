//! Is the current process watched, and into which slot are its calls counted?
//!
//! A process that nobody watches costs one hash look-up, one that is watched two. What its
//! executable is, is looked at once and remembered until its exec.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_cgroup_id};
use loupe_common::profile_abi::{
    NO_SLOT, SlotKey, WATCH_COUNT, WATCHED_BY_CGROUP, WATCHED_BY_EXECUTABLE, WATCHED_BY_ID,
    WatchedProcess,
};

use crate::{
    executable,
    maps::{CGROUPS, EXECUTABLES, Loss, OTHERS, PROCESSES, SETTINGS, count_loss},
};

/// The process id of the current task.
#[inline(always)]
pub fn current_process() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

#[inline(always)]
pub fn current_cgroup() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_get_current_cgroup_id() }
}

/// Who calls in this cgroup are counted for; 0: nobody watches it.
#[inline(always)]
pub fn owner_of(cgroup: u64) -> u64 {
    let Some(watched) = CGROUPS.get_ptr(cgroup) else {
        return 0;
    };
    // SAFETY: non-null by the look-up; whole entries are written and removed.
    let watched = unsafe { &*watched };
    match watched.flags & WATCH_COUNT {
        0 => 0,
        _ => watched.owner,
    }
}

/// The entry of a process.
#[inline(always)]
pub fn entry_of(process: u32) -> Option<WatchedProcess> {
    // SAFETY: non-null by the look-up; whole entries are written and removed.
    PROCESSES.get_ptr(process).map(|entry| unsafe { *entry })
}

/// The slot of the current process; [`NO_SLOT`] if there is none.
#[inline(always)]
pub fn current() -> u32 {
    let cgroup = current_cgroup();
    let owner = owner_of(cgroup);
    if owner == 0 {
        return elsewhere(cgroup);
    }
    let entry = entry_of(current_process());
    match entry {
        Some(entry) if entry.owner == owner && entry.slot != NO_SLOT => entry.slot,
        Some(entry) if entry.reason == WATCHED_BY_ID => by_id(cgroup, &entry),
        _ => look(cgroup, owner, WATCHED_BY_CGROUP),
    }
}

#[inline(always)]
fn by_id(cgroup: u64, entry: &WatchedProcess) -> u32 {
    match entry.slot {
        NO_SLOT => look(cgroup, entry.owner, WATCHED_BY_ID),
        slot => slot,
    }
}

/// Of a process whose cgroup is not watched.
#[inline(always)]
fn elsewhere(cgroup: u64) -> u32 {
    let Some(settings) = SETTINGS.get(0) else {
        return NO_SLOT;
    };
    if settings.elsewhere != 0
        && let Some(entry) = entry_of(current_process())
    {
        let slot = match entry.reason {
            WATCHED_BY_CGROUP => by_executable(cgroup),
            WATCHED_BY_ID => by_id(cgroup, &entry),
            _ if entry.slot == NO_SLOT => by_executable(cgroup),
            _ => entry.slot,
        };
        if slot != NO_SLOT {
            return slot;
        }
    }
    if settings.others != 0
        && let Some(count) = OTHERS.get_ptr_mut(0)
    {
        // SAFETY: non-null by the look-up; the value is this CPU's own.
        unsafe { *count += 1 };
    }
    NO_SLOT
}

/// Looks at the executable of the current process, outside of watched cgroups, and remembers or
/// forgets it.
#[inline(never)]
pub fn by_executable(cgroup: u64) -> u32 {
    if let Some(executable) = executable::current()
        && let Some(owner) = EXECUTABLES.get_ptr(executable)
    {
        // SAFETY: non-null by the look-up; user space writes whole entries.
        return look(cgroup, unsafe { *owner }, WATCHED_BY_EXECUTABLE);
    }
    // It need not be there.
    let _ = PROCESSES.remove(current_process());
    NO_SLOT
}

/// Finds the slot of the current process and remembers it.
#[inline(never)]
pub fn look(cgroup: u64, owner: u64, reason: u32) -> u32 {
    let slot = match executable::current() {
        Some(executable) => executable::slot_of(cgroup, &SlotKey { owner, executable }),
        None => NO_SLOT,
    };
    if slot == NO_SLOT {
        count_loss(NO_SLOT, Loss::Executable);
        if reason == WATCHED_BY_CGROUP {
            return NO_SLOT;
        }
    }
    let entry = WatchedProcess {
        owner,
        slot,
        reason,
    };
    // Where there is no room it is looked at in its next call again.
    let _ = PROCESSES.insert(current_process(), entry, 0);
    slot
}
