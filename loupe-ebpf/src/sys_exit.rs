//! The end of a syscall: counts it, tells of its first use, of `listen`, of its time.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, generated::bpf_probe_read_user_str},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use loupe_common::{
    event::{
        CallEvent, EVENT_CALL, EVENT_FIRST_SEEN, EVENT_LISTEN, EVENT_OWN_FILTER, PATH_BYTES,
        PathCallEvent,
    },
    scope::{SCOPE_COUNT, SCOPE_LATENCY, SCOPE_STREAM, Scope},
    stats::{
        ABI_NATIVE, ErrorKey, ForeignKey, LATENCY_BUCKETS, LATENCY_SLOTS, MAX_SYSCALL,
        latency_index,
    },
};

use crate::{
    call::{Call, number_of},
    count::increment,
    maps::{
        ENTERED, ENTERED_ENTRIES, ERRORS, EVENTS, FOREIGN, LATENCIES, Loss, SELECTORS, STATS,
        count_loss,
    },
    operation, process, scope,
    task::PtRegs,
};

/// x86-64 numbers (`arch/x86/entry/syscalls/syscall_64.tbl`).
const LISTEN: u64 = 50;
const PRCTL: u64 = 157;
const SECCOMP: u64 = 317;
/// First arguments of these two (`include/uapi/linux/prctl.h`, `seccomp.h`).
const PR_SET_SECCOMP: u64 = 22;
const SECCOMP_SET_MODE_FILTER: u64 = 1;

#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let Some(scope) = scope::current() else {
        return 0;
    };
    if scope.flags & SCOPE_COUNT == 0 {
        return 0;
    }
    let regs: *const PtRegs = ctx.arg(0);
    // SAFETY: the tracepoint's first argument is a valid `pt_regs`; the verifier knows its type.
    let regs = unsafe { &*regs };
    let call = Call::of(regs, ctx.arg(1));
    if call.may_be_in_child() && process::is_newborn(scope) {
        note_in_child(scope, &call);
        return 0;
    }
    count(scope, &call, regs);
    if call.abi == ABI_NATIVE {
        if call.number == LISTEN && call.result == 0 {
            process::tell(scope, EVENT_LISTEN, regs.rdi as u32);
        }
        if installs_filter(&call, regs.rdi) {
            process::tell(scope, EVENT_OWN_FILTER, 0);
        }
    }
    if scope.flags & (SCOPE_LATENCY | SCOPE_STREAM) != 0 {
        measure(scope, &call, regs);
    }
    0
}

/// The target has put a seccomp filter of its own on itself, beside ours.
#[inline(always)]
fn installs_filter(call: &Call, first: u64) -> bool {
    call.result >= 0
        && ((call.number == PRCTL && first == PR_SET_SECCOMP)
            || (call.number == SECCOMP && first <= SECCOMP_SET_MODE_FILTER))
}

/// The parent's return counts. But the child's may come long before it (`vfork`), and tells when
/// the call was first used.
#[inline(always)]
fn note_in_child(scope: &Scope, call: &Call) {
    let number = call.number as usize & (MAX_SYSCALL - 1);
    let Some(stats) = STATS.get_ptr_mut(scope.slot) else {
        return;
    };
    // SAFETY: in bounds by the mask, non-null by the look-up.
    let counted = unsafe { (*stats).calls[number] };
    if call.abi == ABI_NATIVE && counted == 0 {
        tell_first_use(scope, call);
    }
}

#[inline(always)]
fn count(scope: &Scope, call: &Call, regs: &PtRegs) {
    if !call.is_native() {
        let key = ForeignKey {
            slot: scope.slot,
            abi: call.abi,
            number: call.number as u32,
            pad: 0,
        };
        if !increment(&FOREIGN, &key) {
            count_loss(scope.slot, Loss::Foreign);
        }
        return;
    }
    let Some(stats) = STATS.get_ptr_mut(scope.slot) else {
        return;
    };
    let number = call.number as usize & (MAX_SYSCALL - 1);
    // SAFETY: in bounds by the mask, non-null by the look-up; the record is this CPU's own.
    let before = unsafe {
        let counter = &mut (*stats).calls[number];
        let before = *counter;
        *counter = before + 1;
        before
    };
    if before == 0 {
        tell_first_use(scope, call);
    }
    operation::count(scope, call, regs);
    if let Some(errno) = call.errno() {
        let key = ErrorKey {
            slot: scope.slot as u16,
            number: call.number as u16,
            errno,
            pad: 0,
        };
        if !increment(&ERRORS, &key) {
            count_loss(scope.slot, Loss::Error);
        }
    }
}

