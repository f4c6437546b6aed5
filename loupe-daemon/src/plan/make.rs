//! Making a plan: an order by one of the strategies, the steps that follow from it, and how good
//! it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::build::{self, Move, State};
use super::instance::Instance;
use super::os::OsProfile;
use super::schedule::{self, Bits, Job, STATES};
use super::select::{Named, fingerprint};
use super::steps::{Clash, Plan, SCHEMA, Step};
use super::{check, paper};

/// How the order is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The published greedy rule.
    Paper,
    /// The least area.
    #[default]
    Area,
    /// The least work: conflicts count too.
    Work,
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Strategy, String> {
        match text {
            "paper" => Ok(Strategy::Paper),
            "area" => Ok(Strategy::Area),
            "work" => Ok(Strategy::Work),
            _ => Err("must be area, work or paper".to_owned()),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Strategy::Paper => "paper",
            Strategy::Area => "area",
            Strategy::Work => "work",
        })
    }
}

/// How much each application counts; 1 where nothing is said.
pub type Weights = BTreeMap<String, u64>;

/// States that the search keeps while it tries who pays for a conflict, which it does often:
/// fewer than [`schedule::STATES`].
const TRIAL_STATES: usize = 16;

/// Makes a plan. The same input gives the same plan.
pub fn make(profile: &OsProfile, needs: &[Named], strategy: Strategy, weights: &Weights) -> Plan {
    let instance = Instance::new(profile, needs, weights);
    let required = instance.required();
    // The bound is one of the area, which knows no weights.
    let plain: Vec<Job> = required
        .iter()
        .map(|job| Job {
            weight: 1,
            wants: job.wants.clone(),
        })
        .collect();
    let best = schedule::solve(&plain, STATES);
    let (order, moves) = match strategy {
        Strategy::Work => least_work(&instance, &required),
        _ => {
            let order = match strategy {
                Strategy::Paper => paper::order(&required),
                _ if weights.is_empty() => best.order,
                _ => schedule::solve(&required, STATES).order,
            };
            let moves = build::moves(&instance, &required, &order);
            (order, moves)
        }
    };
    let mut plan = Plan {
        schema: SCHEMA.to_owned(),
        os: profile.name.clone(),
        strategy: strategy.to_string(),
        area: schedule::area(&plain, &order),
        area_total: 0,
        area_weighted: 0.0,
        lower_bound: best.bound,
        conflicts: clashes(&instance, &moves),
        steps: steps(&instance, &moves),
        applications: needs
            .iter()
            .map(|named| (named.name.clone(), named.need.workload.clone()))
            .collect(),
        weights: weights.clone(),
        profile: Some(profile.clone()),
        data: Some(fingerprint(needs)),
        left: None,
    };
    promise(&mut plan, profile, needs);
    measure(&mut plan, weights);
    plan
}

/// Tries out which side of each conflict is to wait for the implementation.
fn least_work(instance: &Instance, required: &[Job]) -> (Vec<usize>, Vec<Move>) {
    let disputed = instance.disputed();
    let wants = |stub_waits: &[bool]| -> Vec<Job> {
        let mut jobs = required.to_vec();
        for (job, app) in jobs.iter_mut().zip(&instance.apps) {
            for (bit, stub_waits) in disputed.iter().zip(stub_waits) {
                let waits = match stub_waits {
                    true => &app.stub,
                    false => &app.fake,
                };
                if waits.contains(*bit) {
                    job.wants.insert(*bit);
                }
            }
        }
        jobs
    };
    let evaluate = |stub_waits: &[bool], effort: usize| {
        let jobs = wants(stub_waits);
        let order = schedule::solve(&jobs, effort).order;
        let moves = build::moves(instance, &jobs, &order);
        (build::total(instance, &moves), order, moves)
    };
    let count = |bit: usize, set: fn(&super::instance::App) -> &Bits| {
        let apps = instance.apps.iter().filter(|app| set(app).contains(bit));
        apps.count()
    };
    // At first the fewer wait; where the OS fakes it already, always those who want it to fail.
    let mut waits: Vec<bool> = disputed
        .iter()
        .map(|bit| {
            instance.faked.contains(*bit)
                || count(*bit, |app| &app.stub) < count(*bit, |app| &app.fake)
        })
        .collect();
    let (mut least, ..) = evaluate(&waits, TRIAL_STATES);
    let mut improved = true;
    while improved {
        improved = false;
        for at in 0..waits.len() {
            if instance.faked.contains(disputed[at]) {
                continue;
            }
            waits[at] = !waits[at];
            let (area, ..) = evaluate(&waits, TRIAL_STATES);
            if area < least {
                least = area;
                improved = true;
            } else {
                waits[at] = !waits[at];
            }
        }
    }
    let (_, order, moves) = evaluate(&waits, STATES);
    (order, moves)
}

