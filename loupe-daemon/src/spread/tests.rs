//! An analysis whose replays are spread has the verdicts of one that is not disturbed, whatever becomes of
//! its workers, of messages, and of the process that asks.

mod claims;
mod speed;
mod standstill;
mod weather;
mod world;

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::host_class::HostClass;
use loupe_common::policy::Policy;
use loupe_common::replay::Replay;
use loupe_common::verdict::Verdict;
use tokio_util::sync::CancellationToken;

use super::job::{Done, Order};
use super::queue::{Claim as _, Told as _};
use super::*;
use crate::explore::simulated::{App, Simulator};
use crate::explore::{self, ExploreError, ExploreOptions, Reached, Recorded, Request, Subject};
use crate::lock;
use crate::replay::Part;
use world::Time;

/// A claim lasts so long without a word.
const ACK_WAIT: Duration = Duration::from_secs(30);
const SUBJECT: &str = "the workload";

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn class(target: &str) -> HostClass {
    HostClass {
        kernel: "6.1".to_owned(),
        architecture: "x86_64".to_owned(),
        libc: None,
        root: false,
        target: Some(target.to_owned()),
    }
}

fn worker(number: usize) -> Worker {
    Worker {
        name: format!("w{number}"),
        class: class("").of_any_target(),
        slots: 1,
    }
}

/// What is kept.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<(Policy, u32), Recorded>>>);

impl Records for Memory {
    fn find(&self, request: &Request) -> Result<Option<Recorded>, Box<dyn Error + Send + Sync>> {
        let kept = lock(&self.0);
        let key = (request.policy.clone(), request.replica);
        Ok(kept.get(&key).cloned())
    }

    fn keep(
        &self,
        request: &Request,
        replay: &Replay,
    ) -> Result<Recorded, Box<dyn Error + Send + Sync>> {
        let recorded = Recorded {
            id: request.id(),
            replay: replay.clone(),
            reused: false,
        };
        let key = (request.policy.clone(), request.replica);
        let before = lock(&self.0).insert(key, recorded.clone());
        assert_eq!(before, None, "kept twice");
        Ok(recorded)
    }
}

/// Runs an [`App`]; each replay takes some time.
struct SimBench<'a> {
    app: &'a App,
    time: Time,
    seed: u64,
    /// Its build of the target.
    build: &'static str,
    /// What it lacks.
    lacks: Option<&'static str>,
    takes: Duration,
}

impl<'a> SimBench<'a> {
    fn new(app: &'a App, time: &Time, seed: u64) -> SimBench<'a> {
        SimBench {
            app,
            time: time.clone(),
            seed,
            build: "abc",
            lacks: None,
            takes: Duration::from_millis(100),
        }
    }
}

impl Bench for SimBench<'_> {
    async fn run(&self, job: &Job, stop: &CancellationToken) -> Option<(HostClass, Answer)> {
        let class = class(self.build);
        if let Some(what) = self.lacks {
            return Some((class, Answer::Cannot(what.to_owned())));
        }
        let part = hash(&(self.seed, &job.key, job.attempt)) % 1000;
        let takes = self.takes / 2 + self.takes.mul_f64(part as f64 / 1000.0);
        tokio::select! {
            () = self.time.sleep(takes) => {}
            () = stop.cancelled() => return None,
        }
        let replay = Box::new(self.app.replay(&job.order.request()));
        let answer = match job.order.part == Part::Start && replay.outcome.passed() {
            true => Answer::Partial(replay, Reached::Test),
            false => Answer::Replayed(replay),
        };
        Some((class, answer))
    }
}

fn options(jobs: usize) -> ExploreOptions {
    ExploreOptions {
        jobs,
        ..ExploreOptions::default()
    }
}

fn subject() -> Subject {
    Subject {
        application: "app".to_owned(),
        workload: "load".to_owned(),
    }
}

/// What an analysis says, without what its way to there says.
#[derive(Debug, PartialEq)]
struct Said {
    verdicts: BTreeMap<Feature, Verdict>,
    implement: Vec<Feature>,
}

fn said(result: Result<Analysis, ExploreError>) -> Result<Said, String> {
    let analysis = result.map_err(|error| error.to_string())?;
    let rows = analysis.features.into_iter();
    let joint = analysis.joint.into_iter();
    Ok(Said {
        verdicts: rows.map(|row| (row.feature, row.verdict)).collect(),
        implement: joint.flat_map(|joint| joint.implement).collect(),
    })
}

fn undisturbed(app: &App, options: &ExploreOptions) -> Result<Said, String> {
    let simulator = Simulator::new(app, 0);
    said(block_on(explore::analyze(
        &simulator,
        &subject(),
        options,
        &|_| (),
    )))
}
