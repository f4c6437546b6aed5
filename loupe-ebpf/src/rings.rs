//! Operations of io_uring are counted by slot, in an array.

use loupe_common::{
    scope::SCOPE_COUNT,
    stats::{MAX_IO_URING_OP, io_uring_index},
};

use crate::{
    maps::{IO_URING, Loss, count_loss},
    scope,
};

/// Counts an operation that the current process submits.
#[inline(always)]
pub fn count(opcode: u8) {
    let Some(scope) = scope::current() else {
        return;
    };
    if scope.flags & SCOPE_COUNT == 0 {
        return;
    }
    if u32::from(opcode) >= MAX_IO_URING_OP {
        count_loss(scope.slot, Loss::Foreign);
        return;
    }
    for opcode in [u32::from(opcode), MAX_IO_URING_OP] {
        if let Some(count) = IO_URING.get_ptr_mut(io_uring_index(scope.slot, opcode)) {
            // SAFETY: non-null and in bounds by the verifier's proof; the value is this CPU's
            // own.
            unsafe { *count += 1 };
        }
    }
}
