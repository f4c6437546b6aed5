//! A client of louped's protocol that is another user: what `loupe` itself would not say can be
//! said too, and as often as wanted.

use std::io::{IoSlice, Read as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The user that a member is here.
pub const NOBODY: u32 = 65534;

/// A request without an answer for so long has hung.
const LIMIT: Duration = Duration::from_secs(120);

/// Does something as [`NOBODY`], without further groups, in a thread that ends with it.
///
/// # Panics
/// If the caller is not root.
pub fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| {
            // SAFETY: no memory is passed. The plain system calls change this thread alone, where
            // the C library's functions would change all of them.
            let changed = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) == 0
                    && libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY) == 0
                    && libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) == 0
            };
            assert!(changed, "{}", std::io::Error::last_os_error());
            act()
        });
        acting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Asks as [`NOBODY`], with these descriptors, and waits for the last answer.
///
/// # Panics
/// If there is none.
pub fn ask(socket: &Path, request: &Value, descriptors: &[OwnedFd]) -> Value {
    let answers = as_nobody(|| {
        let mut connection = UnixStream::connect(socket).expect("louped answers");
        connection
            .set_read_timeout(Some(LIMIT))
            .expect("a time-out can be set");
        send(&connection, &format!("{request}\n"), descriptors);
        let mut answers = Vec::new();
        connection
            .read_to_end(&mut answers)
            .expect("louped answers to the end");
        String::from_utf8(answers).expect("answers are text")
    });
    let last = answers.lines().last().expect("an answer");
    serde_json::from_str(last).expect("an answer is JSON")
}

fn send(connection: &UnixStream, line: &str, descriptors: &[OwnedFd]) {
    const MOST: usize = 4;
    assert!(descriptors.len() <= MOST);
    let raw: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let length = size_of_val(raw.as_slice());
    let mut part = IoSlice::new(line.as_bytes());
    // Aligned as a `cmsghdr` must be, and larger than any that is used here.
    let mut control = [0u64; 8];
    // SAFETY: all-zero is a valid `msghdr`; its pointers are to `part` and `control`, which outlive
    // the call, and what is written to `control` fits into it: at most 16 + 16 bytes.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = (&raw mut part).cast();
        message.msg_iovlen = 1;
        if !raw.is_empty() {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(length as u32) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length as u32) as usize;
            std::ptr::copy_nonoverlapping(raw.as_ptr().cast(), libc::CMSG_DATA(header), length);
        }
        libc::sendmsg(connection.as_raw_fd(), &raw const message, 0)
    };
    assert_eq!(
        sent,
        line.len() as isize,
        "{}",
        std::io::Error::last_os_error()
    );
}
