//! Packets with descriptors between the engine, the launcher and the keepers.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv,
    recvmsg, sendmsg, setsockopt, socketpair, sockopt,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest packet: a command line and its environment with a filter of 4096 instructions
/// beside it. The kernel's own limit for a packet of this kind is a little higher.
const PACKET_LIMIT: usize = 512 << 10;
/// Descriptors in one packet.
const DESCRIPTOR_LIMIT: usize = 4;

/// One end of a connection.
pub struct Channel(OwnedFd);

impl Channel {
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        for end in [&a, &b] {
            // Beyond the default limit only with CAP_NET_ADMIN; smaller packets work without.
            if setsockopt(end, sockopt::SndBufForce, &(2 * PACKET_LIMIT)).is_err() {
                setsockopt(end, sockopt::SndBuf, &(2 * PACKET_LIMIT))?;
            }
        }
        Ok((Channel(a), Channel(b)))
    }

    /// The end that was left at a known descriptor by the process that executed this one.
    ///
    /// # Safety
    /// `fd` must be open and nobody else's.
    pub unsafe fn from_raw(fd: RawFd) -> Channel {
        // SAFETY: passed on to the caller.
        Channel(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let control = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() {
            &[][..]
        } else {
            &control[..]
        };
        loop {
            let parts = [IoSlice::new(&bytes)];
            match sendmsg::<()>(
                self.0.as_raw_fd(),
                &parts,
                control,
                MsgFlags::MSG_NOSIGNAL,
                None,
            ) {
                Err(nix::errno::Errno::EINTR) => {}
                other => return other.map(drop).map_err(Into::into),
            }
        }
    }

    /// The next packet if one is there (else `WouldBlock`); `None` when the other end is closed.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        // Asked for often and mostly in vain: room is made only for what is there.
        let length = self.next_length()?;
        let mut buffer = vec![0; length.min(PACKET_LIMIT)];
        let mut control = nix::cmsg_space!([RawFd; DESCRIPTOR_LIMIT]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let (length, descriptors) = loop {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut control), flags) {
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(packet) => {
                    let mut descriptors = Vec::new();
                    for message in packet.cmsgs()? {
                        if let ControlMessageOwned::ScmRights(raw) = message {
                            // SAFETY: the kernel has just made these descriptors for us.
                            descriptors.extend(
                                raw.into_iter()
                                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                            );
                        }
                    }
                    break (packet.bytes, descriptors);
                }
            }
        };
        if length == 0 {
            return Ok(None);
        }
        Ok(Some((
            serde_json::from_slice(&buffer[..length])?,
            descriptors,
        )))
    }
}

impl Channel {
    /// Length of the packet that waits; 0 when the other end is closed.
    fn next_length(&self) -> io::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
        loop {
            match recv(self.0.as_raw_fd(), &mut [], flags) {
                Err(nix::errno::Errno::EINTR) => {}
                other => return other.map_err(Into::into),
            }
        }
    }
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Channel {
        Channel(socket)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