/// The moves with names. What must fail is named at the step of the first application that
/// needs it so.
fn steps(instance: &Instance, moves: &[Move]) -> Vec<Step> {
    let mut state = State::new(instance);
    let mut named = instance.stubbed.clone();
    let mut steps = Vec::with_capacity(moves.len());
    for step in moves {
        state
            .implemented
            .extend(&instance.with_parts(&step.implement));
        state.faked.extend(&step.fake);
        let mut stub = Bits::default();
        for index in &step.unlocks {
            let app = &instance.apps[*index];
            for bit in app.stub.iter().chain(app.any.iter()) {
                // Who is ended by a part is not spared by what becomes of the rest.
                let by_the_rest =
                    instance.meets(&state.faked, bit) && !instance.killed.contains(bit);
                let answered =
                    state.implemented.contains(bit) || state.faked.contains(bit) || by_the_rest;
                if !answered && !named.contains(bit) {
                    stub.insert(bit);
                }
            }
        }
        named.extend(&stub);
        steps.push(Step {
            implement: instance.named(&step.implement),
            stub: instance.named(&stub),
            fake: instance.named(&step.fake),
            ..Step::default()
        });
    }
    steps
}

/// Which features are implemented only because applications disagree.
fn clashes(instance: &Instance, moves: &[Move]) -> Vec<Clash> {
    let mut required = Bits::default();
    let mut clashes = Vec::new();
    for (number, step) in moves.iter().enumerate() {
        for index in &step.unlocks {
            required.extend(&instance.apps[*index].required);
        }
        for bit in step.implement.iter().filter(|bit| !required.contains(*bit)) {
            let who = |set: fn(&super::instance::App) -> &Bits| {
                let apps = instance.apps.iter().zip(&instance.names);
                apps.filter(|(app, _)| instance.meets(set(app), bit))
                    .map(|(_, name)| name.clone())
                    .collect()
            };
            clashes.push(Clash {
                feature: instance.features[bit].clone(),
                needs_stub: who(|app| &app.stub),
                needs_fake: who(|app| &app.fake),
                faked_by_os: instance.faked.contains(bit),
                step: Some(number),
            });
        }
    }
    clashes
}

/// Fills in what each step unlocks: an application is promised at the step from which on it
/// runs, by the literal reading of the steps. A step that unlocks nothing is done with the next.
fn promise(plan: &mut Plan, profile: &OsProfile, needs: &[Named]) {
    loop {
        let from = check::runs_from(profile, &plan.steps, needs);
        for step in &mut plan.steps {
            step.unlocks.clear();
        }
        for (named, from) in needs.iter().zip(from) {
            if let Some(step) = from {
                plan.steps[step].unlocks.push(named.name.clone());
            }
        }
        let idle = (1..plan.steps.len()).find(|at| plan.steps[*at].unlocks.is_empty());
        let Some(idle) = idle else { break };
        let step = plan.steps.remove(idle);
        for clash in &mut plan.conflicts {
            clash.step = clash.step.map(|at| if at > idle { at - 1 } else { at });
        }
        if let Some(next) = plan.steps.get_mut(idle) {
            for (mut more, list) in [
                (step.implement, &mut next.implement),
                (step.stub, &mut next.stub),
                (step.fake, &mut next.fake),
            ] {
                list.append(&mut more);
                list.sort();
            }
        }
    }
}

/// The counts of each step, and the areas that follow from them.
fn measure(plan: &mut Plan, weights: &Weights) {
    let (mut implemented, mut supported, mut work) = (0, 0, 0.0);
    for step in &mut plan.steps {
        implemented += step.implement.len();
        supported += step.unlocks.len();
        work += step.implement.len() as f64
            + 0.2 * step.fake.len() as f64
            + 0.1 * step.stub.len() as f64;
        step.implemented = implemented;
        step.supported = supported;
        plan.area_total += (implemented * step.unlocks.len()) as u64;
        for name in &step.unlocks {
            plan.area_weighted += work * weights.get(name).copied().unwrap_or(1) as f64;
        }
    }
    // Tenths are what is counted; the rest is floating-point noise.
    plan.area_weighted = (plan.area_weighted * 10.0).round() / 10.0;
}
