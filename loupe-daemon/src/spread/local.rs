//! A queue within one process, which keeps the promises of a real one: for tests, and for workers that are
//! threads of the same process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::clock::Clock;
use super::job::{Done, Job};
use super::queue::{Claim, Claims, Jobs, QueueError, Told, Worker};
use crate::lock;

/// A worker that was not heard of for so many times the wait for an acknowledgement is gone.
const SILENT_WAITS: u32 = 3;

/// Jobs and their results.
pub struct Local<C>(Arc<Inner<C>>);

impl<C> Clone for Local<C> {
    fn clone(&self) -> Local<C> {
        Local(Arc::clone(&self.0))
    }
}

struct Inner<C> {
    clock: C,
    /// How long a claim lasts without a word.
    ack_wait: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Message ids that were taken.
    taken: BTreeSet<String>,
    waiting: VecDeque<Job>,
    /// Jobs and results that somebody has, and until when.
    claimed: BTreeMap<u64, (Job, Duration)>,
    results: VecDeque<Done>,
    told: BTreeMap<u64, (Done, Duration)>,
    next: u64,
    /// When each was heard of last.
    workers: BTreeMap<String, (Worker, Duration)>,
}

impl State {
    /// Takes back what was not acknowledged in time.
    fn expire(&mut self, now: Duration) {
        let late = |deadline: &Duration| *deadline <= now;
        let jobs = self.claimed.iter().filter(|(_, (_, until))| late(until));
        let jobs: Vec<u64> = jobs.map(|(tag, _)| *tag).collect();
        for tag in jobs {
            let job = self.claimed.remove(&tag);
            self.waiting.extend(job.map(|(job, _)| job));
        }
        let results = self.told.iter().filter(|(_, (_, until))| late(until));
        let results: Vec<u64> = results.map(|(tag, _)| *tag).collect();
        for tag in results {
            let done = self.told.remove(&tag);
            self.results.extend(done.map(|(done, _)| done));
        }
    }

    fn tag(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl<C: Clock> Local<C> {
    pub fn new(clock: C, ack_wait: Duration) -> Local<C> {
        Local(Arc::new(Inner {
            clock,
            ack_wait,
            state: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// The side of the analysis of this subject.
    pub fn of(&self, subject: &str) -> LocalJobs<C> {
        LocalJobs {
            queue: self.clone(),
            subject: subject.to_owned(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let changed = change(&mut lock(&self.0.state), self.0.clock.now());
        self.0.changed.notify_waiters();
        changed
    }

    /// Waits until something is found.
    async fn find<T>(&self, mut find: impl FnMut(&mut State, Duration) -> Option<T>) -> T {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that no change is missed in between.
            changed.as_mut().enable();
            let found = {
                let mut state = lock(&self.0.state);
                let now = self.0.clock.now();
                state.expire(now);
                find(&mut state, now)
            };
            if let Some(found) = found {
                return found;
            }
            // What somebody else does not acknowledge becomes free without a word.
            tokio::select! {
                () = changed => {}
                () = self.0.clock.sleep(self.0.ack_wait / 4) => {}
            }
        }
    }
}

/// The side of one analysis.
pub struct LocalJobs<C> {
    queue: Local<C>,
    subject: String,
}

impl<C: Clock> Jobs for LocalJobs<C> {
    type Told = LocalTold<C>;

    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        self.queue.change(|state, _| {
            if state.taken.insert(job.message_id()) {
                state.waiting.push_back(job.clone());
            }
        });
        Ok(())
    }

    async fn told(&self) -> Result<LocalTold<C>, QueueError> {
        let (tag, done) = self
            .queue
            .find(|state, now| {
                let mut results = state.results.iter();
                let place = results.position(|done| done.subject == self.subject)?;
                let done = state.results.remove(place)?;
                let tag = state.tag();
                let until = now + self.queue.0.ack_wait;
                state.told.insert(tag, (done.clone(), until));
                Some((tag, done))
            })
            .await;
        let queue = self.queue.clone();
        Ok(LocalTold { queue, tag, done })
    }

    async fn workers(&self) -> Result<Vec<Worker>, QueueError> {
        Ok(self.queue.change(|state, now| {
            let silent = self.queue.0.ack_wait * SILENT_WAITS;
            state
                .workers
                .retain(|_, (_, heard)| now.saturating_sub(*heard) < silent);
            let workers = state.workers.values();
            workers.map(|(worker, _)| worker.clone()).collect()
        }))
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

impl<C: Clock> Claims for Local<C> {
    type Claim = LocalClaim<C>;

    async fn claim(&self, worker: &Worker) -> Result<LocalClaim<C>, QueueError> {
        let (tag, job) = self
            .find(|state, now| {
                let name = worker.name.clone();
                state.workers.insert(name, (worker.clone(), now));
                let own = |job: &Job| {
                    let class = job.class.of_any_target();
                    class.admits(&worker.class) && !job.not_by.contains(&worker.name)
                };
                let place = state.waiting.iter().position(own)?;
                let job = state.waiting.remove(place)?;
                let tag = state.tag();
                let until = now + self.0.ack_wait;
                state.claimed.insert(tag, (job.clone(), until));
                Some((tag, job))
            })
            .await;
        Ok(LocalClaim {
            queue: self.clone(),
            worker: worker.name.clone(),
            tag,
            job,
        })
    }

    async fn tell(&self, done: &Done) -> Result<(), QueueError> {
        self.change(|state, _| state.results.push_back(done.clone()));
        Ok(())
    }
}

/// A result until it is acknowledged.
pub struct LocalTold<C> {
    queue: Local<C>,
    tag: u64,
    done: Done,
}

impl<C: Clock> Told for LocalTold<C> {
    fn done(&self) -> &Done {
        &self.done
    }

    async fn acknowledge(self) -> Result<(), QueueError> {
        self.queue.change(|state, _| state.told.remove(&self.tag));
        Ok(())
    }
}

/// A job until it is acknowledged.
pub struct LocalClaim<C> {
    queue: Local<C>,
    worker: String,
    tag: u64,
    job: Job,
}

impl<C: Clock> Claim for LocalClaim<C> {
    fn job(&self) -> &Job {
        &self.job
    }

    async fn extend(&self) -> Result<(), QueueError> {
        let ack_wait = self.queue.0.ack_wait;
        self.queue.change(|state, now| {
            if let Some((_, until)) = state.claimed.get_mut(&self.tag) {
                *until = now + ack_wait;
            }
            if let Some((_, heard)) = state.workers.get_mut(&self.worker) {
                *heard = now;
            }
        });
        Ok(())
    }

    async fn acknowledge(self) -> Result<(), QueueError> {
        self.queue
            .change(|state, _| state.claimed.remove(&self.tag));
        Ok(())
    }

    async fn give_back(self) -> Result<(), QueueError> {
        self.queue.change(|state, _| {
            let job = state.claimed.remove(&self.tag);
            state.waiting.extend(job.map(|(job, _)| job));
        });
        Ok(())
    }
}
