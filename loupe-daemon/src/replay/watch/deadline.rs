//! A time limit that a busy host does not shorten: time in which the replay wanted to run and
//! nothing of it was let run does not count.

use std::time::{Duration, Instant};

use crate::cgroup::ReplayCgroup;

/// However busy the host is, nothing waits longer than this many times its limit.
const MAX_FACTOR: u32 = 4;

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
        if left(self.limit, elapsed, self.stalled).is_zero() {
            // A kernel that does not account for it leaves the limit as it is.
            self.stalled = self.cgroup.stalled().unwrap_or_default();
        }
        left(self.limit, elapsed, self.stalled)
    }

    pub fn is_over(&mut self) -> bool {
        self.left().is_zero()
    }
}

/// What is left of a limit when this much time has gone by, and the replay was kept from running
/// for a part of it.
fn left(limit: Duration, elapsed: Duration, stalled: Duration) -> Duration {
    let stretched = (limit + stalled).min(limit * MAX_FACTOR);
    stretched.saturating_sub(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_the_time_in_which_the_replay_was_let_run() {
        let left = |elapsed, stalled| {
            let ms = Duration::from_millis;
            left(ms(1000), ms(elapsed), ms(stalled)).as_millis()
        };
        assert_eq!(left(300, 0), 700);
        assert_eq!(left(1000, 0), 0);
        assert_eq!(left(1000, 400), 400);
        assert_eq!(left(1500, 400), 0);
        // However busy the host is.
        assert_eq!(left(3900, 9000), 100);
        assert_eq!(left(4000, 9000), 0);
    }
}
