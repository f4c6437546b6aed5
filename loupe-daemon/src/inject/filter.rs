//! Compiles a policy to classic BPF for seccomp.
//!
//! The filter looks at the architecture and the number only, so the kernel caches "always
//! allowed" per number and an allowed call costs the same whatever the policy's size. Only for a
//! syscall of which operations or flags have rules are its arguments looked at (`arguments`): the
//! operation's rule answers before a flag's, flags in the order of their names, then the rule of
//! operations without a name, and the rule of the whole syscall answers what is left. Calls of other ABIs (i386, x32) are allowed: their
//! numbers mean other syscalls. The numbers are found by binary search over the boundaries between
//! runs of equal answers.

use std::collections::BTreeMap;

use libc::sock_filter;
use loupe_common::feature::Feature;
use loupe_common::operations::{Operation, Unreachable};
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::Syscall;

use super::arguments::{self, Case};
use super::notify;
use crate::arch::AUDIT_ARCH;

/// Offsets in `struct seccomp_data` (`include/uapi/linux/seccomp.h`).
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
/// The kernel refuses longer programs (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// A policy that cannot be compiled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CompileError {
    #[error("`{0}` does not exist on this architecture, so it cannot be injected")]
    NotOnThisArchitecture(Feature),
    #[error(
        "`{0}` cannot be injected: operations of io_uring are no syscalls; io_uring_setup can be \
         stubbed as a whole"
    )]
    IoUring(Feature),
    #[error("`{feature}` has no plausible fake: {why}")]
    NotPlausible { feature: Feature, why: String },
    #[error("`{0}` has no plausible fake: a fake of a pseudo-file is an empty file already")]
    PlausibleFile(String),
    #[error(
        "`{0}` cannot be injected: the call has it in memory, which seccomp does not read; inject \
         the whole syscall instead"
    )]
    InMemory(Feature),
    #[error("the filter would have {0} instructions; the kernel takes {MAX_INSTRUCTIONS}")]
    TooLong(usize),
}

/// What the kernel does with a call: the filter's return value.
fn answer(action: Action) -> u32 {
    match action {
        Action::Stub(errno) => libc::SECCOMP_RET_ERRNO | u32::from(errno.number()),
        // An errno of 0 makes the call return 0 without doing anything.
        // A plausible value is notified, unless it is 0.
        Action::Fake | Action::Plausible => libc::SECCOMP_RET_ERRNO,
        Action::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    }
}

/// How the calls of one number are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    cases: Vec<Case>,
    /// The answer to calls that no case answers.
    otherwise: u32,
}

impl Decision {
    const ALLOW: Decision = Decision::always(libc::SECCOMP_RET_ALLOW);

    /// Answers every call alike.
    pub const fn always(otherwise: u32) -> Decision {
        let cases = Vec::new();
        Decision { cases, otherwise }
    }

    /// Answers what is left of calls without a name; those with one are answered as before. Behind all
    /// other cases: a rule of a flag answers a call of any operation.
    fn answer_unnamed(&mut self, syscall: Syscall, answer: u32) {
        let named = Operation::all_of(syscall).into_iter();
        let known: Vec<Case> = named
            .filter_map(|operation| operation.tests().ok())
            .map(|tests| Case {
                tests,
                answer: self.otherwise,
            })
            .filter(|case| !self.cases.iter().any(|other| other.tests == case.tests))
            .collect();
        self.cases.extend(known);
        self.otherwise = answer;
    }
}

