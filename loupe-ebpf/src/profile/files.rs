//! Pseudo-files, without anybody being stopped: what was opened is told by the descriptor that the
//! call returned, everything else by the path that was passed, if it is one below `/proc`, `/sys` or
//! `/dev`. No other string is read, but for its first bytes.
//!
//! As in analyses, a file counts by the name that was passed and by where that led; of a relative
//! path only the latter is known, and only if it was opened. What is opened by io_uring is not seen.
//!
//! What one step finds out for the next lies in the scratch room, see [`Forgotten`].
//!
//! [`Forgotten`]: crate::path::Forgotten

use loupe_common::profile_abi::FILE_PATH_BYTES;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use crate::{
    kernel::{offset, read_u16, read_u32, read_u64},
    maps::{Loss, SCRATCH, count_in, count_loss},
    names,
    path::{Path, Scratch, TOO_LONG},
    task,
};

/// Magic numbers of file systems (`include/uapi/linux/magic.h`).
const PROC_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;
const DEVPTS_MAGIC: u64 = 0x1cd1;
/// File types (`include/uapi/linux/stat.h`).
const TYPE_MASK: u16 = 0o170_000;
const CHARACTER_DEVICE: u16 = 0o020_000;
const BLOCK_DEVICE: u16 = 0o060_000;
/// The type of devtmpfs, whose magic number is that of tmpfs or ramfs.
const DEVTMPFS: u64 = u64::from_ne_bytes(*b"devtmpfs");

/// What a descriptor is of. Numbers, since they lie in the scratch room.
mod kind {
    /// There is none, or it is gone already.
    pub const UNTOLD: u32 = 0;
    pub const PROCESS: u32 = 1;
    pub const SYSTEM: u32 = 2;
    pub const DEVICE: u32 = 3;
    pub const TERMINAL: u32 = 4;
    /// A device that lies in a file system of another kind.
    pub const DEVICE_ELSEWHERE: u32 = 5;
    pub const ELSEWHERE: u32 = 6;
}

/// Notes what a call with a path used; `descriptor` is what it opened, less than 0 if nothing.
#[inline(never)]
pub fn note(slot: u32, errno: u16, name: u64, descriptor: i64) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: non-null by the look-up, and this CPU's own.
    let scratch = unsafe { &mut *scratch };
    scratch.slot.set(slot);
    scratch.errno.set(errno.into());
    scratch.name.set(name);
    scratch.descriptor.set(descriptor);
    scratch.counted.set(0);
    names::find_top(scratch);
    if scratch.top.get() == names::NOWHERE && scratch.descriptor.get() < 0 {
        return;
    }
    find_file(scratch);
    find_kind(scratch);
    decide_by_name(scratch);
    if scratch.flag.get() != 0 {
        clear(scratch);
        names::put(scratch);
        if scratch.length.get() != names::LEADS_ELSEWHERE {
            finish(scratch);
        }
    }
    if matches!(
        scratch.kind.get(),
        kind::UNTOLD | kind::ELSEWHERE | kind::DEVICE_ELSEWHERE
    ) {
        return;
    }
    clear(scratch);
    opened(scratch);
    finish(scratch);
}

/// Whether the name that was passed is one of a pseudo-file: by `flag`.
#[inline(never)]
fn decide_by_name(scratch: &mut Scratch) {
    let top = scratch.top.get();
    let is_system = top == names::SYSTEM;
    let is_device = top == names::DEVICE;
    let by_name = match scratch.kind.get() {
        kind::ELSEWHERE => is_system || (is_device && names::is_shared(scratch.name.get())),
        kind::DEVICE_ELSEWHERE => is_system || is_device,
        _ => top != names::NOWHERE,
    };
    scratch.flag.set(by_name.into());
}

/// Finds the `struct file` behind the descriptor of the current process; 0: there is none.
#[inline(never)]
fn find_file(scratch: &mut Scratch) {
    let descriptor = scratch.descriptor.get();
    scratch.file.set(0);
    if descriptor < 0 {
        return;
    }
    let files = read_u64(task::current() as u64, offset!(task_files));
    let table = read_u64(files, offset!(files_table));
    if descriptor as u64 >= u64::from(read_u32(table, offset!(table_size))) {
        return;
    }
    let array = read_u64(table, offset!(table_files));
    let file = read_u64(array, descriptor as u64 * size_of::<u64>() as u64);
    scratch.file.set(file);
}

#[inline(never)]
fn find_kind(scratch: &mut Scratch) {
    let kind = kind_of(scratch.file.get());
    scratch.kind.set(kind);
}

#[inline(always)]
fn kind_of(file: u64) -> u32 {
    if file == 0 {
        return kind::UNTOLD;
    }
    let inode = read_u64(file, offset!(file_inode));
    let superblock = read_u64(inode, offset!(inode_superblock));
    let file_type = read_u16(inode, offset!(inode_mode)) & TYPE_MASK;
    let is_device = file_type == CHARACTER_DEVICE || file_type == BLOCK_DEVICE;
    match read_u64(superblock, offset!(superblock_magic)) {
        PROC_MAGIC => kind::PROCESS,
        SYSFS_MAGIC => kind::SYSTEM,
        DEVPTS_MAGIC => kind::TERMINAL,
        // In containers `/dev` is a tmpfs.
        TMPFS_MAGIC | RAMFS_MAGIC if is_device || is_devtmpfs(superblock) => kind::DEVICE,
        _ if is_device => kind::DEVICE_ELSEWHERE,
        _ => kind::ELSEWHERE,
    }
}

