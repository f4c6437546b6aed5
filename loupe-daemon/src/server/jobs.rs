//! Jobs: analyses that the daemon does for its clients, one at a time, in the order of their
//! arrival. Any number of clients can watch one; none of them can hold it up. It knows no
//! sockets, and of the engine only [`Backend::analyze`].
//!
//! A job lives as long as somebody is attached to it (its submitter, or anyone who watches),
//! unless it was detached. Who orders what the same user has ordered already joins that job.
//! Finished jobs are remembered, the newest [`KEPT`] of them.

mod attachment;
mod job;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loupe_common::analysis::Analysis;
use loupe_common::progress::Progress;
use loupe_common::wire::{Failure, JobId, JobInfo, JobState, code, exit};
use tokio::sync::{Notify, watch};

use crate::backend::{Backend, Viewer};
use crate::engine::{AnalyzeOptions, Identity, ProgressSink};
use crate::replay::Workload;

pub use attachment::{Attachment, Event, GaveUp};
use job::Job;

/// Finished jobs that are remembered.
const KEPT: usize = 64;

/// Jobs that may wait, in all.
const MAX_QUEUED: usize = 128;

/// Jobs that may wait for one user other than root, so that nobody can fill the queue alone.
const MAX_QUEUED_PER_USER: usize = 16;

/// How a job ended.
pub type JobEnd = Result<Analysis, Failure>;

/// What a client wants done.
#[derive(Clone, Debug)]
pub struct Order {
    pub identity: Identity,
    pub workload: Workload,
    pub options: AnalyzeOptions,
    /// Go on when nobody is attached any more.
    pub detach: bool,
}

/// All jobs of a daemon.
#[derive(Debug)]
pub struct Jobs<B> {
    backend: Arc<B>,
    state: Mutex<State>,
    /// Told whenever a job has ended.
    ended: Notify,
    /// One line on what is going on.
    status: watch::Sender<String>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    jobs: BTreeMap<JobId, Job>,
    queue: VecDeque<JobId>,
    running: Option<JobId>,
    stopping: bool,
}

impl<B: Backend> Jobs<B> {
    pub fn new(backend: Arc<B>) -> Arc<Jobs<B>> {
        Arc::new(Jobs {
            backend,
            state: Mutex::default(),
            ended: Notify::new(),
            status: watch::Sender::new("idle".to_owned()),
        })
    }

    /// One line on what is going on, whenever that changes.
    pub fn status(&self) -> watch::Receiver<String> {
        self.status.subscribe()
    }

    fn tell_status(&self, state: &State) {
        let running = state.running.and_then(|id| state.jobs.get(&id));
        self.status.send_replace(match running {
            None => "idle".to_owned(),
            Some(job) => format!(
                "job {}: {}/{}; {} waiting",
                job.info.id,
                job.info.application,
                job.info.workload,
                state.queue.len()
            ),
        });
    }

    /// A panic under the lock leaves nothing half done that another would trip over.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order; it runs when its turn comes.
    pub fn submit(self: &Arc<Self>, order: Order) -> Result<Attachment<B>, Failure> {
        let mut state = self.lock();
        if let Some(id) = state.join(&order)? {
            return Attachment::new(self, &mut state, id, true).ok_or_else(|| no_such_job(id));
        }
        state.admit(&order.identity)?;
        state.last += 1;
        let id = JobId(state.last);
        state.jobs.insert(id, Job::new(id, order));
        state.queue.push_back(id);
        self.start_next(&mut state);
        self.tell_status(&state);
        Attachment::new(self, &mut state, id, true).ok_or_else(|| no_such_job(id))
    }

    /// Follows a job, from a summary of what was so far to its end. Also for a finished one.
    pub fn attach(self: &Arc<Self>, viewer: Viewer, id: JobId) -> Result<Attachment<B>, Failure> {
        let mut state = self.lock();
        state.visible(viewer, id)?;
        Attachment::new(self, &mut state, id, false).ok_or_else(|| no_such_job(id))
    }

    /// The jobs that this viewer may see, oldest first.
    pub fn list(&self, viewer: Viewer) -> Vec<JobInfo> {
        let state = self.lock();
        state
            .jobs
            .values()
            .filter(|job| viewer.sees(job.info.uid))
            .map(|job| state.info(job))
            .collect()
    }

    /// Cancels a job. It has ended when its watchers are told so.
    pub fn cancel(self: &Arc<Self>, viewer: Viewer, id: JobId) -> Result<(), Failure> {
        let mut state = self.lock();
        let job = state.visible(viewer, id)?;
        if job.info.state.is_final() {
            return Err(Failure::new(
                code::NOT_FOUND,
                exit::FINDING,
                format!("job {id} has already ended ({})", job.info.state),
            ));
        }
        self.cancel_locked(&mut state, id);
        Ok(())
    }

    fn cancel_locked(self: &Arc<Self>, state: &mut State, id: JobId) {
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        match job.info.state {
            JobState::Queued => {
                state.queue.retain(|queued| *queued != id);
                self.end(state, id, Err(cancelled()));
            }
            JobState::Running => {
                job.info.state = JobState::Stopping;
                job.cancel.cancel();
            }
            JobState::Stopping | JobState::Finished | JobState::Failed | JobState::Cancelled => {}
        }
    }

