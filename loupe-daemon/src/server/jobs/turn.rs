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

/// A job that runs.
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
        while !state.stopping
            && let Some(id) = state.take_next(self.bounds.at_once)
            && let Some(job) = state.jobs.get_mut(&id)
        {
            job.info.state = JobState::Running;
            job.cancel = CancellationToken::new();
            let analysis = self.analyze(job);
            state.running.push(Turn {
                id,
                began: Instant::now(),
                due_since: None,
            });
            tokio::spawn(Arc::clone(self).look_after(id, analysis));
        }
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
        let taken_up = self.write(id, move |book| book.takes_up(id.0));
        tokio::spawn(async move {
            // It only fails by a panic, which was told.
            drop(taken_up.await);
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
                () = tokio::time::sleep(self.bounds.look) => self.look_at(id),
            }
        };
        // A panic of the engine ends its job, not the daemon.
        let result = joined.unwrap_or_else(|error| {
            Err(Failure::internal("the analysis ended unexpectedly").because(Some(&error)))
        });
        self.turn_ended(id, result).await;
    }

    /// Whether it has run for too long.
    fn look_at(&self, id: JobId) {
        let mut state = self.lock();
        let (others_wait, now) = (state.others_wait(), Instant::now());
        let State { running, jobs, .. } = &mut *state;
        let turn = running.iter_mut().find(|turn| turn.id == id);
        let (Some(turn), Some(job)) = (turn, jobs.get_mut(&id)) else {
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

    fn progressed(self: &Arc<Self>, id: JobId, event: Progress) {
        let mut state = self.lock();
        let others_wait = state.others_wait();
        let State { running, jobs, .. } = &mut *state;
        let Some(job) = jobs.get_mut(&id) else { return };
        if !job.begun {
            job.begun = true;
            self.write(id, move |book| book.has_begun(id.0));
        }
        if matches!(event, Progress::Replayed { reused: false, .. }) {
            job.replays += 1;
            let turn = running.iter().find(|turn| turn.id == id);
            let is_due = turn.is_some_and(|turn| turn.began.elapsed() >= self.bounds.slice);
            if job.replays >= self.bounds.replays {
                job.ask_to_stop(Why::TooManyReplays);
            } else if others_wait && is_due {
                job.ask_to_stop(Why::OthersTurn);
            }
        }
        job.progressed(event);
    }

    async fn turn_ended(self: Arc<Self>, id: JobId, result: Result<Finished, Failure>) {
        let (why, ran_ms, replays) = {
            let mut state = self.lock();
            let State { running, jobs, .. } = &mut *state;
            let Some(job) = jobs.get_mut(&id) else { return };
            let turn = running.iter().find(|turn| turn.id == id);
            job.ran += turn.map_or_else(Default::default, |turn| turn.began.elapsed());
            (job.stop, job.ran.as_millis() as u64, job.replays)
        };
        let end = match (result, why) {
            (Ok(finished), _) => Ok(finished),
            (Err(failure), Some(why)) if failures::is_cancelled(&failure) => match why {
                Why::OthersTurn | Why::DaemonStops => {
                    let kept = self.write(id, move |book| book.puts_back(id.0, ran_ms, replays));
                    // It only fails by a panic, which was told.
                    drop(kept.await);
                    return self.put_back(id);
                }
                Why::TooLong => Err(failures::too_long(id, self.bounds.time)),
                Why::TooManyReplays => Err(failures::too_many_replays(id, self.bounds.replays)),
                Why::Cancelled => Err(failure),
            },
            (Err(failure), _) => Err(failure),
        };
        self.end(id, end).await;
    }

    /// To the queue, for others; or for another daemon.
    fn put_back(self: &Arc<Self>, id: JobId) {
        let mut state = self.lock();
        state.running.retain(|turn| turn.id != id);
        if let Some(job) = state.jobs.get_mut(&id) {
            let why = job.stop.take();
            job.info.state = JobState::Queued;
            job.info.running = 0;
            match why {
                Some(Why::DaemonStops) => self.leave_for_later(&mut state, id),
                // It was cancelled since.
                Some(Why::Cancelled) => self.cancel_locked(&mut state, id),
                _ => {
                    let replays = job.replays;
                    tracing::info!(job = %id, replays, "others wait: it goes on after them");
                    let text = format!("others wait for their turn: job {id} goes on after them");
                    job.progressed(Progress::Notice { text });
                }
            }
        }
        self.start_next(&mut state);
        self.tell_status(&state);
        self.ended.notify_waiters();
    }
}
