//! How long the searches of an analysis may take, in time of replays. Searches for nothing itself.

use crate::explore::Effort;
use crate::explore::baseline::Baseline;
use crate::explore::conflict::AT_ONCE;
use crate::explore::ledger::Asker;

/// What the searches of one pass may take, one after the other.
pub(in crate::explore) struct Budget {
    /// What is left of it when a search begins; `None`: as much as it takes.
    left_us: Option<u64>,
    /// What the pass rested on when the search began.
    begin_us: u64,
    /// One of them took more.
    pub is_spent: bool,
}

impl Budget {
    /// Of searches that begin now.
    pub fn new(effort: Effort, asker: &Asker<'_>, baseline: &Baseline<'_>) -> Budget {
        let begin_us = asker.rested_us();
        let left_us = match effort {
            Effort::All => None,
            // A search asks that many at once; what came before it as many as there is room for.
            Effort::AsMuchAgain { jobs } => {
                let at_once = AT_ONCE as u64;
                Some(begin_us * at_once / jobs.max(at_once))
            }
            Effort::Natives(natives) => Some((baseline.median_us() * f64::from(natives)) as u64),
        };
        Budget {
            left_us,
            begin_us,
            is_spent: false,
        }
    }

    /// Whether there is an end to what the searches may take.
    pub fn is_limited(&self) -> bool {
        self.left_us.is_some()
    }

    /// A search begins.
    pub fn begin(&mut self, asker: &Asker<'_>) {
        self.begin_us = asker.rested_us();
    }

    fn taken_us(&self, asker: &Asker<'_>) -> u64 {
        asker.rested_us().saturating_sub(self.begin_us)
    }

    /// Whether the search has taken more than so many times what it may.
    pub fn is_over(&mut self, asker: &Asker<'_>, times: u64) -> bool {
        let taken_us = self.taken_us(asker);
        let is_over = self.left_us.is_some_and(|left| taken_us > left * times);
        self.is_spent |= is_over;
        is_over
    }

    /// The search is over: the next one has so much less.
    pub fn end(&mut self, asker: &Asker<'_>) {
        let taken_us = self.taken_us(asker);
        self.left_us = self.left_us.map(|left| left.saturating_sub(taken_us));
    }
}
