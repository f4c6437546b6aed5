//! Signals that come from outside a run: they change what is measured, and nothing of the run did
//! it. What the run's own processes send each other is their business, and Loupe itself acts from
//! inside (a keeper is in its run's cgroup).

use crate::{maps::RUNS, process, scope, task};
use aya_ebpf::{
    helpers::{bpf_probe_read_kernel, generated::bpf_get_current_cgroup_id},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

const SIGKILL: i32 = 9;
/// `TRACE_SIGNAL_DELIVERED` of `include/trace/events/signal.h`.
const DELIVERED: i32 = 0;
/// In place of a pointer (`include/linux/sched/signal.h`): no details, or sent by the kernel.
const SEND_SIG_NOINFO: u64 = 0;
const SEND_SIG_PRIV: u64 = 1;
/// `si_code`, behind number and errno (`include/uapi/asm-generic/siginfo.h`).
const SI_CODE_OFFSET: u64 = 8;
const SI_USER: i32 = 0;
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;

#[btf_tracepoint(function = "signal_generate")]
pub fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    let (signal, info, result): (i32, u64, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(4));
    if result != DELIVERED || !is_sent(signal, info) {
        return 0;
    }
    let receiver: *const u8 = ctx.arg(2);
    let Some(id) = task::cgroup_id(receiver) else {
        return 0;
    };
    let Some(run) = RUNS.get_ptr(id) else {
        return 0;
    };
    // SAFETY: non-null by the look-up; user space writes and removes entries, whole ones, and
    // what a removed one leaves behind is another run's at worst, for a moment.
    let run = unsafe { &*run };
    // In a cgroup of the run or below one; what prepares it may be in the one that holds them all.
    // SAFETY: the helper has no precondition.
    let own = unsafe { bpf_get_current_cgroup_id() };
    for id in [scope::current_cgroup(), own] {
        if let Some(senders) = RUNS.get_ptr(id) {
            // SAFETY: as above.
            if unsafe { (*senders).slot } == run.slot {
                return 0;
            }
        }
    }
    process::tell_signal(run, task::pid(receiver), signal as u32);
    0
}

/// Whether somebody sent it, rather than that a timer ran out or something like it: then the
/// current task is any.
#[inline(always)]
fn is_sent(signal: i32, info: u64) -> bool {
    if info == SEND_SIG_NOINFO || info == SEND_SIG_PRIV {
        // `cgroup.kill`, the kernel for lack of memory. Other signals of this kind are the
        // kernel's to a task that waits for them.
        return signal == SIGKILL;
    }
    let code = (info + SI_CODE_OFFSET) as *const i32;
    // SAFETY: the helper checks the address and copies, or fails.
    match unsafe { bpf_probe_read_kernel(code) } {
        Ok(code) => code == SI_USER || code == SI_QUEUE || code == SI_TKILL,
        Err(_) => signal == SIGKILL,
    }
}
