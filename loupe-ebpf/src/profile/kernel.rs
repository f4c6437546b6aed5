//! Reads members of the kernel's structures, by offsets that user space has set.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use loupe_common::profile_abi::Offsets;

/// Set by user space at load.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets {
    task_tgid: 0,
    task_signal: 0,
    task_mm: 0,
    task_files: 0,
    signal_live: 0,
    signal_pids: 0,
    pid_level: 0,
    pid_numbers: 0,
    upid_nr: 0,
    upid_size: 0,
    mm_exe_file: 0,
    file_inode: 0,
    file_dentry: 0,
    inode_number: 0,
    inode_mode: 0,
    inode_superblock: 0,
    superblock_magic: 0,
    superblock_device: 0,
    superblock_root: 0,
    superblock_type: 0,
    type_name: 0,
    dentry_parent: 0,
    dentry_name: 0,
    dentry_inode: 0,
    proc_pid: 0,
    files_table: 0,
    table_size: 0,
    table_files: 0,
    cgroup_node: 0,
    cgroup_root: 0,
    cgroup_self: 0,
    state_parent: 0,
    hierarchy_id: 0,
    node_id: 0,
    node_name: 0,
    pad: 0,
};

/// The offset of a member.
macro_rules! offset {
    ($member:ident) => {{
        // SAFETY: read-only data set by user space; volatile, because that comes after
        // compilation.
        unsafe { core::ptr::read_volatile(&raw const $crate::kernel::OFFSETS.$member) as u64 }
    }};
}

pub(crate) use offset;

/// A number, which is any bits.
trait Number: Copy {}
impl Number for u16 {}
impl Number for u32 {}
impl Number for u64 {}

/// What is at this address; 0 where nothing can be read. Without a branch, which each verifier would
/// follow both ways.
#[inline(always)]
fn at<T: Number>(address: u64) -> T {
    let mut number = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address and copies, or writes zeros: the number is initialised.
    unsafe {
        bpf_probe_read_kernel(
            number.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
        number.assume_init()
    }
}

/// A pointer or a long number at an offset of a structure.
#[inline(always)]
pub fn read_u64(structure: u64, offset: u64) -> u64 {
    at(structure.wrapping_add(offset))
}

#[inline(always)]
pub fn read_u32(structure: u64, offset: u64) -> u32 {
    at(structure.wrapping_add(offset))
}

#[inline(always)]
pub fn read_u16(structure: u64, offset: u64) -> u16 {
    at(structure.wrapping_add(offset))
}
