//! What the baseline says about time: limits for the replays that follow. Pure.

use std::time::Duration;

use loupe_common::replay::{ExitStatus, Replay};
use serde::{Deserialize, Serialize};

use super::watch::usual::{self, Idling, Pauses};
use super::workload::Limits;

/// Before a baseline is known, and for what it does not tell.
const FIRST_START: Duration = Duration::from_secs(10);
const FIRST_RUN: Duration = Duration::from_secs(60);
const FIRST_TEST: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(2);
/// A server that makes no call for this long and listens to nothing counts as started.
const FIRST_QUIET: Duration = Duration::from_millis(500);

/// A derived limit is this many times the median of the baseline, and as much again but no more
/// than half a second; or twice its slowest replay, whichever is longer. A constant covers what a
/// host adds to very short ones.
const MEDIAN_FACTOR: u32 = 5;
const EXTRA: Duration = Duration::from_millis(500);
const SLOWEST_FACTOR: u32 = 2;
const SLACK: Duration = Duration::from_millis(1500);
/// The constant where the kernel does not tell how long the host kept a replay from running.
const SLACK_WITHOUT_STALLS: Duration = Duration::from_secs(3);

/// The limit of CPU time is this many times the most that the baseline used. An application that
/// spins where it used to wait takes a multiple of its usual time and may yet work (redis with
/// `futex` faked: three to four times).
const CPU_FACTOR: u32 = 8;
/// A start is done in no time, or not at all.
const START_CPU_FACTOR: u32 = 4;
/// CPU time hardly depends on what else the host does, so its slack covers only what a replay
/// costs at the least.
const CPU_SLACK: Duration = Duration::from_millis(50);

/// An application that uses less than a tenth of its usual CPU time idles. Its test is then given
/// twice its own.
const IDLING_PART: u32 = 10;
const IDLING_TEST_FACTOR: u32 = 2;

/// CPU time of the test's side that its application's start may have cost.
const STARTING: Duration = Duration::from_millis(5);

/// A test has begun as usual when its server has made a hundredth of the calls that the baseline
/// makes, and at least 200.
const BEGINNING_PART: u64 = 100;
const BEGINNING_CALLS: u64 = 200;
/// Only a test in which there are 20 times as many is long enough for that, and one that takes at
/// least 250 ms: a test takes some time to start, too.
const LONG_TEST_PART: u64 = 20;
const LONG_TEST: Duration = Duration::from_millis(250);
/// Replays beside others are slower; but one that has not come so far in a tenth of the whole
/// test's time, and at least 40 ms, has not begun as usual.
const BEGINNING_TIME_PART: u32 = 10;
const BEGINNING_TIME: Duration = Duration::from_millis(40);

/// What the passing baseline replays had in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineFacts {
    /// Sorted.
    ready: Vec<Duration>,
    /// Sorted.
    test: Vec<Duration>,
    /// CPU time of everything in the sandbox. Sorted.
    cpu: Vec<Duration>,
    /// The same until the test. Sorted.
    start_cpu: Vec<Duration>,
    /// CPU time of the application, and of everything else. Sorted.
    application_cpu: Vec<Duration>,
    others_cpu: Vec<Duration>,
    /// Calls of the target once the test has begun. Sorted.
    test_calls: Vec<u64>,
    /// The most calls of the target in all of a replay.
    most_calls: Option<u64>,
    /// How a batch application ends when all is well.
    pub exit: Option<ExitStatus>,
    /// Times that a server listens, at the least.
    pub listens: Option<u64>,
    /// A batch application may leave something that sleeps.
    pub leaves: bool,
}

/// The first moments of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// They are over when the target has made this many calls,
    pub calls: u64,
    /// or after this time.
    pub most: Duration,
}

impl Beginning {
    /// Whether a replay has come so far.
    pub fn is_over(&self, replay: &Replay) -> bool {
        calls_of_test(replay) >= self.calls
    }
}

fn calls_of_test(replay: &Replay) -> u64 {
    let all = replay.trace.total_calls();
    all.saturating_sub(replay.usage.start_calls)
}

impl BaselineFacts {
    /// Takes another passing baseline replay into account.
    pub fn add(&mut self, replay: &Replay) {
        insert(&mut self.ready, replay.timing.ready_us);
        insert(&mut self.test, replay.timing.test_us);
        insert(&mut self.cpu, replay.usage.total_cpu_us);
        let others = replay
            .usage
            .total_cpu_us
            .saturating_sub(replay.usage.cpu_us);
        insert(&mut self.application_cpu, replay.usage.cpu_us);
        insert(&mut self.others_cpu, others);
        // Unknown of a replay by an older Loupe.
        if replay.usage.start_cpu_us > 0 {
            insert(&mut self.start_cpu, replay.usage.start_cpu_us);
        }
        if replay.usage.start_calls > 0 {
            insert_sorted(&mut self.test_calls, calls_of_test(replay));
        }
        self.most_calls = self.most_calls.max(Some(replay.trace.total_calls()));
        self.exit = self.exit.or(replay.application_exit);
        self.leaves |= !replay.left.is_empty();
        if let Some(listened) = replay.listened {
            // An older Loupe did not count.
            let listens = replay.listens.max(u64::from(listened));
            self.listens = Some(self.listens.map_or(listens, |least| least.min(listens)));
        }
    }

