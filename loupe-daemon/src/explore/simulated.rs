//! Simulated applications behind a [`Replayer`]: what they need is known, so that what the
//! analysis says about them can be checked. An answer depends only on policy and replica;
//! when it comes depends on a seed, so that tests can shuffle the order of completion.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::task::{Poll, Waker};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{
    Conditions, Control, ExitStatus, Failure, Outcome, OutputTail, Replay, Timing, Usage,
};
use loupe_common::trace::{CallCounts, Trace};

use super::baseline::Baseline;
use super::confidence::Test;
use super::ledger::Ruling;
use super::run::Run;
use super::tally::Rule;
use super::{ExploreOptions, Probed, Reached, Recorded, ReplayError, Replayer, Request, Room};

/// What comes of leaving a feature out one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Works,
    Breaks,
    /// Breaks in so many of a thousand runs.
    Flaky(u64),
}

/// When the application uses a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Always,
    /// In so many of a thousand runs.
    Sometimes(u64),
    /// Instead of this one, when that one is stubbed (and was called).
    InsteadOf(Feature),
    /// Unless this one is stubbed.
    Unless(Feature),
}

#[derive(Clone, Debug)]
pub(crate) struct SimFeature {
    pub stub: Effect,
    pub fake: Effect,
    pub when: Use,
    /// The injection never answers it (a call made before the filter is there).
    pub silent: bool,
    /// A stub with this errno breaks nothing.
    pub tolerates: Option<Errno>,
    /// When it is left out, the application complains and the test passes all the same.
    pub missed: bool,
    /// It breaks nothing while this one is used, or stubbed.
    pub rescued_by: Option<Rescue>,
}

/// What makes up for the absence of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rescue {
    /// This one is used.
    Use(Feature),
    /// This one is stubbed, which changes no call.
    Stub(Feature),
}

impl SimFeature {
    pub fn always(stub: Effect, fake: Effect) -> SimFeature {
        SimFeature {
            stub,
            fake,
            when: Use::Always,
            silent: false,
            tolerates: None,
            missed: false,
            rescued_by: None,
        }
    }

    pub fn effect(&self, action: Action) -> Effect {
        match action {
            Action::Stub(errno) if Some(errno) == self.tolerates => Effect::Works,
            Action::Stub(_) => self.stub,
            Action::Fake | Action::Plausible => self.fake,
            Action::Kill => Effect::Breaks,
        }
    }
}

/// An application and its workload. Operations are features of it beside their syscalls.
#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub features: BTreeMap<Feature, SimFeature>,
    /// Rules that break it together, when all of them fire.
    pub conflicts: Vec<Policy>,
    /// Rules that only make it complain together.
    pub grudges: Vec<Policy>,
    /// It ends at once where something breaks it.
    pub dies: bool,
    /// It hangs where something breaks it.
    pub hangs: bool,
    /// Of a thousand runs, so many fail for no reason, under any policy.
    pub flakes: u64,
    /// Of a thousand runs, so many cannot be used.
    pub unusable: u64,
    /// Without these, by these ways, it takes so many times the descriptors.
    pub leaks: BTreeMap<(Feature, Action), f64>,
    /// So many replicas of the baseline are watched for pseudo-files; if none is, nothing is.
    pub watched: u32,
    /// Its replays take next to no time, beside which watching takes long.
    pub is_short: bool,
    /// It fails under any filter, or under a listener only.
    pub breaks_under: Option<Control>,
    /// No filter can be put on it.
    pub refuses_filters: bool,
    pub seed: u64,
}

