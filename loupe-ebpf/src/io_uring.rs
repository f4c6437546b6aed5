//! Operations that are submitted to a ring of io_uring: they are no syscalls, and seccomp never
//! sees them. Counted as they are submitted, in a thread of the target or in the kernel's own
//! thread for its ring, which is in the same cgroup.
//!
//! The tracepoint had other names and arguments in older kernels; user space knows which it is
//! and loads the one program that fits. Whose operation it is and where it is counted is the object's
//! own: its module `rings` knows.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::rings::count;

/// Offset of `io_kiocb.opcode`, set by user space at load.
#[unsafe(no_mangle)]
static IO_KIOCB_OPCODE_OFFSET: u32 = 0;

/// The request is the first argument: `io_uring_submit_req` since Linux 6.4,
/// `io_uring_submit_sqe` since 6.0.
#[btf_tracepoint(function = "io_uring_submit_req")]
pub fn io_uring_submit(ctx: BtfTracePointContext) -> i32 {
    let request: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's argument is a valid `io_kiocb`; the offset is read-only data set
    // by user space from the kernel's own type information, which the verifier checks against.
    let opcode = unsafe {
        let offset = core::ptr::read_volatile(&raw const IO_KIOCB_OPCODE_OFFSET) as usize;
        core::ptr::read_volatile(request.add(offset))
    };
    count(opcode);
    0
}

/// The operation's number is the third argument: `io_uring_submit_sqe` up to Linux 5.17.
#[btf_tracepoint(function = "io_uring_submit_sqe")]
pub fn io_uring_submit_third(ctx: BtfTracePointContext) -> i32 {
    count(ctx.arg::<u64>(2) as u8);
    0
}

/// It is the fourth: Linux 5.18 and 5.19.
#[btf_tracepoint(function = "io_uring_submit_sqe")]
pub fn io_uring_submit_fourth(ctx: BtfTracePointContext) -> i32 {
    count(ctx.arg::<u64>(3) as u8);
    0
}
