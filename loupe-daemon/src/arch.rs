//! What Loupe knows of the machine that it runs on: registers, machine code, calling conventions.
//! One interface, one file for each machine.
//!
//! Decides nothing, and knows neither policies nor filters. The tables of syscalls and their
//! operations are data (`loupe_common::syscalls::Arch`); the in-kernel programs read registers of
//! their own (`loupe-ebpf/src/task.rs`).

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(any(target_arch = "aarch64", test))]
mod aarch64_code;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "Loupe knows the registers and the machine code of x86-64 and aarch64: another machine needs a \
     file in loupe-daemon/src/arch, and tables of syscalls in loupe-common"
);

use libc::c_long;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{
    AUDIT_ARCH, CODE_WORDS, RED_ZONE_BYTES, Registers, TRAP_CODE, TRAP_OFFSET, call_code,
    harmless_call,
};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{
    AUDIT_ARCH, CODE_WORDS, RED_ZONE_BYTES, Registers, TRAP_CODE, TRAP_OFFSET, call_code,
    harmless_call,
};

/// Which syscalls a program makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// Those that filters are compiled for.
    Native,
    /// A 32-bit program's: other numbers, other registers, four-byte words.
    ThirtyTwoBit,
}

impl Abi {
    /// Bytes of a word on the initial stack.
    pub fn word_bytes(self) -> u64 {
        match self {
            Abi::Native => 8,
            Abi::ThirtyTwoBit => 4,
        }
    }

    /// The bits of eight bytes that belong to the first word in them.
    pub fn word_mask(self) -> c_long {
        match self {
            Abi::Native => -1,
            Abi::ThirtyTwoBit => 0xffff_ffff,
        }
    }
}
