//! What is asked of a running command from outside, for a thread that polls.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::lock;

/// Signals to pass on, and the end.
pub struct Orders {
    waiting: Mutex<Waiting>,
    /// Readable while anything waits.
    ready: EventFd,
}

#[derive(Default)]
struct Waiting {
    cancelled: bool,
    signals: Vec<i32>,
}

impl Orders {
    pub fn new() -> io::Result<Orders> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Orders {
            waiting: Mutex::default(),
            ready: EventFd::from_flags(flags)?,
        })
    }

    pub fn cancel(&self) {
        lock(&self.waiting).cancelled = true;
        self.wake();
    }

    pub fn pass_on(&self, signal: i32) {
        lock(&self.waiting).signals.push(signal);
        self.wake();
    }

    fn wake(&self) {
        // It can only fail by being as full as it can get, which is readable too.
        let _ = self.ready.write(1);
    }

    /// Takes the signals; says whether the command is to be ended.
    pub fn take(&self) -> (bool, Vec<i32>) {
        // Nothing to read means that nothing new waits.
        let _ = self.ready.read();
        let mut waiting = lock(&self.waiting);
        (waiting.cancelled, std::mem::take(&mut waiting.signals))
    }
}

impl AsFd for Orders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

pub struct CancelOnDrop(pub Arc<Orders>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
