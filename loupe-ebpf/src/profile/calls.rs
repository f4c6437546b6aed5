//! The end of a syscall: counts it. Attached only while a window is open.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use loupe_common::{
    profile_abi::{CallKey, EVENT_FIRST_CALL, FirstCallEvent, NO_SLOT},
    stats::{ErrorKey, ForeignKey, MAX_SYSCALL, OperationKey, Selector},
};

use crate::{
    call::Call,
    count::{again, first},
    files,
    maps::{CALLS, EVENTS, Loss, SHAPES, count_in, count_loss},
    select::{Selected, select},
    task::PtRegs,
    watch,
};

#[btf_tracepoint(function = "sys_exit")]
pub fn profile_call(ctx: BtfTracePointContext) -> i32 {
    let slot = watch::current();
    if slot == NO_SLOT {
        return 0;
    }
    let regs: *const PtRegs = ctx.arg(0);
    // SAFETY: the tracepoint's first argument is a valid `pt_regs`; the verifier knows its type.
    let regs = unsafe { &*regs };
    let call = Call::of(regs, ctx.arg(1));
    // Only a child's return is 0; the call is its parent's, and is counted there. (A service whose
    // own filter answers `clone` with a success is not counted here. Nobody does that.)
    if !call.may_be_in_child() {
        count(slot, &call, regs);
    }
    0
}

#[inline(always)]
fn count(slot: u32, call: &Call, regs: &PtRegs) {
    if !call.is_native() {
        let key = ForeignKey {
            slot,
            abi: call.abi,
            number: call.number as u32,
            pad: 0,
        };
        return count_in(slot, &key);
    }
    let number = call.number as u32 & (MAX_SYSCALL as u32 - 1);
    count_number(slot, number);
    let errno = call.errno().unwrap_or(0);
    if errno != 0 {
        let key = ErrorKey {
            slot: slot as u16,
            number: number as u16,
            errno,
            pad: 0,
        };
        count_in(slot, &key);
    }
    let Some(shape) = SHAPES.get(number) else {
        return;
    };
    if shape.selector.kind != Selector::NONE {
        match select(&shape.selector, call, regs) {
            Selected::Value(value) => {
                let key = OperationKey {
                    slot: slot as u16,
                    number: number as u16,
                    errno,
                    pad: 0,
                    value,
                };
                count_in(slot, &key);
            }
            Selected::Nothing => {}
            Selected::Unreadable => count_loss(slot, Loss::Operation),
        }
    }
    if shape.path != 0 {
        let [first, second, ..] = regs.arguments();
        let path = if shape.path == 1 { first } else { second };
        let opened = shape.opens != 0 && errno == 0;
        files::note(slot, errno, path, if opened { call.result } else { -1 });
    }
}

/// Counts one call by its number, or an operation of io_uring by [`CallKey::number`], and tells of
/// the first one. Making the key is what happens once in the life of a slot, so it takes the place
/// of a set of what was seen.
#[inline(always)]
pub fn count_number(slot: u32, number: u32) {
    let key = CallKey { slot, number };
    if again(&CALLS, &key) {
        return;
    }
    if first(&CALLS, &key) {
        tell_first(slot, number);
    } else if !again(&CALLS, &key) {
        count_loss(slot, Loss::Call);
    }
}

#[inline(never)]
fn tell_first(slot: u32, number: u32) {
    let Some(mut entry) = EVENTS.reserve::<FirstCallEvent>(0) else {
        count_loss(slot, Loss::Event);
        return;
    };
    entry.write(FirstCallEvent {
        kind: EVENT_FIRST_CALL,
        slot,
        number,
        pad: 0,
        // SAFETY: the helper has no precondition.
        time_ns: unsafe { bpf_ktime_get_ns() },
    });
    entry.submit(0);
}
