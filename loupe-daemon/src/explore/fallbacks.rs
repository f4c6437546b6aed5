//! Features that show up only when another one is left out.

use std::collections::BTreeSet;

use loupe_common::analysis::{Fallback, Joint};
use loupe_common::feature::Feature;
use loupe_common::policy::Policy;

use super::baseline::Baseline;
use super::chance::{Appears, Sightings};
use super::ledger::{Asker, Stop};
use super::run::Run;
use super::tally::Vote;

/// The edges that the replays of single features show. What appeared in only some replicas of
/// a policy is not blamed on it: an application that now and then makes a rare call makes it
/// under any policy. What but one replay shows, another must show too.
pub(super) fn edges(asker: &mut Asker<'_>, baseline: &Baseline<'_>) -> Result<Vec<Fallback>, Stop> {
    let mut edges = Vec::new();
    let mut waits = false;
    let sightings = Sightings::new(asker);
    for (policy, runs) in sightings.iter() {
        let mut rules = policy.iter();
        let (Some((feature, action)), None) = (rules.next(), rules.next()) else {
            continue;
        };
        for appears in appearing(runs) {
            if baseline.features.contains_key(appears) {
                continue;
            }
            match sightings.judge(feature, action, appears) {
                Appears::Because => {}
                Appears::ByChance => continue,
                Appears::Perhaps => match asker.look_again(policy) {
                    None => {
                        waits = true;
                        continue;
                    }
                    Some(Some(run)) if run.calls.contains_key(appears) => {}
                    Some(_) => continue,
                },
            }
            let showing = runs.iter().filter(|run| run.calls.contains_key(appears));
            let Some(first) = showing.clone().next() else {
                continue;
            };
            let calls = showing.filter_map(|run| run.calls.get(appears)).max();
            edges.push(Fallback {
                feature: feature.clone(),
                action,
                appears: appears.clone(),
                calls: calls.copied().unwrap_or(0),
                passed: runs.iter().any(|run| run.vote == Vote::Pass),
                replay: first.id,
            });
        }
    }
    match waits {
        true => Err(Stop::Pending),
        false => Ok(edges),
    }
}

/// What appears under unrelated policies, and never without any.
pub(super) fn by_chance(asker: &Asker<'_>, baseline: &Baseline<'_>) -> Vec<Feature> {
    let sightings = Sightings::new(asker);
    let runs = sightings.iter().flat_map(|(_, runs)| runs);
    let new = runs.flat_map(|run| run.calls.keys());
    let new: BTreeSet<&Feature> = new
        .filter(|feature| !baseline.features.contains_key(*feature))
        .collect();
    let by_chance = new.into_iter().filter(|one| sightings.is_by_chance(one));
    by_chance.cloned().collect()
}

/// Adds edges that are not known yet.
pub(super) fn add(known: &mut Vec<Fallback>, edges: Vec<Fallback>) {
    for edge in edges {
        let is_like = |other: &Fallback| {
            (&other.feature, other.action, &other.appears)
                == (&edge.feature, edge.action, &edge.appears)
        };
        if !known.iter().any(is_like) {
            known.push(edge);
        }
    }
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
    let looks: Vec<_> = rules
        .filter(|(feature, _)| baseline.features.contains_key(*feature))
        .map(|(feature, action)| asker.look(&Policy::single(feature.clone(), action)))
        .collect();
    if looks.iter().any(Option::is_none) {
        return Err(Stop::Pending);
    }
    let mut edges = edges(asker, baseline)?;
    edges.retain(|edge| files.contains(&edge.appears));
    Ok(edges)
}

/// What all of these runs used, as far as they could show it: pseudo-files are seen in watched
/// runs only.
fn appearing<'a>(runs: &[&'a Run]) -> BTreeSet<&'a Feature> {
    let used = runs.iter().flat_map(|run| run.calls.keys());
    let always = |feature: &&Feature| {
        let mut able = runs.iter().filter(|run| run.shows(feature));
        able.all(|run| run.calls.contains_key(*feature))
    };
    used.filter(always).collect()
}