    /// Takes no more orders, cancels every job, and returns when the last one is gone.
    pub async fn stop(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.stopping = true;
            let all: Vec<JobId> = state.jobs.keys().copied().collect();
            for id in all {
                self.cancel_locked(&mut state, id);
            }
        }
        loop {
            // Listens before it looks, so that no end is missed in between.
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.lock().running.is_none() {
                return;
            }
            ended.await;
        }
    }

    fn start_next(self: &Arc<Self>, state: &mut State) {
        if state.running.is_some() {
            return;
        }
        let Some(id) = state.queue.pop_front() else {
            return;
        };
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        job.info.state = JobState::Running;
        let order = job.order.clone();
        state.running = Some(id);
        let cancel = job.cancel.clone();
        let weak = Arc::downgrade(self);
        let progress: ProgressSink = Arc::new(move |event| {
            if let Some(jobs) = weak.upgrade() {
                jobs.progressed(id, event);
            }
        });
        let backend = Arc::clone(&self.backend);
        let analysis = tokio::spawn(async move {
            backend
                .analyze(
                    order.workload,
                    order.identity,
                    order.options,
                    progress,
                    cancel,
                )
                .await
        });
        let jobs = Arc::clone(self);
        tokio::spawn(async move {
            // A panic of the engine ends its job, not the daemon.
            let end = analysis.await.unwrap_or_else(|error| {
                Err(Failure::internal("the analysis ended unexpectedly").because(Some(&error)))
            });
            let mut state = jobs.lock();
            state.running = None;
            jobs.end(&mut state, id, end);
        });
    }

    fn progressed(&self, id: JobId, event: Progress) {
        if let Some(job) = self.lock().jobs.get_mut(&id) {
            job.progressed(event);
        }
    }

    fn end(self: &Arc<Self>, state: &mut State, id: JobId, end: JobEnd) {
        if let Some(job) = state.jobs.get_mut(&id) {
            match &end {
                Ok(_) => tracing::info!(job = %id, "finished"),
                Err(failure) => tracing::info!(job = %id, error = %failure, "ended"),
            }
            job.ended(end);
        }
        state.forget_old();
        self.start_next(state);
        self.tell_status(state);
        self.ended.notify_waiters();
    }

    fn detached(self: &Arc<Self>, id: JobId, own: bool) {
        let mut state = self.lock();
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        job.attached -= 1;
        job.wanted -= usize::from(own);
        if job.attached == 0 && !job.info.detached && !job.info.state.is_final() {
            tracing::info!(job = %id, "nobody is attached any more: cancelled");
            self.cancel_locked(&mut state, id);
        }
    }
}

impl State {
    /// The job that does already what the order says, unless that wants a fresh start.
    fn join(&mut self, order: &Order) -> Result<Option<JobId>, Failure> {
        if self.stopping {
            return Err(Failure::new(
                code::STOPPING,
                exit::LOUPE_FAILED,
                "the daemon is stopping",
            ));
        }
        let same = self.jobs.values_mut().find(|job| job.does(order));
        Ok(same.map(|job| {
            job.info.detached |= order.detach;
            job.info.id
        }))
    }

    fn admit(&self, identity: &Identity) -> Result<(), Failure> {
        let own = self
            .queue
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter(|job| job.info.uid == identity.uid)
            .count();
        if self.queue.len() >= MAX_QUEUED || (identity.uid != 0 && own >= MAX_QUEUED_PER_USER) {
            return Err(Failure::new(
                code::BUSY,
                exit::LOUPE_FAILED,
                format!("{} jobs are waiting already", self.queue.len()),
            )
            .hint(
                "wait for some of them to end, or cancel one: `loupe jobs`, `loupe cancel JOB`",
            ));
        }
        Ok(())
    }

    /// Another's job is as good as none.
    fn visible(&self, viewer: Viewer, id: JobId) -> Result<&Job, Failure> {
        self.jobs
            .get(&id)
            .filter(|job| viewer.sees(job.info.uid))
            .ok_or_else(|| no_such_job(id))
    }

    fn info(&self, job: &Job) -> JobInfo {
        let mut info = job.info.clone();
        info.watchers = job.attached;
        info.ahead = self
            .queue
            .iter()
            .position(|queued| *queued == info.id)
            .map_or(0, |position| position + usize::from(self.running.is_some()));
        info
    }

    fn forget_old(&mut self) {
        let ended: Vec<JobId> = self
            .jobs
            .values()
            .filter(|job| job.info.state.is_final())
            .map(|job| job.info.id)
            .collect();
        for id in ended.iter().take(ended.len().saturating_sub(KEPT)) {
            self.jobs.remove(id);
        }
    }
}

fn no_such_job(id: JobId) -> Failure {
    Failure::new(
        code::NOT_FOUND,
        exit::USAGE,
        format!("there is no job {id}"),
    )
    .hint("`loupe jobs` lists them")
}

/// What a cancelled job ends with.
fn cancelled() -> Failure {
    Failure::new(
        code::CANCELLED,
        exit::INTERRUPTED,
        "the analysis was cancelled",
    )
    .hint("its finished replays are kept: the same `loupe analyze` goes on from there")
}

#[cfg(test)]
mod tests;
