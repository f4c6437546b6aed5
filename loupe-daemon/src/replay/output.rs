//! What a process printed: keeps the end, counts the rest, whatever the amount.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use loupe_common::replay::OutputTail;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{pipe2, read};

use super::ready::Search;

/// Bytes taken at a time, so that one flooding process does not starve the rest of the loop.
const CHUNK: usize = 64 << 10;

/// The reading end of a process's stdout and stderr.
pub struct Output {
    pipe: OwnedFd,
    open: bool,
    /// Room for what is taken; made when there is something for the first time.
    chunk: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    /// What is looked for in all of it.
    pub search: Option<Search>,
}

impl Output {
    /// A pipe: what to keep, and what to give to the process as stdout and stderr.
    pub fn pipe() -> io::Result<(Output, OwnedFd)> {
        let (pipe, writer) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let output = Output {
            pipe,
            open: true,
            chunk: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            search: None,
        };
        Ok((output, writer))
    }

    /// Bytes that were printed so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// To wait on, while the other end is open.
    pub fn to_poll(&self) -> Option<BorrowedFd<'_>> {
        self.open.then(|| self.pipe.as_fd())
    }

    /// Takes one chunk if there is one; `false` when there is nothing more now.
    pub fn take_chunk(&mut self) -> io::Result<bool> {
        self.chunk.resize(CHUNK, 0);
        match read(&self.pipe, &mut self.chunk) {
            Ok(0) => {
                self.open = false;
                Ok(false)
            }
            Ok(length) => {
                let chunk = std::mem::take(&mut self.chunk);
                self.keep(&chunk[..length]);
                self.chunk = chunk;
                Ok(true)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what is left. Only after the process tree's end, else it may never return.
    pub fn take_rest(&mut self) -> io::Result<()> {
        while self.open && self.take_chunk()? {}
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if let Some(search) = &mut self.search {
            search.feed(bytes);
        }
        let last = &bytes[bytes.len().saturating_sub(OutputTail::LIMIT)..];
        let excess = (self.tail.len() + last.len()).saturating_sub(OutputTail::LIMIT);
        self.tail.drain(..excess);
        self.tail.extend(last);
    }

    /// The end of what was printed so far.
    pub fn tail(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        String::from_utf8_lossy(&tail).into_owned()
    }

    pub fn into_tail(self) -> OutputTail {
        OutputTail {
            tail: self.tail(),
            total_bytes: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_everything_is_counted() {
        let (mut output, writer) = Output::pipe().expect("a pipe");
        for round in 0..3000u32 {
            let line = format!("line {round}\n");
            nix::unistd::write(&writer, line.as_bytes()).expect("room");
            assert!(output.take_chunk().expect("readable"));
        }
        drop(writer);
        output.take_rest().expect("readable");
        let tail = output.into_tail();
        assert!(tail.tail.ends_with("line 2999\n"));
        assert_eq!(tail.tail.len(), OutputTail::LIMIT);
        assert_eq!(
            tail.total_bytes,
            (0..3000u32)
                .map(|n| format!("line {n}\n").len() as u64)
                .sum::<u64>()
        );
    }
}
