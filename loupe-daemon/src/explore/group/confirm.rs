//! What passed alone, but not often enough, is brought to the number that a verdict needs: all of it
//! is left out at once, as often as replicas are lacking. Where that does not pass, the set is halved.
//! Whoever is left over is replayed alone.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::Way;
use super::suspects::halves;
use crate::explore::judge::Standing;
use crate::explore::ledger::{Stop, all, both};

impl Way<'_, '_, '_> {
    pub(super) fn confirm(&mut self, features: Vec<Feature>) -> Result<(), Stop> {
        let open: Vec<Feature> = self.open(&features);
        let passes = |feature: &Feature| match self.evidence.standing(feature) {
            Standing::Open { passes } => passes,
            Standing::Works(_) | Standing::Alone => 0,
        };
        let fewest = open.iter().map(passes).min().unwrap_or_default();
        if open.len() < 2 || fewest == 0 {
            return Ok(());
        }
        let lacking = self.evidence.baseline.rule.after_passes(fewest);
        let set: BTreeSet<Feature> = open.iter().cloned().collect();
        let policy = self.policy(&set);
        let purpose = format_args!("confirms {} that passed alone", open.len());
        if lacking.counts_replicas() {
            self.asker.prefetch(&policy, lacking.passes, purpose);
        }
        let run = self.asker.once(&policy, purpose)?;
        let Some(run) = run.filter(|run| run.passes_but_for_oddities()) else {
            return self.confirm_halves(open);
        };
        let ruling = self.asker.ask(&policy, lacking, purpose);
        let asked = ruling.map(|ruling| self.evidence.add_set(set.clone(), ruling));
        // What the others' absence keeps from being called is not tried here.
        let idle = |feature: &Feature| !run.fired.contains_key(feature);
        let (idle, tried): (Vec<_>, Vec<_>) = open.into_iter().partition(idle);
        let rest = match tried.is_empty() {
            true => Ok(()),
            false => self.confirm(idle),
        };
        both(asked, rest)?;
        match self.evidence.passed(&set) {
            true => Ok(()),
            false => self.confirm_halves(tried),
        }
    }

    fn confirm_halves(&mut self, features: Vec<Feature>) -> Result<(), Stop> {
        all(halves(features).map(|half| self.confirm(half))).map(drop)
    }
}
