//! The side that asks: a [`Replayer`] whose replays others run. Every result is kept before it is
//! acknowledged and before anything rests on it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;

use loupe_common::host_class::HostClass;
use loupe_common::policy::Policy;
use loupe_common::replay::Replay;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::host_filter::HostFilter;
use super::job::{Answer, Done, Job, Key, Order};
use super::queue::{Jobs, QueueError, Told as _, Worker};
use super::standstill::{Lack, Standstill};
use super::workers::{may_run, widest};
use crate::explore::{Probed, Recorded, ReplayError, Replayer, Request};
use crate::lock;
use crate::replay::{BaselineFacts, Part, Sabotage};

/// Why a replay cannot be run anywhere.
#[derive(Debug, thiserror::Error)]
pub enum SpreadError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("no worker can run this workload: {}", told(.0))]
    NobodyCan(BTreeMap<String, String>),
    #[error("the analysis's records do not work: {0}")]
    Records(Box<dyn Error + Send + Sync>),
    #[error("nobody waits for results any more")]
    Stopped,
    #[error(
        "the analysis began on hosts that --hosts leaves out ({0}): it goes on without --hosts, and begins anew \
         with --again"
    )]
    OtherHosts(HostClass),
    #[error("{0}")]
    Lost(String),
}

/// What each worker lacks.
fn told(lacks: &BTreeMap<String, String>) -> String {
    let lacks = lacks
        .iter()
        .map(|(worker, what)| format!("{worker}: {what}"));
    lacks.collect::<Vec<_>>().join("; ")
}

impl From<SpreadError> for ReplayError {
    fn from(error: SpreadError) -> ReplayError {
        match error {
            SpreadError::Lost(_) => ReplayError::Lost(Box::new(error)),
            _ => ReplayError::Broken(Box::new(error)),
        }
    }
}

/// Where an analysis keeps its replays.
pub trait Records: Send + Sync {
    /// One that is kept.
    fn find(&self, request: &Request) -> Result<Option<Recorded>, Box<dyn Error + Send + Sync>>;

    /// Keeps one. It is asked only for what is not kept.
    fn keep(
        &self,
        request: &Request,
        replay: &Replay,
    ) -> Result<Recorded, Box<dyn Error + Send + Sync>>;
}

/// An analysis whose replays run elsewhere.
pub struct Spread<Q, R, C> {
    /// The digest of what is replayed.
    subject: String,
    /// Tells this process from an earlier one that asked for the same.
    asker: String,
    queue: Q,
    records: R,
    clock: C,
    /// Hosts that may be chosen.
    hosts: HostFilter,
    state: Mutex<State>,
    /// Held until the baseline's first replay has shown the class.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The hosts, and the build, whose replays are compared.
    class: Option<HostClass>,
    facts: BaselineFacts,
    asked: BTreeMap<Key, Asked>,
    /// How often each was published, where that was more than once.
    attempts: BTreeMap<Key, u32>,
    /// No worker was heard yet, so that no class is chosen.
    waits_for_worker: bool,
    is_stopped: bool,
}

/// A job without a result.
struct Asked {
    job: Job,
    /// What workers lack for it.
    lacks: BTreeMap<String, String>,
    answer: oneshot::Sender<Result<Probed, SpreadError>>,
}

