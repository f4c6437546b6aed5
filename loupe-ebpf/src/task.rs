//! Fields of the kernel's structures that the programs read.
//!
//! The offsets into `task_struct` come from the running kernel's BTF: user space looks them up
//! and sets them at load. `pt_regs` of x86-64 is fixed by the ptrace ABI
//! (`arch/x86/include/asm/ptrace.h`).

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;

/// Offset of `thread_info.status`, which says whether the current call is a 32-bit one.
#[unsafe(no_mangle)]
static TASK_STATUS_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static TASK_EXIT_CODE_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static TASK_PID_OFFSET: u32 = 0;

/// `arch/x86/include/asm/thread_info.h`: 32-bit syscall active.
const TS_COMPAT: u32 = 0x2;

/// Registers of the interrupted program.
#[repr(C)]
pub struct PtRegs {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub orig_rax: u64,
}

impl PtRegs {
    /// The six arguments of a native call.
    #[inline(always)]
    pub fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}

/// The current task, as a pointer that the verifier lets the programs read through.
#[inline(always)]
pub fn current() -> *const u8 {
    // SAFETY: the helper has no precondition; the current task lives while the program runs.
    unsafe { bpf_get_current_task_btf().cast::<u8>() }
}

#[inline(always)]
fn read_u32(task: *const u8, offset: &'static u32) -> u32 {
    // SAFETY: `offset` is read-only data set by user space from the kernel's own type
    // information; the verifier checks the access against the same.
    unsafe {
        let offset = core::ptr::read_volatile(offset) as usize;
        core::ptr::read_volatile(task.add(offset).cast::<u32>())
    }
}

/// Whether the current syscall came through a 32-bit entry.
#[inline(always)]
pub fn in_compat_syscall() -> bool {
    read_u32(current(), &TASK_STATUS_OFFSET) & TS_COMPAT != 0
}

#[inline(always)]
pub fn exit_code(task: *const u8) -> u32 {
    read_u32(task, &TASK_EXIT_CODE_OFFSET)
}

#[inline(always)]
pub fn pid(task: *const u8) -> u32 {
    read_u32(task, &TASK_PID_OFFSET)
}
