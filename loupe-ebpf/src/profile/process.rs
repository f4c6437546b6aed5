//! Exec, fork and exit: what of a process is remembered, and the calls that never return. Attached
//! for as long as a profile is, so that a window does not begin blind.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use loupe_common::profile_abi::{NO_SLOT, WATCHED_BY_CGROUP, WATCHED_BY_ID};

use crate::{
    call, calls,
    kernel::{offset, read_u32, read_u64},
    maps::{NOTES, PROCESSES, SETTINGS},
    task, watch,
};

/// A process runs another executable from now on: the `execve` that returns next is its own.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn profile_exec(_: BtfTracePointContext) -> i32 {
    let cgroup = watch::current_cgroup();
    let process = watch::current_process();
    let entry = watch::entry_of(process);
    let owner = watch::owner_of(cgroup);
    let slot = match entry {
        Some(entry) if entry.reason == WATCHED_BY_ID => {
            watch::look(cgroup, entry.owner, WATCHED_BY_ID)
        }
        _ => {
            if entry.is_some() {
                // It is there, unless user space has just removed it.
                let _ = PROCESSES.remove(process);
            }
            if owner != 0 {
                watch::look(cgroup, owner, WATCHED_BY_CGROUP)
            } else if SETTINGS.get(0).is_some_and(|now| now.elsewhere != 0) {
                watch::by_executable(cgroup)
            } else {
                NO_SLOT
            }
        }
    };
    if let Some(notes) = NOTES.get_ptr_mut(slot) {
        // SAFETY: non-null and in bounds by the look-up; the record is this CPU's own.
        unsafe { (*notes).starts += 1 };
    }
    0
}

/// A new process runs what its parent does.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn profile_fork(ctx: BtfTracePointContext) -> i32 {
    let child: *const u8 = ctx.arg(1);
    let child = read_u32(child as u64, offset!(task_tgid));
    let parent = watch::current_process();
    // Else it is a thread.
    if child != parent
        && let Some(entry) = watch::entry_of(parent)
    {
        // Where there is no room it is looked at in its first call.
        let _ = PROCESSES.insert(child, entry, 0);
    }
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn profile_exit(_: BtfTracePointContext) -> i32 {
    let task = task::current();
    if task::is_io_worker(task) {
        return 0;
    }
    if SETTINGS.get(0).is_some_and(|now| now.counting != 0) {
        count_exit_call(task);
    }
    // The count of living threads is taken down before this, so the last ones all see 0.
    let signal = read_u64(task as u64, offset!(task_signal));
    if read_u32(signal, offset!(signal_live)) == 0 {
        // Most processes have no entry.
        let _ = PROCESSES.remove(watch::current_process());
    }
    0
}

#[inline(always)]
fn count_exit_call(task: *const u8) {
    let Some(number) = call::ends_in(task) else {
        return;
    };
    let slot = watch::current();
    if slot != NO_SLOT {
        calls::count_number(slot, number as u32);
    }
}
