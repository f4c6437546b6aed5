//! The replayer behind an analysis: hands its requests to runners and keeps what they bring.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use loupe_common::policy::Policy;
use loupe_common::replay::Replay;

use super::bench::{Bench, Manner, reached};
use super::slots::{Slot, Slots};
use super::{AnalyzeError, EngineError};
use crate::explore::{Probed, Recorded, ReplayError, Replayer, Request, Room};
use crate::lock;
use crate::replay::{BaselineFacts, Mode, Part, Sabotage};
use crate::run::Cancel;
use crate::store::{AnalysisRun, FIRST_TRIAL, Store};

/// A replayer that remembers: what the database has is not run again.
pub struct Recording(pub Arc<Shared>);

pub struct Shared {
    store: Arc<Store>,
    pub run: AnalysisRun,
    pub bench: Bench,
    slots: Mutex<Arc<Slots>>,
    facts: Mutex<BaselineFacts>,
    /// Replays that this analysis has run itself.
    own: Mutex<BTreeSet<i64>>,
    stop: Cancel,
}

impl Replayer for Recording {
    async fn replay(&self, request: &Request) -> Result<Recorded, ReplayError> {
        let slots = self.0.slots();
        let slot = match request.room {
            Room::Shared => slots.take().await,
            Room::OwnCpu => slots.take_cpu().await,
        };
        let (shared, request) = (Arc::clone(&self.0), request.clone());
        Ok(blocking(move || shared.replay(&request, &slot)).await?)
    }

    async fn probe(&self, request: &Request) -> Result<Probed, ReplayError> {
        let shared = Arc::clone(&self.0);
        let request = request.clone();
        let slot = self.0.slots().take().await;
        Ok(blocking(move || shared.probe(&request, &slot)).await?)
    }

    fn waiting(&self) -> usize {
        self.0.bench.waiting()
    }

    fn more_waiting(&self) -> impl Future<Output = ()> + Send {
        let slots = self.0.slots();
        async move { slots.changed().await }
    }
}

impl Shared {
    pub fn new(store: &Arc<Store>, run: AnalysisRun, bench: Bench, stop: Cancel) -> Shared {
        Shared {
            store: Arc::clone(store),
            run,
            bench,
            slots: Mutex::new(Slots::new(0, &[])),
            facts: Mutex::default(),
            own: Mutex::default(),
            stop,
        }
    }

    pub fn slots(&self) -> Arc<Slots> {
        Arc::clone(&lock(&self.slots))
    }

    /// From now on replays take these slots.
    pub fn set_slots(&self, slots: Arc<Slots>) {
        *lock(&self.slots) = slots;
    }

    pub fn replay(&self, request: &Request, slot: &Slot) -> Result<Recorded, AnalyzeError> {
        if let Some(recorded) = self.remember(request)? {
            return Ok(recorded);
        }
        let replay = self.run(request, Part::Whole, slot)?;
        self.keep(request, replay)
    }

    fn run(&self, request: &Request, part: Part, slot: &Slot) -> Result<Replay, AnalyzeError> {
        self.run_until(&self.stop, request, part, slot)
    }

    /// The same, and nothing is kept; ends early when `cancel` says so.
    pub fn run_until(
        &self,
        cancel: &Cancel,
        request: &Request,
        part: Part,
        slot: &Slot,
    ) -> Result<Replay, AnalyzeError> {
        let manner = Manner {
            part,
            watch: request.is_watched(self.bench.how.watched),
            control: request.control,
            cancel,
        };
        let facts = lock(&self.facts).clone();
        let mut replay = self.bench.run(&request.policy, &facts, slot, manner)?;
        replay.usage.crowd = slot.crowd();
        Ok(replay)
    }

    /// Only begins; what fails already is the whole replay.
    fn probe(&self, request: &Request, slot: &Slot) -> Result<Probed, AnalyzeError> {
        if let Some(recorded) = self.remember(request)? {
            return Ok(match recorded.replay.outcome.passed() {
                true => self.begun(recorded.replay),
                false => Probed::Ended(recorded),
            });
        }
        let replay = self.run(request, Part::Start, slot)?;
        match replay.outcome.passed() {
            true => Ok(self.begun(replay)),
            false => self.keep(request, replay).map(Probed::Ended),
        }
    }

