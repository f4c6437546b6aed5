//! Taking over the descriptor that systemd passes by its number.

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::sockopt::{AcceptConn, SockType};
use nix::sys::socket::{AddressFamily, SockType as Type, SockaddrLike as _, SockaddrStorage};
use nix::sys::socket::{getsockname, getsockopt};

use super::ListenError;

/// The socket that systemd passed; `None` when it passed none.
pub(super) fn activated() -> Result<Option<UnixListener>, ListenError> {
    /// The descriptors can be owned once.
    static TAKEN: AtomicBool = AtomicBool::new(false);

    let failed = |why: String| ListenError::Activation { why };
    let passed = sd_notify::listen_fds().map_err(|error| failed(error.to_string()))?;
    let mut passed = passed.collect::<Vec<_>>().into_iter();
    let (first, more) = match passed.next() {
        None => return Ok(None),
        Some(first) => (first, passed.len()),
    };
    if more > 0 {
        return Err(failed(format!("{} sockets came", more + 1)));
    }
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(failed("the socket was taken already".to_owned()));
    }
    // SAFETY: by the protocol of sd_listen_fds (LISTEN_PID is this process, which `listen_fds`
    // checked) descriptor `first` was opened for this process to own, and set close-on-exec by
    // the call above, which fails if it is not open. `TAKEN` makes sure that it gets one owner.
    let descriptor = unsafe { OwnedFd::from_raw_fd(first) };
    let kind = getsockopt(&descriptor, SockType);
    let listens = getsockopt(&descriptor, AcceptConn);
    let family = getsockname::<SockaddrStorage>(first).map(|address| address.family());
    match (kind, listens, family) {
        (Ok(Type::Stream), Ok(true), Ok(Some(AddressFamily::Unix))) => {
            Ok(Some(UnixListener::from(descriptor)))
        }
        (Err(errno), _, _) | (_, Err(errno), _) | (_, _, Err(errno)) => {
            Err(failed(errno.to_string()))
        }
        (Ok(kind), Ok(listens), Ok(family)) => Err(failed(format!(
            "its type is {kind:?}, its family {family:?}, and it {}",
            if listens {
                "listens"
            } else {
                "does not listen"
            }
        ))),
    }
}
