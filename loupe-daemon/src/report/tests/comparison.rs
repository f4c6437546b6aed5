//! What counts as a difference between a replay and its baseline.

use insta::assert_snapshot;
use loupe_common::policy::{Action, Policy};
use loupe_common::trace::Trace;

use super::samples::{BASELINE, feature, trace};
use crate::report::difference::Difference;

fn between(baseline: &[&Trace], trace: &Trace, policy: &Policy) -> String {
    Difference::between(baseline, trace, policy)
        .expect("there is a baseline")
        .to_string()
}

#[test]
fn a_replay_like_any_baseline_replay_does_not_differ() {
    let (one, mut other) = (trace(&BASELINE), trace(&BASELINE));
    other.first_seen.swap(2, 3);
    let policy = Policy::baseline();
    for replay in [&one, &other] {
        assert_eq!(
            between(&[&one, &other], replay, &policy),
            "none: the same syscalls in the same order, about as often"
        );
    }
    assert_ne!(
        between(&[&one], &other, &policy),
        between(&[&one], &one, &policy)
    );
    assert_eq!(Difference::between(&[], &one, &policy), None);
}

#[test]
fn the_difference_names_the_parting_the_gone_the_new_and_the_changed() {
    let policy = Policy::single(feature("epoll_create1"), Action::STUB);
    let mut calls = BASELINE.to_vec();
    calls[3] = ("openat", 46, &[("ENOENT", 9), ("EMFILE", 2), ("EINTR", 5)]);
    calls[8] = ("epoll_create1", 90, &[("ENOSYS", 90)]);
    calls[9] = ("poll", 412, &[("EINVAL", 1)]);
    calls[11] = ("writev", 50, &[]);
    let text = between(&[&trace(&BASELINE)], &trace(&calls), &policy);
    assert_snapshot!(text, @"
    first: the same 9 syscalls up to epoll_create1, then poll instead of epoll_wait
    gone: epoll_wait
    new: poll ×412
    calls: epoll_create1 1→90, writev 101→50
    errors: openat EINTR ×5, openat EMFILE ×2, poll EINVAL ×1
    ");
}

#[test]
fn only_what_lies_outside_of_every_baseline_replay_is_a_difference() {
    let mut other = BASELINE;
    other[9] = ("epoll_wait", 2, &[("EINTR", 1)]);
    other[11] = ("poll", 7, &[]);
    let baseline = [&trace(&BASELINE), &trace(&other)];
    let mut replay = BASELINE;
    replay[9] = ("epoll_wait", 100, &[("EINTR", 50)]);
    let policy = Policy::baseline();
    let difference = Difference::between(&baseline, &trace(&replay), &policy).expect("compared");
    assert!(difference.is_empty(), "{difference}");
}

#[test]
fn a_replay_that_stops_early_parts_with_nothing_new() {
    let policy = Policy::baseline();
    let whole = trace(&BASELINE);
    let text = between(&[&whole], &trace(&BASELINE[..4]), &policy);
    let first = text.lines().next().expect("a line");
    assert_eq!(
        first,
        "first: the same 4 syscalls up to openat, then nothing new instead of fstat"
    );
    let text = between(&[&trace(&BASELINE[..4])], &whole, &policy);
    assert!(
        text.contains("up to openat, then also fstat\nnew: fstat ×40"),
        "{text}"
    );
    let text = between(&[&whole], &trace(&BASELINE[5..]), &policy);
    assert!(
        text.starts_with("first: from the start rt_sigaction instead of brk\n"),
        "{text}"
    );
}

#[test]
fn the_largest_changes_come_first_and_are_bounded() {
    let mut baseline = trace(&[]);
    let mut replay = trace(&[]);
    for (index, (_, name)) in (1..).zip(&loupe_common::syscalls::Arch::X86_64.table()[..20]) {
        let counts = |calls| trace(&[(name, calls, &[])]).calls;
        baseline.calls.append(&mut counts(10));
        replay.calls.append(&mut counts(10 * index));
    }
    let policy = Policy::baseline();
    let difference = Difference::between(&[&baseline], &replay, &policy).expect("compared");
    let shown: Vec<u64> = difference
        .counts
        .iter()
        .map(|change| change.replay)
        .collect();
    assert_eq!(shown, [200, 190, 180, 170, 160, 150, 140, 130]);
    assert!(difference.first.is_none() && difference.errors.is_empty());
}
