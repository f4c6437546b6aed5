//! Telling rest from work: has an application done nothing new for long?
//!
//! Only time that was looked at counts. Where the host stalls, two looks are far apart and say
//! little of what was between them: a server that is held up looks like a silent one.

use std::time::{Duration, Instant};

/// Looks that must find it calm.
const LEAST_LOOKS: u32 = 5;
/// A busy look takes back twice its own time.
const BUSY_WEIGHT: u32 = 2;

/// What a busy look means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// It is no rest.
    EndsIt,
    /// It may be a tick of an application that sleeps otherwise.
    SetsBack,
}

/// For how long an application has been calm.
pub struct Calm<K> {
    busy: Busy,
    /// The most that the time between two looks counts for.
    most_gap: Duration,
    /// What must not change, and when it was looked at.
    last: Option<(K, Instant)>,
    calm: Duration,
    looks: u32,
}

impl<K: PartialEq> Calm<K> {
    /// `pause`: the time that is meant to be between two looks.
    pub fn new(busy: Busy, pause: Duration) -> Calm<K> {
        Calm {
            busy,
            most_gap: pause * 2,
            last: None,
            calm: Duration::ZERO,
            looks: 0,
        }
    }

    /// A look at `now`: what must not change, and whether all of it sleeps.
    pub fn note(&mut self, now: Instant, key: K, asleep: bool) {
        let before = self.last.take();
        let unchanged = before.as_ref().is_some_and(|(before, _)| *before == key);
        let gap = before.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at));
        let gap = gap.min(self.most_gap);
        self.last = Some((key, now));
        match (unchanged, asleep, self.busy) {
            (true, true, _) => {
                self.calm += gap;
                self.looks += 1;
            }
            (true, false, Busy::SetsBack) => {
                self.calm = self.calm.saturating_sub(gap * BUSY_WEIGHT);
            }
            _ => self.restart(),
        }
    }

    pub fn restart(&mut self) {
        self.calm = Duration::ZERO;
        self.looks = 0;
    }

    pub fn lasts(&self, enough: Duration) -> bool {
        self.looks >= LEAST_LOOKS && self.calm >= enough
    }

    /// For how long.
    pub fn time(&self) -> Duration {
        self.calm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(2);

    /// Looks at this distance; `.` is calm, `b` busy, `n` something new.
    fn after(busy: Busy, looks: &str, milliseconds: u64) -> Calm<u32> {
        let mut calm = Calm::new(busy, PAUSE);
        let begin = Instant::now();
        let mut key = 0;
        for (index, look) in looks.chars().enumerate() {
            key += u32::from(look == 'n');
            let at = begin + Duration::from_millis(milliseconds) * index as u32;
            calm.note(at, key, look != 'b');
        }
        calm
    }

    #[test]
    fn rest_is_what_was_seen_of_it() {
        let enough = Duration::from_millis(10);
        assert!(after(Busy::EndsIt, ".......", 2).lasts(enough));
        assert!(!after(Busy::EndsIt, "...n...", 2).lasts(enough));
        assert!(!after(Busy::EndsIt, "...b...", 2).lasts(enough));
        assert!(after(Busy::SetsBack, "...b......", 2).lasts(enough));
        assert!(!after(Busy::SetsBack, ".b.b.b.b.b.b.b.b", 2).lasts(enough));
    }

    #[test]
    fn a_stall_between_two_looks_is_no_rest() {
        let second = Duration::from_secs(1);
        assert!(!after(Busy::EndsIt, "..", 10_000).lasts(PAUSE));
        assert!(!after(Busy::EndsIt, "..........", 10_000).lasts(second));
    }
}
