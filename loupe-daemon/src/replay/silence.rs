//! Telling silence from work: has an application that listens to nothing come to rest?

use std::time::{Duration, Instant};

use super::progress::Tasks;

/// Whether an application has been silent for long: no call finished, every task asleep.
pub struct Silence {
    calls: u64,
    since: Instant,
}

impl Silence {
    pub fn new() -> Silence {
        Silence {
            calls: 0,
            since: Instant::now(),
        }
    }

    pub fn lasts(&mut self, calls: u64, tasks: &Tasks, enough: Duration) -> bool {
        if calls != self.calls || !tasks.all_asleep() {
            self.calls = calls;
            self.since = Instant::now();
        }
        self.since.elapsed() >= enough
    }
}