    pub fn is_known(&self) -> bool {
        !self.test.is_empty()
    }

    /// The slowest start of a server, or run of a batch application, so far.
    pub fn ready_time(&self) -> Duration {
        slowest(&self.ready)
    }

    /// How long a test pauses that keeps a CPU busy for a good part of its time.
    pub fn pauses(&self) -> Option<Pauses> {
        let least = self.cpu.first()?.saturating_sub(*self.start_cpu.last()?);
        let of_test = self.others_cpu.first()?.saturating_sub(STARTING);
        let slowest = self.test_time();
        usual::computes(least, slowest).then(|| Pauses {
            of_all: slowest.saturating_sub(least),
            of_test: slowest.saturating_sub(of_test),
        })
    }

    /// When a test runs away from an application that does nothing.
    pub fn idling(&self) -> Option<Idling> {
        Some(Idling {
            application: *self.application_cpu.first()? / IDLING_PART,
            test: *self.others_cpu.last()? * IDLING_TEST_FACTOR + CPU_SLACK,
        })
    }

    /// How much of a test shows whether it goes as usual, where that is a small part of it.
    pub fn beginning(&self) -> Option<Beginning> {
        let least = *self.test_calls.first()?;
        let calls = (least / BEGINNING_PART).max(BEGINNING_CALLS);
        let is_long = least >= calls * LONG_TEST_PART && self.test_time() >= LONG_TEST;
        is_long.then(|| Beginning {
            calls,
            most: (self.test_time() / BEGINNING_TIME_PART).max(BEGINNING_TIME),
        })
    }

    pub fn most_calls(&self) -> Option<u64> {
        self.most_calls
    }

    /// The slowest test so far.
    pub fn test_time(&self) -> Duration {
        slowest(&self.test)
    }
}

fn insert(sorted: &mut Vec<Duration>, micros: u64) {
    insert_sorted(sorted, Duration::from_micros(micros));
}

fn insert_sorted<T: Ord>(sorted: &mut Vec<T>, value: T) {
    let at = sorted.partition_point(|other| *other < value);
    sorted.insert(at, value);
}

fn slowest(sorted: &[Duration]) -> Duration {
    sorted.last().copied().unwrap_or_default()
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// When to stop waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// For a server to be ready.
    pub start: Duration,
    /// For a batch application to end.
    pub run: Duration,
    pub test: Duration,
    /// Between SIGTERM and SIGKILL.
    pub stop: Duration,
    /// For a server that does not listen: silence that counts as readiness.
    pub quiet: Duration,
    /// CPU time of a replay that is overdue; `None` before a baseline is known.
    pub cpu: Option<Duration>,
    /// The same, before its test.
    pub start_cpu: Option<Duration>,
}

impl TimeLimits {
    /// What the paper's prototype gives every run (its own figures; see `cargo xtask bench
    /// explore`).
    pub fn of_the_paper() -> TimeLimits {
        let limit = Duration::from_secs(4);
        TimeLimits {
            start: limit,
            run: limit,
            test: limit,
            stop: STOP,
            quiet: limit,
            cpu: None,
            start_cpu: None,
        }
    }

