//! When the keeper runs before all others: while it waits for notified calls and answers them, since
//! such a call must not wait for a CPU as well, which many others may want.
//!
//! Not while it does anything else. To reap a process the kernel clears its files of `/proc`, and tries
//! again and again while another task is about to do so: that one may want the CPU on which nothing else
//! runs then (0.95 s, until the kernel lets others run at last).

use crate::sys::process;

/// The heartbeat, which tells whether the host stands still, comes before it.
const PRIORITY: i32 = 1;

/// Whether this thread runs before all others now.
#[derive(Default)]
pub(super) struct Hurry(bool);

impl Hurry {
    pub(super) fn set(&mut self, hurries: bool) {
        if self.0 == hurries {
            return;
        }
        // Without the right to go first, calls only take longer.
        let _ = match hurries {
            true => process::go_before_all(PRIORITY),
            false => process::go_with_others(),
        };
        self.0 = hurries;
    }
}
