//! One policy as a whole: does the workload pass under it, and if not, which rule broke it first?
//!
//! Rules are tried in the order in which the application first met them. The shortest failing
//! beginning of that order ends with the rule to blame, and the smallest part of it that still
//! fails says what else that rule needs to be fatal.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Suspicion;
use loupe_common::emulation::{Answered, Broken};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::progress::Progress;

use super::baseline;
use super::conflict::Searcher;
use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::scheduler::Question;
use super::tally::{Decision, Rule, Vote};
use super::{ExploreError, ExploreOptions, Replayer, controls, find_out};

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Emulated {
    /// `None`: replicas disagree, or too many could not be used.
    pub passed: Option<bool>,
    /// Usable replays of the whole policy.
    pub runs: u32,
    pub passes: u32,
    pub replay_ids: Vec<i64>,
    /// A failed one of them.
    pub failure: Option<i64>,
    /// Rules that answered calls in one of them, in the order of first calls.
    pub answered: Vec<Answered>,
    pub broken: Vec<Broken>,
    /// With what is in `broken` implemented it was seen to pass.
    pub complete: bool,
    pub suspicious: Vec<Suspicion>,
    /// Replays of all policies.
    pub replays: u64,
}

/// Why the policy itself is replayed.
const WHOLE: &str = "policy as a whole";

struct Emulation<'a> {
    policy: &'a Policy,
    /// Go on after the first rule that breaks it.
    all: bool,
}

/// Runs the workload under a policy. With `all`, whatever breaks it is implemented, until it
/// passes.
pub async fn emulate<R: Replayer>(
    replayer: &R,
    policy: &Policy,
    all: bool,
    options: &ExploreOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Emulated, ExploreError> {
    let question = Emulation { policy, all };
    find_out(replayer, &question, options, progress).await
}

impl Question for Emulation<'_> {
    type Answer = Emulated;

    fn answer(&self, asker: &mut Asker<'_>, options: &ExploreOptions) -> Result<Emulated, Stop> {
        let baseline = baseline::measure(asker, options)?;
        if !controls::inert(asker, options, &baseline)? {
            return Err(Stop::Pending);
        }
        let rule = baseline.rule;
        if self.policy.is_empty() {
            return Ok(Emulated {
                passed: Some(true),
                complete: true,
                replays: asker.all().count() as u64,
                ..Emulated::default()
            });
        }
        asker.phase = "emulation";
        let whole = asker.ask(self.policy, rule, WHOLE)?;
        let failed = whole.first(Vote::Failure);
        let shown = failed.or(whole.runs.first().copied());
        let mut emulated = Emulated {
            passed: passed(&whole),
            runs: whole.tally.usable(),
            passes: whole.tally.passes + whole.tally.idle,
            replay_ids: whole.runs.iter().map(|run| run.id).collect(),
            failure: failed.map(|run| run.id),
            answered: shown.map_or_else(Vec::new, answered),
            suspicious: whole.suspicious(),
            ..Emulated::default()
        };
        emulated.complete = emulated.passed == Some(true);
        if emulated.passed == Some(false) {
            self.blame(asker, rule, &mut emulated)?;
        }
        emulated.replays = asker.all().count() as u64;
        Ok(emulated)
    }
}

impl Emulation<'_> {
    fn blame(
        &self,
        asker: &mut Asker<'_>,
        rule: Rule,
        emulated: &mut Emulated,
    ) -> Result<(), Stop> {
        asker.phase = "what breaks it";
        let mut good = Vec::new();
        let mut policy = self.policy.clone();
        loop {
            let Some(found) = first_broken(asker, rule, &mut good, &policy)? else {
                // Only bad luck made it fail, as it seems now.
                return Ok(());
            };
            policy.remove(&found.feature);
            emulated.broken.push(found);
            if !self.all {
                return Ok(());
            }
            if policy.is_empty() {
                emulated.complete = true;
                return Ok(());
            }
            let ruling = asker.ask(&policy, rule, "policy without what breaks it")?;
            match passed(&ruling) {
                Some(false) => {}
                other => {
                    emulated.complete = other == Some(true);
                    return Ok(());
                }
            }
        }
    }
}

/// The rule that breaks the workload first, of a policy that was seen to fail.
fn first_broken(
    asker: &mut Asker<'_>,
    rule: Rule,
    good: &mut Vec<Policy>,
    policy: &Policy,
) -> Result<Option<Broken>, Stop> {
    let ruling = asker.ask(policy, rule, WHOLE)?;
    let Some(failed) = ruling.first(Vote::Failure) else {
        return Ok(None);
    };
    let met: Vec<(Feature, Action)> = answered(failed)
        .into_iter()
        .map(|one| (one.feature, one.action))
        .collect();
    let known: BTreeSet<&Feature> = met.iter().map(|(feature, _)| feature).collect();
    let unmet = policy
        .iter()
        .filter(|(feature, _)| !known.contains(feature));
    let all: Vec<(Feature, Action)> = met
        .iter()
        .cloned()
        .chain(unmet.map(|(feature, action)| (feature.clone(), action)))
        .collect();
    // What it met in one failing run is nearly always enough for it to fail.
    let enough = asker.passes_once(&met.iter().cloned().collect(), "rules that a failure met")?;
    let order = if enough { &all } else { &met };
    let mut searcher = Searcher {
        asker,
        rule,
        purpose: WHOLE,
        // An emulation has no single verdicts.
        ways: &BTreeMap::new(),
        good,
        begins: false,
    };
    let Some(found) = searcher.first_conflict(order, Rule::once())? else {
        return Ok(None);
    };
    let last = order
        .iter()
        .rev()
        .find(|(feature, _)| found.policy.get(feature).is_some());
    let Some((feature, action)) = last else {
        return Ok(None);
    };
    let mut with = found.policy.clone();
    with.remove(feature);
    Ok(Some(Broken {
        feature: feature.clone(),
        action: *action,
        with,
        runs: found.ruling.tally.usable(),
        passes: found.ruling.tally.passes + found.ruling.tally.idle,
        replays: found.ruling.runs.iter().map(|run| run.id).collect(),
    }))
}

/// Whether the workload passes; `None`: it cannot be said.
fn passed(ruling: &Ruling<'_>) -> Option<bool> {
    match ruling.decision {
        Decision::Works => Some(true),
        Decision::Fails => Some(false),
        // It calls nothing that is left out.
        Decision::NotExercised if ruling.tally.strays == 0 => Some(true),
        Decision::NotExercised | Decision::Undecided => None,
    }
}

/// The rules that answered calls, in the order in which the application met them.
fn answered(run: &Run) -> Vec<Answered> {
    let seen = run.first_seen.iter();
    // Calls that never come back are in no order of returns.
    let rest = run
        .fired
        .keys()
        .filter(|feature| !run.first_seen.contains(feature));
    seen.chain(rest)
        .filter_map(|feature| {
            Some(Answered {
                feature: feature.clone(),
                action: run.policy.get(feature)?,
                calls: *run.fired.get(feature)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
