//! Descriptors that come from outside by their number, or are asked for what the standard library
//! does not ask.
#![expect(
    unsafe_code,
    reason = "numbers of descriptors, and buffers for the kernel"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::unistd::dup2_raw;

/// Bytes that an extended attribute may have here.
const ATTRIBUTE_BYTES: usize = 64;

/// Takes over the descriptor that a system call has just made, or says why there is none.
pub(super) fn made(result: libc::c_long) -> nix::Result<OwnedFd> {
    let raw = Errno::result(result)?;
    // SAFETY: each caller, all of which are files of `sys`, passes the result of a system call that
    // makes a descriptor: it is open, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as RawFd) })
}

/// Takes over a descriptor that the program was executed with, and has it closed at the next exec.
/// Each number can be taken once.
///
/// To be called with numbers that whoever executed this program has promised, before anything
/// else opens files.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());
    let mut taken = crate::lock(&TAKEN);
    if taken.contains(&number) {
        return Err(io::Error::other("this descriptor was taken already"));
    }
    // SAFETY: changes a flag of the number, which need not be open.
    let marked = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(marked)?;
    taken.push(number);
    // SAFETY: the number is open, as the call above has shown; by the promise of whoever executed
    // this program it is for this one to own; and `TAKEN` gives it one owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Has `command` find a copy of `descriptor` at the number `at`.
pub fn pass(command: &mut Command, descriptor: BorrowedFd<'_>, at: RawFd) {
    let raw = descriptor.as_raw_fd();
    // SAFETY: between fork and exec only `fcntl` or `dup2` runs, which are async-signal-safe. A
    // number that is closed until then gives an error.
    unsafe {
        command.pre_exec(move || {
            let result = if raw == at {
                // Same number: only the close-on-exec flag has to go.
                libc::fcntl(raw, libc::F_SETFD, 0)
            } else {
                libc::dup2(raw, at)
            };
            Errno::result(result).map(drop).map_err(io::Error::from)
        });
    }
}

/// Makes a descriptor the standard input (0), output (1) or error (2) of this process.
pub fn become_standard(descriptor: impl AsFd, number: RawFd) -> nix::Result<()> {
    if !(0..=2).contains(&number) {
        return Err(Errno::EBADF);
    }
    // SAFETY: nothing owns 0, 1 and 2, so whoever uses them expects them to change.
    let duplicate = unsafe { dup2_raw(descriptor.as_fd(), number) }?;
    // They stay open for ever.
    std::mem::forget(duplicate);
    Ok(())
}

/// Marks every descriptor from `first` on to be closed at the exec.
pub fn close_at_exec_from(first: u32) -> nix::Result<()> {
    let (last, flags) = (u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: only sets a flag; what this process still needs it uses before.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(result).map(drop)
}

/// An extended attribute of at most 64 bytes; `None` where there is none that can be read.
pub fn attribute(path: &CStr, name: &CStr) -> Option<Vec<u8>> {
    let mut value = vec![0u8; ATTRIBUTE_BYTES];
    // SAFETY: two strings that end with NUL, and a buffer with its length; all outlive the call.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_descriptor_has_one_owner() {
        let file = std::fs::File::open("/dev/null").expect("it is there");
        let number = std::os::fd::IntoRawFd::into_raw_fd(file);
        let owner = inherited(number).expect("open");
        assert!(inherited(number).is_err(), "taken");
        drop(owner);
        assert!(inherited(1 << 20).is_err(), "not open");
    }
}
