//! Passes that look wrong: a test that is too weak says yes to a replay that did nearly nothing
//! of what the baseline does. This finds what differs; whether it counts is not decided here.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::replay::{OutputTail, Replay};

/// How far below the baseline's least a replay must be to be suspicious.
const FAR: u64 = 10;

/// How far outside the baseline's range a metric must be.
const FAR_METRIC: f64 = 5.0;

/// A baseline that makes fewer calls than this has too few to compare.
const FEW_CALLS: u64 = 30;

/// Syscalls by which bytes leave the application.
const SENDING: [&str; 14] = [
    "copy_file_range",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "send",
    "sendfile",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "splice",
    "tee",
    "vmsplice",
    "write",
    "writev",
];

/// Whether the feature is one by which bytes leave the application.
fn sends(feature: &Feature) -> bool {
    let name = feature.syscall().map(|syscall| syscall.to_string());
    name.is_some_and(|name| SENDING.binary_search(&name.as_str()).is_ok())
}

/// Words of lines that complain.
const COMPLAINTS: [&str; 18] = [
    "abort",
    "broken pipe",
    "can't",
    "cannot",
    "could not",
    "denied",
    "error",
    "exception",
    "fail",
    "fatal",
    "invalid",
    "not implemented",
    "not supported",
    "panic",
    "refused",
    "timed out",
    "timeout",
    "unable",
];

/// What of a replay is compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Profile {
    /// All calls, injected ones too: a measure of how far the application came.
    calls: u64,
    /// Successful calls that send bytes; an injected one sends nothing.
    sent: u64,
    /// Lines of output that complain, by what they are without what differs from run to run.
    complaints: BTreeMap<String, String>,
    metric: Option<f64>,
}

impl Profile {
    pub fn new(replay: &Replay) -> Profile {
        let injected = |feature: &Feature| replay.injections.get(feature).copied().unwrap_or(0);
        let mut profile = Profile {
            metric: replay.metric,
            ..Profile::default()
        };
        profile.calls = replay.trace.total_calls();
        for (feature, counts) in &replay.trace.calls {
            if !sends(feature) {
                continue;
            }
            let is_stub = matches!(replay.policy.get(feature), Some(Action::Stub(_)));
            // A stub's answers are among the errors, a fake's are not.
            let answered = match is_stub {
                true => 0,
                false => injected(feature),
            };
            let in_vain = counts.error_total() + answered;
            profile.sent += counts.calls.saturating_sub(in_vain);
        }
        for output in [&replay.application_output, &replay.test_output] {
            profile.complaints.extend(complaints(output));
        }
        profile
    }

