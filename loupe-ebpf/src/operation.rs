//! Operations and flags of vectored syscalls: counts each combination of the arguments that
//! select one.

use loupe_common::{
    scope::Scope,
    stats::{MAX_SYSCALL, OperationKey, Selector},
};

use crate::{
    call::Call,
    count::increment,
    maps::{Loss, OPERATIONS, SELECTORS, count_loss},
    select::{Selected, select},
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
    let value = match select(selector, call, regs) {
        Selected::Value(value) => value,
        Selected::Nothing => return,
        Selected::Unreadable => return count_loss(scope.slot, Loss::Operation),
    };
    let key = OperationKey {
        slot: scope.slot as u16,
        number: call.number as u16,
        errno: call.errno().unwrap_or(0),
        pad: 0,
        value,
    };
    if !increment(&OPERATIONS, &key) {
        count_loss(scope.slot, Loss::Operation);
    }
}
