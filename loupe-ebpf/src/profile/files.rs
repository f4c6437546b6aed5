//! Pseudo-files, without anybody being stopped: what was opened is told by the descriptor that the
//! call returned, everything else by the path that was passed, if it is one below `/proc`, `/sys` or
//! `/dev`. No other string is read, but for its first bytes.
//!
//! As in analyses, a file counts by the name that was passed and by where that led; of a relative
//! path only the latter is known, and only if it was opened. What is opened by io_uring is not seen.

use loupe_common::profile_abi::FILE_PATH_BYTES;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use crate::{
    kernel::{offset, read_u16, read_u32, read_u64},
    maps::{Loss, SCRATCH, count_in, count_loss},
    names::{self, Top},
    path::{Path, Scratch},
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

/// What a descriptor is of.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    /// There is none, or it is gone already.
    Untold,
    Process,
    System,
    Device,
    Terminal,
    /// A device that lies in a file system of another kind.
    DeviceElsewhere,
    Elsewhere,
}

/// Notes what a call with a path used; `descriptor` is what it opened, less than 0 if nothing.
#[inline(never)]
pub fn note(slot: u32, errno: u16, name: u64, descriptor: i64) {
    let top = names::top(name);
    if top == Top::None && descriptor < 0 {
        return;
    }
    let file = file_of(descriptor);
    let kind = kind_of(file);
    let by_name = match kind {
        Kind::Elsewhere => top == Top::System || (top == Top::Device && names::is_shared(name)),
        Kind::DeviceElsewhere => top == Top::System || top == Top::Device,
        _ => top != Top::None,
    };
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: non-null by the look-up, and this CPU's own.
    let scratch = unsafe { &mut *scratch };
    let mut counted = false;
    if by_name {
        clear(scratch);
        let length = names::put(scratch, top, name);
        if length != names::LEADS_ELSEWHERE {
            counted = finish(scratch, slot, errno, length, false);
        }
    }
    if matches!(kind, Kind::Untold | Kind::Elsewhere | Kind::DeviceElsewhere) {
        return;
    }
    clear(scratch);
    let length = opened(scratch, file, kind as u32);
    finish(scratch, slot, errno, length, counted);
}

/// The `struct file` behind a descriptor of the current process; 0: there is none.
#[inline(always)]
fn file_of(descriptor: i64) -> u64 {
    if descriptor < 0 {
        return 0;
    }
    let files = read_u64(task::current() as u64, offset!(task_files));
    let table = read_u64(files, offset!(files_table));
    if descriptor as u64 >= u64::from(read_u32(table, offset!(table_size))) {
        return 0;
    }
    let array = read_u64(table, offset!(table_files));
    read_u64(array, descriptor as u64 * size_of::<u64>() as u64)
}

#[inline(always)]
fn kind_of(file: u64) -> Kind {
    if file == 0 {
        return Kind::Untold;
    }
    let inode = read_u64(file, offset!(file_inode));
    let superblock = read_u64(inode, offset!(inode_superblock));
    let file_type = read_u16(inode, offset!(inode_mode)) & TYPE_MASK;
    let is_device = file_type == CHARACTER_DEVICE || file_type == BLOCK_DEVICE;
    match read_u64(superblock, offset!(superblock_magic)) {
        PROC_MAGIC => Kind::Process,
        SYSFS_MAGIC => Kind::System,
        DEVPTS_MAGIC => Kind::Terminal,
        // In containers `/dev` is a tmpfs.
        TMPFS_MAGIC | RAMFS_MAGIC if is_device || is_devtmpfs(superblock) => Kind::Device,
        _ if is_device => Kind::DeviceElsewhere,
        _ => Kind::Elsewhere,
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
fn opened(scratch: &mut Scratch, file: u64, kind: u32) -> u32 {
    let inode = read_u64(file, offset!(file_inode));
    let superblock = read_u64(inode, offset!(inode_superblock));
    let root = read_u64(superblock, offset!(superblock_root));
    let mut path = Path::new(scratch);
    let count = path.ascend(read_u64(file, offset!(file_dentry)), root);
    if path.length == Path::TOO_LONG {
        return path.length;
    }
    if kind == Kind::Process as u32 {
        path.put(b"/proc");
        put_process(&mut path, count);
        return path.length;
    }
    if kind == Kind::System as u32 {
        path.put(b"/sys");
    } else if kind == Kind::Device as u32 {
        path.put(b"/dev");
    } else {
        path.put(b"/dev/pts");
        let name = read_u64(path.component(0, count), offset!(dentry_name));
        if count == 1 && starts_with_digit(name) {
            path.put(b"/<n>");
            return path.length;
        }
    }
    path.put_components(count);
    path.length
}

/// Numbers of processes, threads and descriptors are written alike. Whose process it is, is told by
/// the kernel's own record of it, so that it holds in every namespace.
#[inline(always)]
fn put_process(path: &mut Path, count: u32) {
    let inode = read_u64(path.component(0, count), offset!(dentry_inode));
    let process = match count {
        0 => 0,
        _ => read_u64(inode, offset!(proc_pid)),
    };
    if process == 0 {
        return path.put_components(count);
    }
    if process == names::own_process() {
        path.put(b"/self");
    } else {
        path.put(b"/<pid>");
    }
    let mut is_task = false;
    let mut place = 1;
    while place < 8 && place < count {
        let name = read_u64(path.component(place, count), offset!(dentry_name));
        if place == 1 && is_named_task(name) {
            is_task = true;
            path.put(b"/task");
        } else if !starts_with_digit(name) {
            path.put(b"/");
            path.put_name(name);
        } else if is_task && place == 2 {
            path.put(b"/<tid>");
        } else {
            path.put(b"/<fd>");
        }
        place += 1;
    }
    if place < count {
        path.length = Path::TOO_LONG;
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
fn finish(scratch: &mut Scratch, slot: u32, errno: u16, length: u32, has_before: bool) -> bool {
    if length > FILE_PATH_BYTES as u32 {
        count_loss(slot, Loss::File);
        return false;
    }
    if has_before {
        scratch.before = scratch.key;
    }
    scratch.key.slot = slot;
    scratch.key.errno = errno;
    scratch.key.length = length as u16;
    // SAFETY: both are in this CPU's scratch room, and as long as that or longer.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut scratch.key.path).cast(),
            FILE_PATH_BYTES as u32,
            (&raw const scratch.text).cast(),
        );
    }
    if has_before && is_same(scratch) {
        return true;
    }
    count_in(slot, &scratch.key);
    true
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
