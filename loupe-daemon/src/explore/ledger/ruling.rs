//! What the replicas of a policy came to. Decides nothing: that is the rule's part.

use loupe_common::analysis::Suspicion;

use crate::explore::run::Run;
use crate::explore::tally::{Decision, Tally, Vote};

/// What the replicas of a policy came to, with the replicas.
#[derive(Clone, Debug)]
pub(in crate::explore) struct Ruling<'a> {
    pub decision: Decision,
    pub tally: Tally,
    pub runs: Vec<&'a Run>,
}

impl<'a> Ruling<'a> {
    /// Of replays that all passed, each under another policy.
    pub fn of_passes(runs: Vec<&'a Run>) -> Ruling<'a> {
        let mut tally = Tally::default();
        for run in &runs {
            tally.add(run.vote);
        }
        Ruling {
            decision: Decision::Works,
            tally,
            runs,
        }
    }

    /// Whether the policy works, be it that none of its injections answered.
    pub fn holds(&self) -> bool {
        let idle = self.decision == Decision::NotExercised && self.tally.strays == 0;
        self.decision == Decision::Works || idle
    }

    /// The last replica that was what it should be: where one decides, that one.
    pub fn usable(&self) -> Option<&'a Run> {
        let mut usable = self.runs.iter().rev().filter(|run| run.vote.is_usable());
        usable.next().copied()
    }

    /// Adds the replays of another policy.
    pub fn add(&mut self, other: &Ruling<'a>) {
        self.tally += other.tally;
        self.runs.extend(&other.runs);
    }

    /// With another replay that counts as well, as the last.
    pub fn and(mut self, run: &'a Run) -> Ruling<'a> {
        self.tally.add(run.vote);
        self.runs.push(run);
        self
    }

    /// What is odd about passing replicas, each thing once: where only numbers differ (a metric
    /// is never the same twice), it is the same thing.
    pub fn suspicious(&self) -> Vec<Suspicion> {
        let mut suspicious: Vec<Suspicion> = Vec::new();
        for run in &self.runs {
            for what in &run.suspicions {
                if !suspicious.iter().any(|known| is_like(&known.what, what)) {
                    suspicious.push(Suspicion {
                        replay: run.id,
                        what: what.clone(),
                    });
                }
            }
        }
        suspicious
    }

    /// The first replica that voted so.
    pub fn first(&self, vote: Vote) -> Option<&Run> {
        self.runs.iter().find(|run| run.vote == vote).copied()
    }
}

/// The same words, whatever their numbers.
fn is_like(a: &str, b: &str) -> bool {
    let words =
        |text: &str| text.replace(|letter: char| letter.is_ascii_digit() || letter == '.', "");
    words(a) == words(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_numbers_only_is_the_same_thing() {
        assert!(is_like("its metric is 2695.42", "its metric is 7"));
        assert!(!is_like("it made 7 calls", "it printed 7 lines"));
    }
}