#[inline(never)]
fn tell_first_use(scope: &Scope, call: &Call) {
    let Some(mut entry) = EVENTS.reserve::<CallEvent>(0) else {
        count_loss(scope.slot, Loss::Event);
        return;
    };
    entry.write(CallEvent {
        header: process::header(scope, EVENT_FIRST_SEEN),
        number: call.number as u32,
        abi: call.abi,
        result: call.result,
        duration_ns: 0,
        args: [0; 6],
    });
    entry.submit(0);
}

/// The time since the call's enter, if that was seen.
#[inline(always)]
fn duration(orig_rax: u64) -> Option<u64> {
    let tid = bpf_get_current_pid_tgid() as u32;
    let entered = ENTERED.get_ptr_mut(tid & (ENTERED_ENTRIES - 1))?;
    // SAFETY: non-null and in bounds by the verifier's proof; see `sys_enter` on collisions.
    let entered = unsafe { &mut *entered };
    if entered.tid != tid || entered.number != number_of(orig_rax, ABI_NATIVE) as u32 {
        return None;
    }
    entered.tid = 0;
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    Some(now.saturating_sub(entered.time_ns))
}

#[inline(always)]
fn measure(scope: &Scope, call: &Call, regs: &PtRegs) {
    let duration = duration(regs.orig_rax);
    if scope.flags & SCOPE_LATENCY != 0 && call.abi == ABI_NATIVE {
        // Without an enter it was seccomp that answered: there is no time to speak of.
        if let Some(duration) = duration {
            record_latency(scope.slot, call.number as u32, duration);
        }
    }
    if scope.flags & SCOPE_STREAM != 0 {
        stream(scope, call, duration.unwrap_or(0), regs);
    }
}

#[inline(always)]
fn record_latency(slot: u32, number: u32, duration: u64) {
    if slot >= LATENCY_SLOTS || number >= MAX_SYSCALL as u32 {
        count_loss(slot, Loss::Latency);
        return;
    }
    let Some(latency) = LATENCIES.get_ptr_mut(latency_index(slot, number)) else {
        return;
    };
    let bucket = log2(duration) as usize & (LATENCY_BUCKETS - 1);
    // SAFETY: non-null and in bounds by the verifier's proof; the record is this CPU's own.
    unsafe {
        (*latency).total_ns += duration;
        (*latency).buckets[bucket] += 1;
        if duration > (*latency).max_ns {
            (*latency).max_ns = duration;
        }
    }
}

/// Floor of the binary logarithm, at most 31; 0 for 0. (BPF has no instruction for it.)
#[inline(always)]
fn log2(value: u64) -> u32 {
    let mut rest = if value > u64::from(u32::MAX) {
        u64::from(u32::MAX)
    } else {
        value
    };
    let mut result = 0;
    if rest >= 1 << 16 {
        rest >>= 16;
        result += 16;
    }
    if rest >= 1 << 8 {
        rest >>= 8;
        result += 8;
    }
    if rest >= 1 << 4 {
        rest >>= 4;
        result += 4;
    }
    if rest >= 1 << 2 {
        rest >>= 2;
        result += 2;
    }
    if rest >= 1 << 1 {
        result += 1;
    }
    result
}

#[inline(always)]
fn stream(scope: &Scope, call: &Call, duration: u64, regs: &PtRegs) {
    let event = CallEvent {
        header: process::header(scope, EVENT_CALL),
        number: call.number as u32,
        abi: call.abi,
        result: call.result,
        duration_ns: duration,
        args: regs.arguments(),
    };
    if call.abi == ABI_NATIVE
        && let Some(path) = path_of(call, &event.args)
    {
        return stream_with_path(scope, &event, path);
    }
    let Some(mut entry) = EVENTS.reserve::<CallEvent>(0) else {
        count_loss(scope.slot, Loss::Event);
        return;
    };
    entry.write(event);
    // User space polls while it streams: a wake-up for each call would cost four times as much.
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// Where the path of a call is that takes one.
#[inline(always)]
fn path_of(call: &Call, arguments: &[u64; 6]) -> Option<u64> {
    let selector = SELECTORS.get(call.number as u32 & (MAX_SYSCALL as u32 - 1))?;
    match selector.path {
        1 => Some(arguments[0]),
        2 => Some(arguments[1]),
        _ => None,
    }
}

#[inline(always)]
fn stream_with_path(scope: &Scope, event: &CallEvent, path: u64) {
    let Some(mut entry) = EVENTS.reserve::<PathCallEvent>(0) else {
        count_loss(scope.slot, Loss::Event);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved, as large as its type, and this program's own. The helper checks
    // the address, copies a text with its NUL or fails; the first byte is a NUL where it does.
    unsafe {
        (&raw mut (*record).call).write(*event);
        let shown = (&raw mut (*record).path).cast::<u8>();
        shown.write(0);
        bpf_probe_read_user_str(shown.cast(), PATH_BYTES as u32, path as *const _);
    }
    entry.submit(BPF_RB_NO_WAKEUP.into());
}
