//! Room for replays: so many at a time compute, each on its CPU. A replay that only waits gives
//! its room to another and goes on beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::lock;

pub struct Slots {
    count: u32,
    permits: Semaphore,
    /// The CPUs of the slots that nobody holds, as many as permits.
    cpus: Mutex<Vec<usize>>,
    changed: Notify,
}

impl Slots {
    /// So many slots, dealt out over these CPUs.
    pub fn new(count: usize, cpus: &[usize]) -> Arc<Slots> {
        Arc::new(Slots {
            count: count as u32,
            permits: Semaphore::new(count),
            cpus: Mutex::new(cpus.iter().copied().cycle().take(count).collect()),
            changed: Notify::new(),
        })
    }

    /// Waits for a slot.
    pub async fn take(self: &Arc<Self>) -> Slot {
        self.take_several(1).await
    }

    /// Waits for all slots: nothing else computes beside who has them.
    pub async fn take_all(self: &Arc<Self>) -> Slot {
        self.take_several(self.count).await
    }

    async fn take_several(self: &Arc<Self>, count: u32) -> Slot {
        // Nobody closes the semaphore.
        let permits = self.permits.acquire_many(count).await;
        permits.into_iter().for_each(SemaphorePermit::forget);
        let mut free = lock(&self.cpus);
        let cpus: Vec<usize> = (0..count).filter_map(|_| idlest(&mut free)).collect();
        Slot {
            slots: Arc::clone(self),
            cpu: cpus.first().copied().unwrap_or_default(),
            cpus,
            given_up: AtomicBool::new(false),
        }
    }

    /// Comes back when another replay has given its slot up.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Takes the CPU of which most slots are free, so that where there are several of each, no CPU
/// computes for two replays while another does nothing.
fn idlest(free: &mut Vec<usize>) -> Option<usize> {
    let slots_of = |cpu: usize| free.iter().filter(|other| **other == cpu).count();
    let best = (0..free.len()).max_by_key(|index| slots_of(free[*index]))?;
    Some(free.swap_remove(best))
}

/// The right to compute on one CPU, until it is dropped or given up.
pub struct Slot {
    slots: Arc<Slots>,
    pub cpu: usize,
    /// The CPUs of all the slots that it stands for.
    cpus: Vec<usize>,
    given_up: AtomicBool,
}

impl Slot {
    /// Lets another replay have the CPU, while this one goes on.
    pub fn give_up(&self) {
        if !self.given_up.swap(true, Ordering::AcqRel) {
            self.free();
            self.slots.changed.notify_one();
        }
    }

    fn free(&self) {
        lock(&self.slots.cpus).extend(&self.cpus);
        self.slots.permits.add_permits(self.cpus.len());
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !*self.given_up.get_mut() {
            self.free();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn no_cpu_gets_two_replays_while_another_has_none() {
        let mut free = vec![0, 0, 1, 1, 1];
        let taken: Vec<usize> = std::iter::from_fn(|| idlest(&mut free)).collect();
        assert_eq!(taken[0], 1);
        assert_eq!(taken[1..3].iter().sum::<usize>(), 1);
        assert_eq!(taken.len(), 5);
    }

    #[tokio::test]
    async fn who_has_all_slots_has_nobody_beside() {
        let slots = Slots::new(4, &[0, 1]);
        let one = slots.take().await;
        assert!(slots.take_all().now_or_never().is_none());
        drop(one);
        let all = slots.take_all().await;
        assert!(slots.take().now_or_never().is_none());
        drop(all);
        let four = [(); 4].map(|()| slots.take().now_or_never());
        assert!(four.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn a_replay_that_waits_makes_room_for_another() {
        let slots = Slots::new(1, &[3]);
        let first = slots.take().await;
        assert_eq!(first.cpu, 3);
        assert!(slots.take().now_or_never().is_none());
        first.give_up();
        first.give_up();
        slots.changed().await;
        let second = slots.take().await;
        assert_eq!(second.cpu, 3);
        drop(first);
        assert!(slots.take().now_or_never().is_none());
        drop(second);
        assert!(slots.take().now_or_never().is_some());
    }
}
