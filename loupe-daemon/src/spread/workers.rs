//! Which of the workers that are heard can take an analysis's jobs. Hears nobody itself.

use std::collections::BTreeMap;

use loupe_common::host_class::HostClass;

use super::host_filter::HostFilter;
use super::job::Job;
use super::queue::Worker;

/// The class of such hosts with most slots, and how many it has.
pub(super) fn widest(workers: &[Worker], hosts: &HostFilter) -> Option<(HostClass, usize)> {
    let mut slots: BTreeMap<HostClass, usize> = BTreeMap::new();
    for worker in workers.iter().filter(|worker| hosts.admits(&worker.class)) {
        *slots.entry(worker.class.of_any_target()).or_default() += worker.slots;
    }
    slots.into_iter().max_by_key(|(_, slots)| *slots)
}

/// Replays of one analysis that these run at a time: all are of one class.
pub fn slots_of_the_widest(workers: &[Worker], hosts: &HostFilter) -> usize {
    widest(workers, hosts).map_or(0, |(_, slots)| slots)
}

/// Whether this worker is like the job's hosts, and has not said that it cannot.
pub(super) fn may_run(worker: &Worker, job: &Job) -> bool {
    let class = job.class.of_any_target();
    class.admits(&worker.class) && !job.not_by.contains(&worker.name)
}