impl App {
    pub fn replay(&self, request: &Request) -> Replay {
        let policy = &request.policy;
        let chance = |what: &str, permille: u64| self.chance(request, what, permille);
        let mut calls: BTreeMap<Feature, CallCounts> = BTreeMap::new();
        let mut operations: BTreeMap<Feature, CallCounts> = BTreeMap::new();
        let mut injections: BTreeMap<Feature, u64> =
            policy.iter().map(|(rule, _)| (rule.clone(), 0)).collect();
        let mut breaks = None;
        // A fallback can have its own fallback: go on until nothing is added.
        let mut used: BTreeSet<&Feature> = BTreeSet::new();
        loop {
            let before = used.len();
            for (feature, sim) in &self.features {
                let is_used = match &sim.when {
                    Use::Always => true,
                    Use::Sometimes(permille) => chance(&format!("use {feature}"), *permille),
                    Use::Unless(first) => !self.is_stubbed(first, policy),
                    Use::InsteadOf(first) => used.contains(first) && self.is_stubbed(first, policy),
                };
                if is_used {
                    used.insert(feature);
                }
            }
            if used.len() == before {
                break;
            }
        }
        let is_file = |feature: &Feature| feature.syscall().is_none();
        // With a rule for any, all are looked for.
        let pseudo_files =
            request.is_watched(self.watched) || policy.iter().any(|(feature, _)| is_file(feature));
        let filtered =
            pseudo_files || !policy.is_empty() || request.control == Some(Control::Filter);
        let is_broken = match self.breaks_under {
            Some(Control::Listener) => pseudo_files,
            other => other.is_some() && filtered,
        };
        if is_broken {
            breaks = Some(ExitStatus::Code(9));
        }
        let refused = (self.refuses_filters && filtered).then(|| "EPERM".to_owned());
        let mut first_seen = Vec::new();
        let mut application_output = OutputTail::default();
        for feature in self.order() {
            if !used.contains(feature) || (breaks.is_some() && self.dies) {
                continue;
            }
            let is_part = feature.parent().is_some();
            if is_file(feature) && !pseudo_files {
                continue;
            }
            if !is_part {
                first_seen.push(feature.clone());
            }
            let sim = &self.features[feature];
            let mut counts = CallCounts {
                calls: 1 + hash(feature) % 9,
                ..CallCounts::default()
            };
            if let Some(action) = rule(policy, feature).filter(|_| !sim.silent) {
                if policy.get(feature).is_some() {
                    injections.insert(feature.clone(), counts.calls);
                }
                if let Action::Stub(errno) = action {
                    counts.errors.insert(errno, counts.calls);
                }
                if sim.missed {
                    application_output.tail += "error 17: something is missing\n";
                }
                let rescued = match &sim.rescued_by {
                    Some(Rescue::Use(other)) => used.contains(other),
                    Some(Rescue::Stub(other)) => self.is_stubbed(other, policy),
                    None => false,
                };
                let broken = match sim.effect(action) {
                    Effect::Works => false,
                    Effect::Breaks => !rescued,
                    Effect::Flaky(permille) => chance(&format!("break {feature}"), permille),
                };
                if broken {
                    breaks.get_or_insert(ExitStatus::Signal(6));
                }
            }
            match is_part {
                true => operations.insert(feature.clone(), counts),
                false => calls.insert(feature.clone(), counts),
            };
        }
        let fires = |feature: &Feature| injections.get(feature).is_some_and(|times| *times > 0);
        let all_hit = |rules: &Policy| {
            let mut rules = rules.iter();
            rules.all(|(feature, action)| policy.get(feature) == Some(action) && fires(feature))
        };
        if self.conflicts.iter().any(all_hit) {
            breaks.get_or_insert(ExitStatus::Signal(11));
        }
        if self.grudges.iter().any(all_hit) {
            application_output.tail += "error 18: too much is missing\n";
        }
        if chance("flake", self.flakes) {
            breaks.get_or_insert(ExitStatus::Code(1));
        }
        let outcome = if refused.is_some() || chance("unusable", self.unusable) {
            Outcome::Invalid {
                why: "simulated".to_owned(),
            }
        } else if let Some(status) = breaks {
            Outcome::Failed(match self.hangs {
                true => Failure::Hung { after_ms: 100 },
                false => Failure::Test { status },
            })
        } else {
            Outcome::Passed
        };
        Replay {
            policy: policy.clone(),
            outcome,
            application_exit: None,
            test_exit: None,
            application_output,
            test_output: OutputTail::default(),
            trace: Trace {
                calls,
                operations,
                first_seen,
                pseudo_files,
                ..Trace::default()
            },
            injections,
            target_execs: 1,
            timing: Timing {
                wall_us: if self.is_short { 1 } else { 100_000 },
                test_us: 1,
                ..Timing::default()
            },
            usage: self.usage(request),
            metric: None,
            listened: None,
            listens: 0,
            left: Vec::new(),
            conditions: Conditions {
                control: request.control,
                refused,
                ..Conditions::default()
            },
        }
    }

    /// The features in the order in which the application comes to them: a plan B follows at
    /// once on what it replaces.
    pub fn order(&self) -> Vec<&Feature> {
        let later = |sim: &SimFeature| matches!(sim.when, Use::InsteadOf(_));
        let mut order: Vec<&Feature> = self.features.keys().collect();
        order.sort_by_key(|feature| hash(&(self.seed, feature)));
        order.retain(|feature| !later(&self.features[*feature]));
        let mut waiting: Vec<(&Feature, &SimFeature)> =
            self.features.iter().filter(|(_, sim)| later(sim)).collect();
        // What waits for something that never comes goes last.
        for _ in 0..self.features.len() {
            waiting.retain(|(feature, sim)| {
                let Use::InsteadOf(first) = &sim.when else {
                    return false;
                };
                let place = order.iter().position(|other| *other == first);
                if let Some(place) = place {
                    order.insert(place + 1, feature);
                }
                place.is_none()
            });
        }
        order
    }

    /// Half of what an application needs it needs to start.
    pub fn needs_early(&self, feature: &Feature) -> bool {
        hash(feature).is_multiple_of(2)
    }