    fn begun(&self, replay: Replay) -> Probed {
        let reached = reached(&lock(&self.facts), &replay);
        Probed::Begun(replay, reached)
    }

    /// What the database has.
    fn remember(&self, request: &Request) -> Result<Option<Recorded>, AnalyzeError> {
        let found = self.find(&request.policy, request.replica)?;
        Ok(found.map(|(id, replay)| {
            let reused = !lock(&self.own).contains(&id);
            if reused {
                self.learn(&replay);
            }
            Recorded { id, replay, reused }
        }))
    }

    fn keep(&self, request: &Request, replay: Replay) -> Result<Recorded, AnalyzeError> {
        self.learn(&replay);
        let id = self.record(request, &replay)?;
        Ok(Recorded {
            id,
            replay,
            reused: false,
        })
    }

    /// A replay that is already kept.
    pub fn find(
        &self,
        policy: &Policy,
        replica: u32,
    ) -> Result<Option<(i64, Replay)>, AnalyzeError> {
        Ok(self.store.find_replay(self.run.id, policy, replica)?)
    }

    /// Keeps a replay as what was asked for.
    pub fn record(&self, request: &Request, replay: &Replay) -> Result<i64, AnalyzeError> {
        let purpose = Some(request.purpose.as_str());
        let id = self
            .store
            .record_replay(self.run.id, request.replica, purpose, replay)?;
        lock(&self.own).insert(id);
        Ok(id)
    }

    /// Keeps a replay of the baseline that is no replica of it, and why it was run.
    pub fn record_trial(&self, replay: &Replay, purpose: &str) -> Result<i64, AnalyzeError> {
        let mut replica = FIRST_TRIAL;
        // An earlier attempt at this analysis has some, too.
        while self.find(&replay.policy, replica)?.is_some() {
            replica += 1;
        }
        let request = Request::new(replay.policy.clone(), replica);
        self.record(&request.because(purpose), replay)
    }

    /// Runs the workload, or a part of it, once and keeps nothing of it.
    pub fn try_out(
        &self,
        policy: &Policy,
        part: Part,
        slot: &Slot,
    ) -> Result<Replay, AnalyzeError> {
        let manner = Manner {
            part,
            watch: false,
            control: None,
            cancel: &self.stop,
        };
        let facts = lock(&self.facts).clone();
        Ok(self.bench.run(policy, &facts, slot, manner)?)
    }

    pub fn learn(&self, replay: &Replay) {
        let replica = replay.policy.is_empty() && replay.conditions.control.is_none();
        if replica && replay.outcome.passed() {
            lock(&self.facts).add(replay);
        }
    }
}

impl Recording {
    /// A server's test that passes without the server would make every verdict "any". (A
    /// batch application is also judged by its exit status.) Asks nothing of a workload that
    /// fails as it is, in this replay.
    pub async fn check_test(&self, first: &Replay) -> Result<(), AnalyzeError> {
        if self.0.bench.prepared.workload.mode != Mode::Server || !first.outcome.passed() {
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        let slot = self.0.slots().take().await;
        let absent = Part::Sabotaged(Sabotage::Absent);
        let replay =
            blocking(move || patiently(|| shared.try_out(&Policy::baseline(), absent, &slot)))
                .await?;
        match replay.outcome.passed() {
            true => Err(AnalyzeError::TestIgnoresApplication {
                output: replay.test_output.tail,
            }),
            false => Ok(()),
        }
    }
}

/// A replay that the host may have been too busy for is tried so often, where nobody else would
/// run it again.
const TRIES: u32 = 4;

/// Runs a replay, again if the host may have been too busy for it.
pub fn patiently<T>(mut work: impl FnMut() -> Result<T, AnalyzeError>) -> Result<T, AnalyzeError> {
    let mut tries = 1;
    loop {
        match work() {
            Err(error) if error.may_be_overload() && tries < TRIES => {
                tracing::warn!(%error, "a replay is run again");
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Runs what blocks where it may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AnalyzeError> + Send + 'static,
) -> Result<T, AnalyzeError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(EngineError::Panicked(panic.to_string()).into()))
}
