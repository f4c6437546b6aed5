//! The start of a syscall: remembers when. Attached only while somebody asks for latencies.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use loupe_common::scope::{SCOPE_LATENCY, SCOPE_STREAM};

use crate::{
    maps::{ENTERED, ENTERED_ENTRIES, Entered},
    scope,
};

#[btf_tracepoint(function = "sys_enter")]
pub fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    let Some(scope) = scope::current() else {
        return 0;
    };
    if scope.flags & (SCOPE_LATENCY | SCOPE_STREAM) == 0 {
        return 0;
    }
    let tid = bpf_get_current_pid_tgid() as u32;
    if let Some(entered) = ENTERED.get_ptr_mut(tid & (ENTERED_ENTRIES - 1)) {
        let number: u64 = ctx.arg(1);
        // SAFETY: non-null and in bounds by the verifier's proof. A colliding task may write
        // at the same time; the reader checks the thread id and counts what does not match.
        unsafe {
            *entered = Entered {
                tid,
                number: number as u32,
                time_ns: bpf_ktime_get_ns(),
            };
        }
    }
    0
}
