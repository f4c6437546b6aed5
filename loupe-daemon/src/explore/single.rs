//! The paper's analysis: each feature stubbed alone and faked alone; or, unless every one is to
//! be measured, in groups where most of them probably work.

use std::collections::BTreeMap;

use loupe_common::analysis::{Basis, Fallback, FeatureVerdict, Suspicion, Trial};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::verdict::Verdict;

use super::baseline::{Baseline, Seen};
use super::group::{Beginnings, Chances, Confirmed, Grouping, Settled};
use super::ledger::{Asker, Hurry, Ruling, Stop, all, both};
use super::purpose::Alone;
use super::tally::{Decision, Rule};
use super::{ExploreOptions, First, priors, suspicion};

/// What is found about every feature of the baseline; unsorted.
#[derive(Default)]
pub(super) struct Singles {
    pub verdicts: Vec<FeatureVerdict>,
    /// Plans B that groups show.
    pub fallbacks: Vec<Fallback>,
}

/// Each feature stubbed and faked.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    options: &ExploreOptions,
    baseline: &Baseline<'a>,
) -> Result<Singles, Stop> {
    let mut ways = Ways {
        asker,
        baseline,
        rule: baseline.rule,
        // Impacts are measured of each feature alone, so a group would spare nothing.
        exhaustive: options.exhaustive || options.impact.is_some(),
        is_ample: options.plan.is_ample,
    };
    let plan = options.plan.first;
    let begins = plan == First::SharedOnceBegun && baseline.starts_quickly();
    let begun = match begins && ways.shares() {
        true => Some(ways.begin()?),
        false => None,
    };
    let at_first = Chances {
        now: &priors::stub,
        at_best: &priors::stub,
        shares: &|_| plan != First::Own,
        complete: true,
    };
    let (stubbed, stubbing) = ways.settle(Action::STUB, begun.as_ref(), &at_first);
    let stub = ways.measure(&stubbed, Action::STUB, &priors::stub);
    // What works stubbed mostly works faked, too: what is left out together is chosen by what the
    // stubs say, or already by how they began.
    let stub_works = |feature: &Feature| match &begun {
        Some(begun) => begun.stub.get(feature).map(|stub| stub.is_good()),
        None => stubbed.works(feature),
    };
    let now = |feature: &Feature| match stub_works(feature) {
        Some(works) => priors::fake_if(works, feature),
        None => priors::fake(feature),
    };
    let still_may = |feature: &Feature| stub_works(feature) != Some(false);
    let mut features = baseline.features.keys();
    let after = Chances {
        now: &now,
        at_best: &|feature| priors::fake_if(still_may(feature), feature),
        shares: &|feature| plan != First::Own || still_may(feature),
        complete: begun.is_some() || features.all(|feature| stubbed.is_known(feature)),
    };
    let (faked, faking) = ways.settle(Action::Fake, begun.as_ref(), &after);
    let fake = ways.measure(&faked, Action::Fake, &now);
    stubbing.and(faking)?;
    let (stub, fake) = both(stub, fake)?;
    let verdict = |(feature, seen): (&Feature, &Seen)| {
        Some(verdict(
            feature,
            *seen,
            stub.get(feature)?,
            fake.get(feature)?,
        ))
    };
    Ok(Singles {
        verdicts: baseline.features.iter().filter_map(verdict).collect(),
        fallbacks: [stubbed.fallbacks, faked.fallbacks].concat(),
    })
}

/// What later parts of the analysis happened to measure of a feature alone counts more than what
/// groups implied. (Not before they are over: it would depend on the order of completion.)
pub(super) fn amend(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    verdicts: &mut [FeatureVerdict],
) {
    let implied = |basis: &Basis| matches!(basis, Basis::Implied { .. });
    for row in verdicts {
        let mut decisions = [&row.stub, &row.fake].map(decision_of);
        let ways = [(Action::STUB, &mut row.stub), (Action::Fake, &mut row.fake)];
        for ((action, known), decision) in ways.into_iter().zip(&mut decisions) {
            let policy = Policy::single(row.feature.clone(), action);
            if implied(&known.basis)
                && let Some(ruling) = asker.if_known(&policy, baseline.rule)
            {
                *known = trial(&row.feature, &ruling, Basis::Measured, baseline);
                *decision = ruling.decision;
            }
        }
        let [stub, fake] = decisions;
        // Nothing is implied of what is undecided or was not exercised.
        if works(stub).is_some() && works(fake).is_some() {
            row.verdict = verdict_of(stub, fake);
        }
        let mut bases = [&row.stub.basis, &row.fake.basis].into_iter();
        row.basis = bases
            .find(|basis| implied(basis))
            .cloned()
            .unwrap_or_default();
    }
}

