//! A [`Replayer`] that answers with replays of an [`App`], and logs what it was asked.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;
use std::task::{Poll, Waker};

use loupe_common::policy::Policy;
use loupe_common::replay::Outcome;

use super::hosts::METRIC;
use super::{App, Crowd, Host, hash};
use crate::explore::{Probed, Reached, Recorded, ReplayError, Replayer, Request, Room};

/// Runs an [`App`], answering in an order that depends on `order`.
pub(crate) struct Simulator<'a> {
    pub app: &'a App,
    pub order: u64,
    /// Of a thousand replays, so many cannot be carried out.
    pub loses: u64,
    pub host: Option<Host>,
    pub crowd: Option<Crowd>,
    /// Under so many of a thousand policies, replays only wait from their middle on.
    pub waits: u64,
    /// Under so many of a thousand policies, tests that were begun stand still.
    pub stands_still: u64,
    pub log: Mutex<Log>,
}

/// What was asked of a simulator.
#[derive(Default)]
pub(crate) struct Log {
    pub answers: Vec<(Request, Outcome)>,
    pub running: usize,
    pub most_running: usize,
    /// What was asked for, and how many replays were running then, it among them.
    pub starts: Vec<(Request, usize)>,
    /// Running replays that only wait for their end.
    pub waiting: usize,
    /// One more of them does, and who is to hear of that.
    pub more_waiting: bool,
    pub listener: Option<Waker>,
    /// From this many answers on, nothing can be replayed any more.
    pub breaks_after: Option<usize>,
    /// Times that each was started.
    pub tries: BTreeMap<(Policy, u32), u64>,
}

impl<'a> Simulator<'a> {
    pub fn new(app: &'a App, order: u64) -> Simulator<'a> {
        Simulator {
            app,
            order,
            loses: 0,
            host: None,
            crowd: None,
            waits: 0,
            stands_still: 0,
            log: Mutex::default(),
        }
    }

    /// Whether it comes to its test.
    fn begins(&self, request: &Request) -> bool {
        // A group may fail for something that comes late although one of it is needed early.
        let rules = request.policy.iter();
        let early = rules.filter(|(feature, _)| self.app.needs_early(feature));
        let early = Request {
            policy: early
                .map(|(feature, action)| (feature.clone(), action))
                .collect(),
            ..request.clone()
        };
        let started = self.app.replay(&early);
        self.app.replay(request).outcome.passed() || started.outcome.passed()
    }

    /// The requests, sorted.
    pub fn requests(&self) -> Vec<(Policy, u32)> {
        let log = self.log.lock().expect("no test thread has panicked");
        let mut requests: Vec<(Policy, u32)> = log
            .answers
            .iter()
            .map(|(request, _)| (request.policy.clone(), request.replica))
            .collect();
        requests.sort();
        requests
    }
}

/// What a replay comes to does not depend on why it is run.
impl Hash for Request {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Request {
            policy,
            replica,
            watch,
            control,
            room,
            purpose: _,
        } = self;
        (policy, replica, watch, control, room).hash(state);
    }
}

impl Request {
    /// The id of the replay that answers it.
    pub fn id(&self) -> i64 {
        (hash(self) >> 1) as i64
    }
}

impl Replayer for Simulator<'_> {
    async fn probe(&self, request: &Request) -> Result<Probed, ReplayError> {
        let begins = self.begins(request);
        let crowd = self.crowd.as_ref();
        match begins && !crowd.is_some_and(|crowd| crowd.breaks(request)) {
            true => {
                let stands_still = hash(&(self.app.seed, &request.policy)) % 1000;
                let reached = match self.app.seed.is_multiple_of(2) {
                    _ if stands_still < self.stands_still => Reached::Standstill,
                    true => Reached::Start,
                    false => Reached::Test,
                };
                Ok(Probed::Begun(self.app.replay(request), reached))
            }
            false => self.replay(request).await.map(Probed::Ended),
        }
    }

    async fn replay(&self, request: &Request) -> Result<Recorded, ReplayError> {
        let log = || self.log.lock().expect("no test thread has panicked");
        {
            let mut log = log();
            log.running += 1;
            log.most_running = log.most_running.max(log.running);
            let running = log.running;
            log.starts.push((request.clone(), running));
        }
        let rounds = hash(&(self.order, request)) % 16;
        let waits = hash(&request.policy) % 1000 < self.waits;
        some_rounds(rounds / 2).await;
        if waits {
            log().one_more_waits();
        }
        some_rounds(rounds - rounds / 2).await;
        let mut replay = self.app.replay(request);
        if self.app.dies && !self.begins(request) {
            replay.timing.test_us = 0;
        }
        let mut log = log();
        log.running -= 1;
        log.waiting -= usize::from(waits);
        let tries = log.tries.entry((request.policy.clone(), request.replica));
        let tries = tries.and_modify(|tries| *tries += 1).or_insert(1);
        if hash(&(self.order, "lost", request, *tries)) % 1000 < self.loses {
            return Err(ReplayError::Lost("the host is busy".into()));
        }
        if let Some(host) = self.host {
            host.stall(self.order, log.answers.len(), &mut replay);
        }
        if let Some(crowd) = &self.crowd {
            replay.metric = replay.outcome.passed().then_some(METRIC);
            if request.room == Room::Shared {
                replay.usage.crowd = 8;
                crowd.befall(request, &mut replay, log.answers.len());
            }
        }
        log.answers.push((request.clone(), replay.outcome.clone()));
        if log.breaks_after.is_some_and(|n| log.answers.len() > n) {
            return Err(ReplayError::Broken("the sandbox broke".into()));
        }
        Ok(Recorded {
            id: request.id(),
            replay,
            reused: false,
        })
    }

    fn waiting(&self) -> usize {
        self.log
            .lock()
            .expect("no test thread has panicked")
            .waiting
    }

    async fn more_waiting(&self) {
        poll_fn(|context| {
            let mut log = self.log.lock().expect("no test thread has panicked");
            if std::mem::take(&mut log.more_waiting) {
                return Poll::Ready(());
            }
            log.listener = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Log {
    /// One more replay only waits from now on.
    fn one_more_waits(&mut self) {
        self.waiting += 1;
        self.more_waiting = true;
        if let Some(listener) = self.listener.take() {
            listener.wake();
        }
    }
}

/// Lets others go on so many times.
async fn some_rounds(mut rounds: u64) {
    poll_fn(|context| {
        if rounds == 0 {
            return Poll::Ready(());
        }
        rounds -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
