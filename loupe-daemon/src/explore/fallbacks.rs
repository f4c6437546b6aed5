//! Features that show up only when another one is left out.

use std::collections::BTreeSet;

use loupe_common::analysis::{Fallback, Joint};
use loupe_common::feature::Feature;
use loupe_common::policy::Policy;

use super::baseline::Baseline;
use super::chance::{Appears, Sightings};
use super::drill::Opened;
use super::ledger::{Asker, Stop, all};
use super::run::Run;
use super::tally::Vote;

/// The edges that the replays of single features show: of syscalls and pseudo-files, or of the
/// parts of opened syscalls. What appeared in only some replicas of a policy is not blamed on it:
/// an application that now and then makes a rare call makes it under any policy. What but one
/// replay shows, another must show too (not below the syscall, where little rests on it, nor where
/// one replay is all that a verdict rests on).
pub(super) fn edges(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    below: Option<&Opened<'_>>,
) -> Result<Vec<Fallback>, Stop> {
    let sightings = Sightings::new(asker);
    let asks_again = below.is_none() && !baseline.rule.trusts_one_pass();
    let is_of_depth = |feature: &&Feature| {
        feature.parent().is_none() || below.is_some_and(|parts| parts.measures(feature))
    };
    let mut found = Vec::new();
    for (policy, runs) in sightings.iter() {
        let mut rules = policy.iter();
        let (Some((feature, action)), None) = (rules.next(), rules.next()) else {
            continue;
        };
        if feature.parent().is_some() != below.is_some() {
            continue;
        }
        let new = runs.iter().flat_map(|run| &run.new);
        let new: BTreeSet<&Feature> = new.filter(is_of_depth).collect();
        for appears in new.into_iter().filter(|one| always(runs, one)) {
            let calls = runs
                .iter()
                .filter_map(|run| Some((run.id, run.calls_of(appears)?)));
            let edge = || Fallback {
                feature: feature.clone(),
                action,
                appears: appears.clone(),
                calls: calls.clone().map(|(_, calls)| calls).max().unwrap_or(0),
                passed: runs.iter().any(|run| run.vote == Vote::Pass),
                replay: calls.clone().map(|(id, _)| id).next().unwrap_or_default(),
            };
            found.push(match sightings.judge(feature, action, appears) {
                Appears::Perhaps if asks_again => {
                    let purpose = format_args!("does {appears} appear again");
                    asker.look_again(policy, purpose).map(|run| {
                        let shows = run.is_some_and(|run| run.calls.contains_key(appears));
                        shows.then(edge)
                    })
                }
                Appears::Because | Appears::Perhaps => Ok(Some(edge())),
                Appears::ByChance => Ok(None),
            });
        }
    }
    Ok(all(found)?.into_iter().flatten().collect())
}

/// What appears under unrelated policies, and never without any.
pub(super) fn by_chance(asker: &Asker<'_>) -> Vec<Feature> {
    let sightings = Sightings::new(asker);
    let runs = sightings.iter().flat_map(|(_, runs)| runs);
    let new: BTreeSet<&Feature> = runs
        .flat_map(|run| &run.new)
        .filter(|feature| feature.parent().is_none())
        .collect();
    let by_chance = new.into_iter().filter(|one| sightings.is_by_chance(one));
    by_chance.cloned().collect()
}

/// Which rules of the joint policy make the application turn to the pseudo-files that it uses
/// under it, where no replay happened to be watched that says so: each of them alone.
pub(super) fn to_files(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    joint: &Joint,
    known: &[Fallback],
) -> Result<Vec<Fallback>, Stop> {
    let is_told = |file: &&Feature| known.iter().any(|edge| edge.appears == **file);
    let files = joint.fallbacks.iter();
    let files = files.filter(|feature| feature.syscall().is_none());
    let sightings = Sightings::new(asker);
    let files: BTreeSet<&Feature> = files
        .filter(|file| !is_told(file) && !sightings.is_by_chance(file))
        .collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let policy = joint.policy();
    let rules = policy.iter();
    let rules = rules.filter(|(feature, _)| baseline.features.contains_key(*feature));
    all(rules.map(|(feature, action)| asker.look(&Policy::single(feature.clone(), action))))?;
    let mut edges = edges(asker, baseline, None)?;
    edges.retain(|edge| files.contains(&edge.appears));
    Ok(edges)
}

/// Whether all of these runs used a feature, as far as they could show it: pseudo-files are seen in
/// watched runs only.
fn always(runs: &[&Run], feature: &Feature) -> bool {
    let mut able = runs.iter().filter(|run| run.shows(feature));
    able.all(|run| run.calls_of(feature).is_some())
}
