//! Who a thread is to the kernel, beyond what nix sets: groups of one thread, its session keyring;
//! and who the peer of a socket is.
#![expect(unsafe_code, reason = "calls that have no wrapper")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;

/// Groups that a peer is first asked for; there is room for more where it has more.
const GROUPS_AT_FIRST: usize = 64;

/// Gives these supplementary groups to the calling thread, and to no other.
pub fn set_groups_of_thread(groups: &[libc::gid_t]) -> nix::Result<()> {
    // SAFETY: the pointer and the length are one live slice's; the call changes no memory. The
    // plain syscall is per thread, where the C library's function would change all of them.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Joins a new session keyring without a name.
pub fn join_new_keyring() -> nix::Result<()> {
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: the kernel reads a name where there is one; a null pointer asks for none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            anonymous,
        )
    };
    Errno::result(result).map(drop)
}

/// Gives the session keyring to a user and a group.
pub fn give_keyring(uid: libc::uid_t, gid: libc::gid_t) -> nix::Result<()> {
    let session = libc::KEY_SPEC_SESSION_KEYRING;
    // SAFETY: takes plain numbers, no memory.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_CHOWN, session, uid, gid) };
    Errno::result(result).map(drop)
}

/// The supplementary groups of the process that opened the other end (`SO_PEERGROUPS`).
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; GROUPS_AT_FIRST];
    loop {
        let mut length = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: `groups` is writable for the `length` bytes that are announced, and
        // `length` is a valid socklen_t for the kernel to update.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // ERANGE: the kernel has put the needed length into `length`.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
