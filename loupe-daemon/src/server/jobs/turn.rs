//! One job's turn: it is started, looked after and ended, or put back for others. An analysis
//! that was stopped goes on from its finished replays, so a turn can end at any moment.

use std::sync::Arc;

use loupe_common::progress::Progress;
use loupe_common::wire::{Failure, JobId, JobState};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::queue::State;
use super::{Jobs, failures};
use crate::backend::Backend;
use crate::engine::{Finished, ProgressSink};

/// The job that runs.
#[derive(Debug)]
pub(super) struct Turn {
    pub id: JobId,
    began: Instant,
    /// Since when others are waiting for its end, which is due.
    due_since: Option<Instant>,
}

/// Why a running job is to stop; of several reasons the last in this list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It goes on later.
    OthersTurn,
    /// It goes on when the daemon is started again.
    DaemonStops,
    TooLong,
    TooManyReplays,
    Cancelled,
}

impl<B: Backend> Jobs<B> {
    pub(super) fn start_next(self: &Arc<Self>, state: &mut State) {
        if state.running.is_some() || state.stopping {
            return;
        }
        let Some(id) = state.take_next() else {
            return;
        };
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        job.info.state = JobState::Running;
        job.cancel = CancellationToken::new();
        if let Err(error) = self.book.takes_up(id.0) {
            tracing::error!(job = %id, %error, "cannot keep that it runs");
        }
        let analysis = self.analyze(job);
        state.running = Some(Turn {
            id,
            began: Instant::now(),
            due_since: None,
        });
        tokio::spawn(Arc::clone(self).look_after(id, analysis));
    }

    fn analyze(self: &Arc<Self>, job: &Job) -> JoinHandle<Result<Finished, Failure>> {
        let id = job.info.id;
        let mut order = job.order.clone();
        order.options.most_jobs = Some(self.bounds.parallel);
        // What a fresh start has measured in earlier turns counts.
        order.options.fresh &= !job.begun;
        let weak = Arc::downgrade(self);
        let progress: ProgressSink = Arc::new(move |event| {
            if let Some(jobs) = weak.upgrade() {
                jobs.progressed(id, event);
            }
        });
        let (backend, cancel) = (Arc::clone(&self.backend), job.cancel.clone());
        tokio::spawn(async move {
            backend
                .analyze(
                    order.workload,
                    order.identity,
                    order.options,
                    progress,
                    cancel,
                )
                .await
        })
    }

    async fn look_after(
        self: Arc<Self>,
        id: JobId,
        mut analysis: JoinHandle<Result<Finished, Failure>>,
    ) {
        let joined = loop {
            tokio::select! {
                biased;
                joined = &mut analysis => break joined,
                () = tokio::time::sleep(self.bounds.look) => self.look_at_running(),
            }
        };
        // A panic of the engine ends its job, not the daemon.
        let result = joined.unwrap_or_else(|error| {
            Err(Failure::internal("the analysis ended unexpectedly").because(Some(&error)))
        });
        self.turn_ended(id, result);
    }

    /// Whether it has run for too long.
    fn look_at_running(&self) {
        let mut state = self.lock();
        let (others_wait, now) = (state.others_wait(), Instant::now());
        let State { running, jobs, .. } = &mut *state;
        let Some(turn) = running else { return };
        let Some(job) = jobs.get_mut(&turn.id) else {
            return;
        };
        let ran = now - turn.began;
        if job.ran + ran >= self.bounds.time {
            job.ask_to_stop(Why::TooLong);
        }
        if !others_wait || ran < self.bounds.slice {
            turn.due_since = None;
            return;
        }
        let due_since = *turn.due_since.get_or_insert(now);
        if now - due_since >= self.bounds.patience {
            job.ask_to_stop(Why::OthersTurn);
        }
    }

    fn progressed(&self, id: JobId, event: Progress) {
        let mut state = self.lock();
        let others_wait = state.others_wait();
        let State { running, jobs, .. } = &mut *state;
        let Some(job) = jobs.get_mut(&id) else { return };
        if !job.begun {
            job.begun = true;
            if let Err(error) = self.book.has_begun(id.0) {
                tracing::error!(job = %id, %error, "cannot keep that it has begun");
            }
        }
        if matches!(event, Progress::Replayed { reused: false, .. }) {
            job.replays += 1;
            let turn = running.as_ref();
            let is_due = turn.is_some_and(|turn| turn.began.elapsed() >= self.bounds.slice);
            if job.replays >= self.bounds.replays {
                job.ask_to_stop(Why::TooManyReplays);
            } else if others_wait && is_due {
                job.ask_to_stop(Why::OthersTurn);
            }
        }
        job.progressed(event);
    }

    fn turn_ended(self: &Arc<Self>, id: JobId, result: Result<Finished, Failure>) {
        let mut state = self.lock();
        let turn = state.running.take();
        let Some(job) = state.jobs.get_mut(&id) else {
            return;
        };
        job.ran += turn.map_or_else(Default::default, |turn| turn.began.elapsed());
        let why = job.stop.take();
        let end = match (result, why) {
            (Ok(finished), _) => Ok((finished.id, finished.analysis)),
            (Err(failure), Some(why)) if failures::is_cancelled(&failure) => match why {
                Why::OthersTurn => return self.put_back(&mut state, id),
                Why::DaemonStops => {
                    self.keep_turn(job);
                    return self.leave_for_later(&mut state, id);
                }
                Why::TooLong => Err(failures::too_long(id, self.bounds.time)),
                Why::TooManyReplays => Err(failures::too_many_replays(id, self.bounds.replays)),
                Why::Cancelled => Err(failure),
            },
            (Err(failure), _) => Err(failure),
        };
        self.end(&mut state, id, end);
    }

    /// To the queue, for others.
    fn put_back(self: &Arc<Self>, state: &mut State, id: JobId) {
        if let Some(job) = state.jobs.get_mut(&id) {
            tracing::info!(job = %id, replays = job.replays, "others wait: it goes on after them");
            self.keep_turn(job);
            job.info.state = JobState::Queued;
            job.info.running = 0;
            let text = format!("others wait for their turn: job {id} goes on after them");
            job.progressed(Progress::Notice { text });
        }
        self.start_next(state);
        self.tell_status(state);
        self.ended.notify_waiters();
    }

    fn keep_turn(&self, job: &Job) {
        let (id, ran_ms) = (job.info.id, job.ran.as_millis() as u64);
        if let Err(error) = self.book.puts_back(id.0, ran_ms, job.replays) {
            tracing::error!(job = %id, %error, "cannot keep how far it is");
        }
    }
}
