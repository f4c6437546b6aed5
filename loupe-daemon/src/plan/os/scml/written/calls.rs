//! The patterns of one syscall's calls that an OS implements. Each argument has a set of names by
//! itself; where an operation has two halves, there is a pattern for the first halves that go with
//! the same second ones. Writes no comments.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::operations::meaning::{Meaning, Place, Row};
use loupe_common::syscalls::Syscall;

use super::super::super::OsProfile;
use super::LINE_CHARS;
use crate::plan::need::Answer;

/// What no flag at all is written as.
const NOTHING: &str = "0";

/// Names of arguments, up to the last one that is told by names; in the order of the kernel.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("accept4", &["sockfd", "addr", "addrlen", "flags"]),
    ("arch_prctl", &["op"]),
    ("bpf", &["cmd"]),
    ("clock_adjtime", &["clockid"]),
    ("clock_getres", &["clockid"]),
    ("clock_gettime", &["clockid"]),
    ("clock_nanosleep", &["clockid"]),
    ("clock_settime", &["clockid"]),
    ("clone", &["flags"]),
    ("dup3", &["oldfd", "newfd", "flags"]),
    ("epoll_create1", &["flags"]),
    ("epoll_ctl", &["epfd", "op"]),
    ("eventfd2", &["initval", "flags"]),
    ("fadvise64", &["fd", "offset", "len", "advice"]),
    ("fcntl", &["fd", "cmd"]),
    ("futex", &["uaddr", "op"]),
    ("getrlimit", &["resource"]),
    ("getsockopt", &["sockfd", "level", "optname"]),
    ("inotify_init1", &["flags"]),
    (
        "io_uring_enter",
        &["fd", "to_submit", "min_complete", "flags"],
    ),
    ("io_uring_register", &["fd", "opcode"]),
    ("ioctl", &["fd", "cmd"]),
    ("keyctl", &["op"]),
    ("lseek", &["fd", "offset", "whence"]),
    ("madvise", &["addr", "len", "advice"]),
    ("mmap", &["addr", "len", "prot", "flags"]),
    ("mprotect", &["addr", "len", "prot"]),
    ("mremap", &["old_addr", "old_len", "new_len", "flags"]),
    ("msgctl", &["msqid", "cmd"]),
    ("open", &["path", "flags"]),
    ("openat", &["dirfd", "path", "flags"]),
    ("pipe2", &["pipefd", "flags"]),
    ("pkey_mprotect", &["addr", "len", "prot"]),
    ("prctl", &["op"]),
    ("prlimit64", &["pid", "resource"]),
    ("process_madvise", &["pidfd", "iovec", "vlen", "advice"]),
    ("ptrace", &["op"]),
    ("quotactl", &["cmd"]),
    ("quotactl_fd", &["fd", "cmd"]),
    ("rt_sigaction", &["signum"]),
    ("rt_sigprocmask", &["how"]),
    ("seccomp", &["op"]),
    ("semctl", &["semid", "semnum", "cmd"]),
    ("setrlimit", &["resource"]),
    ("setsockopt", &["sockfd", "level", "optname"]),
    ("shmctl", &["shmid", "cmd"]),
    ("signalfd4", &["fd", "mask", "sizemask", "flags"]),
    ("socket", &["family", "type"]),
    ("socketpair", &["family", "type"]),
    ("timer_create", &["clockid"]),
    ("timerfd_create", &["clockid", "flags"]),
    ("unshare", &["flags"]),
];

/// One way to use a call: what its arguments are limited to.
#[derive(Default)]
pub(super) struct Pattern(BTreeMap<usize, Vec<String>>);

pub(super) struct Calls {
    pub(super) patterns: Vec<Pattern>,
    /// Operations without a name are implemented, and no pattern can have them.
    pub(super) loses_unnamed: bool,
}

/// What of a syscall an OS implements.
pub(super) fn of(profile: &OsProfile, syscall: Syscall) -> Calls {
    let does = |feature: Feature| profile.answer(&feature) == Answer::Implement;
    let whole = does(Feature::from(syscall));
    let Some(row) = Row::of(syscall).filter(|row| row.place == Place::Registers) else {
        let patterns = whole.then(Pattern::default).into_iter().collect();
        return Calls {
            patterns,
            loses_unnamed: false,
        };
    };
    let flags = limits_by_flags(profile, syscall);
    let selecting: Vec<usize> = row
        .parts
        .iter()
        .filter(|part| part.meaning == Meaning::Selects)
        .map(|part| usize::from(part.argument))
        .collect();
    let Some((first, second)) = selecting.split_first() else {
        let patterns = whole.then_some(Pattern(flags)).into_iter().collect();
        return Calls {
            patterns,
            loses_unnamed: false,
        };
    };
    let all = Operation::all_of(syscall);
    let does_unnamed =
        Operation::unnamed(syscall).is_some_and(|unnamed| does(Feature::from(unnamed)));
    let done: Vec<&Operation> = all
        .iter()
        .filter(|operation| does(Feature::from((*operation).clone())))
        .collect();
    let shares_argument = selecting.iter().any(|at| flags.contains_key(at));
    if whole && does_unnamed && done.len() == all.len() && !shares_argument {
        return Calls {
            patterns: vec![Pattern(flags)],
            loses_unnamed: false,
        };
    }
    let mut patterns = Vec::new();
    for (firsts, seconds) in rectangles(&done) {
        let mut limits = flags.clone();
        let mut names = |argument: usize, of: Vec<String>| {
            let known = limits.entry(argument).or_insert_with(|| {
                // A limit on an operation is one on the flags in the same argument.
                let implemented = flags_in(syscall, argument).filter(|flag| does(flag.clone()));
                implemented.map(|flag| own_name(&flag)).collect()
            });
            known.retain(|name| name != NOTHING);
            known.splice(0..0, of);
        };
        names(*first, firsts);
        if let [second] = second {
            names(*second, seconds);
        }
        patterns.push(Pattern(limits));
    }
    Calls {
        patterns,
        loses_unnamed: does_unnamed,
    }
}

