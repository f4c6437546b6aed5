//! Does an overdue replay get anywhere? Pure: it is told what each look saw.
//!
//! Two of its answers are no certainty, but as near as a limit of time comes, and sooner:
//!
//! - **A livelock.** The application repeats itself: it makes calls, none of a kind that it had
//!   not made before, while the test does nothing at all; and it either sleeps nearly all the
//!   time between them (it tries again, and again) or, in a test, makes an injected call over
//!   and over (whose answer never changes).
//! - **A stalemate.** Every task of the application waits for another, and the test has long
//!   done nothing but wait for a time-out of its own.

use std::time::{Duration, Instant};

/// It goes on like that for at least this long, or for longer than the baseline's test pauses, or
/// half as long as the phase takes in its slowest replay where that is not known; or (where the
/// only witness is that it sleeps) for twice as long as the phase takes.
const LIVELOCK: Duration = Duration::from_millis(100);
/// Longer than the second that many programs sleep before they try again.
const STALEMATE: Duration = Duration::from_millis(1200);
/// Looks that find further calls.
const ROUNDS: u32 = 3;
/// An application that sleeps nearly all the time uses less than one part in so many of a CPU.
const IDLE_PART: u32 = 10;
/// An injected call that is made so often is hammered at.
const HAMMERED: u64 = 1000;

/// What a look sees.
#[derive(Clone, Debug)]
pub struct Sight {
    pub at: Instant,
    /// Finished calls of the target, by syscall number.
    pub calls: Vec<u64>,
    /// CPU time of all of the replay.
    pub cpu: Duration,
    /// CPU time of the test and the sandbox.
    pub others_cpu: Duration,
    /// Time in which it wanted to run and was not let.
    pub stalled: Duration,
    /// Every task of the application waits, without a timeout, for another one.
    pub stuck: bool,
}

impl Sight {
    /// The time from an earlier look, without that in which the host had no CPU for it: who is
    /// not let run only seems to sleep.
    pub fn since(&self, earlier: &Sight) -> Duration {
        let all = self.at.saturating_duration_since(earlier.at);
        all.saturating_sub(self.stalled.saturating_sub(earlier.stalled))
    }
}

/// What goes on without anything getting anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Livelock,
    Stalemate,
}

/// Looks at one phase.
pub struct Circles {
    usual: Duration,
    /// A test that does nothing for so long does not just pause.
    pause: Duration,
    /// Syscall numbers that are injected.
    injected: Vec<usize>,
    /// There is a test, whose doing nothing is a witness.
    tested: bool,
    window: Option<Window>,
}

/// Since when the test has done nothing, and no new kind of call was made.
struct Window {
    first: Sight,
    last: Sight,
    /// Looks that found further calls.
    rounds: u32,
}

impl Circles {
    pub fn new(usual: Duration, pause: Duration, injected: Vec<usize>, tested: bool) -> Circles {
        Circles {
            usual,
            pause,
            injected,
            tested,
            window: None,
        }
    }

    pub fn note(&mut self, sight: Sight) -> Option<Standing> {
        let Some(window) = self
            .window
            .as_mut()
            .filter(|window| window.covers(&sight, self.tested))
        else {
            self.window = Some(Window {
                first: sight.clone(),
                last: sight,
                rounds: 0,
            });
            return None;
        };
        window.rounds += u32::from(window.last.calls != sight.calls);
        window.last = sight;
        self.judge()
    }

    fn judge(&self) -> Option<Standing> {
        let window = self.window.as_ref()?;
        let (first, last) = (&window.first, &window.last);
        let lasts = last.since(first);
        if window.rounds == 0 {
            let long = lasts >= STALEMATE.max(self.usual * 2);
            return (self.tested && last.stuck && first.stuck && long)
                .then_some(Standing::Stalemate);
        }
        let idle = (last.cpu.saturating_sub(first.cpu)) * IDLE_PART < lasts;
        let tries_again = idle && lasts >= LIVELOCK.max(self.usual * 2);
        let made = |number: &usize| match (last.calls.get(*number), first.calls.get(*number)) {
            (Some(last), Some(first)) => last - first,
            _ => 0,
        };
        let hammers = self.injected.iter().map(made).any(|made| made >= HAMMERED);
        let hammers = self.tested && hammers && lasts >= LIVELOCK.max(self.pause);
        (window.rounds >= ROUNDS && (tries_again || hammers)).then_some(Standing::Livelock)
    }
}

