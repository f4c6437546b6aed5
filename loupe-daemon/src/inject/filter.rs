//! Compiles a policy to classic BPF for seccomp.
//!
//! The filter looks at the architecture and the number only, so the kernel caches "always
//! allowed" per number and an allowed call costs the same whatever the policy's size. Only for a
//! syscall of which operations or flags have rules are its arguments looked at (`arguments`): the
//! operation's rule answers before a flag's, flags in the order of their names, and the rule of
//! the whole syscall answers what is left. Calls of other ABIs (i386, x32) are allowed: their
//! numbers mean other syscalls. The numbers are found by binary search over the boundaries between
//! runs of equal answers.

use std::collections::BTreeMap;

use libc::sock_filter;
use loupe_common::feature::Feature;
use loupe_common::operations::Unreachable;
use loupe_common::policy::{Action, Policy};

use super::arguments::{self, Case};
use super::notify;

/// `AUDIT_ARCH_X86_64` (`include/uapi/linux/audit.h`).
pub(super) const NATIVE_AUDIT_ARCH: u32 = 0xC000_003E;
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
    }
}

/// What is done with the calls of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    cases: Vec<Case>,
    /// What no case answers.
    otherwise: u32,
}

impl Decision {
    const ALLOW: Decision = Decision::always(libc::SECCOMP_RET_ALLOW);

    /// The same for every call.
    pub const fn always(otherwise: u32) -> Decision {
        let cases = Vec::new();
        Decision { cases, otherwise }
    }
}

/// Compiles the constant answers of a policy. Without any, the filter allows everything.
pub fn compile(policy: &Policy) -> Result<Vec<sock_filter>, CompileError> {
    let mut answers: BTreeMap<u32, Decision> = BTreeMap::new();
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
            Feature::Operation(operation) => {
                let tests = operation.tests().map_err(|why| match why {
                    Unreachable::InMemory => CompileError::InMemory(feature.clone()),
                    Unreachable::NotOnThisArchitecture => absent(),
                })?;
                let answer = answer(action);
                decision.cases.push(Case { tests, answer });
            }
            _ => decision.otherwise = answer(action),
        }
    }
    program(&answers)
}

