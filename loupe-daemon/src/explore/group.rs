//! Fewer replays: features that probably work are left out together, for one way to leave
//! features out.
//!
//! What probably fails is replayed alone. What probably works shares its replays: each feature is
//! in as many groups as a verdict needs replicas, no two features in the same ones (see
//! [`design`] and [`together`]). A feature that passes all the same when it is replayed alone
//! joins the groups, and lacks only the rest.
//!
//! Where an application's start takes much less time than its test, a replay without each feature
//! is first begun ([`Asker::begin`]): most of what fails does so at once, and what does not may
//! share its replays even if little spoke for it before.
//!
//! Where nothing shares its first replay, what passes alone is confirmed together ([`confirm`]).
//! A failure is always confirmed by another replay of the feature alone.

mod begin;
mod blame;
mod confirm;
mod design;
mod together;

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Fallback;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::beginning::Beginning;
use super::ledger::{Asker, Hurry, Ruling, Stop, all};
use super::purpose::Alone;
use super::run::Run;
use super::tally::{Rule, Vote};
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

/// What came of a way, as far as it is known; a feature that is in none of these waits.
#[derive(Default)]
pub(super) struct Settled<'a> {
    /// Works, by these replays.
    pub confirmed: Vec<Confirmed<'a>>,
    /// All replicas are to be of the feature alone.
    pub alone: Vec<Feature>,
    /// Of these, those that have failed alone once.
    pub failed: BTreeSet<Feature>,
    /// Have passed alone once, or are confirmed.
    pub passed: BTreeSet<Feature>,
    /// What groups show of features that are confirmed.
    pub fallbacks: Vec<Fallback>,
}

/// A feature that works, and what shows that.
pub(super) struct Confirmed<'a> {
    pub feature: Feature,
    pub ruling: Ruling<'a>,
    /// What its groups print because of it.
    pub complaints: BTreeSet<String>,
}

impl Settled<'_> {
    /// Whether a feature works, where replays have said so.
    pub fn works(&self, feature: &Feature) -> Option<bool> {
        match self.failed.contains(feature) {
            true => Some(false),
            false => self.passed.contains(feature).then_some(true),
        }
    }

    /// Whether no more will be known of a feature that the other way could go by.
    pub fn is_known(&self, feature: &Feature) -> bool {
        self.works(feature).is_some() || self.alone.contains(feature)
    }
}

/// What is expected of features, before anything of this way was measured.
pub(super) struct Chances<'p> {
    /// The chance that a feature works.
    pub now: &'p dyn Fn(&Feature) -> f64,
    /// The same if the other way says the best of it that it still can.
    pub at_best: &'p dyn Fn(&Feature) -> f64,
    /// Whether a feature that is likely enough to work may share its first replay.
    pub shares: &'p dyn Fn(&Feature) -> bool,
    /// What the other way says is known.
    pub complete: bool,
}

/// Features that are left out in the same way.
pub(super) struct Grouping<'s, 'a> {
    pub asker: &'s mut Asker<'a>,
    pub baseline: &'s Baseline<'a>,
    pub rule: Rule,
    pub action: Action,
    /// Known where replays without each feature are begun first.
    pub beginnings: Option<&'s Beginnings>,
    /// A replay that turns out to be useless costs little.
    pub is_ample: bool,
    pub settled: Settled<'a>,
}

/// A feature, and its replays that passed.
type Passed<'a> = (Feature, Vec<&'a Run>);

