//! What the first moments of a replay say about the rest of it. A guess, to choose what is asked
//! next; no verdict rests on it.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::replay::Replay;

use super::Reached;
use super::run::Run;

/// A call that is one in so many of the baseline's calls is one that its test makes all the time.
const FREQUENT_PART: u64 = 50;

/// What the baseline calls in all its time is called too often where it is called so many times as
/// often, and as many times more, before that has really begun.
const TOO_OFTEN: u64 = 5;
const TOO_MANY: u64 = 20;

/// How a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beginning {
    /// It failed, and that was a whole replay.
    Fails,
    /// The test has begun, and not as it usually does.
    Odd,
    /// The application starts; that is all that is known.
    Starts,
    /// The test has begun as usual, too.
    Goes,
}

impl Beginning {
    /// Of a replay that was begun and has not failed.
    pub fn of(replay: &Replay, reached: Reached, baseline: &[&Run]) -> Beginning {
        match reached {
            Reached::Start => return Beginning::Starts,
            Reached::Standstill => return Beginning::Odd,
            Reached::Test => {}
        }
        let calls = |feature: &Feature| {
            let counts = replay.trace.calls.get(feature);
            counts.map_or(0, |counts| counts.calls)
        };
        let is_odd = most(baseline).into_iter().any(|(feature, most)| {
            let own = calls(feature);
            let missing = own == 0 && baseline.iter().all(|run| is_frequent(run, feature));
            missing || own > most * TOO_OFTEN + TOO_MANY
        });
        match is_odd {
            true => Beginning::Odd,
            false => Beginning::Goes,
        }
    }

    /// Nothing is wrong so far.
    pub fn is_good(self) -> bool {
        self >= Beginning::Starts
    }
}

/// What the baseline's replays call, and how often at most.
fn most<'r>(baseline: &[&'r Run]) -> BTreeMap<&'r Feature, u64> {
    let mut most = BTreeMap::new();
    for (feature, calls) in baseline.iter().flat_map(|run| &run.calls) {
        let known = most.entry(feature).or_insert(0);
        *known = (*calls).max(*known);
    }
    most
}

fn is_frequent(run: &Run, feature: &Feature) -> bool {
    let all: u64 = run.calls.values().sum();
    let own = run.calls.get(feature);
    own.is_some_and(|own| own * FREQUENT_PART >= all)
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
    fn a_test_that_begins_as_usual_makes_its_frequent_calls_and_none_too_often() {
        use Beginning::*;
        let usual = [("accept4", 10), ("read", 50), ("write", 50)];
        let cases = [
            (&usual[..], Goes),
            (&[("accept4", 10), ("read", 50)], Odd),
            (&[("accept4", 200), ("read", 50), ("write", 50)], Odd),
            (&[("read", 50), ("write", 50), ("poll", 900)], Goes),
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
        let good = |beginning: &Beginning| beginning.is_good();
        let all = [
            Beginning::Fails,
            Beginning::Odd,
            Beginning::Starts,
            Beginning::Goes,
        ];
        assert_eq!(all.iter().filter(|one| good(one)).count(), 2);
    }
}
