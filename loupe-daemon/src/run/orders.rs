//! What is asked of running things from outside, for a thread that polls: to end, and signals to
//! pass on.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{RunError, io_error};
use crate::lock;

/// Readable from when it is rung until it is hushed.
struct Bell(EventFd);

impl Bell {
    fn new() -> Result<Bell, RunError> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_flags(flags);
        Ok(Bell(
            bell.map_err(|errno| io_error("eventfd")(errno.into()))?,
        ))
    }

    fn ring(&self) {
        // It can only fail by being as full as it can get, which is readable too.
        let _ = self.0.write(1);
    }

    fn hush(&self) {
        // Nothing to read means that nobody has rung.
        let _ = self.0.read();
    }
}

/// Asks running things to end. All clones are one.
#[derive(Clone)]
pub struct Cancel(Arc<(Bell, AtomicBool)>);

impl Cancel {
    pub fn new() -> Result<Cancel, RunError> {
        Ok(Cancel(Arc::new((Bell::new()?, AtomicBool::new(false)))))
    }

    pub fn cancel(&self) {
        self.0.1.store(true, Ordering::Release);
        self.0.0.ring();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.1.load(Ordering::Acquire)
    }
}

/// Readable when it is cancelled.
impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.0.as_fd()
    }
}

/// Signals to pass on, and the end.
pub struct Orders {
    waiting: Mutex<Waiting>,
    /// Readable while anything waits.
    bell: Bell,
}

#[derive(Default)]
struct Waiting {
    cancelled: bool,
    signals: Vec<i32>,
}

impl Orders {
    pub fn new() -> Result<Orders, RunError> {
        Ok(Orders {
            waiting: Mutex::default(),
            bell: Bell::new()?,
        })
    }

    pub fn cancel(&self) {
        lock(&self.waiting).cancelled = true;
        self.bell.ring();
    }

    pub fn pass_on(&self, signal: i32) {
        lock(&self.waiting).signals.push(signal);
        self.bell.ring();
    }

    /// Takes the signals; says whether the command is to be ended.
    pub fn take(&self) -> (bool, Vec<i32>) {
        self.bell.hush();
        let mut waiting = lock(&self.waiting);
        (waiting.cancelled, std::mem::take(&mut waiting.signals))
    }
}

impl AsFd for Orders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }
}

/// Has a command end when its caller lets go of it.
pub struct CancelOnDrop(pub Arc<Orders>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn is_readable(what: &impl AsFd) -> bool {
        let mut descriptors = [PollFd::new(what.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).expect("it can be asked") == 1
    }

    #[test]
    fn all_clones_are_cancelled_at_once_and_stay_so() {
        let cancel = Cancel::new().expect("an eventfd");
        let others = [cancel.clone(), cancel.clone()];
        assert!(!is_readable(&others[0]) && !others[0].is_cancelled());
        cancel.cancel();
        for _ in 0..2 {
            assert!(others.iter().all(is_readable));
            assert!(others.iter().all(Cancel::is_cancelled));
        }
    }

    #[test]
    fn signals_are_taken_once_and_the_end_is_told_for_ever() {
        let orders = Orders::new().expect("an eventfd");
        assert_eq!(orders.take(), (false, Vec::new()));
        orders.pass_on(2);
        orders.pass_on(15);
        assert!(is_readable(&orders));
        assert_eq!(orders.take(), (false, vec![2, 15]));
        assert!(!is_readable(&orders));
        orders.cancel();
        assert!(is_readable(&orders));
        assert_eq!(orders.take(), (true, Vec::new()));
        assert_eq!(orders.take(), (true, Vec::new()));
    }

    #[test]
    fn a_command_ends_when_its_caller_lets_go_of_it() {
        let orders = Arc::new(Orders::new().expect("an eventfd"));
        drop(CancelOnDrop(Arc::clone(&orders)));
        assert_eq!(orders.take(), (true, Vec::new()));
    }
}