fn decision_of(trial: &Trial) -> Decision {
    match trial.works {
        Some(true) => Decision::Works,
        Some(false) => Decision::Fails,
        None => Decision::Undecided,
    }
}

/// What is found about one way to leave a feature out.
struct Found {
    decision: Decision,
    trial: Trial,
}

struct Ways<'s, 'a> {
    asker: &'s mut Asker<'a>,
    baseline: &'s Baseline<'a>,
    rule: Rule,
    /// Nothing is tested in groups.
    exhaustive: bool,
    /// See [`super::Plan`].
    is_ample: bool,
}

/// How replays begin, for each way to leave a feature out.
struct Begun {
    stub: Beginnings,
    fake: Beginnings,
}

impl Begun {
    fn of(&self, action: Action) -> &Beginnings {
        match action {
            Action::Stub(_) => &self.stub,
            Action::Fake | Action::Plausible => &self.fake,
        }
    }
}

impl<'a> Ways<'_, 'a> {
    /// Features may share replays.
    fn shares(&self) -> bool {
        !self.exhaustive && !self.rule.trusts_one_pass()
    }

    /// Begins a replay without each feature, each way.
    fn begin(&mut self) -> Result<Begun, Stop> {
        let (stub, fake) = both(self.begin_all(Action::STUB), self.begin_all(Action::Fake))?;
        Ok(Begun { stub, fake })
    }

    fn begin_all(&mut self, action: Action) -> Result<Beginnings, Stop> {
        let features = self.baseline.features.keys();
        let steady: Vec<Feature> = features.filter(|it| self.is_steady(it)).cloned().collect();
        let begun = all(steady.into_iter().map(|feature| {
            let policy = Policy::single(feature.clone(), action);
            let beginning = self
                .asker
                .begin(&policy, format_args!("begins without {feature}"))?;
            Ok((feature, beginning))
        }))?;
        Ok(begun.into_iter().collect())
    }

    /// Which features share replays with others, and which do not, as far as that is known.
    fn settle(
        &mut self,
        action: Action,
        begun: Option<&Begun>,
        chances: &Chances<'_>,
    ) -> (Settled<'a>, Result<(), Stop>) {
        let features = self.baseline.features.keys().cloned();
        let together = self.shares();
        let (grouped, alone): (Vec<Feature>, Vec<Feature>) =
            features.partition(|feature| together && self.is_steady(feature));
        let grouping = Grouping {
            asker: &mut *self.asker,
            baseline: self.baseline,
            rule: self.rule,
            action,
            beginnings: begun.map(|begun| begun.of(action)),
            is_ample: self.is_ample,
            settled: Settled {
                alone,
                ..Settled::default()
            },
        };
        grouping.run(grouped, chances)
    }

    /// Every feature that is settled, left out this way.
    fn measure(
        &mut self,
        settled: &Settled<'a>,
        action: Action,
        prior: &dyn Fn(&Feature) -> f64,
    ) -> Result<BTreeMap<Feature, Found>, Stop> {
        let mut found = BTreeMap::new();
        for Confirmed {
            feature,
            ruling,
            complaints,
        } in &settled.confirmed
        {
            let groups = ruling.runs.iter().filter(|run| run.policy.len() > 1);
            let replay = groups.map(|run| run.id).next().unwrap_or_default();
            let mut confirmed = self.found(feature, ruling, Basis::Implied { replay });
            // What its groups complain of and it does not is another member's.
            let own = |replay| {
                let mut alone = ruling.runs.iter().filter(|run| run.policy.len() == 1);
                alone.any(|run| run.id == replay)
            };
            let suspicious = &mut confirmed.trial.suspicious;
            suspicious.retain(|odd| own(odd.replay));
            suspicious.extend(complaints.iter().filter_map(|line| {
                let mut showing = ruling.runs.iter();
                let replay = showing.find(|run| run.complaints.contains(line))?.id;
                let what = suspicion::printed(line);
                Some(Suspicion { replay, what })
            }));
            found.insert(feature.clone(), confirmed);
        }
        // Nothing will be asked because of these.
        let hurry = std::mem::replace(&mut self.asker.hurry, Hurry::AtLeisure);
        let mut alone = settled.alone.clone();
        // What probably fails may take long, so better not left to the end.
        alone.sort_by(|a, b| prior(a).total_cmp(&prior(b)).then(a.cmp(b)));
        let measured = all(alone.into_iter().map(|feature| {
            let policy = Policy::single(feature.clone(), action);
            let ruling =
                self.asker
                    .ask(&policy, self.rule_of(&feature), Alone(&feature, action))?;
            let alone = self.found(&feature, &ruling, Basis::Measured);
            Ok((feature, alone))
        }));
        self.asker.hurry = hurry;
        found.extend(measured?);
        Ok(found)
    }

    fn found(&self, feature: &Feature, ruling: &Ruling<'_>, basis: Basis) -> Found {
        Found {
            decision: ruling.decision,
            trial: trial(feature, ruling, basis, self.baseline),
        }
    }

    /// Every replay of the baseline uses the feature.
    fn is_steady(&self, feature: &Feature) -> bool {
        let seen = self.baseline.features.get(feature);
        seen.is_some_and(|seen| seen.replays as usize == self.baseline.runs.len())
    }

    fn rule_of(&self, feature: &Feature) -> Rule {
        match self.is_steady(feature) {
            true => self.rule,
            false => self.rule.patient(),
        }
    }
}

