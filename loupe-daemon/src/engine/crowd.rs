//! Do replays that outnumber the CPUs still leave the workload as it is? The host may have had
//! more to spare when that was tried than it has later. So now and then the baseline is replayed
//! among the others: where it fails, their failures prove nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// One in so many replays is such a control.
const EVERY: u64 = 24;

/// Counts replays.
#[derive(Default)]
pub struct Crowd {
    /// Replays at a time; 0 where there are no more than CPUs, and no need for controls.
    jobs: AtomicUsize,
    replays: AtomicU64,
}

impl Crowd {
    pub fn set(&self, jobs: usize, cpus: usize) {
        let jobs = if jobs > cpus { jobs } else { 0 };
        self.jobs.store(jobs, Ordering::Relaxed);
    }

    /// Counts a replay. If a control is due before it, that is beside so many others.
    pub fn is_due(&self) -> Option<usize> {
        let jobs = self.jobs.load(Ordering::Relaxed);
        if jobs == 0 {
            return None;
        }
        // Not at once: the baseline has just been tried beside itself.
        let counted = self.replays.fetch_add(1, Ordering::Relaxed) + 1;
        counted.is_multiple_of(EVERY).then_some(jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_due_only_where_replays_outnumber_the_cpus() {
        let crowd = Crowd::default();
        let due = |crowd: &Crowd| (0..100).filter_map(|_| crowd.is_due()).collect::<Vec<_>>();
        crowd.set(2, 2);
        assert!(due(&crowd).is_empty());
        crowd.set(8, 2);
        assert_eq!(due(&crowd), [8; 4]);
    }
}
