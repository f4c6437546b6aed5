//! Room for replays: so many at a time compute, each on its CPU. A replay that only waits gives
//! its room to another and goes on beside it. All analyses of a process share its CPUs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::select_all;
use tokio::sync::{Mutex, Notify, Semaphore, SemaphorePermit};

/// The room on one CPU. A replay of an analysis that has *n* slots there takes the *n*th part of
/// it, so that analyses whose replays take different parts can share the CPU. It is larger than the
/// square of any number of slots, so that no further one fits into what rounding leaves.
const WHOLE: u32 = u32::MAX;

/// CPUs that several analyses may share.
pub struct Cpus {
    cpus: Vec<Cpu>,
    /// Held by who collects whole CPUs: two who have one each would wait for each other.
    collecting: Mutex<()>,
    /// How many times [`Slots`] were dealt out.
    dealt: AtomicUsize,
}

struct Cpu {
    number: usize,
    free: Semaphore,
}

impl Cpus {
    pub fn new(numbers: &[usize]) -> Arc<Cpus> {
        let cpu = |number: &usize| Cpu {
            number: *number,
            free: Semaphore::new(WHOLE as usize),
        };
        Arc::new(Cpus {
            cpus: numbers.iter().map(cpu).collect(),
            collecting: Mutex::default(),
            dealt: AtomicUsize::new(0),
        })
    }

    pub fn numbers(&self) -> Vec<usize> {
        self.cpus.iter().map(|cpu| cpu.number).collect()
    }

    /// Deals out so many slots over the CPUs, for one analysis. Several that have fewer slots than
    /// there are CPUs get different ones.
    pub fn slots(self: &Arc<Self>, count: usize) -> Arc<Slots> {
        let used = count.min(self.cpus.len());
        let first = match used < self.cpus.len() {
            true => self.dealt.fetch_add(used, Ordering::Relaxed),
            false => 0,
        };
        let place = |index: usize| Place {
            cpu: (first + index) % self.cpus.len(),
            count: (count / used + usize::from(index < count % used)) as u32,
        };
        Arc::new(Slots {
            cpus: Arc::clone(self),
            places: (0..used).map(place).collect(),
            changed: Notify::new(),
        })
    }

    /// Waits until so many CPUs are free, and keeps them.
    pub async fn keep(self: &Arc<Self>, count: usize) -> Kept {
        let _collecting = self.collecting.lock().await;
        let all = self.slots(self.cpus.len());
        let mut kept = Vec::new();
        for _ in 0..count.min(self.cpus.len()) {
            kept.push(all.take_cpu().await);
        }
        Kept(kept)
    }
}

/// CPUs on which nobody else's replays run.
pub struct Kept(Vec<Slot>);

