//! Decides which replay runs next. Synchronous and deterministic: the driver only carries
//! requests out and answers back.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use loupe_common::policy::Policy;
use loupe_common::replay::{Control, Replay};

use super::ledger::{Asker, Hurry, Kind, Ledger, Stop, Want};
use super::run::Run;
use super::{ExploreError, ExploreOptions, Reached, Recorded, Request};

/// What is to be found out: a plain function of the finished replays, gone through again and
/// again until nothing is missing.
pub(super) trait Question: Sync {
    type Answer: Send;

    fn answer(&self, asker: &mut Asker<'_>, options: &ExploreOptions)
    -> Result<Self::Answer, Stop>;
}

/// What the driver is to do.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// Start this replay, or only begin it.
    Run(Request, Kind),
    /// Wait for a running one.
    Wait,
    /// All is known, and nothing runs any more.
    Done(Box<Result<T, ExploreError>>),
}

/// So many times the replays that compute may wait beside them: each is a sandbox.
const MOST_WAITING: usize = 8;

/// A replay that was lost so often is given up, and the analysis with it. By then it has been
/// alone.
const MOST_LOSSES: u32 = 5;

/// Controls in a row that do not pass before the host is given up.
const MOST_FAILING_CONTROLS: u32 = 16;

/// The analysis between two replays.
pub(super) struct Scheduler<'a, Q: Question> {
    question: &'a Q,
    options: &'a ExploreOptions,
    ledger: Ledger,
    /// What may be started, best last. New answers only add to it: what was surely needed
    /// before them still is.
    queue: Vec<Want>,
    /// What has come since the analysis was last gone through.
    news: Option<Hurry>,
    /// What has come may end the analysis, or ask for what comes first: nothing more is started before
    /// that is known.
    thinks_first: bool,
    /// Something waits until another replay has passed.
    holds: bool,
    /// Running replays whose answers nothing waits for.
    at_leisure: BTreeSet<(Policy, u32)>,
    /// Replays that computing ones may be; fewer when some were lost.
    jobs: usize,
    /// Requests that could not be carried out and are to be once more.
    lost: Vec<(Request, Kind)>,
    losses: BTreeMap<(Policy, u32), u32>,
    outcome: Option<Result<Q::Answer, ExploreError>>,
    phase: &'static str,
    left: u64,
}

