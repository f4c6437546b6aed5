//! What a notified call is answered with: the descriptor, the structure or the number that its rule
//! asks for. Decides nothing.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, makedev};

use super::memory::Memory;
use super::view::View;
use super::{Supervisor, content};
use crate::inject::listener::{Notification, Response};
use crate::inject::notify::paths::Want;
use crate::inject::notify::plausible::{Inert, Plausible};

/// The longest vector that the kernel takes (`UIO_MAXIOV`).
const MOST_PARTS: u64 = 1024;

impl Supervisor {
    /// What a call gets of a file that is there, and empty.
    pub(super) fn empty_file(
        &self,
        want: Want,
        flags: i32,
        is_device: bool,
        call: &Notification,
        write: impl Fn(u64, &[u8]) -> nix::Result<()>,
    ) -> nix::Result<Response> {
        // As `/dev/null` has it (Documentation/admin-guide/devices.txt).
        let (mode, device) = match is_device {
            true => (libc::S_IFCHR | 0o666, makedev(1, 3)),
            false => (libc::S_IFREG | 0o644, 0),
        };
        match want {
            Want::Access => Ok(Response::Value(0)),
            // A link without content.
            Want::Link => Ok(Response::Value(0)),
            Want::Stat { buffer } => {
                write(call.args[buffer], &content::stat(mode, device))?;
                Ok(Response::Value(0))
            }
            Want::Statx { buffer } => {
                write(call.args[buffer], &content::statx(mode, device))?;
                Ok(Response::Value(0))
            }
            Want::Open { .. } | Want::OpenHow { .. } | Want::Create => {
                if flags & libc::O_DIRECTORY != 0 {
                    return Err(Errno::ENOTDIR);
                }
                if flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0 {
                    return Err(Errno::EEXIST);
                }
                let kept = libc::O_ACCMODE | libc::O_APPEND | libc::O_NONBLOCK;
                let flags_kept = OFlag::from_bits_truncate(flags & kept) | OFlag::O_CLOEXEC;
                let file = match is_device {
                    true => open("/dev/null", flags_kept | OFlag::O_NOCTTY, Mode::empty())?,
                    false => self.opened_empty(flags_kept)?,
                };
                Ok(Response::Descriptor {
                    file,
                    close_on_exec: flags & libc::O_CLOEXEC != 0,
                })
            }
        }
    }

    /// An empty file, opened anew. What is only read is always the same file; what may be written
    /// to is one of its own, so that nobody reads it.
    fn opened_empty(&self, flags: OFlag) -> nix::Result<OwnedFd> {
        let open = |file: &OwnedFd| {
            let name = format!("self/fd/{}", file.as_raw_fd());
            openat(&self.proc, name.as_str(), flags, Mode::empty())
        };
        if flags.bits() & libc::O_ACCMODE != libc::O_RDONLY {
            return open(&content::inert(Inert::File)?);
        }
        match self.empty.get() {
            Some(file) => open(file),
            None => {
                let file = content::inert(Inert::File)?;
                let opened = open(&file);
                // Nobody else has set it meanwhile.
                drop(self.empty.set(file));
                opened
            }
        }
    }

    pub(super) fn plausible(
        &self,
        value: Plausible,
        call: &Notification,
        memory: &Memory,
        write: impl Fn(u64, &[u8]) -> nix::Result<()>,
    ) -> nix::Result<Response> {
        let own = || {
            let view = View {
                proc: &self.proc,
                tid: call.tid,
                identity: &self.identity,
            };
            view.own().ok_or(Errno::ESRCH)
        };
        let args = &call.args;
        Ok(Response::Value(match value {
            Plausible::Constant(value) => value,
            Plausible::Argument(at) => args[at] as i64,
            Plausible::Vector { array, count } => total(memory, args[array], args[count])?,
            Plausible::Message(at) => {
                // `msg_iov` and `msg_iovlen` of a `struct msghdr`.
                let header = args[at];
                total(memory, memory.word(header + 16)?, memory.word(header + 24)?)?
            }
            Plausible::OwnPid => i64::from(own()?.pid),
            Plausible::OwnTid => i64::from(own()?.tid),
            Plausible::Structure { at, content } => {
                if args[at] != 0 {
                    write(args[at], &content::structure(content, args))?;
                }
                0
            }
            Plausible::Bytes { at, length } => {
                // Constant on purpose: nothing random was done. At most what one read gives.
                let length = args[length].min(256);
                write(args[at], &vec![0x5a; length as usize])?;
                length as i64
            }
            Plausible::Descriptor {
                inert,
                close_on_exec,
            } => {
                let asked = |(at, flag): (usize, i32)| args[at] as i32 & flag != 0;
                return Ok(Response::Descriptor {
                    file: content::inert(inert)?,
                    close_on_exec: close_on_exec.is_some_and(asked),
                });
            }
        }))
    }
}

/// The lengths in an array of `struct iovec`, added up.
fn total(memory: &Memory, array: u64, count: u64) -> nix::Result<i64> {
    if count > MOST_PARTS {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; count as usize * 16];
    memory.read(array, &mut bytes)?;
    let lengths = bytes.as_chunks::<8>().0.iter().skip(1).step_by(2);
    let total: u64 = lengths.map(|length| u64::from_ne_bytes(*length)).sum();
    Ok(total as i64)
}
