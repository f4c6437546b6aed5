//! Features that show up only when another one is left out.

use loupe_common::analysis::Fallback;

use super::baseline::Baseline;
use super::ledger::Asker;
use super::run::Run;
use super::tally::Vote;

/// The edges that the replays of single features show. What appeared in only some replicas of
/// a policy is not blamed on it: an application that now and then makes a rare call makes it
/// under any policy.
pub(super) fn edges(asker: &Asker<'_>, baseline: &Baseline<'_>) -> Vec<Fallback> {
    let mut edges = Vec::new();
    for (policy, runs) in asker.used_policies() {
        let mut rules = policy.iter();
        let (Some((feature, action)), None) = (rules.next(), rules.next()) else {
            continue;
        };
        let runs: Vec<&Run> = runs.into_iter().filter(|run| run.vote.speaks()).collect();
        let Some(first) = runs.first() else {
            continue;
        };
        for appears in first.calls.keys() {
            let everywhere = runs.iter().all(|run| run.calls.contains_key(appears));
            if baseline.features.contains_key(appears) || !everywhere {
                continue;
            }
            let calls = runs.iter().filter_map(|run| run.calls.get(appears)).max();
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
    edges
}