impl Window {
    /// Nothing new has happened in it up to this look. Without a test, all that computes beside
    /// the application is what answers its notified calls.
    fn covers(&self, sight: &Sight, tested: bool) -> bool {
        let mut kinds = self.first.calls.iter().zip(&sight.calls);
        let new_kind = kinds.any(|(before, now)| *before == 0 && *now > 0);
        !new_kind && (!tested || self.first.others_cpu == sight.others_cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: usize = 35;
    const ACCEPT: usize = 43;
    const OPEN: usize = 2;

    fn circles(tested: bool) -> (Circles, Sight) {
        let mut calls = vec![0; 64];
        calls[SLEEP] = 1;
        calls[ACCEPT] = 1;
        let sight = Sight {
            at: Instant::now(),
            calls,
            cpu: Duration::ZERO,
            others_cpu: Duration::ZERO,
            stalled: Duration::ZERO,
            stuck: false,
        };
        let usual = Duration::from_millis(50);
        (Circles::new(usual, usual / 2, vec![ACCEPT], tested), sight)
    }

    /// Looks every 20 ms for a second; when it was found to stand, and how.
    fn watch(
        circles: &mut Circles,
        sight: &mut Sight,
        mut step: impl FnMut(u32, &mut Sight),
    ) -> Option<(u32, Standing)> {
        (0..100).find_map(|look| {
            sight.at += Duration::from_millis(20);
            step(look, sight);
            Some((look, circles.note(sight.clone())?))
        })
    }

    #[test]
    fn trying_again_and_again_with_sleeps_between_is_a_livelock() {
        let (mut circles, mut sight) = circles(false);
        let found = watch(&mut circles, &mut sight, |_, sight| sight.calls[SLEEP] += 1);
        assert_eq!(found, Some((5, Standing::Livelock)));
    }

    #[test]
    fn without_a_test_what_computes_beside_the_application_does_not_matter() {
        let (mut circles, mut sight) = circles(false);
        let found = watch(&mut circles, &mut sight, |_, sight| {
            sight.calls[SLEEP] += 1;
            sight.others_cpu += Duration::from_micros(50);
        });
        assert_eq!(found, Some((5, Standing::Livelock)));
    }

    #[test]
    fn who_is_not_let_run_does_not_sleep() {
        let (mut circles, mut sight) = circles(false);
        let found = watch(&mut circles, &mut sight, |_, sight| {
            sight.calls[SLEEP] += 1;
            sight.stalled += Duration::from_millis(20);
        });
        assert_eq!(found, None);
    }

    #[test]
    fn one_long_sleep_is_none() {
        for tested in [false, true] {
            let (mut circles, mut sight) = circles(tested);
            assert_eq!(watch(&mut circles, &mut sight, |_, _| ()), None);
        }
    }

    #[test]
    fn computing_is_none_unless_an_injected_call_is_hammered_at_while_the_test_waits() {
        let busy = |number: usize| {
            move |_, sight: &mut Sight| {
                sight.cpu += Duration::from_millis(20);
                sight.calls[number] += 500;
            }
        };
        for (tested, number, expected) in [
            (false, ACCEPT, None),
            (true, SLEEP, None),
            (true, ACCEPT, Some((5, Standing::Livelock))),
        ] {
            let (mut circles, mut sight) = circles(tested);
            let found = watch(&mut circles, &mut sight, busy(number));
            assert_eq!(found, expected, "{tested} {number}");
        }
    }

    #[test]
    fn a_test_that_does_something_or_a_new_kind_of_call_begins_anew() {
        let (mut tested, mut sight) = circles(true);
        let moves = watch(&mut tested, &mut sight, |look, sight| {
            sight.calls[SLEEP] += 1;
            if look % 5 == 0 {
                sight.others_cpu += Duration::from_micros(50);
            }
        });
        assert_eq!(moves, None);
        let (mut circles, mut sight) = circles(true);
        let opens = watch(&mut circles, &mut sight, |look, sight| {
            sight.calls[SLEEP] += 1;
            sight.calls[OPEN] += u64::from(look == 4);
        });
        assert_eq!(opens, Some((9, Standing::Livelock)));
    }

    #[test]
    fn an_application_that_cannot_go_on_and_a_test_that_only_waits_are_a_stalemate() {
        for (tested, stuck, expected) in [
            (true, true, Some((60, Standing::Stalemate))),
            (true, false, None),
            (false, true, None),
        ] {
            let (mut circles, mut sight) = circles(tested);
            sight.stuck = stuck;
            assert_eq!(watch(&mut circles, &mut sight, |_, _| ()), expected);
        }
    }
}
