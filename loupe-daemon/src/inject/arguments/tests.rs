use std::collections::BTreeSet;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::operations::{Operation, decode};
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::{Arch, Syscall};
use proptest::prelude::*;

use super::super::filter::{CompileError, compile};
use super::super::interpreter::{Call, Course, interpret};
use super::*;
use crate::arch::AUDIT_ARCH;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const FAKE: u32 = libc::SECCOMP_RET_ERRNO;
const STUB: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

fn policy(rules: &[(&str, Action)]) -> Policy {
    let rule = |(name, action): &(&str, Action)| (name.parse().expect("a feature"), *action);
    rules.iter().map(rule).collect()
}

fn number(name: &str) -> u32 {
    let syscall = Syscall::from_name(name).expect("a syscall");
    syscall.number().expect("native")
}

fn course(program: &[sock_filter], syscall: &str, arguments: [u64; 6]) -> Course {
    let call = Call {
        arch: AUDIT_ARCH,
        number: number(syscall),
        arguments,
    };
    interpret(program, &call)
}

#[test]
fn a_rule_answers_calls_of_its_operation_and_no_others() {
    // Rules, call, arguments, answer.
    type Line = (
        &'static [(&'static str, Action)],
        &'static str,
        [u64; 6],
        u32,
    );
    let set_fd: &[(&str, Action)] = &[("fcntl:F_SETFD", Action::STUB)];
    let both: &[(&str, Action)] = &[("fcntl", Action::Fake), ("fcntl:F_SETFD", Action::STUB)];
    let tcp: &[(&str, Action)] = &[("socket:AF_INET/SOCK_STREAM", Action::STUB)];
    let populate: &[(&str, Action)] = &[("mmap:MAP_POPULATE", Action::Fake)];
    let sync: &[(&str, Action)] = &[("openat:O_SYNC", Action::STUB)];
    let access: &[(&str, Action)] = &[("openat:O_WRONLY", Action::STUB)];
    let futex: &[(&str, Action)] = &[
        ("futex:FUTEX_WAKE", Action::Fake),
        ("futex:FUTEX_PRIVATE_FLAG", Action::STUB),
    ];
    let ptrace: &[(&str, Action)] = &[("ptrace:PTRACE_TRACEME", Action::STUB)];
    let high = 1 << 32;
    let table: &[Line] = &[
        (set_fd, "fcntl", [7, 2, 1, 0, 0, 0], STUB),
        (set_fd, "fcntl", [7, 1, 1, 0, 0, 0], ALLOW),
        (set_fd, "fcntl", [2, 3, 2, 2, 2, 2], ALLOW),
        (set_fd, "ioctl", [7, 2, 1, 0, 0, 0], ALLOW),
        // The command is an `unsigned int`: the kernel ignores the upper half.
        (set_fd, "fcntl", [7, 2 | high, 1, 0, 0, 0], STUB),
        (both, "fcntl", [7, 2, 1, 0, 0, 0], STUB),
        (both, "fcntl", [7, 3, 1, 0, 0, 0], FAKE),
        (both, "getpid", [7, 2, 1, 0, 0, 0], ALLOW),
        (tcp, "socket", [2, 1, 0, 0, 0, 0], STUB),
        (tcp, "socket", [2, 1 | 0x80800, 0, 0, 0, 0], STUB),
        (tcp, "socket", [2, 2, 0, 0, 0, 0], ALLOW),
        (tcp, "socket", [10, 1, 0, 0, 0, 0], ALLOW),
        (populate, "mmap", [0, 1, 3, 0x8022, 0, 0], FAKE),
        (populate, "mmap", [0, 1, 0x8000, 0x22, 0, 0], ALLOW),
        (sync, "openat", [0, 0, 0x101001, 0, 0, 0], STUB),
        (sync, "openat", [0, 0, 0x1001, 0, 0, 0], ALLOW),
        (access, "openat", [0, 0, 0x80001, 0, 0, 0], STUB),
        (access, "openat", [0, 0, 0x80000, 0, 0, 0], ALLOW),
        (access, "openat", [0, 0, 0x80003, 0, 0, 0], ALLOW),
        // An operation's rule comes before a flag's.
        (futex, "futex", [0, 0x81, 0, 0, 0, 0], FAKE),
        (futex, "futex", [0, 0x80, 0, 0, 0, 0], STUB),
        (futex, "futex", [0, 0, 0, 0, 0, 0], ALLOW),
        // The request is a `long`.
        (ptrace, "ptrace", [0, 0, 0, 0, 0, 0], STUB),
        (ptrace, "ptrace", [high, 0, 0, 0, 0, 0], ALLOW),
    ];
    for (rules, syscall, arguments, answer) in table {
        let policy = policy(rules);
        let program = compile(&policy).expect("compiles");
        let course = course(&program, syscall, *arguments);
        assert_eq!(course.answer, *answer, "{policy}: {syscall} {arguments:x?}");
    }
}

#[test]
fn only_the_path_of_its_own_syscall_looks_at_arguments() {
    let policy = policy(&[
        ("fcntl:F_SETFD", Action::STUB),
        ("ioctl:TCGETS", Action::Fake),
        ("brk", Action::STUB),
    ]);
    let program = compile(&policy).expect("compiles");
    for (number, name) in Arch::NATIVE.table() {
        let call = Call {
            arch: AUDIT_ARCH,
            number: u32::from(*number),
            arguments: [2; 6],
        };
        let read = interpret(&program, &call).read_arguments;
        assert_eq!(read, ["fcntl", "ioctl"].contains(name), "{name}");
    }
}

#[test]
fn what_is_selected_in_memory_is_refused() {
    let feature: Feature = "clone3:CLONE_VM".parse().expect("a flag");
    let error = compile(&Policy::single(feature.clone(), Action::STUB));
    assert_eq!(error, Err(CompileError::InMemory(feature)));
}