/// First halves of operations with the second halves that each of them goes with.
fn rectangles(operations: &[&Operation]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut seconds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for operation in operations {
        let (first, second) = operation
            .name()
            .split_once('/')
            .unwrap_or((operation.name(), ""));
        if !seconds.contains_key(first) {
            order.push(first);
        }
        seconds.entry(first).or_default().push(second.to_owned());
    }
    let mut found: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for first in order {
        let own = &seconds[first];
        match found.iter_mut().find(|(_, known)| known == own) {
            Some((firsts, _)) => firsts.push(first.to_owned()),
            None => found.push((vec![first.to_owned()], own.clone())),
        }
    }
    found
}

/// The arguments of which some flags are missing, with the names of the others.
fn limits_by_flags(profile: &OsProfile, syscall: Syscall) -> BTreeMap<usize, Vec<String>> {
    let mut limits: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut limited: Vec<usize> = Vec::new();
    for flag in Operation::flags_of(syscall) {
        let Some(argument) = argument_of(&flag) else {
            continue;
        };
        let names = limits.entry(argument).or_default();
        let flag = Feature::from(flag);
        match profile.answer(&flag) {
            Answer::Implement => names.push(own_name(&flag)),
            _ => limited.push(argument),
        }
    }
    limits.retain(|argument, names| {
        if names.is_empty() {
            names.push(NOTHING.to_owned());
        }
        limited.contains(argument)
    });
    limits
}

fn flags_in(syscall: Syscall, argument: usize) -> impl Iterator<Item = Feature> {
    let flags = Operation::flags_of(syscall).into_iter();
    flags
        .filter(move |flag| argument_of(flag) == Some(argument))
        .map(Feature::from)
}

fn argument_of(flag: &Operation) -> Option<usize> {
    let tests = flag.tests().ok()?;
    tests.first().map(|test| usize::from(test.argument))
}

/// The name of a part without its syscall's.
fn own_name(part: &Feature) -> String {
    match part {
        Feature::Operation(part) => part.name().to_owned(),
        other => other.to_string(),
    }
}

impl Pattern {
    /// As a statement, in lines that are not too long.
    pub(super) fn text(&self, syscall: Syscall) -> String {
        let name = syscall.to_string();
        let last = self.0.keys().next_back();
        let known = ARGUMENTS.iter().find(|(known, _)| *known == name);
        let known = known.map_or(&[][..], |(_, arguments)| arguments);
        let told = last.map_or(0, |last| last + 1);
        let mut arguments: Vec<(String, &[String])> = (0..told)
            .map(|argument| {
                let own = known.get(argument);
                let own = own.map_or_else(|| format!("a{argument}"), |own| (*own).to_owned());
                (own, self.0.get(&argument).map_or(&[][..], Vec::as_slice))
            })
            .collect();
        if syscall.argument_count() > told {
            arguments.push(("..".to_owned(), &[]));
        }
        let short: Vec<String> = arguments
            .iter()
            .map(|(argument, values)| match values {
                [] => argument.clone(),
                values => format!("{argument} = {}", values.join(" | ")),
            })
            .collect();
        let short = format!("{name}({});\n", short.join(", "));
        match short.len() <= LINE_CHARS {
            true => short,
            false => long(&name, &arguments),
        }
    }
}

/// With an argument a line, or several where there are many names.
fn long(name: &str, arguments: &[(String, &[String])]) -> String {
    let mut text = format!("{name}(\n");
    for (index, (argument, values)) in arguments.iter().enumerate() {
        let mut line = format!("    {argument}");
        for (index, value) in values.iter().enumerate() {
            let before = if index == 0 { " = " } else { " | " };
            // A comma may come behind it.
            if line.len() + before.len() + value.len() + 1 > LINE_CHARS {
                text.push_str(&format!("{line}\n"));
                line = "       ".to_owned();
            }
            line.push_str(before);
            line.push_str(value);
        }
        let end = if index + 1 == arguments.len() {
            ""
        } else {
            ","
        };
        text.push_str(&format!("{line}{end}\n"));
    }
    text.push_str(");\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_that_is_told_by_names_has_a_name() {
        use loupe_common::operations::meaning::ROWS;
        assert!(ARGUMENTS.is_sorted_by_key(|(name, _)| *name));
        for row in ROWS.iter().filter(|row| row.place == Place::Registers) {
            let last = row
                .parts
                .iter()
                .map(|part| usize::from(part.argument))
                .max();
            let named = ARGUMENTS.iter().find(|(name, _)| *name == row.syscall);
            let count = named.map(|(_, arguments)| arguments.len());
            assert_eq!(count, last.map(|last| last + 1), "{}", row.syscall);
        }
        let rows = ROWS.iter().filter(|row| row.place == Place::Registers);
        assert_eq!(rows.count(), ARGUMENTS.len());
    }
}
