//! Do replays that outnumber the CPUs still leave the workload as it is? The host may have had
//! more to spare when that was tried than it has later. So now and then the baseline is replayed
//! among the others: where it fails, their failures prove nothing. And where a test sets a bound
//! to speed, a replay may fail for being slow: one that was not much slower than all are beside
//! so many is done again on a CPU of its own, and so is what disagrees with another replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use loupe_common::policy::Policy;
use loupe_common::replay::Replay;

use crate::lock;

/// After so many replays that came to their test, there is a control.
const EVERY: u64 = 24;

/// A replay that reaches one part in so many of what the baseline does in such a crowd does the
/// workload's work.
const WORKS: f64 = 8.0;

/// Counts replays.
#[derive(Default)]
pub struct Crowd {
    size: Mutex<Size>,
    replays: AtomicU64,
    /// What failed in it and may have for it.
    left_for: Mutex<BTreeSet<Policy>>,
    seen: Mutex<BTreeMap<Policy, Seen>>,
}

/// What came of a policy's replays in the crowd.
#[derive(Clone, Copy, Default)]
struct Seen {
    passed: bool,
    failed: bool,
}

#[derive(Clone, Copy, Default)]
struct Size {
    /// Replays at a time; 0 where there are no more than CPUs.
    jobs: usize,
    /// A metric from here on shows that the workload's work is done.
    metric: Option<f64>,
}

impl Crowd {
    /// So many replays at a time; `metric` is what the baseline reaches alone.
    pub fn set(&self, jobs: usize, cpus: usize, metric: Option<f64>) {
        let part = cpus as f64 / jobs.max(1) as f64 / WORKS;
        *lock(&self.size) = Size {
            jobs: if jobs > cpus { jobs } else { 0 },
            metric: metric
                .map(|metric| metric * part)
                .filter(|part| *part > 0.0),
        };
    }

    /// Notes that a replay ran in the crowd, if there is one, on the replay too.
    ///
    /// Where replays of a policy disagree, what fails may fail for the crowd: from then on they
    /// are left without others. (The baseline is not: whether it is flaky matters.)
    pub fn note(&self, replay: &mut Replay) {
        let jobs = lock(&self.size).jobs;
        if jobs == 0 || replay.policy.is_empty() {
            return;
        }
        replay.usage.crowd = jobs as u64;
        // One that fails before its test does so wherever it runs.
        if replay.timing.test_us > 0 {
            self.replays.fetch_add(1, Ordering::Relaxed);
        }
        let mut seen = lock(&self.seen);
        let seen = seen.entry(replay.policy.clone()).or_default();
        // A pass in which nothing was called that is left out says nothing of it.
        let called = replay.injections.values().any(|times| *times > 0);
        seen.passed |= called && replay.outcome.passed();
        seen.failed |= replay.outcome.failed();
        if seen.passed && seen.failed {
            self.leave_for(&replay.policy);
        }
    }

    /// If a control is due before the next replay, that is beside so many others.
    pub fn is_control_due(&self) -> Option<usize> {
        let jobs = lock(&self.size).jobs;
        let due = |replays: u64| replays.checked_sub(EVERY);
        // Not at once: the baseline has just been tried beside itself.
        let order = Ordering::Relaxed;
        (jobs > 0 && self.replays.fetch_update(order, order, due).is_ok()).then_some(jobs)
    }

    /// Whether a replay failed although it does the workload's work.
    pub fn may_have_failed(&self, replay: &Replay) -> bool {
        let size = *lock(&self.size);
        let (Some(least), Some(metric)) = (size.metric, replay.metric) else {
            return false;
        };
        size.jobs > 0 && replay.outcome.failed() && metric >= least
    }

    /// From now on this policy is replayed without others on its CPU.
    pub fn leave_for(&self, policy: &Policy) {
        lock(&self.left_for).insert(policy.clone());
    }

    pub fn is_left_for(&self, policy: &Policy) -> bool {
        lock(&self.left_for).contains(policy)
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::Action;
    use loupe_common::replay::Outcome;

    use super::*;
    use crate::engine::parallel::tests::replay;

    fn stub(wall_ms: u64, passes: bool, test_us: u64) -> Replay {
        let feature = "brk".parse().expect("a syscall");
        let mut replay = replay(wall_ms, None, passes);
        replay.policy = Policy::single(feature, Action::STUB);
        replay.injections = replay
            .policy
            .iter()
            .map(|(rule, _)| (rule.clone(), 1))
            .collect();
        replay.timing.test_us = test_us;
        replay
    }

    #[test]
    fn controls_are_due_only_where_replays_outnumber_the_cpus() {
        let crowd = Crowd::default();
        let due = |crowd: &Crowd, test_us: u64| {
            let one = |_| {
                crowd.note(&mut stub(1000, true, test_us));
                crowd.is_control_due()
            };
            (0..100).filter_map(one).collect::<Vec<_>>()
        };
        crowd.set(2, 2, None);
        assert!(due(&crowd, 900_000).is_empty());
        crowd.set(8, 2, None);
        assert!(due(&crowd, 0).is_empty());
        assert_eq!(due(&crowd, 900_000), [8; 4]);
    }

    #[test]
    fn what_disagrees_with_another_replica_is_left_without_others() {
        let crowd = Crowd::default();
        crowd.set(8, 2, None);
        let mut idle = stub(1000, true, 900_000);
        idle.injections.clear();
        crowd.note(&mut idle);
        crowd.note(&mut stub(1000, false, 900_000));
        assert!(!crowd.is_left_for(&idle.policy));
        let crowd = Crowd::default();
        crowd.set(8, 2, None);
        let mut passes = stub(1000, true, 900_000);
        crowd.note(&mut passes);
        assert_eq!(passes.usage.crowd, 8);
        assert!(!crowd.is_left_for(&passes.policy));
        crowd.note(&mut stub(1000, false, 900_000));
        assert!(crowd.is_left_for(&passes.policy));

        let mut baseline = replay(1000, None, false);
        crowd.note(&mut baseline);
        assert_eq!(baseline.usage.crowd, 0);
    }

    #[test]
    fn only_what_does_its_work_in_a_crowd_may_have_failed_for_it() {
        let crowd = Crowd::default();
        let may = |metric, passes| crowd.may_have_failed(&replay(1000, metric, passes));
        crowd.set(8, 2, Some(8000.0));
        assert!(may(Some(300.0), false));
        assert!(!may(Some(300.0), true));
        assert!(!may(Some(200.0), false));
        assert!(!may(None, false));
        crowd.set(2, 2, Some(8000.0));
        assert!(!may(Some(8000.0), false));
        let lost = Outcome::Invalid { why: String::new() };
        let mut invalid = replay(1000, Some(8000.0), false);
        invalid.outcome = lost;
        crowd.set(8, 2, Some(8000.0));
        assert!(!crowd.may_have_failed(&invalid));
    }
}
