//! Fewer replays: features that probably work share them. What is chosen here is only what is asked;
//! what that says of a feature, [`super::judge`] finds from the evidence that is gathered.
//!
//! What probably fails is replayed alone once, and what passes then is brought to the number that a
//! verdict needs by replays of all of it together ([`confirm`]). What probably works is in as many
//! groups as a verdict needs replicas, no two features in the same ones ([`design`], [`together`]).
//!
//! Where an application's start takes much less time than its test, a replay without each feature
//! is first begun ([`Asker::begin`]): most of what fails does so at once, and what does not may
//! share its replays even if little spoke for it before.

mod confirm;
mod design;
mod suspects;
mod together;

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::policy::Policy;

use super::beginning::Beginning;
use super::judge::{Evidence, Standing};
use super::ledger::{Asker, Stop, all};
use super::purpose::Alone;
use design::Design;

/// A feature that works with at least this chance probably works.
const PROBABLY: f64 = 0.65;
/// The same where it is known how a replay without it begins: what fails then may take its time.
const PROBABLY_LATE: f64 = 0.7;

/// Of the features that an application needs, about this part is not missed before its test
/// (counted over the servers in `tests/workloads`), and this part not in the first moments of that
/// either (3 of the 96 stubs and fakes that fail nginx or redis in `tests/workloads/bench`).
const MISSED_LATE: f64 = 0.25;
const MISSED_LAST: f64 = 0.05;

/// How a replay without each feature begins.
pub(super) type Beginnings = BTreeMap<Feature, Beginning>;

/// A key that sorts chances; those that are equal stay in the features' own order.
pub(super) fn by_chance(chance: f64) -> u64 {
    // Of numbers that are not negative, the bits are in the same order.
    chance.to_bits()
}

/// One way to leave features out.
pub(super) struct Way<'w, 's, 'a> {
    pub asker: &'w mut Asker<'a>,
    pub evidence: Evidence<'s, 'a>,
    /// Known where replays without each feature are begun first.
    pub beginnings: Option<&'w Beginnings>,
    /// Features that share no more replays than they have.
    pub shared: BTreeSet<Feature>,
}

impl Way<'_, '_, '_> {
    /// Gathers the evidence about features that may share replays, each of which works with some
    /// chance.
    pub fn share(
        &mut self,
        mut features: Vec<Feature>,
        chance: &dyn Fn(&Feature) -> f64,
    ) -> Result<(), Stop> {
        // Failures need another replay, and some of them time.
        features.sort_by_cached_key(|feature| by_chance(chance(feature)));
        let rule = self.evidence.baseline.rule;
        let is_likely =
            |feature: &Feature| rule.counts_replicas() && self.is_likely(feature, chance(feature));
        let (mut likely, mut others): (Vec<_>, Vec<_>) = features.into_iter().partition(is_likely);
        if Design::new(likely.len(), rule.passes as usize).is_none() {
            others.append(&mut likely);
        }
        let alone = self.alone(others.clone());
        let alone = alone.and_then(|()| self.confirm_all(others));
        let shared = self.together(&likely);
        let shared = shared.and_then(|()| self.confirm_all(likely));
        alone.and(shared)
    }

    fn confirm_all(&mut self, features: Vec<Feature>) -> Result<(), Stop> {
        self.confirm(features.clone())?;
        self.shared.extend(features);
        Ok(())
    }

    /// Whether a feature that works with this chance may share its first replay. Where it is known
    /// how a replay without it begins, it is none of those that are missed before.
    fn is_likely(&self, feature: &Feature, chance: f64) -> bool {
        let beginning = self.beginnings.and_then(|known| known.get(feature));
        let (missed, enough) = match beginning {
            None => (1.0, PROBABLY),
            Some(Beginning::Fails | Beginning::Odd) => return false,
            Some(Beginning::Starts) => (MISSED_LATE, PROBABLY_LATE),
            Some(Beginning::Goes) => (MISSED_LAST, PROBABLY_LATE),
        };
        chance / (chance + (1.0 - chance) * missed) >= enough
    }

    /// Replays each feature alone once.
    fn alone(&mut self, features: Vec<Feature>) -> Result<(), Stop> {
        let action = self.evidence.action;
        let asked = all(features.into_iter().map(|feature| {
            let policy = Policy::single(feature.clone(), action);
            let run = self.asker.once(&policy, Alone(&feature, action))?;
            self.evidence.add_own(feature, run);
            Ok(())
        }));
        asked.map(drop)
    }

    /// Those that only lack passes.
    fn open(&self, features: &[Feature]) -> Vec<Feature> {
        let is_open =
            |feature: &&Feature| matches!(self.evidence.standing(feature), Standing::Open { .. });
        features.iter().filter(is_open).cloned().collect()
    }

    fn policy(&self, set: &BTreeSet<Feature>) -> Policy {
        let rule = |feature: &Feature| (feature.clone(), self.evidence.action);
        set.iter().map(rule).collect()
    }
}
