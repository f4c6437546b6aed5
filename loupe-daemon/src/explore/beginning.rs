//! What the first moments of a replay say about the rest of it. A guess, to choose what is asked
//! next; no verdict rests on it.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::replay::Replay;

use super::Reached;
use super::run::{self, Run};

/// A call that is such a part of the baseline's calls is one that its test makes all the time.
const FREQUENT: f64 = 1.0 / 50.0;

/// A call is made too often if it is so many times as large a part of all calls as in the baseline,
/// and this part (one in so many) more, and not just a few.
const TOO_OFTEN: f64 = 20.0;
const TOO_OFTEN_PART: f64 = 1.0 / 30.0;
const FEW: u64 = 50;

/// How a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beginning {
    /// It failed, and that was a whole replay.
    Fails,
    /// It calls or prints what the baseline never does, or the test begins otherwise than usual.
    Odd,
    /// The application starts; that is all that is known.
    Starts,
    /// The test has begun as usual, too.
    Goes,
}

impl Beginning {
    /// Of a replay that was begun and has not failed.
    pub fn of(replay: &Replay, reached: Reached, baseline: &[&Run]) -> Beginning {
        if run::shows_new(replay, baseline) {
            return Beginning::Odd;
        }
        match reached {
            Reached::Start => return Beginning::Starts,
            Reached::Standstill => return Beginning::Odd,
            Reached::Test => {}
        }
        let all = replay.trace.total_calls();
        let calls = |feature: &Feature| {
            let counts = replay.trace.calls.get(feature);
            counts.map_or(0, |counts| counts.calls)
        };
        let is_odd = most(baseline).into_iter().any(|(feature, most)| {
            let own = calls(feature);
            let missing = own == 0 && baseline.iter().all(|run| part(run, feature) >= FREQUENT);
            missing || own > FEW && own as f64 / all as f64 > most * TOO_OFTEN + TOO_OFTEN_PART
        });
        match is_odd {
            true => Beginning::Odd,
            false => Beginning::Goes,
        }
    }
}

/// What the baseline's replays call, and which part of their calls that is at most.
fn most<'r>(baseline: &[&'r Run]) -> BTreeMap<&'r Feature, f64> {
    let mut most = BTreeMap::new();
    for run in baseline {
        for feature in run.calls.keys() {
            let known = most.entry(feature).or_insert(0.0);
            *known = part(run, feature).max(*known);
        }
    }
    most
}

/// Which part of all calls a call is.
fn part(run: &Run, feature: &Feature) -> f64 {
    let all: u64 = run.calls.values().sum();
    let own = run.calls.get(feature).copied().unwrap_or_default();
    own as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::Policy;
    use loupe_common::trace::CallCounts;

    use super::super::simulated::App;
    use super::super::{Recorded, Request};
    use super::*;

    fn replay(calls: &[(&str, u64)]) -> Replay {
        let mut replay = App::default().replay(&Request::new(Policy::baseline(), 0));
        for (name, calls) in calls {
            let feature: Feature = name.parse().expect("a syscall");
            let counts = CallCounts {
                calls: *calls,
                ..CallCounts::default()
            };
            replay.trace.calls.insert(feature, counts);
        }
        replay
    }

    fn of(reached: Reached, calls: &[(&str, u64)]) -> Beginning {
        let baseline = Run::new(&Recorded {
            id: 1,
            replay: replay(&[
                ("accept4", 10),
                ("read", 5000),
                ("write", 5000),
                ("fsync", 1),
            ]),
            reused: false,
        });
        Beginning::of(&replay(calls), reached, &[&baseline])
    }

    #[test]
    fn a_test_that_begins_as_usual_makes_its_frequent_calls_none_too_often_and_no_new_ones() {
        use Beginning::*;
        let usual = [("accept4", 10), ("read", 50), ("write", 50)];
        let cases = [
            (&usual[..], Goes),
            (&[("accept4", 10), ("read", 50)], Odd),
            (&[("accept4", 200), ("read", 50), ("write", 50)], Odd),
            (
                &[("accept4", 1), ("read", 50), ("write", 50), ("poll", 1)],
                Odd,
            ),
        ];
        for (calls, expected) in cases {
            assert_eq!(of(Reached::Test, calls), expected, "{calls:?}");
        }
    }

    #[test]
    fn what_is_not_tested_yet_only_starts_and_what_stands_still_is_odd() {
        assert_eq!(of(Reached::Start, &[]), Beginning::Starts);
        let usual = [("read", 50), ("write", 50)];
        assert_eq!(of(Reached::Standstill, &usual), Beginning::Odd);
        let good = |beginning: &Beginning| *beginning >= Beginning::Starts;
        let all = [
            Beginning::Fails,
            Beginning::Odd,
            Beginning::Starts,
            Beginning::Goes,
        ];
        assert_eq!(all.iter().filter(|one| good(one)).count(), 2);
    }
}