    fn is_stubbed(&self, feature: &Feature, policy: &Policy) -> bool {
        let silent = self.features.get(feature).is_none_or(|sim| sim.silent);
        !silent && matches!(rule(policy, feature), Some(Action::Stub(_)))
    }

    /// Memory and CPU time vary with nothing but chance.
    fn usage(&self, request: &Request) -> Usage {
        let noise = |what: &str| hash(&(self.seed, request, what)) % 1000;
        let leaks = self.leaks.iter();
        let leaks =
            leaks.filter(|((feature, action), _)| request.policy.get(feature) == Some(*action));
        let factor: f64 = leaks.map(|(_, factor)| factor).product();
        Usage {
            cpu_us: 20_000 + noise("cpu") + noise("other cpu"),
            peak_memory_kib: Some(10_000 + noise("memory")),
            // As many or one more, by chance.
            descriptors: Some((12.0 * factor) as u64 + noise("descriptors") / 800),
            ..Usage::default()
        }
    }

    fn chance(&self, request: &Request, what: &str, permille: u64) -> bool {
        hash(&(self.seed, request, what)) % 1000 < permille
    }
}

/// A crowd: more replays at a time than there are CPUs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd {
    /// Of a thousand replays in it, so many fail for that.
    pub breaks: u64,
    /// What fails for it has done the workload's work all the same, and was only too slow.
    pub works: bool,
    /// From this many answers on, all that is in it fails.
    pub slow_from: Option<usize>,
    /// Of the controls, those with these numbers fail.
    pub failing_controls: &'static [usize],
}

impl Crowd {
    /// Does to a replay what the crowd does to it. (The engine takes care that replicas of the
    /// baseline pass in one.)
    fn befall(&self, request: &Request, replay: &mut Replay, answers: usize) {
        let is_slow = self.slow_from.is_some_and(|from| answers >= from);
        if replay.outcome.passed() && (is_slow || self.breaks(request)) {
            let status = ExitStatus::Code(1);
            replay.outcome = Outcome::Failed(Failure::Test { status });
            replay.metric = Some(METRIC).filter(|_| self.works);
        }
    }

    fn breaks(&self, request: &Request) -> bool {
        if request.control == Some(Control::Crowd) {
            let number = request.replica as usize % 1000;
            return self.failing_controls.contains(&number);
        }
        !request.policy.is_empty() && hash(&("crowd", request)) % 1000 < self.breaks
    }
}

/// What a replay reaches that does the workload's work.
const METRIC: f64 = 1000.0;

/// What is done with a feature: what is done with the whole is done with a part that has no rule
/// of its own.
fn rule(policy: &Policy, feature: &Feature) -> Option<Action> {
    let of_parent = || feature.parent().and_then(|parent| policy.get(&parent));
    policy.get(feature).or_else(of_parent)
}

fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A host that stands still now and then, for some replays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    /// Of a thousand times, it does so in so many, and that is noticed.
    pub noticed: u64,
    /// Once, from this replay on, it does so and nobody notices.
    pub unnoticed: usize,
}

impl Host {
    /// Replays of one time.
    const LENGTH: usize = 6;

    /// What becomes of a replay that ends as the so-manieth.
    fn stall(&self, order: u64, index: usize, replay: &mut Replay) {
        let by_time = Failure::TestTimeout { limit_ms: 4000 };
        let time = (index / Self::LENGTH) as u64;
        if hash(&(order, "stall", time)) % 1000 < self.noticed {
            let why = "the host stood still".to_owned();
            replay.outcome = Outcome::Invalid { why };
            replay.conditions.stood_still_ms = 300;
        } else if (self.unnoticed..self.unnoticed + Self::LENGTH).contains(&index) {
            replay.outcome = Outcome::Failed(by_time);
        }
    }
}

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

/// A replica of a policy, compared with these of the baseline.
pub(super) fn run_of(app: &App, policy: &Policy, replica: u32, baseline: &[Run]) -> Run {
    let request = Request::new(policy.clone(), replica);
    let mut run = Run::new(&Recorded {
        id: request.id(),
        replay: app.replay(&request),
        reused: false,
    });
    let baseline: Vec<&Run> = baseline.iter().collect();
    run.compare(&baseline, &ExploreOptions::default());
    run
}

/// The baseline of which these are the replicas.
pub(super) fn baseline_of(runs: &[Run]) -> Baseline<'_> {
    let runs: Vec<&Run> = runs.iter().collect();
    Baseline {
        ruling: Ruling::of_passes(runs.clone()),
        features: BTreeMap::new(),
        test: Test {
            baseline_runs: 3,
            baseline_failures: 0,
            error_ppm: 0,
        },
        rule: Rule::of_replicas(3),
        runs,
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
            hasty: _,
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
        let begins = self.app.replay(request).outcome.passed() || started.outcome.passed();
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
