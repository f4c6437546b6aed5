//! Watching a replay that takes long: can it still come to its end?
//!
//! [`sample`] sees, and [`judge`] rules by what was seen and by what is usual ([`usual`]). This module
//! says when to look, and keeps what was seen. It ends no replay by the clock: that is
//! [`deadline`]'s part; and whether a failure by time proves anything is [`void`]'s.

pub mod deadline;
pub mod judge;
mod record;
pub mod sample;
pub mod usual;
pub mod void;

use std::time::{Duration, Instant};

use super::heartbeat;
use super::runner::ReplayFailure;
use crate::run::Run;
use judge::Finding;
use record::Record;
use sample::Sample;
use usual::Usual;

/// Between two looks at an overdue replay: this part of what it usually takes, within these
/// bounds.
const LOOKS_PER_USUAL_TIME: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at one that is not overdue.
const EARLY_PAUSE: Duration = Duration::from_millis(30);
/// Looks that are kept. Beyond this many the older half loses every second one: what matters of it is
/// since when something is so.
const MAX_LOOKS: usize = 512;
/// Before a baseline is known nobody can say what is long.
const NEVER: Duration = Duration::from_secs(3600);

/// Watches one phase of a replay.
pub struct Watcher {
    begin: Instant,
    usual: Usual,
    history: Vec<Sample>,
    record: Option<Record>,
    /// When the next look is due. It takes up to a millisecond, in which nobody reads what the
    /// replay prints: who looks whenever something was printed is what the replay waits for.
    due: Instant,
}

impl Watcher {
    pub fn new(usual: Usual) -> Watcher {
        let begin = Instant::now();
        Watcher {
            begin,
            record: Record::begin(&usual),
            due: begin + pause(&usual, Duration::ZERO, false),
            usual,
            history: Vec::new(),
        }
    }

    /// How long to wait at most before the next look.
    pub fn next_look(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Looks, if it is time to, and if there is anything to compare with. `printed` is how many bytes
    /// the application has printed so far.
    pub fn look(
        &mut self,
        run: &Run,
        printed: u64,
        host: &heartbeat::Watch<'_>,
    ) -> Result<Finding, ReplayFailure> {
        let Some(duration) = self.usual.duration else {
            return Ok(Finding::GoingOn);
        };
        let is_early = self.begin.elapsed() < duration && self.usual.pauses.is_none();
        if is_early || Instant::now() < self.due {
            return Ok(Finding::GoingOn);
        }
        let sample = Sample::take(self.begin, run, printed, host)?;
        if let Some(record) = &mut self.record {
            record.note(&sample);
        }
        self.history.push(sample);
        thin(&mut self.history);
        let idles = judge::idle_looks(&self.history) > 0;
        self.due = Instant::now() + pause(&self.usual, self.begin.elapsed(), idles);
        let finding = judge::judge(&self.history, &self.usual);
        if let Some(record) = &mut self.record {
            record.found(&finding);
        }
        Ok(finding)
    }
}

/// Leaves every second sample out of the older half of a long history.
fn thin<T>(history: &mut Vec<T>) {
    if history.len() <= MAX_LOOKS {
        return;
    }
    let mut at = 0;
    history.retain(|_| {
        at += 1;
        at > MAX_LOOKS / 2 || at % 2 == 1
    });
}

/// How long to wait before the next look at a phase that has taken this long.
fn pause(usual: &Usual, elapsed: Duration, idles: bool) -> Duration {
    let Some(duration) = usual.duration else {
        return NEVER;
    };
    let soon = (duration / LOOKS_PER_USUAL_TIME).clamp(MIN_PAUSE, MAX_PAUSE);
    let until_overdue = duration.saturating_sub(elapsed);
    let early = match usual.pauses {
        Some(_) if idles => soon,
        Some(_) => EARLY_PAUSE,
        None => until_overdue,
    };
    until_overdue.min(early).max(soon)
}

#[cfg(test)]
mod tests {
    use super::usual::Pauses;
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn of(duration_ms: Option<u64>, pauses: bool) -> Usual {
        let known = Pauses {
            of_all: MS(10),
            of_test: MS(20),
        };
        Usual {
            duration: duration_ms.map(MS),
            pauses: pauses.then_some(known),
            ..Usual::default()
        }
    }

    #[test]
    fn a_long_history_keeps_its_first_look_and_all_of_the_last_ones() {
        let mut history = Vec::new();
        for look in 0..100_000 {
            history.push(look);
            thin(&mut history);
            assert!(history.len() <= MAX_LOOKS);
        }
        assert_eq!(history[0], 0);
        assert!(history.is_sorted());
        let last = &history[history.len() - MAX_LOOKS / 4..];
        assert!(last.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }

    #[test]
    fn nobody_looks_before_a_baseline_is_known() {
        assert_eq!(pause(&of(None, false), MS(5000), true), NEVER);
    }

    #[test]
    fn the_first_look_is_when_the_replay_is_overdue_and_the_others_follow_its_pace() {
        let usual = of(Some(400), false);
        assert_eq!(pause(&usual, MS(100), false), MS(300));
        assert_eq!(pause(&usual, MS(395), false), MAX_PAUSE);
        assert_eq!(pause(&usual, MS(900), false), MAX_PAUSE);
        assert_eq!(pause(&of(Some(32), false), MS(40), false), MS(8));
        assert_eq!(pause(&of(Some(4), false), MS(40), false), MIN_PAUSE);
    }

    #[test]
    fn where_pauses_are_known_looks_begin_before_and_are_closer_while_it_idles() {
        let usual = of(Some(400), true);
        assert_eq!(pause(&usual, MS(10), false), EARLY_PAUSE);
        assert_eq!(pause(&usual, MS(10), true), MAX_PAUSE);
    }
}