    /// What makes a replay with this profile suspicious, as sentences; none if it looks like
    /// the baseline. For what `crowd` is, see [`super::ExploreOptions`].
    pub fn suspicions(&self, baseline: &[&Profile], crowd: f64) -> Vec<String> {
        let mut suspicions = Vec::new();
        let range = |count: fn(&Profile) -> u64| {
            let counts = || baseline.iter().copied().map(count);
            (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
        };
        // Far below the least, and below what a crowd leaves of the most.
        let far_below = |own: u64, (least, most): (u64, u64)| {
            let expected = least.min((most as f64 / crowd) as u64);
            least >= FEW_CALLS && own < expected / FAR
        };
        let (calls, most) = range(|profile| profile.calls);
        if far_below(self.calls, (calls, most)) {
            suspicions.push(format!(
                "it made {} calls, the baseline at least {calls}",
                self.calls
            ));
        }
        let (sent, most) = range(|profile| profile.sent);
        if sent > 0 && (self.sent == 0 || far_below(self.sent, (sent, most))) {
            suspicions.push(format!(
                "{} of its calls sent bytes, of the baseline's at least {sent}",
                self.sent
            ));
        }
        let complaints = self.new_complaints(baseline);
        let mut new = complaints.iter();
        if let Some(line) = new.next().and_then(|shape| self.complaints.get(shape)) {
            let more = match new.count() {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            suspicions.push(printed(line) + &more);
        }
        suspicions.extend(self.metric_suspicion(baseline, crowd));
        suspicions
    }

    /// Complaints that no replay of the baseline prints, without what differs from run to run.
    pub fn new_complaints(&self, baseline: &[&Profile]) -> BTreeSet<String> {
        let known = |line: &str| {
            let mut baseline = baseline.iter();
            baseline.any(|other| other.complaints.contains_key(line))
        };
        let new = self.complaints.keys().filter(|line| !known(line));
        new.cloned().collect()
    }

    fn metric_suspicion(&self, baseline: &[&Profile], crowd: f64) -> Option<String> {
        let metrics: Option<Vec<f64>> = baseline.iter().map(|profile| profile.metric).collect();
        let metrics = metrics.filter(|metrics| !metrics.is_empty())?;
        let least = metrics.iter().copied().fold(f64::INFINITY, f64::min);
        let most = metrics.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = format!("the baseline's is from {least} to {most}");
        match self.metric {
            None => Some(format!("it printed no metric, {range}")),
            Some(metric) if metric.is_nan() => Some(format!("its metric is no number, {range}")),
            Some(metric) => {
                let low = least.min(most / crowd) / FAR_METRIC;
                // Factors say nothing about metrics that can be negative.
                let far = least > 0.0 && (metric < low || metric > most * FAR_METRIC);
                far.then(|| format!("its metric is {metric}, {range}"))
            }
        }
    }
}

/// What a new complaint is called.
pub(super) fn printed(line: &str) -> String {
    format!("it printed what no replay of the baseline prints: `{line}`")
}

/// The complaining lines of an output: numbers taken out, and as they were printed.
fn complaints(output: &OutputTail) -> impl Iterator<Item = (String, String)> {
    output.tail.lines().filter_map(|line| {
        let mut shape = String::new();
        for letter in line.trim().chars().flat_map(char::to_lowercase) {
            match letter {
                '0'..='9' if shape.ends_with('#') => (),
                '0'..='9' => shape.push('#'),
                _ => shape.push(letter),
            }
        }
        COMPLAINTS
            .iter()
            .any(|word| shape.contains(word))
            .then(|| (shape, line.trim().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use loupe_common::errno::Errno;
    use loupe_common::policy::Policy;
    use loupe_common::trace::CallCounts;

    use super::super::Request;
    use super::super::simulated::App;
    use super::*;

    fn replay(policy: Policy, calls: &[(&str, u64, u64)], output: &str) -> Replay {
        let request = Request::new(policy, 0);
        let mut replay = App::default().replay(&request);
        for (name, calls, errors) in calls {
            let counts = CallCounts {
                calls: *calls,
                errors: [(Errno::ENOSYS, *errors)].into(),
                ..CallCounts::default()
            };
            replay.trace.calls.insert(feature(name), counts);
        }
        replay.test_output.tail = output.to_owned();
        replay
    }

    fn feature(name: &str) -> Feature {
        name.parse().expect("a syscall")
    }

    fn suspicions(replay: &Replay) -> Vec<String> {
        let baseline = [("read", 500, 3), ("write", 300, 0), ("sendfile", 200, 0)];
        let mut baseline = super::tests::replay(
            Policy::baseline(),
            &baseline,
            "1000 requests in 1.01s\nerrors: 0 timeouts: 0\n",
        );
        baseline.metric = Some(990.0);
        let first = Profile::new(&baseline);
        baseline.metric = Some(1010.0);
        Profile::new(replay).suspicions(&[&first, &Profile::new(&baseline)], 1.0)
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(SENDING.is_sorted() && COMPLAINTS.is_sorted());
    }

    #[test]
    fn a_replay_like_the_baseline_is_not_suspicious() {
        let calls = [("read", 450, 9), ("write", 320, 1)];
        let output = "980 requests in 1.03s\nerrors: 1 timeouts: 0\n";
        let mut like = replay(Policy::baseline(), &calls, output);
        like.metric = Some(700.0);
        assert_eq!(suspicions(&like), [] as [&str; 0]);
    }

    #[test]
    fn a_replay_that_does_and_sends_next_to_nothing_is_suspicious() {
        let policy = Policy::single(feature("write"), Action::Fake);
        let calls = [("read", 60, 0), ("write", 30, 0)];
        let mut lazy = replay(policy, &calls, "");
        lazy.injections.insert(feature("write"), 30);
        lazy.metric = Some(1000.0);
        assert_eq!(
            suspicions(&lazy),
            [
                "it made 90 calls, the baseline at least 1000",
                "0 of its calls sent bytes, of the baseline's at least 500"
            ]
        );
    }

    #[test]
    fn a_stub_is_no_failure_of_the_calls_that_reached_the_kernel() {
        let policy = Policy::single(feature("sendfile"), Action::STUB);
        let calls = [("read", 500, 0), ("write", 300, 0), ("sendfile", 200, 200)];
        let mut stubbed = replay(policy, &calls, "");
        stubbed.injections.insert(feature("sendfile"), 200);
        let profile = Profile::new(&stubbed);
        assert_eq!((profile.calls, profile.sent), (1000, 300));
    }

    #[test]
    fn complaints_that_the_baseline_does_not_make_are_suspicious() {
        let calls = [("read", 500, 0), ("write", 300, 0)];
        let output = "0 requests in 1.00s\nSocket errors: connect 0, read 20122\n";
        let mut weak = replay(Policy::baseline(), &calls, output);
        weak.metric = Some(0.0);
        assert_eq!(
            suspicions(&weak),
            [
                "it printed what no replay of the baseline prints: \
                 `Socket errors: connect 0, read 20122`",
                "its metric is 0, the baseline's is from 990 to 1010"
            ]
        );
        weak.metric = None;
        assert!(suspicions(&weak)[1].starts_with("it printed no metric"));
    }
}
