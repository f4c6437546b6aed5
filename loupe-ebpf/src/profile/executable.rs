//! Which executable the current process runs, and the slot for it and its owner.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_ktime_get_ns,
        generated::bpf_probe_read_kernel,
    },
};
use loupe_common::profile_abi::{
    EVENT_SLOT_OPENED, EXECUTABLE_PATH_BYTES, ExecutableKey, NO_SLOT, SlotEvent, SlotKey,
};

use crate::{
    kernel::{offset, read_u32, read_u64},
    maps::{EVENTS, FREE_SLOTS, Loss, SCRATCH, SLOTS, count_loss},
    path::Path,
    task,
};

/// The `struct file` that the current process executes; 0: it has none (any more).
#[inline(always)]
fn current_file() -> u64 {
    let mm = read_u64(task::current() as u64, offset!(task_mm));
    if mm == 0 {
        return 0;
    }
    read_u64(mm, offset!(mm_exe_file))
}

#[inline(always)]
pub fn current() -> Option<ExecutableKey> {
    let file = current_file();
    if file == 0 {
        return None;
    }
    let inode = read_u64(file, offset!(file_inode));
    let superblock = read_u64(inode, offset!(inode_superblock));
    Some(ExecutableKey {
        inode: read_u64(inode, offset!(inode_number)),
        device: read_u32(superblock, offset!(superblock_device)),
        pad: 0,
    })
}

/// The slot of an owner and an executable, opened if need be; [`NO_SLOT`]: there is none left.
#[inline(always)]
pub fn slot_of(cgroup: u64, key: &SlotKey) -> u32 {
    if let Some(slot) = SLOTS.get_ptr(key) {
        // SAFETY: non-null by the look-up; whole entries are written and removed.
        return unsafe { *slot };
    }
    let Ok(Some(slot)) = FREE_SLOTS.pop() else {
        return NO_SLOT;
    };
    if SLOTS.insert(key, slot, BPF_NOEXIST.into()).is_ok() {
        tell(cgroup, key, slot);
        return slot;
    }
    // Another CPU was first, or there is no room. The queue has room for every number there is.
    let _ = FREE_SLOTS.push(slot, 0);
    match SLOTS.get_ptr(key) {
        // SAFETY: as above.
        Some(slot) => unsafe { *slot },
        None => NO_SLOT,
    }
}

#[inline(always)]
fn tell(cgroup: u64, key: &SlotKey, slot: u32) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: non-null by the look-up, and this CPU's own.
    let mut path = Path::new(unsafe { &mut *scratch });
    let file = current_file();
    let dentry = read_u64(file, offset!(file_dentry));
    let inode = read_u64(file, offset!(file_inode));
    let superblock = read_u64(inode, offset!(inode_superblock));
    let root = read_u64(superblock, offset!(superblock_root));
    path.ascend(dentry, root);
    path.put_components();
    let Some(mut entry) = EVENTS.reserve::<SlotEvent>(0) else {
        count_loss(slot, Loss::Event);
        return;
    };
    let event = entry.as_mut_ptr();
    let pid_tgid = bpf_get_current_pid_tgid();
    // SAFETY: the record is reserved and this program's own until it is submitted; all its fields
    // are written here. The text has room for more than the event.
    unsafe {
        (*event).kind = EVENT_SLOT_OPENED;
        (*event).slot = slot;
        (*event).key = *key;
        (*event).cgroup = cgroup;
        (*event).time_ns = bpf_ktime_get_ns();
        (*event).pid = (pid_tgid >> 32) as u32;
        (*event).uid = bpf_get_current_uid_gid() as u32;
        (*event).comm = bpf_get_current_comm().unwrap_or([0; 16]);
        bpf_probe_read_kernel(
            (&raw mut (*event).path).cast(),
            EXECUTABLE_PATH_BYTES as u32,
            (&raw const (*scratch).text).cast(),
        );
        // A path that does not fit is no path.
        if (*scratch).length.get() >= EXECUTABLE_PATH_BYTES as u32 {
            (*event).path[0] = 0;
        }
    }
    entry.submit(0);
}
