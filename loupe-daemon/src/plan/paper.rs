//! The published strategy: always the application next that lacks the fewest required features.

use super::schedule::{Bits, Job};

/// Indices of jobs; the first of equals is taken.
pub(super) fn order(jobs: &[Job]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..jobs.len()).collect();
    let mut done = Bits::default();
    let mut order = Vec::with_capacity(left.len());
    while let Some(at) = (0..left.len()).min_by_key(|at| jobs[left[*at]].wants.count_without(&done))
    {
        let index = left.remove(at);
        done.extend(&jobs[index].wants);
        order.push(index);
    }
    order
}
