//! Can a replay that takes long still come to its end? A pure function of what was seen of it and of
//! what is usual; it looks at nothing itself.
//!
//! Two of its answers are certain:
//!
//! - **A hang.** At every look for a while, every task of the application and of the test sleeps in
//!   a call without a timeout, and neither a call was finished nor CPU time used in between.
//!   Nothing outside can wake them: the sandbox has no network and no terminal. A timer signal
//!   could (`setitimer`); so a hang, like every failure, counts only when a second replay confirms it.
//! - **A runaway.** It takes over twice as long as the baseline's slowest replay and has used more
//!   CPU time than its limit, which does not grow when the host is busy. So does a test that
//!   computes far more than it ever does while the application does next to nothing: it tries
//!   again and again to reach something that is not there.
//!
//! Two are as near to that as a limit of time comes, and sooner:
//!
//! - **A livelock.** The application repeats itself: it makes calls, none of a kind that it had not
//!   made before, while the test does nothing at all; and it either sleeps nearly all the time
//!   between them, without printing much, or, in a test, makes an injected call over and over, whose answer never changes.
//! - **A stalemate**, which is told as a hang. Every task of the application waits for another, and
//!   the test has long done nothing but wait for a time-out of its own.

use std::time::Duration;

use loupe_common::replay::Failure;
use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::usual::Usual;

/// Looks in a row that must find the same standstill, and the time that it must last.
const MIN_STILL_LOOKS: usize = 6;
const MIN_STANDSTILL: Duration = Duration::from_millis(100);
/// Nothing of the baseline stands still for this many times all of its pauses together.
const PAUSE_FACTOR: f64 = 1.25;
/// Who uses less than one part in this many of one CPU idles, and at this many looks in a row for
/// others to have the CPU.
const IDLE_PART: u32 = 10;
const MIN_IDLE_LOOKS: usize = 3;
/// A runaway takes this many times as long as the baseline's slowest replay.
const RUNAWAY_FACTOR: u32 = 2;
/// A livelock lasts at least this long, or longer than the baseline's test pauses, or half as long as
/// the phase takes where that is not known; or (where the test does a little all the same, or the only
/// witness is that the application sleeps) twice as long as the phase takes.
const MIN_LIVELOCK: Duration = Duration::from_millis(100);
/// Looks at who tries again and again that find further calls.
const MIN_ROUNDS: usize = 3;
/// Who tries again and again says so in less. More than a pipe holds (`pipe(7)`) is printed at the pace
/// of who reads it, and asleep in between.
const MAX_PRINTED_BYTES: u64 = 64 << 10;
/// An injected call that is made this often while the test waits is hammered at.
const HAMMERED_CALLS: u64 = 1000;
/// CPU time of a test that hardly does anything: this, or this part of the time. `redis-benchmark`
/// that waits uses 0.3 % of a CPU.
const MAX_TICKS: Duration = Duration::from_millis(1);
const TICKS_PART: u32 = 100;
/// Longer than the second that many programs sleep before they try again.
const MIN_STALEMATE: Duration = Duration::from_millis(1200);

/// What the looks come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It may still come to its end.
    GoingOn,
    /// It hardly computes: it waits for something, and others can use its CPU.
    Idle,
    /// It has failed, whatever the time.
    Failed(Failure),
}

/// Rules by all looks at a phase so far, the newest last.
pub fn judge(history: &[Sample], usual: &Usual) -> Finding {
    let (Some(now), Some(duration)) = (history.last(), usual.duration) else {
        return Finding::GoingOn;
    };
    let failed = hang(history, usual, duration)
        .or_else(|| standing(history, usual, duration))
        .or_else(|| runaway(now, usual, duration))
        .or_else(|| idling(now, usual));
    match failed {
        Some(failure) => Finding::Failed(failure),
        None if idle_looks(history) >= MIN_IDLE_LOOKS => Finding::Idle,
        None => Finding::GoingOn,
    }
}

/// The looks at the end at which it hardly wanted a CPU since the one before.
pub fn idle_looks(history: &[Sample]) -> usize {
    trailing(history, |before, now| {
        now.wanted_since(before) * IDLE_PART < now.since(before)
    })
}

/// Whether it used next to no CPU between two looks.
fn is_idle(before: &Sample, now: &Sample) -> bool {
    now.cpu_since(before) * IDLE_PART < now.since(before)
}

/// The pairs of neighbours at the end for which this holds.
fn trailing(history: &[Sample], holds: fn(&Sample, &Sample) -> bool) -> usize {
    let pairs = history.windows(2).rev();
    pairs.take_while(|pair| holds(&pair[0], &pair[1])).count()
}

fn hang(history: &[Sample], usual: &Usual, duration: Duration) -> Option<Failure> {
    let stands_still = |before: &Sample, now: &Sample| {
        before.calls == now.calls && before.cpu == now.cpu && now.all_is_stuck()
    };
    let looks = trailing(history, stands_still);
    let now = history.last()?;
    let first = history.get(history.len() - 1 - looks)?;
    // Before a replay is overdue, it must stand still for longer than the baseline does in all.
    let usual_pause = match usual.pauses {
        Some(pauses) if now.at < duration => pauses.of_all.mul_f64(PAUSE_FACTOR),
        _ => Duration::ZERO,
    };
    let lasts = now.since(first) >= usual_pause.max(MIN_STANDSTILL);
    (looks >= MIN_STILL_LOOKS && lasts).then(|| Failure::Hung {
        after_ms: millis(now.at),
    })
}