impl Kept {
    pub fn numbers(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = self.0.iter().map(|slot| slot.cpu).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// The room that one analysis may have.
pub struct Slots {
    cpus: Arc<Cpus>,
    places: Vec<Place>,
    changed: Notify,
}

/// Slots on one CPU.
struct Place {
    /// Its index among the CPUs.
    cpu: usize,
    count: u32,
}

impl Place {
    /// What one slot takes of the CPU.
    fn part(&self) -> u32 {
        WHOLE / self.count
    }
}

impl Slots {
    /// So many slots on these CPUs, shared with nobody.
    pub fn new(count: usize, cpus: &[usize]) -> Arc<Slots> {
        Cpus::new(cpus).slots(count)
    }

    /// Waits for a slot, on the CPU of which least is taken.
    pub async fn take(self: &Arc<Self>) -> Slot {
        let free = |place: &usize| {
            self.cpus.cpus[self.places[*place].cpu]
                .free
                .available_permits()
        };
        let mut idlest: Vec<usize> = (0..self.places.len()).collect();
        idlest.sort_by_key(|place| std::cmp::Reverse(free(place)));
        // The first of them that has a slot.
        let slots = idlest
            .iter()
            .map(|place| Box::pin(self.take_of(*place, self.places[*place].part())));
        select_all(slots).await.0
    }

    /// Waits for all of a CPU: nothing else computes there beside who has it.
    pub async fn take_cpu(self: &Arc<Self>) -> Slot {
        let slots = (0..self.places.len()).map(|place| Box::pin(self.take_of(place, WHOLE)));
        select_all(slots).await.0
    }

    async fn take_of(self: &Arc<Self>, place: usize, part: u32) -> Slot {
        let index = self.places[place].cpu;
        let cpu = &self.cpus.cpus[index];
        // Nobody closes the semaphore.
        let permits = cpu.free.acquire_many(part).await;
        permits.into_iter().for_each(SemaphorePermit::forget);
        Slot {
            slots: Arc::clone(self),
            cpu: cpu.number,
            index,
            part,
            has_neighbours: part <= WHOLE / 2,
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
    /// What it takes of the CPU.
    part: u32,
    /// There is room for another beside it.
    has_neighbours: bool,
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

    /// So many slots the analysis has, if they outnumber its CPUs and this is not all that its CPU
    /// has; else 0.
    pub fn crowd(&self) -> u64 {
        match self.has_neighbours {
            true => (self.slots.places.iter())
                .map(|place| u64::from(place.count))
                .sum(),
            false => 0,
        }
    }

    fn free(&self) {
        let cpu = &self.slots.cpus.cpus[self.index];
        cpu.free.add_permits(self.part as usize);
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

    #[tokio::test]
    async fn analyses_share_a_cpu_by_the_parts_that_their_replays_take() {
        let cpus = Cpus::new(&[0]);
        let (eighths, halves, wholes) = (cpus.slots(8), cpus.slots(2), cpus.slots(1));
        let half = now(&halves).await.expect("room for a half");
        let mut taken = Vec::new();
        while let Some(slot) = now(&eighths).await {
            taken.push(slot);
        }
        assert_eq!(taken.len(), 4, "the other half");
        assert_eq!((half.crowd(), taken[0].crowd()), (2, 8));
        assert!(now(&halves).await.is_none());
        assert!(now(&wholes).await.is_none(), "it needs the CPU for itself");
        drop((half, taken));
        let whole = now(&wholes).await.expect("nothing else runs");
        assert_eq!(whole.crowd(), 0);
        assert!(now(&eighths).await.is_none());
    }

    #[tokio::test]
    async fn no_further_replay_fits_into_what_rounding_leaves() {
        for count in [3, 7, 60] {
            let slots = Slots::new(count, &[0]);
            let mut taken = Vec::new();
            while let Some(slot) = now(&slots).await {
                taken.push(slot);
            }
            assert_eq!(taken.len(), count);
        }
        for count in 1..=65_535 {
            let part = u64::from(Place { cpu: 0, count }.part());
            let count = u64::from(count);
            assert!(count * part <= u64::from(WHOLE));
            assert!((count + 1) * part > u64::from(WHOLE), "{count}");
        }
    }

    #[tokio::test]
    async fn analyses_with_fewer_slots_than_cpus_get_different_ones() {
        let cpus = Cpus::new(&[4, 5]);
        let (one, other) = (cpus.slots(1), cpus.slots(1));
        let (one, other) = (one.take().await, other.take().await);
        assert_ne!(one.cpu, other.cpu);
    }

    #[tokio::test]
    async fn cpus_are_kept_from_everybody_else_and_collected_by_one_at_a_time() {
        let cpus = Cpus::new(&[0, 1]);
        let slots = cpus.slots(2);
        let running = slots.take().await;
        let wanting = [(); 2].map(|()| {
            let cpus = Arc::clone(&cpus);
            tokio::spawn(async move { cpus.keep(2).await.numbers() })
        });
        tokio::task::yield_now().await;
        assert!(now(&slots).await.is_none(), "one has it already");
        drop(running);
        for numbers in wanting {
            assert_eq!(numbers.await.ok(), Some(vec![0, 1]));
        }
        let two = [now(&slots).await, now(&slots).await];
        assert!(two.iter().all(Option::is_some));
    }
}