/// Compiles the constant answers of a policy. Without any, the filter allows everything.
pub fn compile(policy: &Policy) -> Result<Vec<sock_filter>, CompileError> {
    let mut answers: BTreeMap<u32, Decision> = BTreeMap::new();
    let mut unnamed: Vec<(u32, Syscall, u32)> = Vec::new();
    // In the order of the features, which is the order of the cases.
    for (feature, action) in policy.iter() {
        let Some(syscall) = feature.syscall() else {
            continue;
        };
        let absent = || CompileError::NotOnThisArchitecture(feature.clone());
        let number = syscall.number().ok_or_else(absent)?;
        let Some(action) = notify::constant(feature, action)? else {
            continue;
        };
        let decision = answers.entry(number).or_insert(Decision::ALLOW);
        match feature {
            Feature::Operation(operation) if operation.is_unnamed() => {
                unnamed.push((number, syscall, answer(action)));
            }
            Feature::Operation(operation) => {
                let tests = operation.tests().map_err(|why| match why {
                    Unreachable::InMemory => CompileError::InMemory(feature.clone()),
                    Unreachable::NotOnThisArchitecture | Unreachable::Unnamed => absent(),
                })?;
                let answer = answer(action);
                decision.cases.push(Case { tests, answer });
            }
            _ => decision.otherwise = answer(action),
        }
    }
    for (number, syscall, answer) in unnamed {
        if let Some(decision) = answers.get_mut(&number) {
            decision.answer_unnamed(syscall, answer);
        }
    }
    program(&answers)
}

/// The program that answers these numbers so, and allows all others.
pub fn program(answers: &BTreeMap<u32, Decision>) -> Result<Vec<sock_filter>, CompileError> {
    let mut program = vec![
        load(OFFSET_ARCH),
        jump(libc::BPF_JEQ, AUDIT_ARCH, 1, 0),
        give(libc::SECCOMP_RET_ALLOW),
        load(OFFSET_NUMBER),
    ];
    program.extend(search(&runs(answers)));
    if program.len() > MAX_INSTRUCTIONS {
        return Err(CompileError::TooLong(program.len()));
    }
    Ok(program)
}

/// A run of numbers with one decision: from `start` to the next run's start.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    start: u32,
    decision: Decision,
}

/// Covers all of `u32` by runs of equal decisions, in order.
fn runs(answers: &BTreeMap<u32, Decision>) -> Vec<Run> {
    let mut runs = vec![Run {
        start: 0,
        decision: Decision::ALLOW,
    }];
    let mut set = |start: u32, decision: Decision| {
        if let Some(last) = runs.last_mut().filter(|last| last.start == start) {
            last.decision = decision;
        } else {
            runs.push(Run { start, decision });
        }
    };
    for (&number, decision) in answers {
        set(number, decision.clone());
        // Numbers stay far below `u32::MAX`: the tables end below 512.
        set(number + 1, Decision::ALLOW);
    }
    runs.dedup_by(|later, earlier| later.decision == earlier.decision);
    runs
}

/// A binary search tree over the runs, left subtree first.
fn search(runs: &[Run]) -> Vec<sock_filter> {
    let [single] = runs else {
        let (low, high) = runs.split_at(runs.len() / 2);
        let (low_code, high_code) = (search(low), search(high));
        let mut code = match u8::try_from(low_code.len()) {
            Ok(distance) => vec![jump(libc::BPF_JGE, high[0].start, distance, 0)],
            // Conditional jumps reach 255 instructions; the unconditional one reaches all.
            Err(_) => vec![
                jump(libc::BPF_JGE, high[0].start, 0, 1),
                instruction(libc::BPF_JMP | libc::BPF_JA, low_code.len() as u32, 0, 0),
            ],
        };
        code.extend(low_code);
        code.extend(high_code);
        return code;
    };
    arguments::decide(&single.decision.cases, single.decision.otherwise)
}

pub(super) fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        // All codes fit: they are combinations of small flags.
        code: code as u16,
        jt,
        jf,
        k,
    }
}

pub(super) fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

pub(super) fn jump(test: u32, value: u32, jt: u8, jf: u8) -> sock_filter {
    instruction(libc::BPF_JMP | test | libc::BPF_K, value, jt, jf)
}

pub(super) fn give(answer: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, answer, 0, 0)
}

#[cfg(test)]
mod tests;
