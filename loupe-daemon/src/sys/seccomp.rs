//! The requests of a listener for notified calls (`include/uapi/linux/seccomp.h`).
#![expect(unsafe_code, reason = "ioctls")]

use std::os::fd::{AsFd, AsRawFd as _};

use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};
use nix::errno::Errno;

mod request {
    use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};

    const SECCOMP: u8 = b'!';

    nix::ioctl_readwrite!(receive, SECCOMP, 0, seccomp_notif);
    nix::ioctl_readwrite!(send, SECCOMP, 1, seccomp_notif_resp);
    nix::ioctl_write_ptr!(id_valid, SECCOMP, 2, u64);
    nix::ioctl_write_ptr!(add_descriptor, SECCOMP, 3, seccomp_notif_addfd);
    nix::ioctl_write_int_bad!(
        set_flags,
        nix::request_code_write!(SECCOMP, 4, size_of::<u64>())
    );
}

/// The next call that waits; blocks until there is one.
pub fn receive(listener: impl AsFd) -> nix::Result<seccomp_notif> {
    // SAFETY: all-zero is valid, and what the kernel wants to see.
    let mut notification: seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `seccomp_notif`, which outlives the call. Newer kernels with
    // a longer one write no more than the request's own size says.
    unsafe { request::receive(listener.as_fd().as_raw_fd(), &raw mut notification) }?;
    Ok(notification)
}

/// Answers a call; `ENOENT`: it waits no more.
pub fn send(listener: impl AsFd, mut answer: seccomp_notif_resp) -> nix::Result<()> {
    // SAFETY: the kernel reads one `seccomp_notif_resp`, which outlives the call.
    unsafe { request::send(listener.as_fd().as_raw_fd(), &raw mut answer) }.map(drop)
}

/// Whether a call still waits.
pub fn waits(listener: impl AsFd, id: u64) -> bool {
    // SAFETY: the kernel reads one number, which outlives the call.
    unsafe { request::id_valid(listener.as_fd().as_raw_fd(), &raw const id) }.is_ok()
}

/// Gives a call's process a descriptor.
pub fn add_descriptor(listener: impl AsFd, descriptor: &seccomp_notif_addfd) -> nix::Result<()> {
    // SAFETY: the kernel reads one `seccomp_notif_addfd`, which outlives the call.
    unsafe { request::add_descriptor(listener.as_fd().as_raw_fd(), descriptor) }.map(drop)
}

/// How the listener is to wake others.
pub fn set_flags(listener: impl AsFd, flags: i32) -> nix::Result<()> {
    // SAFETY: takes a number, no memory.
    let result = unsafe { request::set_flags(listener.as_fd().as_raw_fd(), flags) };
    match result {
        Err(Errno::EINTR) => Ok(()),
        other => other.map(drop),
    }
}

/// Puts a filter on this thread, for good.
pub fn put_on(filter: &[libc::sock_filter]) -> nix::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?,
        // The kernel only reads.
        filter: filter.as_ptr().cast_mut(),
    };
    let set = || {
        // SAFETY: the kernel reads `len` instructions of `filter`, which outlives the call.
        let result = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        };
        Errno::result(result).map(drop)
    };
    match set() {
        // Without CAP_SYS_ADMIN the kernel wants no_new_privs first.
        Err(Errno::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            set()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_listener_is_refused() {
        let file = std::fs::File::open("/dev/null").expect("it is there");
        assert!(matches!(receive(&file), Err(Errno::ENOTTY)));
        assert!(!waits(&file, 1));
        assert_eq!(set_flags(&file, 1), Err(Errno::ENOTTY));
    }

    #[test]
    fn the_requests_are_those_of_the_c_library() {
        let write = |number, size| nix::request_code_write!(b'!', number, size);
        let both = |number, size| nix::request_code_readwrite!(b'!', number, size);
        let ours = [
            both(0, size_of::<seccomp_notif>()),
            both(1, size_of::<seccomp_notif_resp>()),
            write(2, size_of::<u64>()),
            write(3, size_of::<seccomp_notif_addfd>()),
            write(4, size_of::<u64>()),
        ];
        let theirs = [
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
        ];
        assert_eq!(ours, theirs);
    }
}
