//! Jobs: analyses that the daemon does for its clients, its users in turn, and some of one user at
//! once. Any
//! number of clients can watch one; none of them can hold it up. It knows no sockets, and of the
//! engine only [`Backend::analyze`].
//!
//! A job lives as long as somebody is attached to it (its submitter, or anyone who watches),
//! unless it was detached: then it outlives the daemon too. Who orders what the same user has
//! ordered already joins that job. All of them are in the database, also those that have ended,
//! the newest [`REMEMBERED_JOBS`] of each user.

mod attachment;
mod failures;
mod job;
mod kept;
mod queue;
mod turn;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use loupe_common::wire::{Failure, JobId, JobInfo, JobState};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::backend::{Backend, Viewer, store_failure};
use crate::engine::{AnalyzeOptions, Finished, Identity};
use crate::replay::Workload;
use crate::store::{JobBook, StoreError, StoredJob};

pub use attachment::{Attachment, Event, GaveUp};
use job::Job;
use queue::State;
use turn::Why;

/// Ended jobs of each user that the daemon remembers.
const REMEMBERED_JOBS: u32 = 64;

/// How a job ended.
pub type JobEnd = Result<Finished, Failure>;

/// What a client wants done.
#[derive(Clone, Debug)]
pub struct Order {
    pub identity: Identity,
    pub workload: Workload,
    pub options: AnalyzeOptions,
    /// The job goes on when its last watcher has left.
    pub detach: bool,
}

/// What jobs may take.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Jobs of one user that run at once.
    pub at_once: usize,
    /// Replays at a time.
    pub parallel: usize,
    /// How long a job may run while other users wait; then it goes back to the queue as soon as
    /// its next replay has ended, so that it is further each time.
    pub slice: Duration,
    /// How long others wait for the end of that replay.
    pub patience: Duration,
    /// All turns of a job together.
    pub time: Duration,
    /// Replays of a job that are not in the database already.
    pub replays: u64,
    /// How often a running job is looked at.
    pub look: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Bounds {
            at_once: 1,
            parallel: 4 * cores,
            slice: Duration::from_secs(10 * 60),
            patience: Duration::from_secs(30 * 60),
            time: Duration::from_secs(24 * 60 * 60),
            replays: 200_000,
            look: Duration::from_secs(1),
        }
    }
}

/// All jobs of a daemon.
#[derive(Debug)]
pub struct Jobs<B> {
    backend: Arc<B>,
    book: JobBook,
    bounds: Bounds,
    /// Never held while the disk is waited for.
    state: Mutex<State>,
    /// Told whenever a job has ended.
    ended: Notify,
    /// One line on what is going on.
    status: watch::Sender<String>,
}

impl<B: Backend> Jobs<B> {
    /// Takes over what an earlier daemon has left. Nothing runs before [`Jobs::begin`].
    pub fn new(backend: Arc<B>, bounds: Bounds) -> Result<Arc<Jobs<B>>, Failure> {
        let book = backend.keep_jobs()?;
        let mut state = State::default();
        state.jobs = kept::take_over(&book)?;
        Ok(Arc::new(Jobs {
            backend,
            book,
            bounds,
            state: Mutex::new(state),
            ended: Notify::new(),
            status: watch::Sender::new("idle".to_owned()),
        }))
    }

    /// Goes on with what an earlier daemon has left.
    pub fn begin(self: &Arc<Self>) {
        let mut state = self.lock();
        self.start_next(&mut state);
        self.tell_status(&state);
    }

    /// One line on what is going on, whenever that changes.
    pub fn status(&self) -> watch::Receiver<String> {
        self.status.subscribe()
    }

    fn tell_status(&self, state: &State) {
        self.status.send_replace(state.status());
    }

    /// A panic under the lock leaves nothing half done that another would trip over.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order; it runs when its turn comes. Blocks until it is on the disk.
    pub fn submit(self: &Arc<Self>, order: Order) -> Result<Attachment<B>, Failure> {
        if let Some(joined) = self.join(&order)? {
            return Ok(joined);
        }
        let kept = kept::add(&self.book, &order);
        let mut state = self.lock();
        state.has_come(&order.identity);
        let id = kept?;
        state.jobs.insert(id, Job::new(id, order));
        let attached = Attachment::new(self, &mut state, id, true);
        match state.stopping {
            true => self.stop_job(&mut state, id),
            false => self.start_next(&mut state),
        }
        self.tell_status(&state);
        attached.ok_or_else(|| failures::no_such_job(id))
    }

    /// `None`: it is an order like no other, and there is room for it.
    fn join(self: &Arc<Self>, order: &Order) -> Result<Option<Attachment<B>>, Failure> {
        let mut state = self.lock();
        let Some(id) = state.same(order)? else {
            state.admit(&order.identity)?;
            return Ok(None);
        };
        let attached = Attachment::new(self, &mut state, id, true);
        let job = state.jobs.get_mut(&id);
        let detach = job.is_some_and(|job| {
            let before = job.info.detached;
            job.info.detached |= order.detach;
            job.info.detached && !before
        });
        drop(state);
        if detach {
            self.book.detach(id.0).map_err(store_failure)?;
        }
        Ok(attached)
    }