    /// The workload file's limits; what it leaves open comes from the baseline.
    /// `knows_stalls`: the limits count only time in which the replay was let run.
    pub fn new(file: &Limits, facts: &BaselineFacts, knows_stalls: bool) -> TimeLimits {
        let slack = match knows_stalls {
            true => SLACK,
            false => SLACK_WITHOUT_STALLS,
        };
        let derived = |seen: &[Duration], first: Duration| {
            if seen.is_empty() {
                return first;
            }
            let many = median(seen) * MEDIAN_FACTOR;
            let usual = (many + many.min(EXTRA)).max(slowest(seen) * SLOWEST_FACTOR);
            (usual + slack).min(first)
        };
        let or = |limit: Option<f64>, otherwise: Duration| {
            limit.map_or(otherwise, Duration::from_secs_f64)
        };
        let cpu = |seen: &[Duration], factor: u32| {
            let derived = |slowest: &Duration| *slowest * factor + CPU_SLACK;
            let file = file.cpu.map(Duration::from_secs_f64);
            file.or_else(|| seen.last().map(derived))
        };
        TimeLimits {
            start: or(file.start, derived(&facts.ready, FIRST_START)),
            run: or(file.run, derived(&facts.ready, FIRST_RUN)),
            test: or(file.test, derived(&facts.test, FIRST_TEST)),
            stop: or(file.stop, STOP),
            quiet: if facts.is_known() {
                (slowest(&facts.ready) * 3 + Duration::from_millis(50)).min(FIRST_QUIET)
            } else {
                FIRST_QUIET
            },
            cpu: cpu(&facts.cpu, CPU_FACTOR),
            start_cpu: cpu(&facts.start_cpu, START_CPU_FACTOR)
                .or_else(|| cpu(&facts.cpu, CPU_FACTOR)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(ready_ms: u64, test_ms: u64) -> BaselineFacts {
        BaselineFacts {
            ready: vec![Duration::from_millis(ready_ms)],
            test: vec![Duration::from_millis(test_ms)],
            cpu: vec![Duration::from_millis(test_ms)],
            start_cpu: vec![Duration::from_millis(ready_ms)],
            application_cpu: vec![Duration::from_millis(test_ms / 2)],
            others_cpu: vec![Duration::from_millis(test_ms / 2)],
            test_calls: vec![100_000],
            ..BaselineFacts::default()
        }
    }

    #[test]
    fn limits_follow_the_baseline() {
        let limits = TimeLimits::new(&Limits::default(), &facts(10, 100), false);
        assert_eq!(limits.start, Duration::from_millis(3100));
        assert_eq!(limits.test, Duration::from_millis(4000));
        assert_eq!(limits.cpu, Some(Duration::from_millis(850)));
        assert_eq!(limits.start_cpu, Some(Duration::from_millis(90)));
    }

    #[test]
    fn an_application_idles_far_below_its_least_and_a_test_runs_away_far_above_its_most() {
        let mut facts = facts(10, 100);
        insert(&mut facts.application_cpu, 40_000);
        insert(&mut facts.others_cpu, 80_000);
        let idling = facts.idling().expect("a baseline is known");
        assert_eq!(idling.application, Duration::from_millis(4));
        assert_eq!(idling.test, Duration::from_millis(210));
        assert_eq!(BaselineFacts::default().idling(), None);
    }

    #[test]
    fn a_test_that_computes_has_pauses_that_are_known() {
        let mut facts = facts(10, 100);
        insert(&mut facts.test, 120_000);
        let ms = Duration::from_millis;
        let expected = Pauses {
            of_all: ms(30),
            of_test: ms(75),
        };
        assert_eq!(facts.pauses(), Some(expected));
        insert(&mut facts.test, 2_000_000);
        assert_eq!(facts.pauses(), None);
        assert_eq!(BaselineFacts::default().pauses(), None);
    }

    #[test]
    fn the_beginning_of_a_test_is_a_small_part_of_it_or_not_told() {
        let ms = Duration::from_millis;
        let calls = |calls: u64| BaselineFacts {
            test_calls: vec![calls],
            ..facts(10, 1000)
        };
        let beginning = |calls, most| Some(Beginning { calls, most });
        assert_eq!(calls(100_000).beginning(), beginning(1000, ms(100)));
        assert_eq!(calls(4_000).beginning(), beginning(200, ms(100)));
        assert_eq!(calls(3_999).beginning(), None);
        assert_eq!(BaselineFacts::default().beginning(), None);
        let mut facts = facts(10, 100);
        insert(&mut facts.test, 120_000);
        assert_eq!(facts.beginning(), None);
        insert(&mut facts.test, 300_000);
        assert_eq!(facts.beginning(), beginning(1000, ms(40)));
    }

    #[test]
    fn one_slow_replay_does_not_stretch_the_limit_tenfold() {
        let mut facts = facts(10, 100);
        insert(&mut facts.test, 120_000);
        insert(&mut facts.test, 2_000_000);
        let limits = TimeLimits::new(&Limits::default(), &facts, false);
        assert_eq!(limits.test, Duration::from_millis(7000));
    }

    #[test]
    fn without_a_baseline_limits_are_generous() {
        let limits = TimeLimits::new(&Limits::default(), &BaselineFacts::default(), false);
        assert_eq!((limits.start, limits.test), (FIRST_START, FIRST_TEST));
        assert_eq!(limits.cpu, None);
    }

    #[test]
    fn the_file_has_the_last_word() {
        let file = Limits {
            test: Some(2.5),
            ..Limits::default()
        };
        let limits = TimeLimits::new(&file, &facts(10, 100), true);
        assert_eq!(limits.test, Duration::from_millis(2500));
    }
}
