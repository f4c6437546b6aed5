//! What the analysis keeps of one replay: its vote, what fired, what was used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loupe_common::feature::Feature;
use loupe_common::impact::Quantity;
use loupe_common::policy::Policy;
use loupe_common::replay::{Outcome, Replay, Usage};
use loupe_common::syscalls::Syscall;
use loupe_common::trace::{CallCounts, ForeignCall};

use super::suspicion::Profile;
use super::tally::Vote;
use super::{ExploreOptions, Recorded};
use crate::inject::notify::paths::{PATH_CALLS, PathCall};

/// A replay does the workload's work if it reaches one eighth of what is expected of its metric.
const WORK_PART: f64 = 1.0 / 8.0;

/// What it takes to notify a call and to look at its path, in microseconds: 20000 calls took 0.3 s
/// longer than without.
const NOTIFIED_US: u64 = 15;
/// Watching is cheap where it takes at most one part in so many of the replay.
const CHEAP_PART: u64 = 10;

/// From when to when something ran, in steps of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub begin: u64,
    pub end: u64,
}

/// One finished replay, boiled down.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub id: i64,
    pub policy: Policy,
    pub reused: bool,
    pub vote: Vote,
    /// It ran beside more others than there are CPUs. (Of the baseline none did that shows: whether
    /// it is flaky matters.)
    pub in_crowd: bool,
    /// It failed there although it did the workload's work, so that it does not count.
    pub too_slow: bool,
    /// It failed there, and would have computed more than it could.
    pub starved: bool,
    /// It did next to none of what the workload does, by its metric.
    pub barely_works: bool,
    /// It failed by time.
    pub late: bool,
    /// When it began and ended, in steps of the ledger.
    pub span: Span,
    /// A failure by time that came at the same time as another of its policy, or without a passing
    /// replay in between: both are one.
    pub echo: bool,
    /// Why it cannot be used, where the vote is [`Vote::Invalid`] or [`Vote::Void`].
    pub why_invalid: Option<String>,
    /// Why no filter could be put on its target.
    pub refused: Option<String>,
    /// Calls by feature; what was not seen is absent.
    pub calls: BTreeMap<Feature, u64>,
    /// Calls by operation and by flag.
    pub operations: BTreeMap<Feature, u64>,
    /// Operations of io_uring, which cannot be injected one by one.
    pub io_uring: BTreeMap<Feature, u64>,
    /// Operations of io_uring were counted.
    pub sees_io_uring: bool,
    /// Pseudo-files were looked for: what is not among the calls was not used.
    pub watched: bool,
    /// Calls that look a file up by its path, each of which is notified where that is so.
    path_calls: u64,
    /// The target was told where its vDSO is.
    pub vdso: bool,
    /// Times that the injection answered, by feature; what never fired is absent.
    pub fired: BTreeMap<Feature, u64>,
    /// Times that the target was started.
    pub target_execs: u64,
    /// Names of what the command had left, asleep.
    pub left: Vec<String>,
    /// Features in the order of their first call.
    pub first_seen: Vec<Feature>,
    pub foreign: Vec<ForeignCall>,
    pub lost: u64,
    pub wall_us: u64,
    /// It came to its test.
    pub tested: bool,
    /// Until the application was ready for its test, its sandbox included.
    pub start_us: u64,
    usage: Usage,
    metric: Option<f64>,
    profile: Profile,
    /// Calls and operations that no passing replay of the baseline makes; known once it is compared
    /// with these by [`Run::compare`].
    pub new: Vec<Feature>,
    /// What is odd about it, if it passed; compared with the baseline by [`Run::compare`].
    pub suspicions: Vec<String>,
    /// What it printed that no replay of the baseline prints, which is one of the suspicions.
    pub complaints: BTreeSet<String>,
    /// All of it; only of the baseline, whose replays may have to be shown.
    replay: Option<Arc<Replay>>,
}

