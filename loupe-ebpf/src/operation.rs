//! Operations and flags of vectored syscalls: counts each combination of the arguments that
//! select one. Which those are is data ([`SELECTORS`]); what they mean is known to user space.
//!
//! The argument registers are those of the call when it ends, too: the kernel changes only the
//! result, and the instruction `syscall` itself `rcx` and `r11`, which hold no argument.

use aya_ebpf::helpers::bpf_probe_read_user;
use loupe_common::{
    scope::Scope,
    stats::{MAX_SYSCALL, OperationKey, Selector},
};

use crate::{
    maps::{Loss, OPERATIONS, SELECTORS, count_loss, increment},
    sys_exit::Call,
    task::PtRegs,
};

/// Counts a native call whose number is below [`MAX_SYSCALL`], if anything selects.
#[inline(always)]
pub fn count(scope: &Scope, call: &Call, regs: &PtRegs) {
    let Some(selector) = SELECTORS.get(call.number as u32 & (MAX_SYSCALL as u32 - 1)) else {
        return;
    };
    if selector.kind != Selector::NONE {
        count_selected(scope, call, regs, selector);
    }
}

#[inline(always)]
fn count_selected(scope: &Scope, call: &Call, regs: &PtRegs, selector: &Selector) {
    let errno = call.errno().unwrap_or(0);
    let [a, b, c, d, e, f] = regs.arguments();
    // A power of two of them, for the verifier's sake.
    let arguments = [a, b, c, d, e, f, 0, 0];
    let first = arguments[selector.first as usize & 7];
    let value = if selector.kind == Selector::MEMORY {
        let address = first.wrapping_add(u64::from(selector.offset)) as *const u64;
        // SAFETY: the helper checks the address and copies, or fails.
        match unsafe { bpf_probe_read_user(address) } {
            Ok(word) => word & selector.first_mask,
            // A call that failed may have been given no memory at all.
            Err(_) if call.errno().is_some() => return,
            Err(_) => return count_loss(scope.slot, Loss::Operation),
        }
    } else {
        let second = arguments[selector.second as usize & 7] & selector.second_mask;
        (first & selector.first_mask) | (second << 32)
    };
    let key = OperationKey {
        slot: scope.slot as u16,
        number: call.number as u16,
        errno,
        pad: 0,
        value,
    };
    if !increment(&OPERATIONS, &key) {
        count_loss(scope.slot, Loss::Operation);
    }
}
