//! Taking over the descriptor that systemd passes by its number.

use std::os::unix::net::UnixListener;

use nix::sys::socket::sockopt::{AcceptConn, SockType};
use nix::sys::socket::{AddressFamily, SockType as Type, SockaddrLike as _, SockaddrStorage};
use nix::sys::socket::{getsockname, getsockopt};

use super::super::fd_store;
use super::ListenError;
use crate::sys::descriptors;

/// The socket that systemd passed; `None` when it passed none.
pub(super) fn activated() -> Result<Option<UnixListener>, ListenError> {
    let failed = |why: String| ListenError::Activation { why };
    let passed = sd_notify::listen_fds_with_names().map_err(|error| failed(error.to_string()))?;
    let sockets = passed.filter(|(_, name)| fd_store::left_as(name).is_none());
    let mut passed = sockets
        .map(|(number, _)| number)
        .collect::<Vec<_>>()
        .into_iter();
    let (first, more) = match passed.next() {
        None => return Ok(None),
        Some(first) => (first, passed.len()),
    };
    if more > 0 {
        return Err(failed(format!("{} sockets came", more + 1)));
    }
    // By the protocol of sd_listen_fds (LISTEN_PID is this process, which `listen_fds` checked)
    // it was opened for this process to own.
    let descriptor = descriptors::inherited(first).map_err(|error| failed(error.to_string()))?;
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
