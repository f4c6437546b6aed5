//! Mounts as descriptors: copied, changed and put in their place without a path; and what the
//! kernel tells of the file system behind a descriptor.
#![expect(unsafe_code, reason = "calls that have no wrapper")]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::NixPath as _;
use nix::errno::Errno;

use super::descriptors::made;

// include/uapi/linux/mount.h
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
const MOUNT_ATTR_RDONLY: u64 = 1;

/// `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A mount, in its place or not yet in any.
pub struct Tree(OwnedFd);

impl Tree {
    /// A mount of its own that shows this file or directory, and what is mounted below it.
    pub fn copy(file: impl AsFd) -> nix::Result<Tree> {
        let flags =
            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (libc::AT_EMPTY_PATH | libc::AT_RECURSIVE) as u32;
        open_tree(file.as_fd().as_raw_fd(), c"", flags)
    }

    /// The same without what is mounted below.
    pub fn copy_one(file: impl AsFd) -> nix::Result<Tree> {
        let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as u32;
        open_tree(file.as_fd().as_raw_fd(), c"", flags)
    }

    /// As [`Tree::copy_one`], of what is at a path.
    pub fn copy_one_at(path: &Path) -> nix::Result<Tree> {
        let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
        path.with_nix_path(|path| open_tree(libc::AT_FDCWD, path, flags))?
    }

    /// What is mounted at a path.
    pub fn at(path: &Path) -> nix::Result<Tree> {
        path.with_nix_path(|path| open_tree(libc::AT_FDCWD, path, OPEN_TREE_CLOEXEC))?
    }

    pub fn make_read_only(&self) -> nix::Result<()> {
        let attributes = MountAttributes {
            set: MOUNT_ATTR_RDONLY,
            ..MountAttributes::default()
        };
        // SAFETY: the kernel reads the empty path and one `mount_attr` of the size that it is told,
        // both of which outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                &raw const attributes,
                size_of::<MountAttributes>(),
            )
        };
        Errno::result(result).map(drop)
    }

    /// Mounts it on a file or directory.
    pub fn attach(&self, place: impl AsFd) -> nix::Result<()> {
        let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
        self.attach_to(place.as_fd().as_raw_fd(), c"", flags)
    }

    /// Mounts it on what is at a path.
    pub fn attach_at(&self, path: &Path) -> nix::Result<()> {
        path.with_nix_path(|path| self.attach_to(libc::AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH))?
    }

    fn attach_to(&self, directory: i32, path: &CStr, flags: u32) -> nix::Result<()> {
        // SAFETY: the kernel reads two strings, which outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                directory,
                path.as_ptr(),
                flags,
            )
        };
        Errno::result(result).map(drop)
    }
}

impl From<Tree> for OwnedFd {
    fn from(tree: Tree) -> OwnedFd {
        tree.0
    }
}

fn open_tree(directory: i32, path: &CStr, flags: u32) -> nix::Result<Tree> {
    // SAFETY: the kernel reads one string, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) };
    made(result).map(Tree)
}

/// The mount that a descriptor is on, as `/proc/self/mountinfo` numbers it.
pub fn mount_id(file: BorrowedFd<'_>) -> nix::Result<u64> {
    // SAFETY: all-zero is a valid `statx`.
    let mut attributes: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: the kernel reads the empty path and writes one `statx`, which outlives the call.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            flags,
            libc::STATX_MNT_ID,
            &raw mut attributes,
        )
    };
    Errno::result(result)?;
    match attributes.stx_mask & libc::STATX_MNT_ID {
        0 => Err(Errno::ENOTSUP),
        _ => Ok(attributes.stx_mnt_id),
    }
}

/// Whether the file system can find a file again by a handle: what an index of hard links needs.
pub fn has_file_handles(file: impl AsFd) -> bool {
    // The header of a `file_handle`: room for no byte of the handle itself, and its type.
    let (mut header, mut mount_id) = ([0u32; 2], 0i32);
    // SAFETY: the kernel reads an empty name and writes the header and the id, which outlive the
    // call; of the handle it writes as many bytes as the header says: none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            header.as_mut_ptr(),
            &raw mut mount_id,
            libc::AT_EMPTY_PATH,
        )
    };
    // There is a handle, and no room for it.
    Errno::result(result) == Err(Errno::EOVERFLOW)
}
