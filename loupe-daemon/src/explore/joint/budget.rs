//! How long the searches of an analysis may take, in time of replays. Searches for nothing itself.

use crate::explore::Effort;
use crate::explore::baseline::Baseline;
use crate::explore::conflict::AT_ONCE;
use crate::explore::ledger::{Asker, Searched};

/// What one search may take.
pub(super) struct Budget {
    begin_us: u64,
    /// Of what no search before it took; `None`: as much as it takes.
    most_us: Option<u64>,
    /// It took more.
    pub is_spent: bool,
}

impl Budget {
    pub fn new(effort: Effort, asker: &mut Asker<'_>, baseline: &Baseline<'_>) -> Budget {
        let begin_us = asker.rested_us();
        let first = Searched {
            before_us: begin_us,
            taken_us: 0,
        };
        let searched = *asker.searched.get_or_insert(first);
        let most_us = match effort {
            Effort::All => None,
            // A search asks that many at once; what came before it as many as there is room for.
            Effort::AsMuchAgain { jobs } => {
                let at_once = AT_ONCE as u64;
                Some(searched.before_us * at_once / jobs.max(at_once))
            }
            Effort::Natives(natives) => Some((baseline.median_us() * f64::from(natives)) as u64),
        };
        Budget {
            begin_us,
            most_us: most_us.map(|most| most.saturating_sub(searched.taken_us)),
            is_spent: false,
        }
    }

    fn taken_us(&self, asker: &Asker<'_>) -> u64 {
        asker.rested_us().saturating_sub(self.begin_us)
    }

    /// Whether the search has taken more than so many times what it may.
    pub fn is_over(&mut self, asker: &Asker<'_>, times: u64) -> bool {
        let taken_us = self.taken_us(asker);
        let is_over = self.most_us.is_some_and(|most| taken_us > most * times);
        self.is_spent |= is_over;
        is_over
    }

    /// The search is over: the next one has so much less.
    pub fn close(&self, asker: &mut Asker<'_>) {
        let taken_us = self.taken_us(asker);
        if let Some(searched) = &mut asker.searched {
            searched.taken_us += taken_us;
        }
    }
}
