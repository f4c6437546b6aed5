//! A file system for in-kernel objects that is mounted nowhere: what is pinned in it is there for as
//! long as somebody has it open.
#![expect(unsafe_code, reason = "calls that have no wrapper")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::null;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::descriptors::made;

// include/uapi/linux/mount.h
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;

/// Makes one, for root only; the descriptor is of its topmost directory.
pub fn private() -> nix::Result<OwnedFd> {
    // SAFETY: the kernel reads one string, which outlives the call.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, c"bpf".as_ptr(), FSOPEN_CLOEXEC) };
    let context = made(context)?;
    configure(&context, FSCONFIG_SET_STRING, Some((c"mode", c"700")))?;
    configure(&context, FSCONFIG_CMD_CREATE, None)?;
    // SAFETY: numbers only.
    let mount =
        unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0) };
    let mount = made(mount)?;
    // A directory that is open keeps the file system, and can be handed on as any file.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(&mount, ".", flags, Mode::empty())
}

fn configure(context: &OwnedFd, command: u32, option: Option<(&CStr, &CStr)>) -> nix::Result<()> {
    let (key, value) = option.map_or((null(), null()), |(key, value)| {
        (key.as_ptr(), value.as_ptr())
    });
    // SAFETY: the kernel reads two strings where there are some, which outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            key,
            value,
            0,
        )
    };
    Errno::result(result).map(drop)
}