    /// Follows a job, from a summary of what was so far to its end. Also one that has ended.
    /// Blocks, briefly.
    pub fn attach(self: &Arc<Self>, viewer: Viewer, id: JobId) -> Result<Attachment<B>, Failure> {
        let mut state = self.lock();
        if state.visible(viewer, id).is_some() {
            let attached = Attachment::new(self, &mut state, id, false);
            return attached.ok_or_else(|| failures::no_such_job(id));
        }
        drop(state);
        // What is not in memory any more was in the database before.
        let stored = self.ended_job(viewer, id)?;
        let end = kept::end(&self.book, &stored)?;
        Ok(Attachment::of_ended(self, id, end))
    }

    /// One that has ended. Another's is as good as none.
    fn ended_job(&self, viewer: Viewer, id: JobId) -> Result<StoredJob, Failure> {
        let found = self.book.ended_job(id.0).map_err(store_failure)?;
        found
            .filter(|job| viewer.sees(job.owner))
            .ok_or_else(|| failures::no_such_job(id))
    }

    /// The jobs that this viewer may see, by their numbers. Blocks, briefly.
    pub fn list(&self, viewer: Viewer) -> Result<Vec<JobInfo>, Failure> {
        let living = self.lock().infos(viewer);
        let ended = self.book.ended(viewer.owner()).map_err(store_failure)?;
        let mut list: Vec<JobInfo> = ended.iter().map(kept::info).collect();
        // One that has ended meanwhile is in both; its end is the news.
        list.extend(living);
        list.sort_by_key(|job| job.id);
        list.dedup_by_key(|job| job.id);
        Ok(list)
    }

    /// Cancels a job. It has ended when its watchers are told so. Blocks, briefly.
    pub fn cancel(self: &Arc<Self>, viewer: Viewer, id: JobId) -> Result<(), Failure> {
        let mut state = self.lock();
        if state.visible(viewer, id).is_some() {
            self.cancel_locked(&mut state, id);
            return Ok(());
        }
        drop(state);
        let stored = self.ended_job(viewer, id)?;
        Err(failures::already_ended(id, kept::info(&stored).state))
    }

    fn cancel_locked(self: &Arc<Self>, state: &mut State, id: JobId) {
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        let waits = job.info.state == JobState::Queued;
        job.ask_to_stop(Why::Cancelled);
        // The last clients may leave when the daemon has no threads any more; the next one
        // cancels the job then.
        if waits && let Ok(runtime) = Handle::try_current() {
            runtime.spawn(Arc::clone(self).end(id, Err(failures::cancelled())));
        }
    }

    /// Takes no more orders, and returns when no job is left in this daemon. Detached jobs stay in
    /// the database for the next daemon; the others are cancelled, for their clients cannot wait.
    pub async fn stop(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.stopping = true;
            let all: Vec<JobId> = state.jobs.keys().copied().collect();
            for id in all {
                self.stop_job(&mut state, id);
            }
        }
        loop {
            // Listens before it looks, so that no end is missed in between.
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.lock().jobs.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn stop_job(self: &Arc<Self>, state: &mut State, id: JobId) {
        match state.jobs.get_mut(&id) {
            Some(job) if !job.info.detached => self.cancel_locked(state, id),
            Some(job) if job.info.state == JobState::Queued => self.leave_for_later(state, id),
            Some(job) => job.ask_to_stop(Why::DaemonStops),
            None => {}
        }
    }

    /// Tells those who watch that the next daemon will go on with it.
    fn leave_for_later(&self, state: &mut State, id: JobId) {
        if let Some(mut job) = state.jobs.remove(&id) {
            tracing::info!(job = %id, "goes on when louped is started again");
            job.ended(Err(failures::goes_on_later(id)));
        }
        self.ended.notify_waiters();
    }

    /// First for good, then for those who watch: who is told of an end finds it in the list.
    async fn end(self: Arc<Self>, id: JobId, end: JobEnd) {
        kept::log_end(id, &kept::ending(&end));
        let done = self.lock().jobs.get(&id).map_or(0, |job| job.info.done);
        let jobs = Arc::clone(&self);
        let kept = tokio::task::spawn_blocking(move || {
            if let Err(error) = jobs
                .book
                .ends(id.0, kept::ending(&end), done, REMEMBERED_JOBS)
            {
                tracing::error!(job = %id, %error, "its end cannot be kept: louped may do it again");
            }
            end
        });
        let end = kept.await.unwrap_or_else(|error| {
            Err(Failure::internal("the job's end was lost").because(Some(&error)))
        });
        let mut state = self.lock();
        state.running.retain(|turn| turn.id != id);
        if let Some(mut job) = state.jobs.remove(&id) {
            job.ended(end);
        }
        self.start_next(&mut state);
        self.tell_status(&state);
        self.ended.notify_waiters();
    }

    /// Writes to the database on a thread of its own: the disk may be slow, and the lock is not
    /// held meanwhile. If the write fails, the job goes on.
    fn write(
        self: &Arc<Self>,
        id: JobId,
        write: impl FnOnce(&JobBook) -> Result<(), StoreError> + Send + 'static,
    ) -> JoinHandle<()> {
        let jobs = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = write(&jobs.book) {
                tracing::error!(job = %id, %error, "what the job does cannot be kept");
            }
        })
    }

    /// A client has left.
    fn left(self: &Arc<Self>, id: JobId, own: bool) {
        let mut state = self.lock();
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        job.attached -= 1;
        job.wanted -= usize::from(own);
        if job.attached == 0 && !job.info.detached && !job.is_being_cancelled() {
            tracing::info!(job = %id, "nobody is attached any more: cancelled");
            self.cancel_locked(&mut state, id);
        }
    }
}

#[cfg(test)]
mod tests;
