//! One client's view of a job. Dropping it is leaving.

use std::collections::VecDeque;
use std::sync::Arc;

use loupe_common::progress::Progress;
use loupe_common::wire::{Failure, JobId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::queue::State;
use super::{JobEnd, Jobs};
use crate::backend::Backend;

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Event {
    Progress(Arc<Progress>),
    /// The watcher was too slow and has lost this many steps.
    Skipped(u64),
    /// The last event.
    Ended(Arc<JobEnd>),
}

/// Follows one job.
#[derive(Debug)]
pub struct Attachment<B: Backend> {
    jobs: Arc<Jobs<B>>,
    id: JobId,
    /// This client ordered the job.
    own: bool,
    ahead: usize,
    earlier: VecDeque<Progress>,
    /// `None` once it is closed.
    events: Option<broadcast::Receiver<Arc<Progress>>>,
    end: watch::Receiver<Option<Arc<JobEnd>>>,
}

impl<B: Backend> Attachment<B> {
    pub(super) fn new(
        jobs: &Arc<Jobs<B>>,
        state: &mut State,
        id: JobId,
        own: bool,
    ) -> Option<Attachment<B>> {
        let ahead = state.ahead_of(id);
        let job = state.jobs.get_mut(&id)?;
        job.attached += 1;
        job.wanted += usize::from(own);
        Some(Attachment {
            jobs: Arc::clone(jobs),
            id,
            own,
            ahead,
            earlier: job.summary().into(),
            events: job.events.as_ref().map(broadcast::Sender::subscribe),
            end: job.end.subscribe(),
        })
    }

    /// Attaches to a job that has ended: there is only its end to hear.
    pub(super) fn of_ended(jobs: &Arc<Jobs<B>>, id: JobId, end: JobEnd) -> Attachment<B> {
        let (_, end) = watch::channel(Some(Arc::new(end)));
        Attachment {
            jobs: Arc::clone(jobs),
            id,
            own: false,
            ahead: 0,
            earlier: VecDeque::new(),
            events: None,
            end,
        }
    }

    pub fn id(&self) -> JobId {
        self.id
    }

    /// Jobs that ran before it when it was attached to.
    pub fn ahead(&self) -> usize {
        self.ahead
    }

    /// A handle to say with that this client does not want the job any more.
    pub fn canceller(&self) -> Canceller<B> {
        Canceller {
            jobs: Arc::clone(&self.jobs),
            id: self.id,
            own: self.own,
        }
    }

    /// What happens next. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Event {
        if let Some(earlier) = self.earlier.pop_front() {
            return Event::Progress(Arc::new(earlier));
        }
        if let Some(events) = &mut self.events {
            match events.recv().await {
                Ok(event) => return Event::Progress(event),
                Err(RecvError::Lagged(lost)) => return Event::Skipped(lost),
                Err(RecvError::Closed) => self.events = None,
            }
        }
        let end = match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone(),
            Err(_) => None,
        };
        // The job was forgotten before its end was seen, which `Jobs` does not do.
        Event::Ended(end.unwrap_or_else(|| {
            Arc::new(Err(Failure::internal(format!(
                "job {} is gone without a result",
                self.id
            ))))
        }))
    }
}

/// What came of giving up a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// It is being cancelled: its end will come.
    Cancelled,
    /// Others have ordered it too, and it goes on for them.
    LeftToOthers,
    /// A mere watcher has nothing to give up.
    NotOwn,
}

/// Gives up one job for one client.
#[derive(Debug)]
pub struct Canceller<B: Backend> {
    jobs: Arc<Jobs<B>>,
    id: JobId,
    own: bool,
}

impl<B: Backend> Canceller<B> {
    /// Cancels the job, whoever watches it, unless somebody else has ordered it too.
    pub fn give_up(&self) -> GaveUp {
        if !self.own {
            return GaveUp::NotOwn;
        }
        let mut state = self.jobs.lock();
        let others = state.jobs.get(&self.id).is_some_and(|job| job.wanted > 1);
        if others {
            return GaveUp::LeftToOthers;
        }
        self.jobs.cancel_locked(&mut state, self.id);
        GaveUp::Cancelled
    }
}

impl<B: Backend> Drop for Attachment<B> {
    fn drop(&mut self) {
        self.jobs.left(self.id, self.own);
    }
}
