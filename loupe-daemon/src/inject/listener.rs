//! The kernel's side of user notification: one listener, its notifications and their answers.
//! Thin wrappers around `ioctl` (`include/uapi/linux/seccomp.h`); nothing is decided here.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// Wake the other side on this CPU: a call and its answer never run at the same time
/// (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`).
const SYNC_WAKE_UP: u64 = 1;

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
        // SAFETY: makes a descriptor of our own, or fails.
        let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        let process = Errno::result(process)?;
        // SAFETY: the kernel has just made it for us.
        let process = unsafe { OwnedFd::from_raw_fd(process as RawFd) };
        // SAFETY: makes a descriptor of our own, or fails.
        let listener =
            unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0) };
        let listener = Errno::result(listener)?;
        // SAFETY: the kernel has just made it for us; it is closed at an exec.
        let listener = Listener(unsafe { OwnedFd::from_raw_fd(listener as RawFd) });
        // Faster where the kernel knows it (6.6), and as right without.
        // SAFETY: takes a number, no memory.
        unsafe {
            libc::ioctl(
                listener.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                SYNC_WAKE_UP,
            )
        };
        Ok(listener)
    }

    /// The next call that waits; blocks until there is one. `None`: its thread is gone.
    pub fn receive(&self) -> io::Result<Option<Notification>> {
        // SAFETY: all-zero is valid, and what the kernel wants to see.
        let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one `seccomp_notif`, which outlives the call. Newer kernels
        // with a longer one write no more than the request's own size says.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                &mut notification,
            )
        };
        match Errno::result(result) {
            Ok(_) => Ok(Some(Notification {
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
        // SAFETY: the kernel reads one number, which outlives the call.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &id) };
        result == 0
    }

    /// Answers a call; `false`: it waits no more (killed, or interrupted by a signal).
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
        let mut answer = libc::seccomp_notif_resp {
            id,
            val: value,
            error,
            flags,
        };
        // SAFETY: the kernel reads one `seccomp_notif_resp`, which outlives the call.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &mut answer,
            )
        };
        sent(result)
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
        // SAFETY: the kernel reads one `seccomp_notif_addfd`, which outlives the call.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ADDFD,
                &request,
            )
        };
        match Errno::result(result) {
            // The target has no room for another: as its own call would have failed.
            Err(errno @ (Errno::EMFILE | Errno::ENFILE)) => {
                self.answer(id, &Response::Errno(errno as i32))
            }
            _ => sent(result),
        }
    }
}

fn sent(result: i32) -> io::Result<bool> {
    match Errno::result(result) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
