//! What a finished call was: its ABI, its number, how it ended. Reads registers only.

use aya_ebpf::helpers::generated::bpf_task_pt_regs;
use loupe_common::stats::{ABI_COMPAT, ABI_NATIVE, ABI_X32, MAX_SYSCALL};

use crate::task::{self, PtRegs};

/// x86-64 numbers (`arch/x86/entry/syscalls/syscall_64.tbl`).
const RT_SIGRETURN: u64 = 15;
const CLONE: u64 = 56;
const VFORK: u64 = 58;
const EXIT: u64 = 60;
const EXIT_GROUP: u64 = 231;
const CLONE3: u64 = 435;
/// i386 numbers (`syscall_32.tbl`); that of `clone3` is the same.
const COMPAT_FORK: u64 = 2;
const COMPAT_CLONE: u64 = 120;
const COMPAT_VFORK: u64 = 190;
/// Set in the numbers of the x32 ABI (`__X32_SYSCALL_BIT`).
const X32_BIT: u64 = 0x4000_0000;
/// The largest errno that a result can carry (`MAX_ERRNO`).
const MAX_ERRNO: i64 = 4095;

/// One finished call.
pub struct Call {
    pub abi: u32,
    pub number: u64,
    pub result: i64,
}

impl Call {
    /// Of the registers at its end.
    #[inline(always)]
    pub fn of(regs: &PtRegs, result: i64) -> Call {
        let abi = abi_of(regs.orig_rax);
        Call {
            abi,
            number: number_of(regs.orig_rax, abi),
            result,
        }
    }

    /// Neither of another ABI nor of a number beyond every table.
    #[inline(always)]
    pub fn is_native(&self) -> bool {
        self.abi == ABI_NATIVE && self.number < MAX_SYSCALL as u64
    }

    /// The errno that it failed with.
    #[inline(always)]
    pub fn errno(&self) -> Option<u16> {
        (-MAX_ERRNO..0)
            .contains(&self.result)
            .then_some(-self.result as u16)
    }

    /// A fork or clone that returns 0, as it does in the child, and where it is faked.
    #[inline(always)]
    pub fn may_be_in_child(&self) -> bool {
        if self.result != 0 {
            return false;
        }
        let number = self.number;
        match self.abi {
            ABI_COMPAT => {
                number == COMPAT_FORK
                    || number == COMPAT_CLONE
                    || number == COMPAT_VFORK
                    || number == CLONE3
            }
            _ => (CLONE..=VFORK).contains(&number) || number == CLONE3,
        }
    }
}

#[inline(always)]
fn abi_of(orig_rax: u64) -> u32 {
    if task::in_compat_syscall() {
        ABI_COMPAT
    } else if orig_rax != u64::MAX && orig_rax & X32_BIT != 0 {
        ABI_X32
    } else {
        ABI_NATIVE
    }
}

/// `rt_sigreturn` restores the registers of the interrupted program and marks them as "in no
/// syscall" (-1), so that value at an exit means that it was the call.
#[inline(always)]
pub fn number_of(orig_rax: u64, abi: u32) -> u64 {
    if orig_rax == u64::MAX {
        RT_SIGRETURN
    } else if abi == ABI_X32 {
        orig_rax & !X32_BIT
    } else {
        orig_rax
    }
}

/// The call that the current task, which ends now, never comes back from: neither `exit` nor
/// `exit_group` reaches the exit tracepoint.
#[inline(always)]
pub fn ends_in(task: *const u8) -> Option<u64> {
    // SAFETY: the helper takes the current task, which is what it gets.
    let regs = unsafe { bpf_task_pt_regs(task.cast_mut().cast()) } as *const PtRegs;
    if regs.is_null() {
        return None;
    }
    // SAFETY: non-null, and the verifier knows it as the kernel's `pt_regs`.
    let number = unsafe { (*regs).orig_rax };
    if (number != EXIT && number != EXIT_GROUP) || task::in_compat_syscall() {
        return None;
    }
    // Killed by a signal: the call that the registers still show had returned long before
    // (seccomp had answered it), and was counted then.
    (task::exit_code(task) & 0x7f == 0).then_some(number)
}
