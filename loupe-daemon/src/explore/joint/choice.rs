//! Which action each feature gets, given the conflicts that are known: implemented as little
//! as possible, then faked as little as possible. Exact, as long as the conflicts are few.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use crate::explore::conflict::contains;

/// The ways to leave a feature out, best first. Features without any are not in it.
pub(super) type Choices = BTreeMap<Feature, Vec<Action>>;

/// Rules that may not be used.
pub(super) type Banned = BTreeSet<(Feature, Action)>;

/// Sets of banned rules looked at before the exact search gives way to a greedy one.
const PATIENCE: usize = 5000;

/// The best policy that uses no banned rule and has no conflict in it.
///
/// A search over sets of banned rules: a set stands for the policy in which every feature takes
/// its best action that is not banned. Where that policy has a conflict in it, one rule of the
/// conflict must go, and each of them is tried. The cheapest set comes first, and banning makes
/// no policy cheaper, so the first without a conflict is the best one.
pub(super) fn best(choices: &Choices, conflicts: &[Policy], banned: &Banned) -> Policy {
    let mut heap = BinaryHeap::from([Reverse((cost(choices, banned), banned.clone()))]);
    let mut known = BTreeSet::from([banned.clone()]);
    while let Some(Reverse((_, banned))) = heap.pop() {
        let policy = induced(choices, &banned);
        let Some(conflict) = conflicts.iter().find(|rules| contains(&policy, rules)) else {
            return policy;
        };
        if known.len() > PATIENCE {
            heap.clear();
        }
        for (feature, action) in conflict.iter() {
            let mut further = banned.clone();
            further.insert((feature.clone(), action));
            if known.insert(further.clone()) {
                heap.push(Reverse((cost(choices, &further), further)));
            }
        }
    }
    // Not reached: the set that bans everything has no conflict. The empty policy is safe.
    Policy::baseline()
}

fn action_of(feature: &Feature, actions: &[Action], banned: &Banned) -> Option<Action> {
    let allowed = |action: &&Action| !banned.contains(&(feature.clone(), **action));
    actions.iter().find(allowed).copied()
}

fn induced(choices: &Choices, banned: &Banned) -> Policy {
    choices
        .iter()
        .filter_map(|(feature, actions)| {
            Some((feature.clone(), action_of(feature, actions, banned)?))
        })
        .collect()
}

/// Features implemented, then features that do not get their best action.
fn cost(choices: &Choices, banned: &Banned) -> (usize, usize) {
    let mut implemented = 0;
    let mut second_best = 0;
    for (feature, actions) in choices {
        match action_of(feature, actions, banned) {
            None => implemented += 1,
            Some(action) => second_best += usize::from(Some(&action) != actions.first()),
        }
    }
    (implemented, second_best)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feature(index: usize) -> Feature {
        ["read", "write", "open", "close", "stat", "fstat"][index]
            .parse()
            .expect("a syscall")
    }

    /// All assignments of the choices without a conflict: the lowest cost by trying.
    fn by_trying(choices: &Choices, conflicts: &[Policy]) -> (usize, usize) {
        let mut assignments = vec![(Policy::baseline(), (0, 0))];
        for (feature, actions) in choices {
            assignments = assignments
                .into_iter()
                .flat_map(|(policy, (implemented, second))| {
                    let mut next = vec![(policy.clone(), (implemented + 1, second))];
                    for (rank, action) in actions.iter().enumerate() {
                        let mut policy = policy.clone();
                        policy.insert(feature.clone(), *action);
                        next.push((policy, (implemented, second + rank)));
                    }
                    next
                })
                .collect();
        }
        assignments
            .into_iter()
            .filter(|(policy, _)| !conflicts.iter().any(|rules| contains(policy, rules)))
            .map(|(_, cost)| cost)
            .min()
            .expect("the empty policy has no conflict")
    }

    proptest! {
        #[test]
        fn no_policy_without_conflict_implements_less(
            ways in proptest::collection::vec(1usize..4, 1..6),
            conflicts in proptest::collection::vec(
                proptest::collection::btree_map(0usize..6, any::<bool>(), 1..4),
                0..8,
            ),
        ) {
            let action = |stub| if stub { Action::STUB } else { Action::Fake };
            let choices: Choices = ways
                .iter()
                .enumerate()
                .map(|(index, way)| {
                    let actions = match way {
                        1 => vec![Action::STUB],
                        2 => vec![Action::Fake],
                        _ => vec![Action::STUB, Action::Fake],
                    };
                    (feature(index), actions)
                })
                .collect();
            let conflicts: Vec<Policy> = conflicts
                .iter()
                .map(|rules| rules.iter().map(|(i, stub)| (feature(*i), action(*stub))).collect())
                .collect();
            let policy = best(&choices, &conflicts, &Banned::new());
            prop_assert!(!conflicts.iter().any(|rules| contains(&policy, rules)));
            let implemented = choices.len() - policy.len();
            let second = policy
                .iter()
                .filter(|(feature, action)| choices[feature].first() != Some(action))
                .count();
            prop_assert_eq!((implemented, second), by_trying(&choices, &conflicts));
        }
    }
}
