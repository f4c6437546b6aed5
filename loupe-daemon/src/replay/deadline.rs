//! A time limit that a busy host does not shorten: time in which the replay wanted to run and
//! nothing of it was let run does not count.

use std::time::{Duration, Instant};

use crate::cgroup::ReplayCgroup;

/// However busy the host is, nothing waits longer than so many times its limit.
const MOST: u32 = 4;

pub struct Deadline {
    begin: Instant,
    limit: Duration,
    cgroup: ReplayCgroup,
    /// As far as it was looked up.
    stalled: Duration,
}

impl Deadline {
    pub fn new(limit: Duration, cgroup: &ReplayCgroup) -> Deadline {
        Deadline {
            begin: Instant::now(),
            limit,
            cgroup: cgroup.clone(),
            stalled: Duration::ZERO,
        }
    }

    /// Zero when the time is over.
    pub fn left(&mut self) -> Duration {
        let elapsed = self.begin.elapsed();
        if elapsed >= self.limit + self.stalled {
            // A kernel that does not account for it leaves the limit as it is.
            self.stalled = self.cgroup.stalled().unwrap_or_default();
        }
        (self.limit + self.stalled)
            .min(self.limit * MOST)
            .saturating_sub(elapsed)
    }

    pub fn is_over(&mut self) -> bool {
        self.left().is_zero()
    }
}
