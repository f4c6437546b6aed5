//! From an order of applications to what is done at each step. Settles conflicts: of two
//! applications that need a feature to fail and to succeed, the one that comes second has it
//! implemented.

use super::instance::{App, Instance};
use super::schedule::{Bits, Job};

/// What is done at one step, in numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Move {
    pub(super) implement: Bits,
    pub(super) fake: Bits,
    /// Indices of applications.
    pub(super) unlocks: Vec<usize>,
}

/// What the OS does at some point of the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) implemented: Bits,
    pub(super) faked: Bits,
    /// Must go on to fail, for applications that run.
    failing: Bits,
}

impl State {
    pub(super) fn new(instance: &Instance) -> State {
        State {
            faked: instance.faked.clone(),
            ..State::default()
        }
    }

    /// What only an implementation can settle between this application and those that run: where one
    /// is about a syscall and another about a part of it, of what the application asks for.
    pub(super) fn conflicts(&self, instance: &Instance, app: &App) -> Bits {
        let open = |bit: &usize| !self.implemented.contains(*bit);
        let faked: Bits = self.faked.iter().filter(open).collect();
        let must_fail: Bits = self.failing.iter().filter(open).collect();
        let failing = app.stub.iter().filter(|bit| instance.meets(&faked, *bit));
        let succeeding = app
            .fake
            .iter()
            .filter(|bit| instance.meets(&must_fail, *bit));
        failing.chain(succeeding).filter(open).collect()
    }

    /// Lets an application run that is in conflict with nothing; what is faked for it.
    fn support(&mut self, app: &App) -> Bits {
        let missing = |set: &Bits, implemented: &Bits| -> Bits {
            set.iter()
                .filter(|bit| !implemented.contains(*bit))
                .collect()
        };
        let fake: Bits = missing(&app.fake, &self.implemented)
            .iter()
            .filter(|bit| !self.faked.contains(*bit))
            .collect();
        self.failing.extend(&missing(&app.stub, &self.implemented));
        self.faked.extend(&fake);
        fake
    }
}

/// The first move implements nothing. `wants` are what each application waits for, at least
/// what it requires.
pub(super) fn moves(instance: &Instance, wants: &[Job], order: &[usize]) -> Vec<Move> {
    let mut state = State::new(instance);
    let mut left: Vec<usize> = order.to_vec();
    let mut first = Move::default();
    unlock(instance, wants, &mut state, &mut left, &mut first);
    let mut moves = vec![first];
    while let Some(next) = left.first() {
        let app = &instance.apps[*next];
        let mut step = Move::default();
        let missing = wants[*next].wants.iter();
        step.implement = missing
            .filter(|bit| !state.implemented.contains(*bit))
            .collect();
        step.implement.extend(&state.conflicts(instance, app));
        step.implement = instance.without_parts(&step.implement);
        state
            .implemented
            .extend(&instance.with_parts(&step.implement));
        unlock(instance, wants, &mut state, &mut left, &mut step);
        moves.push(step);
    }
    moves
}

/// Everything that can run without implementing more, in the order of the plan.
fn unlock(
    instance: &Instance,
    wants: &[Job],
    state: &mut State,
    left: &mut Vec<usize>,
    step: &mut Move,
) {
    left.retain(|index| {
        let app = &instance.apps[*index];
        let ready = wants[*index].wants.is_within(&state.implemented)
            && state.conflicts(instance, app) == Bits::default();
        if ready {
            step.fake.extend(&state.support(app));
            step.unlocks.push(*index);
        }
        !ready
    });
}

/// The area with what settles conflicts.
pub(super) fn total(instance: &Instance, moves: &[Move]) -> u64 {
    let mut implemented = 0;
    let mut area = 0;
    for step in moves {
        implemented += step.implement.iter().count() as u64;
        let weights = step
            .unlocks
            .iter()
            .map(|index| instance.apps[*index].weight);
        area += implemented * weights.sum::<u64>();
    }
    area
}
