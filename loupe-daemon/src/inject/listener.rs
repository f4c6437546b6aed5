//! The kernel's side of user notification: one listener, its notifications and their answers.
//! Decides nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys::{process, seccomp};

/// Wake the other side on this CPU: a call and its answer never run at the same time
/// (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`).
const SYNC_WAKE_UP: i32 = 1;

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    pub id: u64,
    /// The thread, as the receiver of the notification sees it.
    pub tid: i32,
    pub number: i32,
    pub args: [u64; 6],
}

/// What a call comes back with.
#[derive(Debug)]
pub enum Response {
    /// The kernel does it, as if nothing had happened.
    Continue,
    Value(i64),
    Errno(i32),
    /// A new descriptor of the target for this file.
    Descriptor {
        file: OwnedFd,
        close_on_exec: bool,
    },
}

/// The listener of one filter.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Takes the listener out of a stopped process, where the kernel has put it.
    pub fn fetch(pid: Pid, descriptor: RawFd) -> io::Result<Listener> {
        let process = process::open(pid)?;
        let listener = Listener(process::take_descriptor(&process, descriptor)?);
        // Faster where the kernel knows it (6.6), and as right without.
        let _ = seccomp::set_flags(&listener.0, SYNC_WAKE_UP);
        Ok(listener)
    }

    /// The next call that waits; blocks until there is one. `None`: its thread is gone.
    pub fn receive(&self) -> io::Result<Option<Notification>> {
        match seccomp::receive(&self.0) {
            Ok(notification) => Ok(Some(Notification {
                id: notification.id,
                tid: notification.pid as i32,
                number: notification.data.nr,
                args: notification.data.args,
            })),
            Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the call still waits: its thread lives, and what was read of it is its own.
    pub fn waits(&self, id: u64) -> bool {
        seccomp::waits(&self.0, id)
    }

    /// Answers a call; `false` if it no longer waits (it was killed, or a signal interrupted it).
    pub fn answer(&self, id: u64, response: &Response) -> io::Result<bool> {
        let (value, error, flags) = match response {
            Response::Descriptor {
                file,
                close_on_exec,
            } => return self.add_descriptor(id, file, *close_on_exec),
            Response::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Response::Value(value) => (*value, 0, 0),
            Response::Errno(errno) => (0, -errno, 0),
        };
        let answer = libc::seccomp_notif_resp {
            id,
            val: value,
            error,
            flags,
        };
        sent(seccomp::send(&self.0, answer))
    }

    fn add_descriptor(&self, id: u64, file: &OwnedFd, close_on_exec: bool) -> io::Result<bool> {
        let request = libc::seccomp_notif_addfd {
            id,
            flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if close_on_exec {
                libc::O_CLOEXEC as u32
            } else {
                0
            },
        };
        match seccomp::add_descriptor(&self.0, &request) {
            // The target has no room for another: as its own call would have failed.
            Err(errno @ (Errno::EMFILE | Errno::ENFILE)) => {
                self.answer(id, &Response::Errno(errno as i32))
            }
            other => sent(other),
        }
    }
}

fn sent(result: nix::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
