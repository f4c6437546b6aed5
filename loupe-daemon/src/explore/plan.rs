//! How features come to their replays: a table from what is known of a workload to a plan. A plan
//! chooses what is asked and in which order, never what is answered.

use std::time::Duration;

use loupe_common::replay::Replay;

use super::ExploreOptions;
use super::baseline::Baseline;

/// So few parts are replayed alone both ways at once.
const FEW: usize = 8;

/// What a feature's first replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One that it shares with others, if it probably works.
    Shared,
    /// The same, where a replay without each feature is begun first ([`super::Replayer::probe`])
    /// and nothing goes wrong; if the application starts quickly enough for that.
    SharedOnceBegun,
    /// One of its own. What is shared has to wait for what it says.
    Own,
}

/// What a plan comes to for the features of one level: the syscalls, or the parts of those that are
/// required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing is shared.
    Alone,
    /// Each feature's first replay is its own, stubbed and faked at once.
    BothWays,
    /// Each feature's first replay is its own; fakes share theirs by what the stubs say.
    Own,
    /// Stubs that probably work share replays, then fakes.
    Shared,
    /// The same of stubs and fakes at once, by what is seen of how replays without each begin.
    Begun,
}

impl Course {
    pub fn new(options: &ExploreOptions, baseline: &Baseline<'_>) -> Course {
        // Impacts are measured of each feature alone, so to share would spare nothing.
        let exhaustive = options.exhaustive || options.impact.is_some();
        if exhaustive || baseline.rule.trusts_one_pass() {
            return Course::Alone;
        }
        let features = &baseline.features;
        let are_parts = features.keys().all(|it| it.parent().is_some());
        match options.plan {
            Plan::SharedOnceBegun if baseline.starts_quickly() => Course::Begun,
            // What the parts of required syscalls fail by may take long, and to share replays would
            // spare so few of them next to nothing: none waits.
            _ if are_parts && features.len() <= FEW => Course::BothWays,
            Plan::Own => Course::Own,
            Plan::Shared | Plan::SharedOnceBegun => Course::Shared,
        }
    }
}

/// What is known of a workload before its features are left out.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'r> {
    /// The first replay of the baseline.
    pub baseline: &'r Replay,
    pub jobs: usize,
    pub cpus: usize,
    pub is_server: bool,
    /// A replay that is only begun reaches into its test, and is seen to.
    pub begins_tests: bool,
}

/// With more replays at a time on each CPU than this, time goes by in waiting, not in computing.
const MOST_COMPUTING: usize = 2;

/// Where a replay of each feature alone, stubbed, takes longer than this, they share replays from
/// the beginning. That takes about six steps, in each of which CPUs may have to wait for one slow
/// replay: measured, it is the quicker way for redis (0.5 s a replay), and not for memcached
/// (0.1 s).
const LONG: Duration = Duration::from_secs(6);

impl Shape<'_> {
    pub fn plan(&self) -> Plan {
        let is_ample = self.jobs > MOST_COMPUTING * self.cpus;
        let is_slow = !is_ample && !self.is_short();
        match (self.is_server, self.begins_tests, is_slow) {
            // What the first moments of a test tell makes up for the steps that sharing takes.
            (true, true, _) | (true, false, true) => Plan::SharedOnceBegun,
            (false, true, _) | (false, false, true) => Plan::Shared,
            (_, false, false) => Plan::Own,
        }
    }

    /// Whether each syscall of a server is stubbed alone in less time than it may take to find out
    /// what can share replays.
    fn is_short(&self) -> bool {
        let replays = self.baseline.trace.calls.len() as u32;
        let one = Duration::from_micros(self.baseline.timing.wall_us);
        self.baseline.listened.is_some() && one * replays / self.jobs.max(1) as u32 <= LONG
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::Policy;

    use super::*;
    use crate::explore::Request;
    use crate::explore::simulated::App;

    #[test]
    fn the_table() {
        let plan = |wall_ms: u64, jobs, is_server: bool, begins_tests| {
            let mut baseline = App::default().replay(&Request::new(Policy::baseline(), 0));
            let feature = "read".parse().expect("a syscall");
            baseline.trace.calls.insert(feature, Default::default());
            baseline.timing.wall_us = wall_ms * 1000;
            baseline.listened = is_server.then_some(true);
            let shape = Shape {
                baseline: &baseline,
                jobs,
                cpus: 2,
                is_server,
                begins_tests,
            };
            shape.plan()
        };
        // Short, long, and with more replays at a time than CPUs compute.
        assert_eq!(plan(100, 2, true, false), Plan::Own);
        assert_eq!(plan(100, 2, false, false), Plan::Shared);
        assert_eq!(plan(20_000, 2, true, false), Plan::SharedOnceBegun);
        assert_eq!(plan(20_000, 8, true, false), Plan::Own);
        assert_eq!(plan(20_000, 8, false, false), Plan::Own);
        // Where the beginning of a test tells.
        assert_eq!(plan(100, 8, true, true), Plan::SharedOnceBegun);
        assert_eq!(plan(100, 2, true, true), Plan::SharedOnceBegun);
    }
}
