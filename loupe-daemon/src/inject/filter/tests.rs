//! Filters answer as the policy says, for every number.

use loupe_common::errno::Errno;
use loupe_common::syscalls::Arch;
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
            interpret(&program, AUDIT_ARCH, number).0,
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
        interpret(&program, AUDIT_ARCH, 0).0,
        libc::SECCOMP_RET_ERRNO
    );
    assert_eq!(
        interpret(&program, AUDIT_ARCH, 1).0,
        libc::SECCOMP_RET_ERRNO | 38
    );
    assert_eq!(interpret(&program, AUDIT_ARCH, 2).0, ALLOW);
    assert_eq!(interpret(&program, AUDIT_ARCH, u32::MAX).0, ALLOW);
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
        interpret(&program, AUDIT_ARCH, 20).0,
        libc::SECCOMP_RET_ERRNO | 38
    );
    assert_eq!(interpret(&program, I386, 20).0, ALLOW);
    assert_eq!(interpret(&program, AUDIT_ARCH, 0x4000_0000 | 20).0, ALLOW);
}

#[test]
fn the_errno_of_a_stub_is_the_one_asked_for() {
    let eperm = Action::Stub("EPERM".parse().expect("an errno"));
    let program = compile(&policy(&[("brk", eperm)])).expect("compiles");
    assert_eq!(
        interpret(&program, AUDIT_ARCH, 12).0,
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
        let (answer, steps) = interpret(&program, AUDIT_ARCH, u32::from(*number));
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
            prop_assert_eq!(interpret(&program, AUDIT_ARCH, number).0, expected);
            prop_assert_eq!(interpret(&program, I386, number).0, ALLOW);
        }
    }
}