impl Run {
    pub fn new(recorded: &Recorded) -> Run {
        let replay = &recorded.replay;
        let fired: BTreeMap<Feature, u64> = replay
            .injections
            .iter()
            .filter(|(_, times)| **times > 0)
            .map(|(feature, times)| (feature.clone(), *times))
            .collect();
        // The baseline injects nothing, and still passes or fails.
        let counts = replay.policy.is_empty() || !fired.is_empty();
        let why_invalid = why_invalid(recorded);
        let stalled = replay.conditions.stood_still_ms > 0;
        let vote = match (&replay.outcome, &why_invalid) {
            (Outcome::Invalid { .. }, _) if stalled => Vote::Void,
            (Outcome::Invalid { .. }, _) | (_, Some(_)) => Vote::Invalid,
            (Outcome::Passed, None) if counts => Vote::Pass,
            (Outcome::Passed, None) => Vote::IdlePass,
            (Outcome::Failed(_), None) if counts => Vote::Failure,
            (Outcome::Failed(_), None) => Vote::Stray,
        };
        let used = calls(&replay.trace.calls).into_iter();
        let (io_uring, calls) = used.partition(|(feature, _)| feature.kind() == "io_uring");
        Run {
            id: recorded.id,
            policy: replay.policy.clone(),
            reused: recorded.reused,
            vote,
            in_crowd: replay.usage.crowd > 0 && !replay.policy.is_empty(),
            too_slow: false,
            starved: false,
            barely_works: false,
            late: vote == Vote::Failure
                && matches!(&replay.outcome, Outcome::Failed(why) if why.is_by_time()),
            span: Span::default(),
            echo: false,
            why_invalid,
            refused: replay.conditions.refused.clone(),
            calls,
            operations: self::calls(&replay.trace.operations),
            io_uring,
            sees_io_uring: replay.trace.io_uring,
            watched: replay.trace.pseudo_files,
            path_calls: path_calls(&replay.trace.calls),
            vdso: replay.trace.vdso,
            fired,
            target_execs: replay.target_execs,
            left: replay.left.clone(),
            first_seen: replay.trace.first_seen.clone(),
            foreign: replay.trace.foreign.clone(),
            lost: replay.trace.lost.total(),
            wall_us: replay.timing.wall_us,
            tested: replay.timing.test_us > 0,
            start_us: replay.timing.sandbox_us + replay.timing.ready_us,
            usage: replay.usage,
            metric: replay.metric,
            profile: Profile::new(replay),
            new: Vec::new(),
            suspicions: Vec::new(),
            complaints: BTreeSet::new(),
            replay: replay.policy.is_empty().then(|| Arc::new(replay.clone())),
        }
    }

    /// Compares a run with the passing runs of the baseline. If that is to be strict, a pass that is
    /// odd is none.
    pub fn compare(&mut self, baseline: &[&Run], options: &ExploreOptions) {
        let used = self.calls.keys().chain(self.operations.keys());
        let new = used.filter(|feature| is_new(feature, baseline));
        self.new = new.cloned().collect();
        let least = baseline.iter().filter_map(|run| run.metric);
        let expected = least.min_by(f64::total_cmp);
        let expected = expected.map(|least| least / options.crowd);
        let works = expected.and_then(|metric| self.does_its_work(metric));
        self.barely_works = works == Some(false);
        if !self.vote.passes() {
            return;
        }
        let profiles = profiles(baseline);
        self.suspicions = self.profile.suspicions(&profiles, options.crowd);
        self.complaints = self.profile.new_complaints(&profiles);
        if options.strict && !self.suspicions.is_empty() {
            self.vote = match self.vote {
                Vote::Pass => Vote::Failure,
                _ => Vote::Stray,
            };
        }
    }

    /// Whether it did the workload's work, where this metric is expected of it. `None`: it has no metric.
    pub fn does_its_work(&self, expected: f64) -> Option<bool> {
        self.metric.map(|metric| metric >= expected * WORK_PART)
    }

    /// It is found to be a failure by time that the host is to blame for.
    pub fn void(&mut self, why: &str) {
        self.vote = Vote::Void;
        self.late = false;
        self.why_invalid = Some(why.to_owned());
    }

    /// One that fails before its test does so wherever it runs.
    pub fn tested_in_crowd(&self) -> bool {
        self.in_crowd && self.tested
    }

    /// Whether watching it takes little time, compared with what it takes anyway.
    pub fn is_cheap_to_watch(&self) -> bool {
        self.path_calls * NOTIFIED_US * CHEAP_PART <= self.wall_us
    }

    /// Times that it used a feature, if it did.
    pub fn calls_of(&self, feature: &Feature) -> Option<u64> {
        let calls = self.calls.get(feature);
        calls.or_else(|| self.operations.get(feature)).copied()
    }

    /// Whether it would show that a feature is used: pseudo-files are seen in watched runs only.
    pub fn shows(&self, feature: &Feature) -> bool {
        self.watched || feature.syscall().is_some()
    }

    /// Whether it passed, and at most printed what it should not.
    pub fn passes_but_for_oddities(&self) -> bool {
        let others = self.suspicions.len() - usize::from(!self.complaints.is_empty());
        self.vote == Vote::Pass && others == 0
    }

