//! What was written is read again: the same calls, operations and flags, for any profile.

use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::operations::meaning::{Place, Row};
use loupe_common::syscalls::{Arch, Syscall};
use proptest::prelude::*;

use super::*;
use crate::plan::need::Answer;
use crate::plan::os::{Unknown, built_in};

fn syscalls() -> impl Iterator<Item = Syscall> {
    let table = Arch::NATIVE.table().iter();
    table.filter_map(|(_, name)| Syscall::from_name(name))
}

fn again(profile: &OsProfile) -> OsProfile {
    let text = to_scml(profile).text;
    let read = read(Path::new("a.scml"), &text).expect("readable");
    assert_eq!(read.remarks, [], "{text}");
    read.profile
}

fn does(profile: &OsProfile, feature: impl Into<Feature>) -> bool {
    profile.answer(&feature.into()) == Answer::Implement
}

/// Whether calls of a syscall are described: as a whole, or some operation.
fn is_there(profile: &OsProfile, syscall: Syscall, operations: &[Operation]) -> bool {
    match operations {
        [] => does(profile, syscall),
        operations => operations.iter().any(|one| does(profile, one.clone())),
    }
}

/// What is said of a syscall, its operations and its flags is the same after all.
fn is_the_same(before: &OsProfile, after: &OsProfile) {
    for syscall in syscalls() {
        let in_registers = Row::of(syscall).is_some_and(|row| row.place == Place::Registers);
        if !in_registers {
            assert_eq!(does(before, syscall), does(after, syscall), "{syscall}");
            continue;
        }
        let operations = Operation::all_of(syscall);
        if operations.is_empty() {
            assert_eq!(does(before, syscall), does(after, syscall), "{syscall}");
        }
        // Where nothing of the syscall is there, nothing is said of its flags.
        let there = is_there(before, syscall, &operations);
        assert_eq!(there, is_there(after, syscall, &operations), "{syscall}");
        let flags = Operation::flags_of(syscall);
        let flags = flags.into_iter().filter(|_| there);
        for part in operations.into_iter().chain(flags) {
            let (was, is) = (does(before, part.clone()), does(after, part.clone()));
            assert_eq!(was, is, "{part}");
        }
    }
}

/// Half of these are of syscalls that have operations or flags.
fn features() -> Vec<Feature> {
    let mut all: Vec<Feature> = Vec::new();
    for syscall in syscalls() {
        let flags = Operation::flags_of(syscall);
        let parts = Operation::all_of(syscall).into_iter().chain(flags);
        let odd = ["*", "0x7654321", "bit29"]
            .into_iter()
            .filter_map(|name| format!("{syscall}:{name}").parse::<Operation>().ok());
        all.push(Feature::from(syscall));
        all.extend(parts.chain(odd).map(Feature::from));
    }
    all.extend(["/proc/stat", "/dev/null"].map(|path| path.parse().expect("a file")));
    all.extend(["io_uring:IORING_OP_NOP"].map(|name| name.parse().expect("an operation")));
    all
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Implement),
        2 => Just(Answer::Stub),
        1 => Just(Answer::Fake),
        1 => Just(Answer::Kill),
        1 => Just(Answer::failing("EPERM".parse().expect("an errno"))),
    ]
}

/// Whole syscalls that have parts, with an answer each, and parts of them with others.
fn profiles() -> impl Strategy<Value = OsProfile> {
    let all = features();
    let wholes: Vec<Feature> = syscalls().map(Feature::from).collect();
    let whole = (proptest::sample::select(wholes), answers());
    let part = (proptest::sample::select(all), answers());
    let note = proptest::option::of("[ -~\n;/]{0,40}");
    let lists = (
        proptest::collection::vec(whole, 0..120),
        proptest::collection::vec((part, note), 0..300),
        any::<bool>(),
    );
    lists.prop_map(|(wholes, parts, kills)| {
        let mut profile = OsProfile {
            name: "a".to_owned(),
            ..OsProfile::default()
        };
        if kills {
            profile.unknown = Unknown::Kill;
        }
        for (feature, answer) in wholes {
            profile.set(&feature, answer);
        }
        for ((feature, answer), note) in parts {
            profile.set(&feature, answer);
            profile.notes.extend(note.map(|note| (feature, note)));
        }
        profile
    })
}

/// Without what only people read.
fn statements_of(profile: &OsProfile) -> String {
    let text = to_scml(profile).text;
    let lines = text.lines().filter(|line| !line.starts_with("//"));
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_profile_is_the_same_after_it_was_written_and_read(profile in profiles()) {
        let after = again(&profile);
        is_the_same(&profile, &after);
        // What was read has nothing in it that SCML cannot say.
        let unsaid = to_scml(&after).unsaid;
        prop_assert_eq!(unsaid, None);
        prop_assert_eq!(statements_of(&profile), statements_of(&after));
        prop_assert_eq!(again(&after), after);
    }

    #[test]
    fn no_line_is_too_long_but_for_a_word(profile in profiles()) {
        for line in to_scml(&profile).text.lines() {
            let words = line.split_whitespace().count();
            prop_assert!(line.chars().count() <= 100 || words <= 3, "{}", line);
        }
    }
}

#[test]
fn every_profile_that_is_built_in_is_the_same_after_it_was_written_and_read() {
    let all = built_in().expect("readable");
    assert!(all.len() > 20);
    for profile in all {
        let after = again(&profile);
        is_the_same(&profile, &after);
        assert_eq!(
            statements_of(&profile),
            statements_of(&after),
            "{}",
            profile.name
        );
    }
}

#[test]
fn calls_are_written_with_their_arguments_names() {
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| name.parse().expect("known"))
            .collect()
    };
    let profile = OsProfile {
        name: "toy".to_owned(),
        implement: set(&[
            "getpid",
            "read",
            "dup3",
            "fcntl",
            "socket:AF_UNIX/SOCK_STREAM",
        ]),
        stub: set(&["dup3:O_CLOEXEC"]),
        fake: set(&["brk"]),
        notes: std::iter::once((
            "dup3".parse().expect("known"),
            "no flag;\nat all".to_owned(),
        ))
        .collect(),
        ..OsProfile::default()
    };
    let written = to_scml(&profile);
    let flags = Operation::flags_of("dup3".parse().expect("a syscall"));
    let others: Vec<_> = flags
        .iter()
        .map(Operation::name)
        .filter(|name| *name != "O_CLOEXEC")
        .collect();
    assert!(
        written
            .text
            .contains("// dup3: no flag; at all\ndup3(\n    oldfd,\n    newfd,\n"),
        "{}",
        written.text
    );
    let rest: String = written
        .text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for wanted in [
        "getpid();",
        "read(..);",
        "fcntl(..);",
        "socket(family = AF_UNIX, type = SOCK_STREAM, ..);",
        "// What SCML has no words for. // fake: brk",
        &format!("flags = {}", others.join(" | ")),
    ] {
        assert!(rest.contains(wanted), "{wanted}: {rest}");
    }
    assert_eq!(
        written.unsaid.as_deref(),
        Some("SCML has no words for these, so they stand in comments only: 1 fake, 1 note")
    );
}