impl<'a> Grouping<'_, 'a> {
    /// Settles every feature, or as many as can be so far.
    pub fn run(
        mut self,
        features: Vec<Feature>,
        chances: &Chances<'_>,
    ) -> (Settled<'a>, Result<(), Stop>) {
        let outcome = match chances.complete {
            true => self.settle(features, chances),
            false => self.begin(features, chances),
        };
        (self.settled, outcome)
    }

    /// Replays alone, when there is room, what will be whatever the other way says.
    fn begin(&mut self, mut features: Vec<Feature>, chances: &Chances<'_>) -> Result<(), Stop> {
        let alone = |feature: &Feature| {
            !(chances.shares)(feature) || !self.is_likely(feature, (chances.at_best)(feature))
        };
        features.retain(alone);
        let hurry = std::mem::replace(&mut self.asker.hurry, Hurry::AtLeisure);
        let alone = self.alone(features, |_| Vec::new());
        self.asker.hurry = hurry;
        alone.and(Err(Stop::Pending))
    }

    fn settle(&mut self, mut features: Vec<Feature>, chances: &Chances<'_>) -> Result<(), Stop> {
        self.set_failed_apart(&mut features);
        let chance = chances.now;
        // Failures need another replay, and some of them time.
        features.sort_by(|a, b| chance(a).total_cmp(&chance(b)).then(a.cmp(b)));
        let shares = |feature: &Feature| {
            let shares = self.rule.counts_replicas() && (chances.shares)(feature);
            shares && self.is_likely(feature, chance(feature))
        };
        let (mut likely, mut features): (Vec<_>, Vec<_>) = features.into_iter().partition(shares);
        if Design::new(likely.len(), self.rule.passes as usize).is_none() {
            features.append(&mut likely);
        }
        let alone = self.alone(features, |_| Vec::new());
        if self.is_ample && !likely.is_empty() {
            // To wait takes longer than another replay.
            let alone = alone.and_then(|passed| self.confirm(passed));
            let shared = self.together(likely, Vec::new());
            let shared = shared.and_then(|passed| self.confirm(passed));
            return alone.and(shared);
        }
        let mut passed = alone?;
        if !likely.is_empty() {
            passed = self.together(likely, passed)?;
        }
        passed.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.confirm(passed)
    }

    /// Whether a feature that works with this chance may share its replays. Where it is known how
    /// a replay without it begins, it is none of those that are missed before.
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

    /// Replays each feature alone once. Those that pass come back, with that replay and what
    /// they have passed before.
    fn alone(
        &mut self,
        features: Vec<Feature>,
        before: impl Fn(&Feature) -> Vec<&'a Run>,
    ) -> Result<Vec<Passed<'a>>, Stop> {
        let passed = all(features.into_iter().map(|feature| {
            let policy = Policy::single(feature.clone(), self.action);
            let run = self.asker.once(&policy, Alone(&feature, self.action))?;
            match run.filter(|run| run.passes_but_for_complaints()) {
                Some(run) => {
                    self.settled.passed.insert(feature.clone());
                    if !self.baseline.is_costly(run) {
                        let runs = [vec![run], before(&feature)].concat();
                        return Ok(Some((feature, runs)));
                    }
                }
                None if run.is_some_and(|run| run.vote == Vote::Failure) => {
                    self.settled.failed.insert(feature.clone());
                }
                None => {}
            }
            self.settled.alone.push(feature);
            Ok(None)
        }))?;
        Ok(passed.into_iter().flatten().collect())
    }

    /// What has failed as soon as it was begun is replayed alone.
    fn set_failed_apart(&mut self, features: &mut Vec<Feature>) {
        let Some(beginnings) = self.beginnings else {
            return;
        };
        let fails = |feature: &mut Feature| beginnings.get(feature) == Some(&Beginning::Fails);
        for feature in features.extract_if(.., fails) {
            self.settled.failed.insert(feature.clone());
            self.settled.alone.push(feature);
        }
    }

    fn confirmed(&mut self, feature: Feature, ruling: Ruling<'a>, complaints: BTreeSet<String>) {
        self.settled.passed.insert(feature.clone());
        self.settled.confirmed.push(Confirmed {
            feature,
            ruling,
            complaints,
        });
    }

    fn policy(&self, set: &BTreeSet<Feature>) -> Policy {
        let rule = |feature: &Feature| (feature.clone(), self.action);
        set.iter().map(rule).collect()
    }
}
