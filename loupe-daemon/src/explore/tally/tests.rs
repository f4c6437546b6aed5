//! The rule, vote by vote.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const VOTES: [Vote; 6] = [
    Vote::Pass,
    Vote::IdlePass,
    Vote::Failure,
    Vote::Stray,
    Vote::Void,
    Vote::Invalid,
];

fn tally(votes: &[Vote]) -> Tally {
    let mut tally = Tally::default();
    for vote in votes {
        tally.add(*vote);
    }
    tally
}

fn decide(votes: &[Vote], replicas: u32) -> Option<Decision> {
    tally(votes).decide(Rule::of_replicas(replicas))
}

/// The fewest further votes with which a decision can come, by trying all.
fn by_trying(tally: Tally, rule: Rule) -> u32 {
    let mut reached = HashSet::from([tally]);
    for further in 0.. {
        if reached.iter().any(|tally| tally.decide(rule).is_some()) {
            return further;
        }
        reached = reached
            .iter()
            .flat_map(|tally| VOTES.map(|vote| (*tally, vote)))
            .map(|(mut tally, vote)| {
                tally.add(vote);
                tally
            })
            .collect();
    }
    unreachable!("a rule with a limit decides")
}

fn rule() -> impl Strategy<Value = Rule> {
    let replicas = 1u32..5;
    let test = (1u32..20, 0u32..4, 1u32..200_000).prop_map(|(runs, failures, error_ppm)| Test {
        baseline_runs: runs,
        baseline_failures: failures.min(runs),
        error_ppm,
    });
    prop_oneof![
        replicas.clone().prop_map(Rule::of_replicas),
        replicas
            .clone()
            .prop_map(|n| Rule::of_replicas(n).patient()),
        (replicas.clone(), test).prop_map(|(n, test)| Rule::confident(n, test)),
        replicas.prop_map(Rule::of_rate),
    ]
}

#[test]
fn a_failure_counts_only_when_a_second_replica_confirms_it() {
    use Vote::*;
    assert_eq!(decide(&[Failure], 3), None);
    assert_eq!(decide(&[Failure, Failure], 3), Some(Decision::Fails));
    assert_eq!(decide(&[Failure, Pass, Failure], 3), Some(Decision::Fails));
    assert_eq!(decide(&[Failure], 1), Some(Decision::Fails));
}

#[test]
fn a_pass_counts_only_when_every_replica_passes() {
    use Vote::*;
    assert_eq!(decide(&[Pass, Pass], 3), None);
    assert_eq!(decide(&[Pass, Pass, Pass], 3), Some(Decision::Works));
    assert_eq!(decide(&[Pass, Pass, Failure], 3), None);
    let mut votes = vec![Pass, Pass, Failure, Pass, Pass];
    assert_eq!(decide(&votes, 3), None, "more are asked for");
    votes.extend([Pass; 5]);
    assert_eq!(decide(&votes, 3), Some(Decision::Undecided));
    votes.push(Failure);
    assert_eq!(decide(&votes, 3), Some(Decision::Fails));
    assert_eq!(
        decide(&[Pass, Pass, Failure, Pass, Failure], 3),
        Some(Decision::Fails)
    );
}

#[test]
fn a_single_failure_by_time_that_nothing_confirms_was_the_hosts() {
    let tally = |passes, failures, late| Tally {
        passes,
        failures,
        late,
        ..Tally::default()
    };
    let rule = Rule::of_replicas(3);
    assert_eq!(tally(4, 1, 1).decide(rule), None);
    assert_eq!(tally(9, 1, 1).decide(rule), Some(Decision::Works));
    assert_eq!(tally(9, 1, 0).decide(rule), Some(Decision::Undecided));
    assert_eq!(tally(8, 2, 2).decide(rule), Some(Decision::Fails));
}

#[test]
fn only_replicas_with_an_injection_count_and_others_are_repeated_up_to_a_limit() {
    use Vote::*;
    let rule = Rule::of_replicas(3);
    let mut votes = vec![Pass, IdlePass, IdlePass, Pass, IdlePass];
    assert_eq!(decide(&votes, 3), None);
    votes.push(Pass);
    assert_eq!(decide(&votes, 3), Some(Decision::Works));
    votes = vec![Pass];
    votes.extend(vec![IdlePass; rule.idle_limit as usize - 1]);
    assert_eq!(decide(&votes, 3), None);
    votes.push(IdlePass);
    assert_eq!(decide(&votes, 3), Some(Decision::NotExercised));
    votes[0] = Failure;
    assert_eq!(decide(&votes, 3), Some(Decision::Undecided));
    votes.push(Failure);
    assert_eq!(decide(&votes, 3), Some(Decision::Fails));
}

#[test]
fn replicas_that_say_nothing_are_not_counted_and_not_repeated_for_ever() {
    use Vote::*;
    let mut votes = vec![Invalid, Stray, Invalid, Pass, Pass];
    assert_eq!(decide(&votes, 3), None);
    votes.push(Pass);
    assert_eq!(decide(&votes, 3), Some(Decision::Works));
    assert_eq!(
        decide(&[Pass, Invalid, Invalid, Invalid, Invalid], 3),
        Some(Decision::Undecided)
    );
}

#[test]
fn what_never_fired_is_not_exercised_whether_it_passed_or_failed() {
    use Vote::*;
    assert_eq!(decide(&[IdlePass; 3], 3), Some(Decision::NotExercised));
    assert_eq!(decide(&[Stray; 4], 3), Some(Decision::NotExercised));
    assert_eq!(decide(&[IdlePass, IdlePass, Pass], 3), None);
    let patient = Rule::of_replicas(3).patient();
    assert_eq!(tally(&[IdlePass; 4]).decide(patient), None);
    assert_eq!(
        tally(&[IdlePass; 5]).decide(patient),
        Some(Decision::NotExercised)
    );
}

proptest! {
    #[test]
    fn as_many_replicas_are_surely_needed_as_trying_all_votes_says(
        counts in proptest::array::uniform6(0u32..4),
        rule in rule(),
    ) {
        let [passes, idle, failures, strays, void, invalid] = counts;
        let void = void * 4;
        let tally = Tally { passes, idle, failures, late: 0, strays, void, invalid };
        prop_assert_eq!(tally.surely_needed(rule), by_trying(tally, rule));
    }
}
