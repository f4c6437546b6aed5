//! Fields of the kernel's structures that the programs read.
//!
//! The offsets into `task_struct` come from the running kernel's BTF: user space looks them up
//! and sets them at load. `pt_regs` of x86-64 is fixed by the ptrace ABI
//! (`arch/x86/include/asm/ptrace.h`).

use aya_ebpf::helpers::{bpf_probe_read_kernel, generated::bpf_get_current_task_btf};

/// Offset of `thread_info.status`, which says whether the current call is a 32-bit one.
#[unsafe(no_mangle)]
static TASK_STATUS_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static TASK_EXIT_CODE_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static TASK_PID_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static TASK_FLAGS_OFFSET: u32 = 0;
/// The way from a task to the id of its cgroup.
#[unsafe(no_mangle)]
static TASK_CGROUPS_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static CSS_SET_CGROUP_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static CGROUP_NODE_OFFSET: u32 = 0;
#[unsafe(no_mangle)]
static NODE_ID_OFFSET: u32 = 0;

/// `arch/x86/include/asm/thread_info.h`: 32-bit syscall active.
const TS_COMPAT: u32 = 0x2;
/// `include/linux/sched.h`: a worker that the kernel made for a ring of io_uring.
const PF_IO_WORKER: u32 = 0x10;

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

/// Whether the kernel made the task for a ring of io_uring: nobody forked it.
#[inline(always)]
pub fn is_io_worker(task: *const u8) -> bool {
    read_u32(task, &TASK_FLAGS_OFFSET) & PF_IO_WORKER != 0
}

/// The pointer or number at an offset of any structure of the kernel.
#[inline(always)]
fn follow(structure: u64, offset: &'static u32) -> Option<u64> {
    // SAFETY: read-only data set by user space; volatile, because that comes after compilation.
    let offset = unsafe { core::ptr::read_volatile(offset) };
    let address = structure.wrapping_add(u64::from(offset)) as *const u64;
    // SAFETY: the helper checks the address and copies, or fails.
    unsafe { bpf_probe_read_kernel(address) }.ok()
}

/// The id of the cgroup that a task is in, which need not be the current one.
#[inline(always)]
pub fn cgroup_id(task: *const u8) -> Option<u64> {
    let set = follow(task as u64, &TASK_CGROUPS_OFFSET)?;
    let cgroup = follow(set, &CSS_SET_CGROUP_OFFSET)?;
    let node = follow(cgroup, &CGROUP_NODE_OFFSET)?;
    follow(node, &NODE_ID_OFFSET)
}