#[inline(always)]
fn is_devtmpfs(superblock: u64) -> bool {
    let name = read_u64(
        read_u64(superblock, offset!(superblock_type)),
        offset!(type_name),
    );
    read_u64(name, 0) == DEVTMPFS
}

/// Puts the path of an opened pseudo-file together, from the root of its file system on.
#[inline(never)]
fn opened(scratch: &mut Scratch) {
    let file = scratch.file.get();
    let inode = read_u64(file, offset!(file_inode));
    let superblock = read_u64(inode, offset!(inode_superblock));
    let root = read_u64(superblock, offset!(superblock_root));
    let mut path = Path::new(scratch);
    path.ascend(read_u64(file, offset!(file_dentry)), root);
    if path.scratch.length.get() == TOO_LONG {
        return;
    }
    match path.scratch.kind.get() {
        kind::PROCESS => return put_process(path.scratch),
        kind::SYSTEM => path.put(b"/sys"),
        kind::DEVICE => path.put(b"/dev"),
        _ => {
            path.put(b"/dev/pts");
            let name = read_u64(path.component(0), offset!(dentry_name));
            if path.scratch.count.get() == 1 && starts_with_digit(name) {
                path.put(b"/<n>");
                return;
            }
        }
    }
    path.put_components();
}

/// Numbers of processes, threads and descriptors are written alike. Whose process it is, is told by
/// the kernel's own record of it, so that it holds in every namespace.
#[inline(never)]
fn put_process(scratch: &mut Scratch) {
    let mut path = Path::of(scratch);
    path.put(b"/proc");
    let inode = read_u64(path.component(0), offset!(dentry_inode));
    let process = match path.scratch.count.get() {
        0 => 0,
        _ => read_u64(inode, offset!(proc_pid)),
    };
    if process == 0 {
        return path.put_components();
    }
    if process == names::own_process() {
        path.put(b"/self");
    } else {
        path.put(b"/<pid>");
    }
    // Whether it is a thread of the process.
    path.scratch.flag.set(0);
    let mut place = 1;
    while place < 8 && place < path.scratch.count.get() {
        let name = read_u64(path.component(place), offset!(dentry_name));
        if place == 1 && is_named_task(name) {
            path.scratch.flag.set(1);
            path.put(b"/task");
        } else if !starts_with_digit(name) {
            path.put(b"/");
            path.put_name(name);
        } else if path.scratch.flag.get() != 0 && place == 2 {
            path.put(b"/<tid>");
        } else {
            path.put(b"/<fd>");
        }
        place += 1;
    }
    if place < path.scratch.count.get() {
        path.scratch.length.set(TOO_LONG);
    }
}

#[inline(always)]
fn is_named_task(name: u64) -> bool {
    const TASK: u64 = u64::from_ne_bytes(*b"task\0\0\0\0");
    read_u64(name, 0) & 0xff_ffff_ffff == TASK
}

#[inline(always)]
fn starts_with_digit(name: u64) -> bool {
    ((read_u16(name, 0) & 0xff) as u8).is_ascii_digit()
}

/// What is behind a path's end is 0, so that keys are equal where paths are.
#[inline(always)]
fn clear(scratch: &mut Scratch) {
    let words = scratch.text.as_mut_ptr().cast::<u64>();
    let mut index = 0;
    while index < FILE_PATH_BYTES / 8 {
        // SAFETY: the text is longer than the path that is kept, and aligned by what is before it.
        // Volatile, so that no call of a function comes of it.
        unsafe { words.add(index).write_volatile(0) };
        index += 1;
    }
}

/// Counts the path in the scratch room; not one that was counted just before.
#[inline(never)]
fn finish(scratch: &mut Scratch) {
    let slot = scratch.slot.get();
    if scratch.length.get() > FILE_PATH_BYTES as u32 {
        count_loss(slot, Loss::File);
        return;
    }
    let has_before = scratch.counted.get() != 0;
    if has_before {
        scratch.before = scratch.key;
    }
    scratch.key.slot = slot;
    scratch.key.errno = scratch.errno.get() as u16;
    scratch.key.length = scratch.length.get() as u16;
    // SAFETY: both are in this CPU's scratch room, and as long as that or longer.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut scratch.key.path).cast(),
            FILE_PATH_BYTES as u32,
            (&raw const scratch.text).cast(),
        );
    }
    if has_before && is_same(scratch) {
        return;
    }
    scratch.counted.set(1);
    count_in(slot, &scratch.key);
}

#[inline(always)]
fn is_same(scratch: &Scratch) -> bool {
    let (one, other) = (
        (&raw const scratch.key).cast::<u64>(),
        (&raw const scratch.before).cast::<u64>(),
    );
    let mut differing = 0;
    let mut index = 0;
    while index < size_of_val(&scratch.key) / 8 {
        // SAFETY: within the keys, whose size is a multiple of 8 and which are aligned.
        differing |= unsafe { one.add(index).read() ^ other.add(index).read() };
        index += 1;
    }
    differing == 0
}