/// The program that answers these numbers so, and allows all others.
pub fn program(answers: &BTreeMap<u32, Decision>) -> Result<Vec<sock_filter>, CompileError> {
    let mut program = vec![
        load(OFFSET_ARCH),
        jump(libc::BPF_JEQ, NATIVE_AUDIT_ARCH, 1, 0),
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
mod tests {
    use loupe_common::errno::Errno;
    use loupe_common::syscalls::{Arch, Syscall};
    use proptest::prelude::*;

    use super::super::interpreter;
    use super::*;

    const I386: u32 = 0x4000_0003;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    /// The answer and the number of instructions executed.
    fn interpret(program: &[sock_filter], arch: u32, number: u32) -> (u32, usize) {
        let call = interpreter::Call {
            arch,
            number,
            arguments: [0; 6],
        };
        let course = interpreter::interpret(program, &call);
        (course.answer, course.steps)
    }

    fn policy(rules: &[(&str, Action)]) -> Policy {
        rules
            .iter()
            .map(|(name, action)| (name.parse().expect("a syscall"), *action))
            .collect()
    }

    #[test]
    fn a_rule_hits_its_number_and_no_neighbour() {
        let program = compile(&policy(&[("getpid", Action::STUB)])).expect("compiles");
        for number in 0..600 {
            let expected = if number == 39 {
                libc::SECCOMP_RET_ERRNO | 38
            } else {
                ALLOW
            };
            assert_eq!(
                interpret(&program, NATIVE_AUDIT_ARCH, number).0,
                expected,
                "{number}"
            );
        }
    }

    #[test]
    fn the_first_and_last_numbers_can_be_injected() {
        let program =
            compile(&policy(&[("read", Action::Fake), ("write", Action::STUB)])).expect("compiles");
        assert_eq!(
            interpret(&program, NATIVE_AUDIT_ARCH, 0).0,
            libc::SECCOMP_RET_ERRNO
        );
        assert_eq!(
            interpret(&program, NATIVE_AUDIT_ARCH, 1).0,
            libc::SECCOMP_RET_ERRNO | 38
        );
        assert_eq!(interpret(&program, NATIVE_AUDIT_ARCH, 2).0, ALLOW);
        assert_eq!(interpret(&program, NATIVE_AUDIT_ARCH, u32::MAX).0, ALLOW);
    }

    #[test]
    fn what_has_no_constant_answer_is_let_through() {
        let mixed = policy(&[
            ("brk", Action::STUB),
            ("getpid", Action::Plausible),
            ("/proc/cpuinfo", Action::STUB),
        ]);
        let program = compile(&mixed).expect("compiles");
        assert_eq!(
            program,
            compile(&policy(&[("brk", Action::STUB)])).expect("compiles")
        );
    }

    #[test]
    fn other_architectures_and_x32_are_let_through() {
        // 20 is writev on x86-64 and getpid on i386.
        let program = compile(&policy(&[("writev", Action::STUB)])).expect("compiles");
        assert_eq!(
            interpret(&program, NATIVE_AUDIT_ARCH, 20).0,
            libc::SECCOMP_RET_ERRNO | 38
        );
        assert_eq!(interpret(&program, I386, 20).0, ALLOW);
        assert_eq!(
            interpret(&program, NATIVE_AUDIT_ARCH, 0x4000_0000 | 20).0,
            ALLOW
        );
    }

    #[test]
    fn the_errno_of_a_stub_is_the_one_asked_for() {
        let eperm = Action::Stub("EPERM".parse().expect("an errno"));
        let program = compile(&policy(&[("brk", eperm)])).expect("compiles");
        assert_eq!(
            interpret(&program, NATIVE_AUDIT_ARCH, 12).0,
            libc::SECCOMP_RET_ERRNO | 1
        );
    }

    #[test]
    fn a_syscall_of_another_architecture_is_refused() {
        let foreign = Arch::Aarch64
            .table()
            .iter()
            .filter_map(|(_, name)| Syscall::from_name(name))
            .find(|syscall| syscall.number().is_none());
        if let Some(foreign) = foreign {
            let error = compile(&Policy::single(foreign.into(), Action::Fake));
            assert_eq!(
                error,
                Err(CompileError::NotOnThisArchitecture(foreign.into()))
            );
        }
    }

    #[test]
    fn a_policy_of_every_syscall_compiles_and_stays_short_on_its_path() {
        let rules: Policy = Arch::NATIVE
            .table()
            .iter()
            .enumerate()
            .map(|(index, (number, _))| {
                let errno = Errno::new(1 + index as i64 % 100).expect("in range");
                let feature = Syscall::from_number(u32::from(*number)).into();
                (feature, Action::Stub(errno))
            })
            .collect();
        assert!(rules.len() > 300);
        let program = compile(&rules).expect("compiles");
        for (index, (number, name)) in Arch::NATIVE.table().iter().enumerate() {
            let (answer, steps) = interpret(&program, NATIVE_AUDIT_ARCH, u32::from(*number));
            assert_eq!(
                answer,
                libc::SECCOMP_RET_ERRNO | (1 + index as u32 % 100),
                "{name}"
            );
            assert!(steps <= 28, "{name} takes {steps} instructions");
        }
    }

    proptest! {
        #[test]
        fn any_policy_answers_as_written(
            rules in proptest::collection::btree_map(0u32..480, 0u16..40, 0..350),
            probe in 0u32..0x5000_0000,
        ) {
            let policy: Policy = rules
                .iter()
                .map(|(number, errno)| {
                    let action = Errno::new(i64::from(*errno)).map_or(Action::Fake, Action::Stub);
                    (Syscall::from_number(*number).into(), action)
                })
                .collect();
            let program = compile(&policy).expect("compiles");
            for number in (0..512).chain([probe, u32::MAX]) {
                let expected = rules
                    .get(&number)
                    .map_or(ALLOW, |errno| libc::SECCOMP_RET_ERRNO | u32::from(*errno));
                prop_assert_eq!(interpret(&program, NATIVE_AUDIT_ARCH, number).0, expected);
                prop_assert_eq!(interpret(&program, I386, number).0, ALLOW);
            }
        }
    }
}