    /// CPU time of everything in its sandbox.
    pub fn total_cpu_us(&self) -> u64 {
        self.usage.total_cpu_us
    }

    /// How much of something it had or used, where that is known.
    pub fn amount(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Metric => self.metric,
            Quantity::Cpu => Some(self.usage.cpu_us as f64 / 1000.0),
            Quantity::Memory => self.usage.peak_memory_kib.map(|kib| kib as f64),
            Quantity::Descriptors => self.usage.descriptors.map(|open| open as f64),
        }
    }

    /// Whether that is no amount of its own, but only the least that can be told.
    pub fn is_hidden(&self, quantity: Quantity) -> bool {
        quantity == Quantity::Memory && self.usage.peak_is_our_own()
    }

    /// The whole replay, of a run of the baseline.
    pub fn replay(&self) -> Box<Replay> {
        let replay = self.replay.as_deref();
        Box::new(replay.expect("runs of the baseline are kept whole").clone())
    }
}

/// Whether a replay makes a call, or complains, as none of the baseline does.
pub(super) fn shows_new(replay: &Replay, baseline: &[&Run]) -> bool {
    let calls = calls(&replay.trace.calls);
    let mut syscalls = calls.keys().filter(|feature| feature.syscall().is_some());
    let complaints = || Profile::new(replay).new_complaints(&profiles(baseline));
    syscalls.any(|feature| is_new(feature, baseline)) || !complaints().is_empty()
}

fn is_new(feature: &Feature, baseline: &[&Run]) -> bool {
    let mut baseline = baseline.iter();
    baseline.all(|run| run.calls_of(feature).is_none())
}

fn profiles<'r>(baseline: &[&'r Run]) -> Vec<&'r Profile> {
    baseline.iter().map(|run| &run.profile).collect()
}

fn path_calls(counts: &BTreeMap<Feature, CallCounts>) -> u64 {
    let named = |call: &PathCall| {
        let feature = Syscall::from_name(call.name).map(Feature::from);
        feature.and_then(|feature| counts.get(&feature))
    };
    let counts = PATH_CALLS.iter().filter_map(named);
    counts.map(|counts| counts.calls).sum()
}

/// What was seen.
fn calls(counts: &BTreeMap<Feature, CallCounts>) -> BTreeMap<Feature, u64> {
    let seen = counts.iter().filter(|(_, counts)| counts.calls > 0);
    seen.map(|(feature, counts)| (feature.clone(), counts.calls))
        .collect()
}

/// A trace that lost calls or errors is no evidence, whatever the outcome says. Lost latencies
/// do not matter to a verdict.
fn why_invalid(recorded: &Recorded) -> Option<String> {
    if let Outcome::Invalid { why } = &recorded.replay.outcome {
        return Some(why.clone());
    }
    let lost = recorded.replay.trace.lost;
    let matters = lost.events + lost.errors + lost.foreign + lost.operations;
    (matters > 0).then(|| format!("the tracer lost {matters} records"))
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::Action;

    use super::super::Request;
    use super::super::simulated::{App, Effect, SimFeature};
    use super::*;

    fn recorded() -> Recorded {
        let feature: Feature = "futex".parse().expect("a syscall");
        let app = App {
            features: [(
                feature.clone(),
                SimFeature::always(Effect::Works, Effect::Works),
            )]
            .into(),
            ..App::default()
        };
        let request = Request::new(Policy::single(feature, Action::STUB), 0);
        Recorded {
            id: 1,
            replay: app.replay(&request),
            reused: false,
        }
    }

    #[test]
    fn a_trace_that_lost_calls_is_no_evidence_and_one_that_lost_latencies_is() {
        let mut recorded = recorded();
        recorded.replay.trace.lost.latency = 1;
        assert_eq!(Run::new(&recorded).vote, Vote::Pass);
        recorded.replay.trace.lost.errors = 1;
        let run = Run::new(&recorded);
        assert_eq!(run.vote, Vote::Invalid);
        assert!(run.why_invalid.is_some_and(|why| why.contains("lost 1")));
    }

    #[test]
    fn a_rule_that_answered_nothing_has_not_fired() {
        let mut recorded = recorded();
        for times in recorded.replay.injections.values_mut() {
            *times = 0;
        }
        let run = Run::new(&recorded);
        assert_eq!(run.vote, Vote::IdlePass);
        assert!(run.fired.is_empty());
    }
}
