//! Processes: exec, fork, exit, and the calls that never return.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use loupe_common::{
    event::{EVENT_EXEC, EVENT_EXIT, EVENT_FORK, EVENT_OUTSIDE_SIGNAL, EventHeader, ProcessEvent},
    scope::{SCOPE_COUNT, Scope},
    stats::MAX_SYSCALL,
};

use crate::{
    call,
    maps::{EVENTS, Loss, NEWBORN, STATS, count_loss},
    scope, task,
};

#[inline(always)]
pub fn header(scope: &Scope, kind: u32) -> EventHeader {
    let pid_tgid = bpf_get_current_pid_tgid();
    EventHeader {
        kind,
        slot: scope.slot,
        cgroup_id: scope.cgroup_id,
        // SAFETY: the helper has no precondition.
        time_ns: unsafe { bpf_ktime_get_ns() },
        pid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
    }
}

/// Sends a [`ProcessEvent`] of the current process.
#[inline(always)]
pub fn tell(scope: &Scope, kind: u32, other: u32) {
    send(scope, kind, other, 0);
}

/// Tells of a signal that the current process has sent.
#[inline(always)]
pub fn tell_signal(scope: &Scope, receiver: u32, signal: u32) {
    send(scope, EVENT_OUTSIDE_SIGNAL, receiver, signal);
}

#[inline(always)]
fn send(scope: &Scope, kind: u32, other: u32, signal: u32) {
    let Some(mut entry) = EVENTS.reserve::<ProcessEvent>(0) else {
        count_loss(scope.slot, Loss::Event);
        return;
    };
    entry.write(ProcessEvent {
        header: header(scope, kind),
        other,
        signal,
        // The name only decorates the record.
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
    });
    entry.submit(0);
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn process_exec(ctx: BtfTracePointContext) -> i32 {
    if let Some(scope) = scope::current() {
        tell(scope, EVENT_EXEC, 0);
        debug!(&ctx, "exec in traced cgroup {}", scope.cgroup_id);
    }
    0
}

#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(ctx: BtfTracePointContext) -> i32 {
    if let Some(scope) = scope::current() {
        let child = task::pid(ctx.arg(1));
        // It runs only after this.
        if NEWBORN.insert(child, scope.cgroup_id, 0).is_err() {
            count_loss(scope.slot, Loss::Event);
        }
        tell(scope, EVENT_FORK, child);
    }
    0
}

/// Whether the current task, which returns 0 from a call that forks, is the child of that call,
/// which is none of the child's own. So it is once: what it gets from such a call later is an
/// injected answer.
#[inline(always)]
pub fn is_newborn(scope: &Scope) -> bool {
    let tid = bpf_get_current_pid_tgid() as u32;
    let Some(born_in) = NEWBORN.get_ptr(tid) else {
        return false;
    };
    // SAFETY: non-null by the look-up; the entry is this task's, which removes it below.
    let born_here = unsafe { *born_in } == scope.cgroup_id;
    // It is there: nobody else removes it.
    let _ = NEWBORN.remove(tid);
    born_here
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(_: BtfTracePointContext) -> i32 {
    let Some(scope) = scope::current() else {
        return 0;
    };
    let task = task::current();
    if task::is_io_worker(task) {
        return 0;
    }
    if scope.flags & SCOPE_COUNT != 0 {
        count_exit_call(scope, task);
    }
    tell(scope, EVENT_EXIT, task::exit_code(task));
    0
}

#[inline(always)]
fn count_exit_call(scope: &Scope, task: *const u8) {
    let Some(number) = call::ends_in(task) else {
        return;
    };
    if let Some(stats) = STATS.get_ptr_mut(scope.slot) {
        // SAFETY: in bounds by the mask, non-null by the look-up; the record is this CPU's own.
        unsafe { (*stats).calls[number as usize & (MAX_SYSCALL - 1)] += 1 };
    }
}