/// What the replays of a policy say about leaving out this feature.
pub(super) fn trial(
    feature: &Feature,
    ruling: &Ruling<'_>,
    basis: Basis,
    baseline: &Baseline<'_>,
) -> Trial {
    let fired = ruling.runs.iter().filter_map(|run| run.fired.get(feature));
    let tally = ruling.tally;
    let not_working = baseline
        .test
        .chance_of_not_working(tally.passes, tally.failures);
    Trial {
        runs: tally.exercised(),
        passes: tally.passes,
        idle: tally.idle,
        injections: fired.sum(),
        works: works(ruling.decision),
        error_bound: works(ruling.decision).map(|works| match works {
            true => not_working,
            false => 1.0 - not_working,
        }),
        replays: ruling.runs.iter().map(|run| run.id).collect(),
        suspicious: ruling.suspicious(),
        basis,
        impact: None,
    }
}

fn verdict(feature: &Feature, seen: Seen, stub: &Found, fake: &Found) -> FeatureVerdict {
    let implied = |basis: &&Basis| matches!(basis, Basis::Implied { .. });
    let mut bases = [&stub.trial.basis, &fake.trial.basis].into_iter();
    FeatureVerdict {
        feature: feature.clone(),
        kind: feature.kind().to_owned(),
        verdict: verdict_of(stub.decision, fake.decision),
        calls: seen.calls,
        seen_in: seen.replays,
        basis: bases.find(implied).cloned().unwrap_or_default(),
        error_bound: match (stub.trial.error_bound, fake.trial.error_bound) {
            (Some(stub), Some(fake)) => Some((stub + fake).min(1.0)),
            _ => None,
        },
        stub: stub.trial.clone(),
        fake: fake.trial.clone(),
        plausible: None,
        errnos: BTreeMap::new(),
    }
}

/// What both ways together say. What was not exercised one way is not judged at all: its
/// verdict would claim something about that way.
fn verdict_of(stub: Decision, fake: Decision) -> Verdict {
    match (works(stub), works(fake)) {
        (Some(stub), Some(fake)) => Verdict::from_works(stub, fake),
        _ if stub == Decision::NotExercised || fake == Decision::NotExercised => {
            Verdict::NotExercised
        }
        _ => Verdict::Undecided,
    }
}

fn works(decision: Decision) -> Option<bool> {
    match decision {
        Decision::Works => Some(true),
        Decision::Fails => Some(false),
        Decision::NotExercised | Decision::Undecided => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_fired_one_way_is_called_neither_stubbable_nor_required() {
        use Decision::*;
        assert_eq!(verdict_of(NotExercised, Works), Verdict::NotExercised);
        assert_eq!(verdict_of(Fails, NotExercised), Verdict::NotExercised);
        assert_eq!(verdict_of(NotExercised, Undecided), Verdict::NotExercised);
        assert_eq!(verdict_of(Undecided, Works), Verdict::Undecided);
        assert_eq!(verdict_of(Fails, Fails), Verdict::Required);
        assert_eq!(verdict_of(Works, Fails), Verdict::Stub);
        assert_eq!(verdict_of(Fails, Works), Verdict::Fake);
        assert_eq!(verdict_of(Works, Works), Verdict::Any);
    }
}
