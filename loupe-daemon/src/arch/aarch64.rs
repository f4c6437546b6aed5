//! aarch64. Compiles, and has never run: doctor refuses such machines. 32-bit programs on it are
//! refused, too.

use libc::{c_long, user_regs_struct};
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::{Abi, aarch64_code};
use crate::sys;

/// `AUDIT_ARCH_AARCH64` (`include/uapi/linux/audit.h`).
pub const AUDIT_ARCH: u32 = 0xC000_00B7;

/// Bytes below the stack pointer that belong to the current function: none (AAPCS64, 6.4.5).
pub const RED_ZONE_BYTES: u64 = 0;

/// Eight-byte words of [`call_code`].
pub const CODE_WORDS: usize = aarch64_code::WORDS;
/// Where a program stands when [`call_code`] has stopped it: bytes from its start.
pub const TRAP_OFFSET: u64 = aarch64_code::TRAP_OFFSET;
/// The `si_code` of that stop: `TRAP_BRKPT`, which no process can give to another
/// (`arch/arm64/kernel/debug-monitors.c`).
pub const TRAP_CODE: i32 = libc::TRAP_BRKPT;

/// Code that executes one syscall and stops. All arguments but the first are in the registers.
pub fn call_code(_: Abi, number: c_long, arguments: &[u64; 6]) -> [c_long; CODE_WORDS] {
    // Numbers end below 512.
    aarch64_code::call(number as u16, arguments[0])
}

/// The number of a call that changes nothing.
pub fn harmless_call(_: Abi) -> c_long {
    libc::SYS_getpid
}

/// The general registers of a stopped task.
#[derive(Clone, Copy, Debug)]
pub struct Registers(user_regs_struct);

impl Registers {
    /// Reads them; `None` of a program whose registers Loupe does not know: a 32-bit one, of which
    /// the kernel tells fewer.
    pub fn of(task: Pid) -> nix::Result<Option<Registers>> {
        let (registers, bytes) = sys::ptrace::general_registers(task)?;
        Ok((bytes == size_of::<user_regs_struct>()).then_some(Registers(registers)))
    }

    /// Gives them to a stopped task.
    pub fn give_to(self, task: Pid) -> nix::Result<()> {
        ptrace::setregs(task, self.0)
    }

    pub fn abi(&self) -> Abi {
        Abi::Native
    }

    pub fn stack_pointer(&self) -> u64 {
        self.0.sp
    }

    pub fn instruction_pointer(&self) -> u64 {
        self.0.pc
    }

    /// What the last syscall came back with.
    pub fn result(&self) -> c_long {
        self.0.regs[0] as c_long
    }

    /// With the arguments of a call.
    pub fn with_arguments(mut self, arguments: &[u64; 6]) -> Registers {
        self.0.regs[..6].copy_from_slice(arguments);
        self
    }

    /// As an execve leaves them that has ended well.
    pub fn after_execve(mut self) -> Registers {
        self.0.regs[0] = 0;
        self
    }
}
