//! Packets with descriptors between the engine, the launcher and the keepers.
//!
//! A message of any length is one packet. What the kernel would not take as one (half a megabyte
//! of arguments or environment) is in a file without a name, whose descriptor comes first.

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, setsockopt,
    socketpair, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sys::scm;

/// The longest message that is a packet itself: most of them, with a filter or without.
const PACKET_LIMIT: usize = 128 << 10;
/// All of a packet whose message is in a file. No JSON.
const IN_FILE: &[u8] = b"@";

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

    /// From now on nothing sent from this end waits longer than this for the other end to take it:
    /// it fails with `WouldBlock`.
    pub fn limit_sending(&self, limit: Duration) -> io::Result<()> {
        let limit = TimeVal::seconds(limit.as_secs() as i64);
        Ok(setsockopt(&self.0, sockopt::SendTimeout, &limit)?)
    }

    pub fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd]) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(message)?;
        let mut raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let mut _kept = None;
        if bytes.len() > PACKET_LIMIT {
            let file = in_file(&bytes)?;
            raw.insert(0, file.as_raw_fd());
            bytes = IN_FILE.to_vec();
            _kept = Some(file);
        }
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
        let received = loop {
            match scm::receive(self.0.as_fd(), &mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if received.truncated {
            // This process may not have more, or a packet brought more than any does.
            return Err(nix::errno::Errno::EMFILE.into());
        }
        let (length, descriptors) = (received.bytes, received.descriptors);
        if length == 0 {
            return Ok(None);
        }
        let (mut message, mut descriptors) = (&buffer[..length], descriptors);
        let mut content = Vec::new();
        if message == IN_FILE && !descriptors.is_empty() {
            let mut file = File::from(descriptors.remove(0));
            file.rewind()?;
            file.read_to_end(&mut content)?;
            message = &content;
        }
        Ok(Some((serde_json::from_slice(message)?, descriptors)))
    }

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

fn in_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"loupe", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_arrives_with_its_descriptors() {
        let (ours, theirs) = Channel::pair().expect("a pair");
        let null = File::open("/dev/null").expect("it is there");
        for length in [0, 1, PACKET_LIMIT, 3 << 20] {
            let message = "m".repeat(length);
            let descriptors = [null.as_fd(); 4];
            ours.send(&message, &descriptors).expect("sent");
            let (received, descriptors) = theirs
                .receive::<String>()
                .expect("received")
                .expect("not closed");
            assert!(received == message, "{length} bytes");
            assert_eq!(descriptors.len(), 4);
        }
    }

    #[test]
    fn a_message_that_is_the_sign_of_a_file_is_none() {
        let (ours, theirs) = Channel::pair().expect("a pair");
        ours.send(&"@", &[]).expect("sent");
        let received = theirs.receive::<String>().expect("received");
        assert_eq!(received.expect("not closed").0, "@");
    }
}
