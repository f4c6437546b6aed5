//! The rounds of a thread that works, waits, and works again: what it is told while it waits, and
//! whether it still comes round. Knows not what the work is.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::lock;

/// See the module.
#[derive(Debug, Default)]
pub struct Rounds {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    stop: bool,
    /// Something is to be done sooner than was thought.
    sooner: bool,
    /// How often it was asked whether it comes round, and which of these it has heard of before a
    /// round that is over.
    asked: u64,
    answered: u64,
}

impl Rounds {
    /// Works, and waits as long as the work says or until it is told something, over and over, until
    /// it is told to stop.
    pub fn go(&self, mut work: impl FnMut() -> Duration) {
        loop {
            let asked = lock(&self.told).asked;
            let next = work();
            let mut told = lock(&self.told);
            told.answered = asked;
            self.changed.notify_all();
            let (mut told, _) = self
                .changed
                .wait_timeout_while(told, next, |told| !told.stop && !told.sooner)
                .unwrap_or_else(PoisonError::into_inner);
            if told.stop {
                return;
            }
            told.sooner = false;
        }
    }

    /// Has another round begin.
    pub fn hurry(&self) {
        lock(&self.told).sooner = true;
        self.changed.notify_all();
    }

    /// There is no other round.
    pub fn stop(&self) {
        lock(&self.told).stop = true;
        self.changed.notify_all();
    }

    /// Whether another round begins and ends in this time.
    pub fn come_round(&self, within: Duration) -> bool {
        let mut told = lock(&self.told);
        told.asked += 1;
        told.sooner = true;
        let asked = told.asked;
        self.changed.notify_all();
        let (told, _) = self
            .changed
            .wait_timeout_while(told, within, |told| told.answered < asked && !told.stop)
            .unwrap_or_else(PoisonError::into_inner);
        told.answered >= asked
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn only_a_round_that_began_after_the_question_answers_it() {
        let rounds = Rounds::default();
        let (began, begins) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let rounds = &rounds;
        thread::scope(|scope| {
            scope.spawn(move || {
                rounds.go(|| {
                    began.send(()).expect("the test waits");
                    // Without somebody who lets it, it does not end.
                    let _ended = goes_on.recv();
                    LONG
                });
            });
            begins.recv().expect("the first round");
            assert!(!rounds.come_round(SHORT), "it stands in its first round");
            go_on.send(()).expect("it works");
            begins.recv().expect("the question has begun another one");
            assert!(!rounds.come_round(SHORT), "it stands in the second");
            drop(go_on);
            assert!(rounds.come_round(LONG));
            rounds.stop();
        });
        assert!(!rounds.come_round(LONG), "it has stopped");
    }
}
