//! The two socket calls that have no safe wrapper fit for a daemon: receiving descriptors
//! without ever leaking one, and the groups of the peer.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Descriptors that the kernel puts into one message at most (`SCM_MAX_FD`), so that the
/// control buffer is never what truncates.
const SCM_MAX_FD: usize = 253;

/// Room for one control message with that many descriptors, in words for the alignment:
/// a 16-byte header and 4 bytes each.
const CONTROL_WORDS: usize = 2 + SCM_MAX_FD.div_ceil(2);

/// What one `recvmsg` brought.
pub(super) struct Received {
    pub bytes: usize,
    pub descriptors: Vec<OwnedFd>,
    /// Descriptors were lost, for example because this process may not have more.
    pub truncated: bool,
}

/// Reads bytes and the descriptors that come with them. Every descriptor that the kernel
/// installed is owned by the result, also when others were lost on the way: `nix` gives none of
/// them out then, and a client could fill the daemon's table with that.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = [0u64; CONTROL_WORDS];
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: msghdr is a plain C struct for which all-zero bytes are a valid value (null
    // pointers and zero lengths).
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: `message` points to `vector`, which covers exactly `buffer`, and to `control`
    // with its length in bytes; both outlive the call and are borrowed mutably by nobody else.
    let bytes = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut message,
            libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT,
        )
    };
    let bytes = usize::try_from(bytes).map_err(|_| io::Error::last_os_error())?;
    let mut descriptors = Vec::new();
    // SAFETY: `message` was filled by a successful recvmsg, so `msg_control` and
    // `msg_controllen` bound the control messages that the kernel wrote.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a header that lies wholly in
        // `control`, which is aligned for it (words of 8 bytes).
        let (level, kind, length) = unsafe {
            (
                (*header).cmsg_level,
                (*header).cmsg_type,
                (*header).cmsg_len,
            )
        };
        if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
            // SAFETY: CMSG_LEN only computes.
            let payload = length - unsafe { libc::CMSG_LEN(0) } as usize;
            for index in 0..payload / size_of::<RawFd>() {
                // SAFETY: the kernel wrote `payload` bytes of descriptors behind the header;
                // each was installed in this process by this very call and nobody else knows
                // its number, so it can be owned here. The read may be unaligned.
                descriptors.push(unsafe {
                    let data = libc::CMSG_DATA(header).cast::<RawFd>();
                    OwnedFd::from_raw_fd(data.add(index).read_unaligned())
                });
            }
        }
        // SAFETY: as for CMSG_FIRSTHDR; `header` came from it.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(Received {
        bytes,
        descriptors,
        truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// The supplementary groups of the process that opened the other end (`SO_PEERGROUPS`).
pub(super) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
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
