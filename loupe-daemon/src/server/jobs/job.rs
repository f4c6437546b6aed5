//! One job: its row in the list, and the channels to those who watch it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loupe_common::progress::Progress;
use loupe_common::wire::{JobId, JobInfo, JobState, code};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::turn::Why;
use super::{JobEnd, Order};

/// Steps that a watcher may fall behind by before it loses the oldest.
const MAX_UNREAD_STEPS: usize = 256;

#[derive(Debug)]
pub(super) struct Job {
    /// `ahead` and `watchers` are filled in when it is asked for.
    pub info: JobInfo,
    pub order: Order,
    /// The part of the analysis that it is in.
    phase: Option<Progress>,
    /// Stops its turn.
    pub cancel: CancellationToken,
    /// Why that was used.
    pub stop: Option<Why>,
    /// Its analysis is in the database.
    pub begun: bool,
    /// The turns that are over.
    pub ran: Duration,
    /// Replays of all turns.
    pub replays: u64,
    /// Clients that would miss it.
    pub attached: usize,
    /// Watchers that have ordered the job themselves.
    pub wanted: usize,
    /// Closed (absent) once the job has ended.
    pub events: Option<broadcast::Sender<Arc<Progress>>>,
    pub end: watch::Sender<Option<Arc<JobEnd>>>,
}

impl Job {
    pub fn new(id: JobId, order: Order) -> Job {
        let submitted = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            // A clock before 1970 is wrong anyway.
            .map_or(0, |since| since.as_secs());
        Job {
            info: JobInfo {
                id,
                uid: order.identity.uid,
                application: order.workload.application.clone(),
                workload: order.workload.workload.clone(),
                state: JobState::Queued,
                detached: order.detach,
                submitted,
                ended: None,
                ahead: 0,
                watchers: 0,
                phase: String::new(),
                done: 0,
                running: 0,
                left: 0,
                error: None,
            },
            order,
            phase: None,
            cancel: CancellationToken::new(),
            stop: None,
            begun: false,
            ran: Duration::ZERO,
            replays: 0,
            attached: 0,
            wanted: 0,
            events: Some(broadcast::Sender::new(MAX_UNREAD_STEPS)),
            end: watch::Sender::new(None),
        }
    }

    /// Whether it will bring what this order asks for.
    pub fn does(&self, order: &Order) -> bool {
        matches!(self.info.state, JobState::Queued | JobState::Running)
            && !order.options.fresh
            && self.order.identity == order.identity
            && self.order.workload == order.workload
            && self.order.options == order.options
    }

    /// Ends its turn soon, unless there is a stronger reason already.
    pub fn ask_to_stop(&mut self, why: Why) {
        self.stop = self.stop.max(Some(why));
        if why != Why::OthersTurn {
            self.info.state = JobState::Stopping;
        }
        self.cancel.cancel();
    }

    pub fn is_being_cancelled(&self) -> bool {
        self.stop == Some(Why::Cancelled)
    }

    pub fn progressed(&mut self, event: Progress) {
        match &event {
            Progress::Phase { name, .. } => {
                self.info.phase.clone_from(name);
                self.phase = Some(event.clone());
            }
            Progress::Counts {
                done,
                running,
                left,
            } => {
                self.info.done = *done;
                self.info.running = *running;
                self.info.left = *left;
            }
            Progress::Replayed { .. } | Progress::Begun { .. } | Progress::Notice { .. } => {}
        }
        if let Some(events) = &self.events {
            // An error only says that nobody listens.
            drop(events.send(Arc::new(event)));
        }
    }

    pub fn ended(&mut self, end: JobEnd) {
        self.info.state = match &end {
            Ok(_) => JobState::Finished,
            Err(failure) if failure.code == code::CANCELLED => JobState::Cancelled,
            Err(failure) => {
                self.info.error = Some(failure.message.clone());
                JobState::Failed
            }
        };
        self.info.running = 0;
        // The end first: who sees the events closed finds it.
        self.end.send_replace(Some(Arc::new(end)));
        self.events = None;
    }

    /// What a new watcher has to know of the time before.
    pub fn summary(&self) -> Vec<Progress> {
        let mut summary: Vec<Progress> = self.phase.iter().cloned().collect();
        if self.info.done + self.info.running + self.info.left > 0 {
            summary.push(Progress::Counts {
                done: self.info.done,
                running: self.info.running,
                left: self.info.left,
            });
        }
        summary
    }
}