#[test]
fn every_operation_of_every_row_compiles_to_what_it_says() {
    for row in loupe_common::operations::meaning::ROWS {
        let syscall = Syscall::from_name(row.syscall).expect("a syscall");
        let (Some(number), true) = (syscall.number(), row.selects()) else {
            continue;
        };
        for value in 0..300u64 {
            let selector = row.selector();
            let mut arguments = [0; 6];
            arguments[usize::from(selector.first)] = value & selector.first_mask;
            let counted = value & selector.first_mask;
            let operation = decode(syscall, counted).and_then(|it| it.operation);
            let operation = operation.expect("it selects");
            let policy = Policy::single(operation.clone().into(), Action::STUB);
            let program = compile(&policy).expect("compiles");
            let call = Call {
                arch: AUDIT_ARCH,
                number,
                arguments,
            };
            assert_eq!(interpret(&program, &call).answer, STUB, "{operation}");
        }
    }
}

proptest! {
    /// What the tracer calls a call's operation and flags is what the filter takes it for.
    #[test]
    fn the_filter_and_the_names_agree(
        rules in proptest::collection::btree_map(0usize..12, 0u16..40, 0..12),
        (which, a, b) in (0usize..4, 0u64..16, prop_oneof![0u64..32, any::<u32>().prop_map(u64::from)]),
    ) {
        let names = [
            "fcntl", "fcntl:F_SETFD", "fcntl:F_GETFL", "fcntl:0x1f",
            "socket:AF_INET/SOCK_STREAM", "socket:AF_UNIX/SOCK_DGRAM", "socket:SOCK_CLOEXEC",
            "mmap", "mmap:MAP_POPULATE", "mmap:MAP_PRIVATE", "mmap:PROT_WRITE", "getpid",
        ];
        let feature = |index: usize| names[index].parse::<Feature>().expect("a feature");
        let action = |errno: u16| Errno::new(i64::from(errno)).map_or(Action::Fake, Action::Stub);
        let policy: Policy = rules
            .iter()
            .map(|(index, errno)| (feature(*index), action(*errno)))
            .collect();
        let program = compile(&policy).expect("compiles");
        let (syscall, arguments, counted) = match which {
            0 => ("fcntl", [0, b, 0, 0, 0, 0], b),
            1 => ("socket", [a, b, 0, 0, 0, 0], a | b << 32),
            2 => ("mmap", [0, 0, a, b, 0, 0], a | b << 32),
            _ => ("getpid", [a, b, a, b, a, b], 0),
        };
        let syscall = Syscall::from_name(syscall).expect("a syscall");
        let decoded = decode(syscall, counted).unwrap_or_default();
        let own: BTreeSet<Feature> = decoded
            .operation
            .into_iter()
            .chain(decoded.flags)
            .map(Feature::Operation)
            .collect();
        let of_part = policy.iter().find(|(feature, _)| own.contains(feature));
        let of_whole = policy.iter().find(|(feature, _)| **feature == Feature::Syscall(syscall));
        let expected = match of_part.or(of_whole) {
            None => ALLOW,
            Some((_, Action::Stub(errno))) => libc::SECCOMP_RET_ERRNO | u32::from(errno.number()),
            Some((_, _)) => FAKE,
        };
        let call = Call {
            arch: AUDIT_ARCH,
            number: syscall.number().expect("native"),
            arguments,
        };
        prop_assert_eq!(interpret(&program, &call).answer, expected);
    }
}

#[test]
fn as_many_operations_as_there_are_get_their_own_answers() {
    let ioctl = Syscall::from_name("ioctl").expect("a syscall");
    let all = Operation::all_of(ioctl);
    let action = |index: usize| match index {
        0..300 => Action::STUB,
        _ => Action::Fake,
    };
    let left_out = all
        .iter()
        .enumerate()
        .filter(|(index, _)| index % 100 != 50);
    let policy: Policy = left_out
        .map(|(index, part)| (part.clone().into(), action(index)))
        .collect();
    let program = compile(&policy).expect("compiles");
    assert!(program.len() < 2 * all.len(), "{}", program.len());
    for (index, part) in all.iter().enumerate() {
        let value = part.tests().expect("reachable")[0].value;
        let course = course(&program, "ioctl", [3, value, 0, 0, 0, 0]);
        let expected = match policy.get(&part.clone().into()) {
            Some(Action::Fake) => FAKE,
            Some(_) => STUB,
            None => ALLOW,
        };
        assert_eq!(course.answer, expected, "{index}: {part}");
    }
}

#[test]
fn what_has_no_name_is_answered_behind_all_that_has_one() {
    let rule = |name: &str, action| (name.parse().expect("a feature"), action);
    let policy: Policy = [
        rule("ioctl:*", Action::STUB),
        rule("ioctl:FIONBIO", Action::Fake),
        rule("ioctl:0xbeef", Action::Fake),
    ]
    .into_iter()
    .collect();
    let answer = |policy: &Policy, value: u64| {
        let program = compile(policy).expect("compiles");
        course(&program, "ioctl", [3, value, 0, 0, 0, 0]).answer
    };
    for (value, expected) in [
        (libc::FIONREAD, ALLOW),
        (libc::FIONBIO, FAKE),
        (0xbeef, FAKE),
        (0xdead, STUB),
    ] {
        assert_eq!(answer(&policy, value), expected, "{value:#x}");
    }
    let both: Policy = [rule("ioctl", Action::Fake), rule("ioctl:*", Action::STUB)]
        .into_iter()
        .collect();
    assert_eq!(answer(&both, libc::FIONREAD), FAKE);
    assert_eq!(answer(&both, 0xdead), STUB);
}
