//! The paper's analysis: each feature stubbed alone and faked alone; or, unless every one is to
//! be measured, in replays that features share where most of them probably work.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::FeatureVerdict;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::{Baseline, Seen};
use super::group::{Beginnings, Way, by_chance};
use super::judge::{self, Evidence, Finding, Standing};
use super::ledger::{Asker, Hurry, Stop, all, both};
use super::purpose::Alone;
use super::{ExploreOptions, priors};

/// So few features are stubbed and faked at once: to share replays would spare next to none.
const FEW: usize = 8;

/// Each feature of the baseline stubbed and faked; unsorted.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    options: &ExploreOptions,
    baseline: &Baseline<'a>,
) -> Result<Vec<FeatureVerdict>, Stop> {
    let shares = shares(options, baseline);
    let features = baseline.features.keys();
    let sharing = features.filter(|feature| shares && baseline.is_steady(feature));
    let mut singles = Singles {
        asker,
        baseline,
        sharing: sharing.cloned().collect(),
    };
    let begun = match shares && baseline.starts_quickly() {
        true => Some(both(
            singles.begin(Action::STUB),
            singles.begin(Action::Fake),
        )?),
        false => None,
    };
    let begun = begun.as_ref();
    let (stubs, stubbed) = singles.settle(Action::STUB, begun.map(|it| &it.0), &priors::stub);
    // What works stubbed mostly works faked, too: which fakes share replays is chosen by what the stubs
    // say, where nothing else is known and so many may share that it is worth waiting for.
    let waits = begun.is_none() && singles.sharing.len() > FEW;
    let faked = match &stubs {
        Err(_) if waits => Err(Stop::Pending),
        stubs => {
            let known = stubs.as_ref().ok().filter(|_| waits);
            let chance = |feature: &Feature| match known {
                Some(stubs) => priors::fake_if(stubs.may_work(feature)),
                None => priors::fake(feature),
            };
            let (fakes, faked) = singles.settle(Action::Fake, begun.map(|it| &it.1), &chance);
            fakes.and(faked)
        }
    };
    let (stubbed, faked) = both(stubs.and(stubbed), faked)?;
    let row = |(feature, seen): (&Feature, &Seen)| {
        let ways = (stubbed.get(feature)?, faked.get(feature)?);
        Some(judge::row(feature, *seen, ways, baseline))
    };
    Ok(baseline.features.iter().filter_map(row).collect())
}

/// Whether features may share replays at all.
fn shares(options: &ExploreOptions, baseline: &Baseline<'_>) -> bool {
    // Impacts are measured of each feature alone, so to share would spare nothing.
    let is_exhaustive = options.exhaustive || options.impact.is_some();
    !is_exhaustive && !baseline.rule.trusts_one_pass()
}

/// What is found about one way to leave features out.
type Findings<'a> = BTreeMap<Feature, Finding<'a>>;

struct Singles<'s, 'a> {
    asker: &'s mut Asker<'a>,
    baseline: &'s Baseline<'a>,
    /// Features that may share replays; the others are replayed alone.
    sharing: BTreeSet<Feature>,
}

impl<'s, 'a> Singles<'s, 'a> {
    /// Begins a replay without each feature.
    fn begin(&mut self, action: Action) -> Result<Beginnings, Stop> {
        let begun = all(self.sharing.iter().map(|feature| {
            let policy = Policy::single(feature.clone(), action);
            let purpose = format_args!("begins without {feature}");
            Ok((feature.clone(), self.asker.begin(&policy, purpose)?))
        }))?;
        Ok(begun.into_iter().collect())
    }

    /// Has features share replays, and replays alone what those do not tell. The evidence comes back
    /// as soon as it is complete, and the findings once all of them are there.
    fn settle(
        &mut self,
        action: Action,
        beginnings: Option<&Beginnings>,
        chance: &dyn Fn(&Feature) -> f64,
    ) -> (Result<Evidence<'s, 'a>, Stop>, Result<Findings<'a>, Stop>) {
        let mut way = Way {
            asker: &mut *self.asker,
            evidence: Evidence::new(self.baseline, action),
            beginnings,
            shared: BTreeSet::new(),
        };
        let result = way.share(self.sharing.iter().cloned().collect(), chance);
        let Way {
            evidence, shared, ..
        } = way;
        let mut features: Vec<&Feature> = self.baseline.features.keys().collect();
        // What probably fails may take long, so better not left to the end.
        features.sort_by_cached_key(|feature| by_chance(chance(feature)));
        let findings = self.asker.in_hurry(Hurry::AtLeisure, |asker| {
            all(features.into_iter().map(|feature| {
                let may_share = self.sharing.contains(feature) && !shared.contains(feature);
                let finding = match evidence.standing(feature) {
                    Standing::Works(_) | Standing::Open { .. } if may_share => {
                        return Err(Stop::Pending);
                    }
                    Standing::Works(finding) => finding,
                    Standing::Open { .. } | Standing::Alone => {
                        let policy = Policy::single(feature.clone(), action);
                        let rule = self.baseline.rule_of(feature);
                        Finding::alone(asker.ask(&policy, rule, Alone(feature, action))?)
                    }
                };
                Ok((feature.clone(), finding))
            }))
        });
        let findings = findings.map(|found| found.into_iter().collect());
        (result.map(|()| evidence), findings)
    }
}
