//! Programs that do nothing: the floor that `cargo xtask bench tracer` compares with.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn empty_enter(_: RawTracePointContext) -> i32 {
    0
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn empty_exit(_: RawTracePointContext) -> i32 {
    0
}