impl<'a, Q: Question> Scheduler<'a, Q> {
    pub fn new(question: &'a Q, options: &'a ExploreOptions) -> Scheduler<'a, Q> {
        let mut scheduler = Scheduler {
            question,
            options,
            ledger: Ledger::new(options),
            queue: Vec::new(),
            news: None,
            thinks_first: false,
            holds: false,
            at_leisure: BTreeSet::new(),
            jobs: options.jobs.max(1),
            lost: Vec::new(),
            losses: BTreeMap::new(),
            outcome: None,
            phase: "",
            left: 0,
        };
        scheduler.think();
        scheduler
    }

    /// What to do now, with so many running replays only waiting for their end.
    pub fn next(&mut self, waiting: usize) -> Step<Q::Answer> {
        if self.ledger.running >= self.room(waiting) {
            return Step::Wait;
        }
        if let Some((request, kind)) = self.lost.pop() {
            self.ledger.start_again(&request);
            return Step::Run(request, kind);
        }
        if self.may_ask_for_better() {
            self.think();
            // There may be less room for what comes now.
            if self.ledger.running >= self.room(waiting) {
                return Step::Wait;
            }
        }
        if let Some(want) = self.queue.pop() {
            self.left = self.left.saturating_sub(1);
            let request = self.ledger.start(&want);
            if want.hurry == Hurry::AtLeisure {
                let replica = (want.policy, request.replica);
                self.at_leisure.insert(replica);
            }
            return Step::Run(request, want.kind);
        }
        // Nothing else is there to pass.
        if self.holds && !self.ledger.is_controlling(Control::Host) {
            let want = Want::control(Control::Host);
            return Step::Run(self.ledger.start(&want), want.kind);
        }
        if self.ledger.running > 0 {
            return Step::Wait;
        }
        let outcome = self.outcome.take();
        Step::Done(Box::new(outcome.expect(
            "the analysis either asks for replays, waits for some, or is at its end",
        )))
    }

    /// Replays that may run at a time. Those that are measured have a CPU each, and nothing
    /// else beside them.
    fn room(&self, waiting: usize) -> u64 {
        let jobs = self.jobs;
        let measures = |want: &Want| want.kind == Kind::Measure;
        let room = match self.options.impact {
            Some(impact) if self.queue.iter().any(measures) => jobs.min(impact.jobs.max(1)),
            _ => jobs + waiting.min(MOST_WAITING * jobs),
        };
        room as u64
    }

    /// Takes the answer to a request.
    pub fn record(&mut self, request: &Request, recorded: &Recorded) {
        let run = Run::new(recorded);
        self.thinks_first |= request.control.is_some();
        self.ledger.finish(request, run, self.options);
        let replica = (request.policy.clone(), request.replica);
        let news = match self.at_leisure.remove(&replica) {
            true => Hurry::AtLeisure,
            false => Hurry::Urgent,
        };
        self.note(news);
    }

    /// Takes the answer to a probe where nothing has failed so far.
    pub fn begun(&mut self, request: &Request, replay: &Replay, reached: Reached) {
        self.ledger.begun(request, replay, reached);
        self.note(Hurry::Urgent);
    }

    /// Takes note of a replay that the host may have been too busy for: it is run again, and from
    /// now on fewer at a time, so many. `None`: it was lost too often.
    pub fn lose(&mut self, request: Request, kind: Kind) -> Option<usize> {
        self.ledger.running -= 1;
        self.jobs = (self.jobs / 2).max(1);
        let replay = (request.policy.clone(), request.replica);
        let losses = self.losses.entry(replay).or_default();
        *losses += 1;
        if *losses >= MOST_LOSSES {
            return None;
        }
        self.lost.push((request, kind));
        Some(self.jobs)
    }

    fn note(&mut self, news: Hurry) {
        self.news = Some(self.news.map_or(news, |known| known.min(news)));
    }

    /// Whether what has come may have the analysis ask for more, and nothing is left that should
    /// come before that.
    fn may_ask_for_better(&self) -> bool {
        match (self.queue.last(), self.news) {
            _ if self.thinks_first => true,
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(best), Some(news)) => best.hurry > news,
        }
    }

    /// The part of the analysis that it is in.
    pub fn phase(&self) -> &'static str {
        self.phase
    }

    /// Replays done, running, and left as far as can be foreseen.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.ledger.done, self.ledger.running, self.left)
    }

    /// Goes through the analysis as far as the finished replays allow.
    fn think(&mut self) {
        self.news = None;
        self.thinks_first = false;
        if let Some((runs, run)) = self.ledger.host_fails()
            && runs >= MOST_FAILING_CONTROLS
        {
            let (id, replay) = (run.id, run.replay());
            self.outcome = Some(Err(ExploreError::HostFails { id, runs, replay }));
            self.queue.clear();
            self.holds = false;
            return;
        }
        let mut asker = Asker::new(&self.ledger);
        match self.question.answer(&mut asker, self.options) {
            Ok(answer) => self.outcome = Some(Ok(answer)),
            Err(Stop::Refused(error)) => self.outcome = Some(Err(error)),
            Err(Stop::Pending) => (),
        }
        self.phase = asker.phase;
        self.left = asker.left();
        self.holds = asker.holds && self.outcome.is_none();
        self.queue = match self.outcome {
            None => queue(asker.wants),
            Some(_) => Vec::new(),
        };
    }
}

/// The replicas that may be started, best last. First what other replays depend on: policies that
/// failed before, because they may be slow and one at the very end would leave the other cores
/// idle; then every policy once before any a second time. What is measured runs in rounds, each
/// in another order. Then what fills the gaps: what has passed so far first, since its replicas may
/// yet disagree and then ask for more, and what takes longest first.
fn queue(wants: Vec<Want>) -> Vec<Want> {
    let mut replicas = Vec::new();
    for want in wants {
        let first = match want.hurry {
            Hurry::Urgent => (!want.failing, 0),
            Hurry::AtLeisure => (want.failing, u64::MAX - want.wall_us.unwrap_or(u64::MAX)),
        };
        for replica in want.started..want.started + want.start {
            let round = replica / want.share;
            let place = match want.kind {
                Kind::Decide | Kind::Probe | Kind::Look(_) | Kind::Control(_) => 0,
                Kind::Measure => shuffled(&want.policy, replica),
            };
            replicas.push(((want.hurry, first, round, place), want.clone()));
        }
    }
    // Stable: policies that are equal in this are taken in the order they were asked for.
    replicas.sort_by_key(|(order, _)| *order);
    let best_last = replicas.into_iter().rev();
    best_last.map(|(_, want)| want).collect()
}

/// A place in a round that says nothing about the policy.
fn shuffled(policy: &Policy, replica: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (policy, replica).hash(&mut hasher);
    hasher.finish()
}
