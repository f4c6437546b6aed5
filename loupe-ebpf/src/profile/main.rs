//! The in-kernel programs of a profile: what do the processes of watched cgroups call, for as long
//! as they run? See `docs/design/profile.md`.
//!
//! They count by owner and executable. Nothing is told of single calls, and every place that can
//! lose something counts what it loses. An object of its own beside that of replays, with which it
//! shares how a call is read.
#![no_std]
#![no_main]
#![expect(
    clippy::cast_lossless,
    reason = "one macro reads offsets of several widths"
)]

mod calls;
mod cgroups;
mod executable;
mod files;
mod kernel;
mod maps;
mod names;
mod path;
mod process;
mod rings;
mod watch;

#[path = "../call.rs"]
mod call;
#[path = "../count.rs"]
#[expect(dead_code, reason = "the other object counts without bounds by slot")]
mod count;
#[path = "../io_uring.rs"]
mod io_uring;
#[path = "../select.rs"]
mod select;
#[path = "../task.rs"]
#[expect(
    dead_code,
    reason = "the other object looks at other tasks than the current one"
)]
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
