//! Against every order, where there are few enough.

use proptest::prelude::*;

use super::*;

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let wants = proptest::collection::vec(0..9_usize, 0..5);
    let job = (1..4_u64, wants).prop_map(|(weight, wants)| Job {
        weight,
        wants: wants.into_iter().collect(),
    });
    proptest::collection::vec(job, 0..7)
}

fn least(jobs: &[Job], order: &mut Vec<usize>) -> u64 {
    if order.len() == jobs.len() {
        return area(jobs, order);
    }
    let mut best = u64::MAX;
    for next in 0..jobs.len() {
        if !order.contains(&next) {
            order.push(next);
            best = best.min(least(jobs, order));
            order.pop();
        }
    }
    best
}

proptest! {
    #[test]
    fn small_problems_are_solved_to_the_end(jobs in jobs()) {
        let found = solve(&jobs, STATES);
        let mut sorted = found.order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..jobs.len()).collect::<Vec<_>>());
        let least = least(&jobs, &mut Vec::new());
        prop_assert_eq!(area(&jobs, &found.order), least);
        prop_assert_eq!(found.bound, least);
    }

    /// With next to no effort the order may be worse, but the bound stays one.
    #[test]
    fn the_bound_is_one_however_little_is_tried(jobs in jobs()) {
        let found = solve(&jobs, 1);
        let least = least(&jobs, &mut Vec::new());
        prop_assert!(found.bound <= least);
        prop_assert!(area(&jobs, &found.order) >= least);
    }
}

#[test]
fn a_block_too_large_to_search_has_an_order_and_a_bound() {
    // Pairs in a ring: no part is denser than the whole.
    let size = 200;
    let jobs: Vec<Job> = (0..size)
        .map(|at| Job {
            weight: 1,
            wants: [at, (at + 1) % size].into_iter().collect(),
        })
        .collect();
    let found = solve(&jobs, STATES);
    let reached = area(&jobs, &found.order);
    assert!(found.bound <= reached && reached < found.bound * 11 / 10);
}

#[test]
fn bits_are_a_set_of_numbers() {
    let bits: Bits = [3, 64, 130].into_iter().collect();
    assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 64, 130]);
    let other: Bits = [64].into_iter().collect();
    assert_eq!(
        (bits.count_without(&other), other.count_without(&bits)),
        (2, 0)
    );
    assert!(other.is_within(&bits) && !bits.is_within(&other));
}
