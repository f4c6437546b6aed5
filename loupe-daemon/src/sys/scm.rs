//! Receiving descriptors over a Unix socket, without ever leaking one.
#![expect(
    unsafe_code,
    reason = "control messages have no safe form that loses no descriptor"
)]

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
pub struct Received {
    pub bytes: usize,
    pub descriptors: Vec<OwnedFd>,
    /// Descriptors were lost, for example because this process may not have more.
    pub truncated: bool,
}

/// Reads bytes and the descriptors that come with them; does not wait for any.
///
/// Every descriptor that the kernel installed is owned by the result, also when others were lost
/// on the way: `nix` gives none of them out then, and a client could fill the daemon's table with
/// that. All of them are closed at an exec.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
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
