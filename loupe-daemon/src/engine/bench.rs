//! Replays of one workload on this host, each on the CPU of its slot. Keeps no replay and judges none.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use loupe_common::policy::Policy;
use loupe_common::replay::{Control, Replay};
use serde::{Deserialize, Serialize};

use super::slots::Slot;
use crate::explore::Reached;
use crate::launcher::Launcher;
use crate::lock;
use crate::replay::{BaselineFacts, Heartbeat, Job, Pace, Part, Prepared, ReplayFailure, Runner};
use crate::run::Cancel;
use crate::tracer::Tracer;

/// What all replays of an analysis have in common beside the workload.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct How {
    pub pace: Pace,
    /// Memory and descriptors are wanted.
    pub sample: bool,
    /// The first so many replicas of the baseline are watched for pseudo-files; none, and the
    /// first of no other policy is.
    pub watched: u32,
    /// The vDSO is hidden from the target.
    pub hide_vdso: bool,
}

/// How one replay is run.
pub struct Manner<'a> {
    pub part: Part,
    pub watch: bool,
    pub control: Option<Control>,
    pub cancel: &'a Cancel,
}

/// How far a replay has come that was only begun, and of which nothing has failed.
pub fn reached(facts: &BaselineFacts, replay: &Replay) -> Reached {
    match facts.beginning() {
        None => Reached::Start,
        Some(beginning) if beginning.is_over(replay) => Reached::Test,
        Some(_) => Reached::Standstill,
    }
}

/// A workload that can be run here.
pub struct Bench {
    pub prepared: Prepared,
    pub how: How,
    launcher: Arc<Launcher>,
    tracer: Tracer,
    heartbeat: Heartbeat,
    /// Runners that run nothing, by the CPU that their next sandbox is made for.
    idle: Mutex<Vec<(usize, Runner)>>,
    /// Replays that have given their slot up.
    waiting: AtomicUsize,
}

impl Bench {
    pub fn new(
        prepared: Prepared,
        how: How,
        (launcher, tracer): (Arc<Launcher>, Tracer),
        heartbeat: Heartbeat,
    ) -> Bench {
        Bench {
            prepared,
            how,
            launcher,
            tracer,
            heartbeat,
            idle: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Running replays that only wait for their end.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Runs the workload, or a part of it, once. Blocks until nothing of it is left.
    pub fn run(
        &self,
        policy: &Policy,
        facts: &BaselineFacts,
        slot: &Slot,
        manner: Manner<'_>,
    ) -> Result<Replay, ReplayFailure> {
        let runner = self.runner(slot.cpu);
        let result = self.run_job(&runner, policy, (facts, slot), manner);
        lock(&self.idle).push((slot.cpu, runner));
        result
    }

    /// A runner for this CPU; as many as are needed at a time are made.
    fn runner(&self, cpu: usize) -> Runner {
        let mut idle = lock(&self.idle);
        let found = idle.iter().rposition(|(of, _)| *of == cpu);
        match found {
            Some(index) => idle.swap_remove(index).1,
            None => Runner::new(Arc::clone(&self.launcher), self.tracer.clone()),
        }
    }

    fn run_job(
        &self,
        runner: &Runner,
        policy: &Policy,
        (facts, slot): (&BaselineFacts, &Slot),
        manner: Manner<'_>,
    ) -> Result<Replay, ReplayFailure> {
        let waits = AtomicBool::new(false);
        let on_waiting = || {
            if !waits.swap(true, Ordering::Relaxed) {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                slot.give_up();
            }
        };
        let replay = runner.replay(&Job {
            prepared: &self.prepared,
            policy,
            facts,
            heartbeat: &self.heartbeat,
            cpu: Some(slot.cpu),
            cancel: manner.cancel,
            part: manner.part,
            pace: self.how.pace,
            sample: self.how.sample,
            watch: manner.watch,
            control: manner.control,
            hide_vdso: self.how.hide_vdso,
            on_waiting: &on_waiting,
        });
        if waits.into_inner() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        replay
    }
}