/// A livelock or a stalemate: something goes on, or waits, and nothing gets anywhere.
fn standing(history: &[Sample], usual: &Usual, duration: Duration) -> Option<Failure> {
    let now = history.last()?;
    let window = nothing_new(history, usual, false)?;
    let first = window.first()?;
    let lasts = now.since(first);
    let after_ms = millis(now.at);
    if usual.tested && hammers(history, window, usual, duration) {
        return Some(Failure::Livelock { after_ms });
    }
    let changes = window
        .windows(2)
        .filter(|pair| pair[0].calls != pair[1].calls);
    let rounds = changes.count();
    if rounds == 0 {
        let stuck = first.application_is_stuck() && now.application_is_stuck();
        let long = lasts >= MIN_STALEMATE.max(duration * 2);
        return (usual.tested && stuck && long).then_some(Failure::Hung { after_ms });
    }
    let prints = now.printed.saturating_sub(first.printed) > MAX_PRINTED_BYTES;
    let tries_again = !prints && is_idle(first, now) && lasts >= MIN_LIVELOCK.max(duration * 2);
    let repeats = rounds >= MIN_ROUNDS && tries_again;
    repeats.then_some(Failure::Livelock { after_ms })
}

/// Whether the test has done nothing for so long that who hammers at an injected call gets nowhere;
/// `window` are the looks since when it has.
fn hammers(history: &[Sample], window: &[Sample], usual: &Usual, duration: Duration) -> bool {
    let (Some(first), Some(now)) = (window.first(), window.last()) else {
        return false;
    };
    // What was not hammered at in all looks was not in the last ones, and most replays hammer at nothing.
    if !history
        .first()
        .is_some_and(|earliest| has_hammered(earliest, now, usual))
    {
        return false;
    }
    let pause = MIN_LIVELOCK.max(pause_of_test(usual, duration));
    let lasts = now.since_for_test(first);
    let ticking = nothing_new(history, usual, true).and_then(<[Sample]>::first);
    let hardly_anything = ticking.is_some_and(|first| {
        let lasts = now.since_for_silent_test(first);
        has_hammered(first, now, usual) && lasts >= pause.max(duration * 2)
    });
    hardly_anything || has_hammered(first, now, usual) && lasts >= pause
}

/// Whether an injected call was made over and over, or before more often than the baseline makes all
/// calls together.
fn has_hammered(first: &Sample, now: &Sample, usual: &Usual) -> bool {
    let calls =
        |sample: &Sample, number: &u32| sample.calls.get(number).copied().unwrap_or_default();
    let is_hammered = |number: &u32| {
        let all = usual.calls.map(|all| HAMMERED_CALLS.max(all * 2));
        calls(now, number).saturating_sub(calls(first, number)) >= HAMMERED_CALLS
            || all.is_some_and(|all| calls(now, number) >= all)
    };
    usual.injected.iter().any(is_hammered)
}

/// A test that does nothing for longer does not just pause.
fn pause_of_test(usual: &Usual, duration: Duration) -> Duration {
    match usual.pauses {
        Some(pauses) => pauses.of_test.mul_f64(PAUSE_FACTOR),
        None => duration / 2,
    }
}

/// The looks at the end since which no new kind of call was made, and the test did nothing; or, with
/// `ticks`, hardly anything. Without a test, all that computes beside the application is what answers
/// its notified calls.
fn nothing_new<'h>(history: &'h [Sample], usual: &Usual, ticks: bool) -> Option<&'h [Sample]> {
    let now = history.last()?;
    let same = |earlier: &&Sample| {
        let mut kinds = now.calls.keys();
        let test = now.others_cpu.saturating_sub(earlier.others_cpu);
        let ticks = match ticks {
            true => MAX_TICKS.max(now.at.saturating_sub(earlier.at) / TICKS_PART),
            false => Duration::ZERO,
        };
        kinds.all(|kind| earlier.calls.contains_key(kind)) && (!usual.tested || test <= ticks)
    };
    let looks = history.iter().rev().take_while(same).count();
    history.get(history.len() - looks..)
}

fn runaway(now: &Sample, usual: &Usual, duration: Duration) -> Option<Failure> {
    let limit = usual.cpu_limit?;
    (now.cpu > limit && now.at > duration * RUNAWAY_FACTOR).then(|| Failure::Runaway {
        cpu_ms: millis(now.cpu),
        limit_ms: millis(limit),
    })
}

fn idling(now: &Sample, usual: &Usual) -> Option<Failure> {
    let idling = usual.idling?;
    let application_cpu = now.cpu.saturating_sub(now.others_cpu);
    let runs_away = now.others_cpu > idling.test && application_cpu < idling.application;
    runs_away.then(|| Failure::Runaway {
        cpu_ms: millis(now.others_cpu),
        limit_ms: millis(idling.test),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