impl<Q: Jobs, R: Records, C: Clock> Spread<Q, R, C> {
    pub fn new((subject, asker): (&str, &str), queue: Q, records: R, clock: C) -> Spread<Q, R, C> {
        Spread {
            subject: subject.to_owned(),
            asker: asker.to_owned(),
            queue,
            records,
            clock,
            hosts: HostFilter::default(),
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// Runs on such hosts only.
    pub fn only(self, hosts: HostFilter) -> Spread<Q, R, C> {
        Spread { hosts, ..self }
    }

    /// The hosts that all replays ran on, once that is known.
    pub fn class(&self) -> Option<HostClass> {
        lock(&self.state).class.clone()
    }

    /// Takes results until the queue fails; runs beside the analysis. Jobs that nobody can run are
    /// looked for every `look`; that nothing goes on is told.
    pub async fn serve(&self, look: Duration, tell: impl Fn(String)) -> QueueError {
        let mut standstill = Standstill::default();
        let error = loop {
            let served = tokio::select! {
                told = self.queue.told() => match told {
                    Ok(told) => {
                        standstill.look(None).into_iter().for_each(&tell);
                        self.settle(told).await
                    }
                    Err(error) => Err(error),
                },
                () = self.clock.sleep(look) => self.look(&mut standstill, &tell).await,
            };
            if let Err(error) = served {
                break error;
            }
        };
        let mut state = lock(&self.state);
        state.is_stopped = true;
        for (_, asked) in std::mem::take(&mut state.asked) {
            // Who asked may have gone.
            drop(asked.answer.send(Err(SpreadError::Stopped)));
        }
        error
    }

    /// Runs the baseline with something done to the application, and keeps nothing of it.
    pub async fn sabotaged(&self, sabotage: Sabotage) -> Result<Replay, SpreadError> {
        let request = Request::new(Policy::baseline(), 0);
        match self.ask(&request, Part::Sabotaged(sabotage)).await? {
            Probed::Begun(replay, _) => Ok(replay),
            Probed::Ended(recorded) => Ok(recorded.replay),
        }
    }

    async fn settle(&self, told: Q::Told) -> Result<(), QueueError> {
        let done = told.done().clone();
        let asked = lock(&self.state).asked.remove(&done.key);
        match asked {
            Some(asked) => self.answer(asked, done).await?,
            None => {
                if let Err(error) = self.keep_unasked(done) {
                    // Not acknowledged, it is told again.
                    tracing::warn!(%error, "a result cannot be kept now");
                    return Ok(());
                }
            }
        }
        told.acknowledge().await
    }

    /// It was told before, or by two workers; or an earlier process asked for it, and this one will: then
    /// it is found among what is kept.
    fn keep_unasked(&self, done: Done) -> Result<(), SpreadError> {
        let Answer::Replayed(mut replay) = done.answer else {
            return Ok(());
        };
        let counts = match self.class() {
            Some(class) => class.admits(&done.class),
            None if done.order.opens() => true,
            None => return Err(SpreadError::Lost("the class is not known yet".to_owned())),
        };
        if counts {
            replay.conditions.on = Some(Box::new(done.class));
            let request = done.order.request();
            self.keep(&request, &replay).map_err(SpreadError::Records)?;
        }
        Ok(())
    }

    async fn answer(&self, asked: Asked, done: Done) -> Result<(), QueueError> {
        let admitted = asked.job.class.admits(&done.class);
        let answer = match done.answer {
            Answer::Cannot(what) => return self.pass_on(asked, done.worker, what).await,
            _ if !admitted => {
                let what = format!("it is another kind of host or build: {}", done.class);
                return self.pass_on(asked, done.worker, what).await;
            }
            Answer::Lost(why) => {
                let attempt = asked.job.attempt + 1;
                lock(&self.state).attempts.insert(done.key, attempt);
                Err(SpreadError::Lost(why))
            }
            Answer::Partial(replay, reached) => Ok(Probed::Begun(*replay, reached)),
            Answer::Replayed(mut replay) => {
                replay.conditions.on = Some(Box::new(done.class.clone()));
                let request = asked.job.order.request();
                match self.keep(&request, &replay) {
                    Ok(recorded) => {
                        self.learn(&recorded);
                        Ok(Probed::Ended(recorded))
                    }
                    Err(error) => Err(SpreadError::Records(error)),
                }
            }
        };
        // Who asked may have gone.
        drop(asked.answer.send(answer));
        Ok(())
    }

    fn keep(
        &self,
        request: &Request,
        replay: &Replay,
    ) -> Result<Recorded, Box<dyn Error + Send + Sync>> {
        match self.records.find(request)? {
            Some(kept) => Ok(kept),
            None => self.records.keep(request, replay),
        }
    }

    fn learn(&self, recorded: &Recorded) {
        let replay = &recorded.replay;
        let mut state = lock(&self.state);
        if !replay.policy.is_empty() || replay.conditions.control.is_some() {
            return;
        }
        if state.class.is_none() {
            state.class = replay.conditions.on.as_deref().cloned();
        }
        if replay.outcome.passed() {
            state.facts.add(replay);
        }
    }

    /// Has another worker try it. Published before this answer is acknowledged, so that it is not
    /// lost in between.
    async fn pass_on(
        &self,
        mut asked: Asked,
        worker: String,
        what: String,
    ) -> Result<(), QueueError> {
        asked.job.not_by.insert(worker.clone());
        asked.lacks.insert(worker, what);
        asked.job.attempt += 1;
        let (key, job) = (asked.job.key.clone(), asked.job.clone());
        {
            let mut state = lock(&self.state);
            state.attempts.insert(key.clone(), job.attempt);
            state.asked.insert(key, asked);
        }
        self.queue.publish(&job).await
    }

    async fn look(
        &self,
        standstill: &mut Standstill,
        tell: impl Fn(String),
    ) -> Result<(), QueueError> {
        let workers = self.queue.workers().await?;
        self.give_up_hopeless(&workers);
        if let Some(text) = standstill.look(self.lack(&workers)) {
            tell(text);
        }
        Ok(())
    }

    /// For want of what nothing goes on now.
    fn lack(&self, workers: &[Worker]) -> Option<Lack> {
        if let Some(why) = self.queue.trouble() {
            return Some(Lack::Queue(why));
        }
        let state = lock(&self.state);
        if state.waits_for_worker {
            return Some(Lack::Worker(None));
        }
        let asked = state.asked.values().next()?;
        let class = asked.job.class.of_any_target();
        let is_there = workers.iter().any(|worker| class.admits(&worker.class));
        (!is_there).then_some(Lack::Worker(Some(class)))
    }

    /// What every worker that there is lacks something for is given up.
    fn give_up_hopeless(&self, workers: &[Worker]) {
        let mut state = lock(&self.state);
        let hopeless = state.asked.iter().filter(|(_, asked)| {
            let mut able = workers.iter().filter(|worker| may_run(worker, &asked.job));
            !asked.lacks.is_empty() && able.next().is_none()
        });
        let hopeless: Vec<Key> = hopeless.map(|(key, _)| key.clone()).collect();
        for key in hopeless {
            if let Some(asked) = state.asked.remove(&key) {
                // Who asked may have gone.
                drop((asked.answer).send(Err(SpreadError::NobodyCan(asked.lacks))));
            }
        }
    }

    /// The class that a first replay is asked for: the one with most slots.
    async fn widest_class(&self) -> Result<HostClass, QueueError> {
        loop {
            let found = widest(&self.queue.workers().await?, &self.hosts);
            lock(&self.state).waits_for_worker = found.is_none();
            if let Some((class, _)) = found {
                return Ok(class);
            }
            self.clock.sleep(NOBODY_YET).await;
        }
    }

    async fn ask(&self, request: &Request, part: Part) -> Result<Probed, SpreadError> {
        let is_kept = !matches!(part, Part::Sabotaged(_));
        if is_kept && let Some(kept) = self.records.find(request).map_err(SpreadError::Records)? {
            self.learn(&kept);
            return Ok(Probed::Ended(kept));
        }
        if let Some(class) = self.class() {
            return self.have_run(request, part, class).await;
        }
        let opening = self.opening.lock().await;
        if let Some(class) = self.class() {
            drop(opening);
            return self.have_run(request, part, class).await;
        }
        let class = self.widest_class().await?;
        self.have_run(request, part, class).await
    }

    async fn have_run(
        &self,
        request: &Request,
        part: Part,
        class: HostClass,
    ) -> Result<Probed, SpreadError> {
        if !self.hosts.admits(&class) {
            return Err(SpreadError::OtherHosts(class));
        }
        let (answer, answered) = oneshot::channel();
        let job = {
            let mut state = lock(&self.state);
            if state.is_stopped {
                return Err(SpreadError::Stopped);
            }
            let order = Order::new(request, part);
            let own = (self.subject.as_str(), self.asker.as_str());
            let mut job = Job::new(own, &class, order, state.facts.clone());
            job.attempt = state.attempts.get(&job.key).copied().unwrap_or(0);
            let asked = Asked {
                job: job.clone(),
                lacks: BTreeMap::new(),
                answer,
            };
            state.asked.insert(job.key.clone(), asked);
            job
        };
        self.queue.publish(&job).await?;
        answered.await.unwrap_or(Err(SpreadError::Stopped))
    }
}

/// Between two looks for a first worker.
const NOBODY_YET: Duration = Duration::from_millis(500);

impl<Q: Jobs, R: Records, C: Clock> Replayer for Spread<Q, R, C> {
    async fn replay(&self, request: &Request) -> Result<Recorded, ReplayError> {
        match self.ask(request, Part::Whole).await? {
            Probed::Ended(recorded) => Ok(recorded),
            Probed::Begun(..) => Err(SpreadError::Lost("it was only begun".to_owned()).into()),
        }
    }

    async fn probe(&self, request: &Request) -> Result<Probed, ReplayError> {
        Ok(self.ask(request, Part::Start).await?)
    }
}
