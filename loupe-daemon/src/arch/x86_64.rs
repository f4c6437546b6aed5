//! x86-64, and i386 programs on it.

use libc::{c_long, user_regs_struct};
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::Abi;

/// `AUDIT_ARCH_X86_64` (`include/uapi/linux/audit.h`).
pub const AUDIT_ARCH: u32 = 0xC000_003E;

/// Bytes below the stack pointer that belong to the current function (System V ABI, 3.2.2).
pub const RED_ZONE_BYTES: u64 = 128;

/// The code segment of a 32-bit program (`arch/x86/include/asm/segment.h`).
const USER32_CS: u64 = 0x23;
/// `getpid` as i386 numbers it (`arch/x86/entry/syscalls/syscall_32.tbl`).
const I386_GETPID: c_long = 20;

/// Eight-byte words of [`call_code`].
pub const CODE_WORDS: usize = 1;
/// Where a program stands when [`call_code`] has stopped it: bytes from its start.
pub const TRAP_OFFSET: u64 = 8;
/// The `si_code` of that stop: `SI_KERNEL`, which nobody but the kernel can give
/// (`include/uapi/asm-generic/siginfo.h`).
pub const TRAP_CODE: i32 = 0x80;

/// Code that executes one syscall, whose arguments are in the registers, and stops: `mov eax,
/// number`, the call (`syscall`, or `int 0x80`), `int3`. The number is in the code, because the end
/// of the execve that the program is still in overwrites `rax`.
pub fn call_code(abi: Abi, number: c_long, _arguments: &[u64; 6]) -> [c_long; CODE_WORDS] {
    let [a, b, c, d] = (number as u32).to_le_bytes();
    let [call, what] = match abi {
        Abi::Native => [0x0f, 0x05],
        Abi::ThirtyTwoBit => [0xcd, 0x80],
    };
    [c_long::from_le_bytes([0xb8, a, b, c, d, call, what, 0xcc])]
}

/// The number of a call that changes nothing.
pub fn harmless_call(abi: Abi) -> c_long {
    match abi {
        Abi::Native => libc::SYS_getpid,
        Abi::ThirtyTwoBit => I386_GETPID,
    }
}

/// The general registers of a stopped task.
#[derive(Clone, Copy, Debug)]
pub struct Registers(user_regs_struct);

impl Registers {
    /// Reads them; `None` of a program whose registers Loupe does not know.
    pub fn of(task: Pid) -> nix::Result<Option<Registers>> {
        ptrace::getregs(task).map(|registers| Some(Registers(registers)))
    }

    /// Gives them to a stopped task.
    pub fn give_to(self, task: Pid) -> nix::Result<()> {
        ptrace::setregs(task, self.0)
    }

    pub fn abi(&self) -> Abi {
        match self.0.cs {
            USER32_CS => Abi::ThirtyTwoBit,
            _ => Abi::Native,
        }
    }

    pub fn stack_pointer(&self) -> u64 {
        self.0.rsp
    }

    pub fn instruction_pointer(&self) -> u64 {
        self.0.rip
    }

    /// What the last syscall came back with.
    pub fn result(&self) -> c_long {
        self.0.rax as c_long
    }

    /// With the arguments of a native call, and outside of any, so that none is restarted.
    pub fn with_arguments(mut self, arguments: &[u64; 6]) -> Registers {
        let registers = &mut self.0;
        registers.orig_rax = u64::MAX;
        [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ] = *arguments;
        self
    }

    /// As an execve leaves them that has ended well.
    pub fn after_execve(mut self) -> Registers {
        self.0.orig_rax = u64::MAX;
        self.0.rax = 0;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_a_call_and_a_breakpoint() {
        let bytes = |abi| call_code(abi, 0x0403_0201, &[0; 6])[0].to_le_bytes();
        let native = [0xb8, 1, 2, 3, 4, 0x0f, 0x05, 0xcc];
        assert_eq!(bytes(Abi::Native), native);
        let other = [0xb8, 1, 2, 3, 4, 0xcd, 0x80, 0xcc];
        assert_eq!(bytes(Abi::ThirtyTwoBit), other);
    }
}
