//! What of a call's arguments selects its operation and flags. Which arguments those are is data
//! ([`Selector`]); what they mean is known to user space.
//!
//! The argument registers are those of the call when it ends, too: the kernel changes only the
//! result, and the instruction `syscall` itself `rcx` and `r11`, which hold no argument.

use aya_ebpf::helpers::bpf_probe_read_user;
use loupe_common::stats::Selector;

use crate::{call::Call, task::PtRegs};

/// What was found.
pub enum Selected {
    Value(u64),
    /// A call that failed may have been given no memory at all.
    Nothing,
    Unreadable,
}

#[inline(always)]
pub fn select(selector: &Selector, call: &Call, regs: &PtRegs) -> Selected {
    let [a, b, c, d, e, f] = regs.arguments();
    // A power of two of them, for the verifier's sake.
    let arguments = [a, b, c, d, e, f, 0, 0];
    let first = arguments[selector.first as usize & 7];
    if selector.kind == Selector::MEMORY {
        let address = first.wrapping_add(u64::from(selector.offset)) as *const u64;
        // SAFETY: the helper checks the address and copies, or fails.
        return match unsafe { bpf_probe_read_user(address) } {
            Ok(word) => Selected::Value(word & selector.first_mask),
            Err(_) if call.errno().is_some() => Selected::Nothing,
            Err(_) => Selected::Unreadable,
        };
    }
    let second = arguments[selector.second as usize & 7] & selector.second_mask;
    Selected::Value((first & selector.first_mask) | (second << 32))
}
