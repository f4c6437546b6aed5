//! Operations of io_uring are counted as calls are, with numbers of their own.

use loupe_common::profile_abi::{IO_URING, NO_SLOT};

use crate::{calls, watch};

/// Counts an operation that the current process submits.
#[inline(always)]
pub fn count(opcode: u8) {
    let slot = watch::current();
    if slot != NO_SLOT {
        calls::count_number(slot, IO_URING + u32::from(opcode));
    }
}
