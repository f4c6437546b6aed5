//! Loupe's in-kernel programs: which syscalls do the processes of a traced cgroup make?
//!
//! They scope (by cgroup), count (in maps) and tell what must be seen once or in order (over
//! the ring buffer). They hold no policy and decide nothing.
//!
//! A call is counted when it returns: the number and the result are both there, calls that
//! seccomp answered are seen too (they never reach the enter tracepoint), and a call that is
//! interrupted by the end of its process still returns. Only `exit` and `exit_group` never
//! do; the exit of their task tells. The enter program is attached only to measure time.
#![no_std]
#![no_main]

mod call;
mod count;
mod empty;
mod io_uring;
mod maps;
mod operation;
mod outside;
mod process;
mod rings;
mod scope;
mod select;
mod sys_enter;
mod sys_exit;
mod task;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

// The kernel hands GPL-only helpers to programs that declare a compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
