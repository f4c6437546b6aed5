//! What hosts do to replays: crowds on them, and times in which they stand still.

use loupe_common::replay::{Control, ExitStatus, Failure, Outcome, Replay};

use super::hash;
use crate::explore::Request;

/// A crowd: more replays at a time than there are CPUs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd {
    /// Of a thousand replays in it, so many fail for that.
    pub breaks: u64,
    /// What fails for it has done the workload's work all the same, and was only too slow.
    pub works: bool,
    /// From this many answers on, all that is in it fails.
    pub slow_from: Option<usize>,
    /// Of the controls, those with these numbers fail.
    pub failing_controls: &'static [usize],
}

impl Crowd {
    /// Does to a replay what the crowd does to it, whose test does as much as it can. (The engine takes
    /// care that replicas of the baseline pass in one.)
    pub(super) fn befall(&self, request: &Request, replay: &mut Replay, answers: usize) {
        let is_slow = self.slow_from.is_some_and(|from| answers >= from);
        if replay.outcome.passed() && (is_slow || self.breaks(request)) {
            let status = ExitStatus::Code(1);
            replay.outcome = Outcome::Failed(Failure::Test { status });
            replay.metric = Some(METRIC).filter(|_| self.works);
            replay.usage.total_cpu_us = replay.timing.wall_us;
        }
    }

    pub(super) fn breaks(&self, request: &Request) -> bool {
        if request.control == Some(Control::Crowd) {
            let number = request.replica as usize % 1000;
            return self.failing_controls.contains(&number);
        }
        !request.policy.is_empty() && hash(&("crowd", request)) % 1000 < self.breaks
    }
}

/// What a replay reaches that does the workload's work.
pub(super) const METRIC: f64 = 1000.0;

/// A host that stands still now and then, for some replays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// Of a thousand times, it does so in so many, and that is noticed.
    pub noticed: u64,
    /// Once, from this replay on, it does so and nobody notices.
    pub unnoticed: usize,
}

impl Host {
    /// Replays of one time.
    const LENGTH: usize = 6;

    /// What becomes of a replay that ends as the so-manieth.
    pub(super) fn stall(&self, order: u64, index: usize, replay: &mut Replay) {
        let by_time = Failure::TestTimeout { limit_ms: 4000 };
        let time = (index / Self::LENGTH) as u64;
        if hash(&(order, "stall", time)) % 1000 < self.noticed {
            let why = "the host stood still".to_owned();
            replay.outcome = Outcome::Invalid { why };
            replay.conditions.stood_still_ms = 300;
        } else if (self.unnoticed..self.unnoticed + Self::LENGTH).contains(&index) {
            replay.outcome = Outcome::Failed(by_time);
        }
    }
}
