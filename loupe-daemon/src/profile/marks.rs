//! How far the stream of what the kernel tells was heard, for those who wait for it. Knows numbers
//! only.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::lock;

/// The highest mark that was heard.
#[derive(Debug, Default)]
pub struct Marks {
    heard: Mutex<u64>,
    changed: Condvar,
}

impl Marks {
    pub fn hear(&self, mark: u64) {
        let mut heard = lock(&self.heard);
        *heard = mark.max(*heard);
        drop(heard);
        self.changed.notify_all();
    }

    /// Waits until this mark is heard; `false`: it was not, in this time.
    pub fn wait(&self, mark: u64, limit: Duration) -> bool {
        let (_heard, waited) = self
            .changed
            .wait_timeout_while(lock(&self.heard), limit, |heard| *heard < mark)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_its_mark_or_a_later_one() {
        let marks = Arc::new(Marks::default());
        let hours = Duration::from_secs(7_200);
        let waiters: Vec<_> = [1, 3]
            .into_iter()
            .map(|mark| {
                let marks = Arc::clone(&marks);
                thread::spawn(move || marks.wait(mark, hours))
            })
            .collect();
        marks.hear(4);
        // An older stream ends late.
        marks.hear(2);
        for waiter in waiters {
            assert!(waiter.join().expect("no panic"));
        }
        assert!(marks.wait(4, Duration::ZERO));
        assert!(!marks.wait(5, Duration::ZERO));
    }
}
