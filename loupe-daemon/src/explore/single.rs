//! The paper's analysis: each feature stubbed alone and faked alone; or, unless every one is to
//! be measured, in replays that features share where most of them probably work.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::FeatureVerdict;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::{Baseline, Seen};
use super::group::{Beginnings, Chances, Way, by_chance};
use super::judge::{self, Evidence, Finding, Standing};
use super::ledger::{Asker, Hurry, Stop, all, both};
use super::plan::Course;
use super::purpose::Alone;
use super::{ExploreOptions, priors};

/// Each feature of the baseline stubbed and faked; unsorted.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    options: &ExploreOptions,
    baseline: &Baseline<'a>,
) -> Result<Vec<FeatureVerdict>, Stop> {
    let course = Course::new(options, baseline);
    let features = baseline.features.keys();
    let steady = features.filter(|feature| course != Course::Alone && baseline.is_steady(feature));
    let mut singles = Singles {
        asker,
        baseline,
        sharing: steady.cloned().collect(),
    };
    let begun = match course {
        Course::Begun => Some(both(
            singles.begin(Action::STUB),
            singles.begin(Action::Fake),
        )?),
        _ => None,
    };
    let begun_stubbed = begun.as_ref().map(|(stubbed, _)| stubbed);
    let begun_faked = begun.as_ref().map(|(_, faked)| faked);
    let at_first = Chances {
        works: &priors::stub,
        shares: &|_| matches!(course, Course::Shared | Course::Begun),
        complete: true,
    };
    let (stubs, stubbed) = singles.settle(Action::STUB, begun_stubbed, &at_first);
    // What works stubbed mostly works faked, too: what is left out together is chosen by what the
    // stubs say, or already by how they began.
    let works = |feature: &Feature| match begun_stubbed {
        Some(begun) => begun.get(feature).map(|stub| stub.is_good()),
        None => stubs.works(feature),
    };
    let features = baseline.features.keys();
    let known: BTreeMap<&Feature, bool> = features
        .filter_map(|feature| Some((feature, works(feature)?)))
        .collect();
    let stub_works = |feature: &Feature| known.get(feature).copied();
    let still_may = |feature: &Feature| stub_works(feature) != Some(false);
    let is_known = |feature: &Feature| {
        !singles.sharing.contains(feature)
            || stub_works(feature).is_some()
            || matches!(stubs.standing(feature), Standing::Alone)
    };
    let waits_for_none = matches!(course, Course::BothWays | Course::Begun);
    let complete = waits_for_none || baseline.features.keys().all(is_known);
    let after = Chances {
        works: &|feature| match stub_works(feature) {
            None if complete => priors::fake(feature),
            // Until more is known, the best that the stub can still say.
            works => priors::fake_if(works != Some(false), feature),
        },
        shares: &|feature| match course {
            Course::BothWays => false,
            Course::Own => still_may(feature),
            _ => true,
        },
        complete,
    };
    let (_, faked) = singles.settle(Action::Fake, begun_faked, &after);
    let (stubbed, faked) = both(stubbed, faked)?;
    let row = |(feature, seen): (&Feature, &Seen)| {
        let ways = (stubbed.get(feature)?, faked.get(feature)?);
        Some(judge::row(feature, *seen, ways, baseline))
    };
    Ok(baseline.features.iter().filter_map(row).collect())
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

    /// Has features share replays, and replays alone what those do not tell. As much of the evidence
    /// comes back as is there, and the findings once all of it is.
    fn settle(
        &mut self,
        action: Action,
        beginnings: Option<&Beginnings>,
        chances: &Chances<'_>,
    ) -> (Evidence<'s, 'a>, Result<Findings<'a>, Stop>) {
        let mut way = Way {
            asker: &mut *self.asker,
            evidence: Evidence::new(self.baseline, action),
            beginnings,
        };
        let shared = way.share(self.sharing.iter().cloned().collect(), chances);
        let evidence = way.evidence;
        let mut features: Vec<&Feature> = self.baseline.features.keys().collect();
        // What probably fails may take long, so better not left to the end.
        features.sort_by_cached_key(|feature| by_chance((chances.works)(feature)));
        let findings = self.asker.in_hurry(Hurry::AtLeisure, |asker| {
            all(features.into_iter().map(|feature| {
                let finding = match evidence.standing(feature) {
                    Standing::Works(finding) if shared.is_ok() => finding,
                    Standing::Works(_) | Standing::Open { .. }
                        if shared.is_err() && self.sharing.contains(feature) =>
                    {
                        return Err(Stop::Pending);
                    }
                    _ => {
                        let policy = Policy::single(feature.clone(), action);
                        let rule = self.baseline.rule_of(feature);
                        Finding::alone(asker.ask(&policy, rule, Alone(feature, action))?)
                    }
                };
                Ok((feature.clone(), finding))
            }))
        });
        let findings = shared.and(findings);
        (evidence, findings.map(|found| found.into_iter().collect()))
    }
}
