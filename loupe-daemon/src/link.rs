//! A connection between `loupe` and `louped`: bounded lines over a Unix socket, with the
//! descriptors that may come along, and the word of the kernel on who is at the other end.
//! It knows nothing of what the lines say.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::engine::Identity;
use crate::sys::{credentials, scm};
use loupe_common::wire::MAX_LINE;

/// Bytes that one read asks for.
const READ_BYTES: usize = 64 * 1024;

/// Descriptors that may come with one connection: standard input, output and error of a run.
const MAX_DESCRIPTORS: usize = 3;

/// Why no line came.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("a line is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("the connection ended in the middle of a line")]
    HalfLine,
    #[error("more than {MAX_DESCRIPTORS} descriptors came, or more than this process can hold")]
    Descriptors,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts a fresh connection into its two directions. It is closed when both are dropped.
pub fn split(stream: UnixStream) -> (LinkReader, LinkWriter) {
    let stream = Arc::new(stream);
    let reader = LinkReader {
        stream: Arc::clone(&stream),
        buffer: Vec::new(),
        searched: 0,
        descriptors: Vec::new(),
    };
    (reader, LinkWriter { stream })
}

/// The incoming direction.
#[derive(Debug)]
pub struct LinkReader {
    stream: Arc<UnixStream>,
    /// Bytes that came and belong to a line that was not handed out yet.
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that are known to hold no line break.
    searched: usize,
    descriptors: Vec<OwnedFd>,
}

impl LinkReader {
    /// The next line without its line break; `None` at the end. A line half read is kept when
    /// the future is dropped.
    pub async fn next_line(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        loop {
            if let Some(line) = self.buffered_line()? {
                return Ok(Some(line));
            }
            self.stream.readable().await?;
            match self.receive() {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => return Err(LinkError::HalfLine),
                Ok(_) => {}
                Err(LinkError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The peer closed without reading everything that was sent to it.
                Err(LinkError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn buffered_line(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        match found {
            Some(offset) if self.searched + offset < MAX_LINE => {
                let mut line: Vec<u8> = self.buffer.drain(..=self.searched + offset).collect();
                line.pop();
                self.searched = 0;
                Ok(Some(line))
            }
            None if self.buffer.len() < MAX_LINE => {
                self.searched = self.buffer.len();
                Ok(None)
            }
            _ => Err(LinkError::TooLong),
        }
    }

    fn receive(&mut self) -> Result<usize, LinkError> {
        let mut chunk = [0; READ_BYTES];
        let received = self.stream.try_io(Interest::READABLE, || {
            scm::receive(self.stream.as_fd(), &mut chunk)
        })?;
        // Too many are closed here, by dropping them.
        if received.truncated
            || self.descriptors.len() + received.descriptors.len() > MAX_DESCRIPTORS
        {
            return Err(LinkError::Descriptors);
        }
        self.descriptors.extend(received.descriptors);
        self.buffer.extend_from_slice(&chunk[..received.bytes]);
        Ok(received.bytes)
    }

    /// The descriptors that have come so far.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// Tells whether the peer has closed both directions. `next_line` is `None` already when the
    /// peer only has nothing more to say.
    pub fn peer_is_gone(&self) -> bool {
        let mut polled = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        match nix::poll::poll(&mut polled, PollTimeout::ZERO) {
            Ok(_) => polled[0]
                .revents()
                .is_some_and(|events| events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)),
            Err(_) => true,
        }
    }
}

/// The outgoing direction.
#[derive(Clone, Debug)]
pub struct LinkWriter {
    stream: Arc<UnixStream>,
}

impl LinkWriter {
    /// Sends whole lines. When the future is dropped a part of them may have been sent.
    pub async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends a line, and descriptors with its first byte.
    pub async fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        loop {
            self.stream.writable().await?;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                sendmsg::<()>(
                    self.stream.as_raw_fd(),
                    &[io::IoSlice::new(bytes)],
                    &[ControlMessage::ScmRights(&raw)],
                    MsgFlags::MSG_NOSIGNAL,
                    None,
                )
                .map_err(io::Error::from)
            });
            match sent {
                Ok(sent) => return self.send(&bytes[sent..]).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Who opened the other end of the connection, by the word of the kernel: the effective uid
/// and gid and the supplementary groups that the process had when it called `connect` (for the
/// client: the ones of the process that called `listen`).
pub fn peer_identity(stream: impl AsFd) -> io::Result<Identity> {
    let stream = stream.as_fd();
    let credentials = getsockopt(&stream, PeerCredentials)?;
    Ok(Identity {
        uid: credentials.uid(),
        gid: credentials.gid(),
        groups: credentials::peer_groups(stream)?,
    })
}

#[cfg(test)]
mod tests;
