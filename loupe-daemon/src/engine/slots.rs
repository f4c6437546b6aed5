//! Room for replays: so many at a time compute, each on its CPU. A replay that only waits gives
//! its room to another and goes on beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::select_all;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

pub struct Slots {
    cpus: Vec<Cpu>,
    changed: Notify,
}

struct Cpu {
    number: usize,
    count: u32,
    free: Semaphore,
}

impl Slots {
    /// So many slots, dealt out over these CPUs.
    pub fn new(count: usize, cpus: &[usize]) -> Arc<Slots> {
        let used = count.min(cpus.len());
        let cpu = |(index, number): (usize, &usize)| {
            let count = count / used + usize::from(index < count % used);
            Cpu {
                number: *number,
                count: count as u32,
                free: Semaphore::new(count),
            }
        };
        Arc::new(Slots {
            cpus: cpus.iter().take(used).enumerate().map(cpu).collect(),
            changed: Notify::new(),
        })
    }

    /// Waits for a slot, on the CPU of which fewest are taken.
    pub async fn take(self: &Arc<Self>) -> Slot {
        let taken = |cpu: &usize| {
            let cpu = &self.cpus[*cpu];
            (cpu.count as usize).saturating_sub(cpu.free.available_permits())
        };
        let mut idlest: Vec<usize> = (0..self.cpus.len()).collect();
        idlest.sort_by_key(taken);
        // The first of them that has a slot.
        let slots = idlest.iter().map(|cpu| Box::pin(self.take_of(*cpu, 1)));
        select_all(slots).await.0
    }

    /// Waits for all slots of a CPU: nothing else computes there beside who has them.
    pub async fn take_cpu(self: &Arc<Self>) -> Slot {
        let slots =
            (0..self.cpus.len()).map(|cpu| Box::pin(self.take_of(cpu, self.cpus[cpu].count)));
        select_all(slots).await.0
    }

    async fn take_of(self: &Arc<Self>, cpu: usize, count: u32) -> Slot {
        // Nobody closes the semaphore.
        let permits = self.cpus[cpu].free.acquire_many(count).await;
        permits.into_iter().for_each(SemaphorePermit::forget);
        Slot {
            slots: Arc::clone(self),
            cpu: self.cpus[cpu].number,
            index: cpu,
            count,
            given_up: AtomicBool::new(false),
        }
    }

    /// Comes back when another replay has given its slot up.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The right to compute on one CPU, until it is dropped or given up.
pub struct Slot {
    slots: Arc<Slots>,
    pub cpu: usize,
    index: usize,
    /// The slots that it stands for.
    count: u32,
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

    /// So many slots there are, if they outnumber the CPUs and this is not all that its CPU has;
    /// else 0.
    pub fn crowd(&self) -> u64 {
        let cpus = &self.slots.cpus;
        match self.count < cpus[self.index].count {
            true => cpus.iter().map(|cpu| u64::from(cpu.count)).sum(),
            false => 0,
        }
    }

    fn free(&self) {
        self.slots.cpus[self.index]
            .free
            .add_permits(self.count as usize);
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
    use futures::FutureExt as _;

    use super::*;

    async fn now(slots: &Arc<Slots>) -> Option<Slot> {
        slots.take().now_or_never()
    }

    #[tokio::test]
    async fn no_cpu_gets_two_replays_while_another_has_none() {
        let slots = Slots::new(5, &[0, 1]);
        let first = slots.take().await;
        let second = slots.take().await;
        assert_ne!(first.cpu, second.cpu);
        assert_eq!([first.crowd(), second.crowd()], [5, 5]);
        drop(first);
        let third = slots.take().await;
        assert_ne!(third.cpu, second.cpu);
        let more = [now(&slots).await, now(&slots).await, now(&slots).await];
        assert!(more.iter().all(Option::is_some));
        assert!(now(&slots).await.is_none());
    }

    #[tokio::test]
    async fn who_has_a_cpu_has_nobody_beside() {
        let slots = Slots::new(4, &[0, 1]);
        let (one, other) = (slots.take().await, slots.take().await);
        assert_eq!(one.crowd(), 4);
        assert!(slots.take_cpu().now_or_never().is_none());
        drop(one);
        let whole = slots.take_cpu().now_or_never().expect("a CPU is free");
        assert_ne!(whole.cpu, other.cpu);
        assert_eq!(whole.crowd(), 0);
        let last = now(&slots).await.expect("the other CPU has another slot");
        assert_eq!(last.cpu, other.cpu);
        assert!(now(&slots).await.is_none());
        drop(whole);
        let two = [now(&slots).await, now(&slots).await];
        assert!(two.iter().all(Option::is_some));
        assert!(now(&slots).await.is_none());
    }

    #[tokio::test]
    async fn who_waits_for_a_cpu_is_not_passed_for_ever() {
        let slots = Slots::new(2, &[0]);
        let first = slots.take().await;
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take_cpu().await.cpu }
        });
        tokio::task::yield_now().await;
        assert!(now(&slots).await.is_none());
        drop(first);
        assert_eq!(waiting.await.ok(), Some(0));
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
