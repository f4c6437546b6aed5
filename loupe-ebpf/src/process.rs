//! Processes: exec, fork, exit, and the calls that never return.

use aya_ebpf::{
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns,
        generated::bpf_task_pt_regs,
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use loupe_common::{
    event::{EVENT_EXEC, EVENT_EXIT, EVENT_FORK, EventHeader, ProcessEvent},
    scope::{SCOPE_COUNT, Scope},
    stats::MAX_SYSCALL,
};

use crate::{
    maps::{EVENTS, Loss, STATS, count_loss},
    scope,
    task::{self, PtRegs},
};

/// x86-64 numbers (`arch/x86/entry/syscalls/syscall_64.tbl`).
const EXIT: u64 = 60;
const EXIT_GROUP: u64 = 231;

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
    let Some(mut entry) = EVENTS.reserve::<ProcessEvent>(0) else {
        count_loss(scope.slot, Loss::Event);
        return;
    };
    entry.write(ProcessEvent {
        header: header(scope, kind),
        other,
        pad: 0,
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
        let child: *const u8 = ctx.arg(1);
        tell(scope, EVENT_FORK, task::pid(child));
    }
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn process_exit(_: BtfTracePointContext) -> i32 {
    let Some(scope) = scope::current() else {
        return 0;
    };
    let task = task::current();
    if scope.flags & SCOPE_COUNT != 0 {
        count_exit_call(scope, task);
    }
    tell(scope, EVENT_EXIT, task::exit_code(task));
    0
}

/// The task ends inside `exit` or `exit_group`: neither reaches the exit tracepoint.
#[inline(always)]
fn count_exit_call(scope: &Scope, task: *const u8) {
    // SAFETY: the helper takes the current task, which is what it gets.
    let regs = unsafe { bpf_task_pt_regs(task.cast_mut().cast()) } as *const PtRegs;
    if regs.is_null() {
        return;
    }
    // SAFETY: non-null, and the verifier knows it as the kernel's `pt_regs`.
    let number = unsafe { (*regs).orig_rax };
    if (number != EXIT && number != EXIT_GROUP) || task::in_compat_syscall() {
        return;
    }
    // Killed by a signal: the call that the registers still show had returned long before
    // (seccomp had answered it), and was counted then.
    if task::exit_code(task) & 0x7f != 0 {
        return;
    }
    if let Some(stats) = STATS.get_ptr_mut(scope.slot) {
        // SAFETY: in bounds by the mask, non-null by the look-up; the record is this CPU's own.
        unsafe { (*stats).calls[number as usize & (MAX_SYSCALL - 1)] += 1 };
    }
}
