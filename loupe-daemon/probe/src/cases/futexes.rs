//! Waiting on a word of memory.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::attempt::{Arg, Try, raw, sys};
use crate::helpers::{exit, exited};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const WAIT: usize = val!("futex", "FUTEX_WAIT");
const WAKE: usize = val!("futex", "FUTEX_WAKE");
/// Ten milliseconds.
const SHORT: [u64; 2] = [0, 10_000_000];
const SECONDS: [u64; 2] = [2, 0];
const ALL: usize = 0xffff_ffff;
/// A word of 32 bits, shared (futex2).
const SIZE: usize = 2;
/// The time is over.
const TIMED_OUT: isize = -110;
/// The word had another value.
const AGAIN: isize = -11;

/// Two shared words that the case before has not used: what a kernel knows of a lock may outlive its
/// owner for a moment.
fn words(t: &Try<'_>) -> [usize; 2] {
    [first(t).arg(), t.word(place(t) + 1).arg()]
}

fn place(t: &Try<'_>) -> usize {
    16 + t.subject % 20 * 2
}

fn first<'a>(t: &'a Try<'_>) -> &'a AtomicU64 {
    t.word(place(t))
}

/// A wait of another word than expected comes back at once, one of the expected in time.
fn waits(t: &Try<'_>, wait: impl Fn(usize) -> isize) {
    let result = wait(1);
    match result {
        AGAIN => {}
        0.. => t.check(false),
        errno => t.failed(t.number(), &arguments(t), errno.unsigned_abs()),
    }
    t.check(wait(0) == TIMED_OUT);
}

/// The operation, where there is one.
fn arguments(t: &Try<'_>) -> [usize; 2] {
    let is_vectored = t.number() == nr!("futex");
    [0, if is_vectored { t.value(0) } else { 0 }]
}

/// A child that waits for a word, on the same memory.
fn waiter(t: &Try<'_>, word: usize) -> usize {
    t.in_child(|| {
        t.word(10).store(1, Ordering::SeqCst);
        let woken = raw!(t, "futex", word, WAIT, 0, &SECONDS, 0, 0) == 0;
        exit(usize::from(woken));
    })
}

/// Does something until one is woken.
fn wakes(t: &Try<'_>, wake: impl Fn() -> isize) {
    let child = waiter(t, words(t)[0]);
    let mut last = 0;
    let woken = t.soon(|| {
        let result = wake();
        t.word(11).store(result as u64, Ordering::SeqCst);
        result != 0
    });
    if woken {
        last = t.word(11).load(Ordering::SeqCst) as isize;
    }
    if last < 0 {
        t.failed(t.number(), &arguments(t), last.unsigned_abs());
    }
    t.check(woken && t.wait(child) == exited(1));
}

/// Takes a lock that nobody has: the word has the owner's number then.
fn locks(t: &Try<'_>) {
    let word = words(t)[0];
    sys!(t, "futex", word, t.value(0), 0, 0, 0, 0);
    t.check(first(t).load(Ordering::SeqCst) != 0);
}

pub const CASES: &[Case] = &[
    case("futex:FUTEX_WAIT", |t| {
        let word = words(t)[0];
        waits(t, |value| {
            raw!(t, "futex", word, t.value(0), value, &SHORT, 0, 0)
        });
    }),
    case("futex:FUTEX_WAIT_BITSET", |t| {
        let word = words(t)[0];
        // Until a moment that is over.
        waits(t, |value| {
            raw!(t, "futex", word, t.value(0), value, &SHORT, 0, ALL)
        });
    }),
    case("futex:FUTEX_WAKE", |t| {
        let word = words(t)[0];
        wakes(t, || raw!(t, "futex", word, t.value(0), 1, 0, 0, 0));
    }),
    case("futex:FUTEX_WAKE_BITSET", |t| {
        let word = words(t)[0];
        wakes(t, || raw!(t, "futex", word, t.value(0), 1, 0, 0, ALL));
    }),
    case("futex:FUTEX_WAKE_OP", |t| {
        let [word, other] = words(t);
        // Puts 5 into the other word, whatever it has.
        wakes(t, || {
            raw!(t, "futex", word, t.value(0), 1, 0, other, 5 << 12)
        });
        t.check(t.word(place(t) + 1).load(Ordering::SeqCst) == 5);
    }),
    case("futex:FUTEX_REQUEUE", |t| {
        let [word, other] = words(t);
        moves(t, || raw!(t, "futex", word, t.value(0), 0, 1, other, 0));
    }),
    case("futex:FUTEX_CMP_REQUEUE", |t| {
        let [word, other] = words(t);
        moves(t, || raw!(t, "futex", word, t.value(0), 0, 1, other, 0));
    }),
    case("futex:FUTEX_LOCK_PI", locks),
    case("futex:FUTEX_LOCK_PI2", locks),
    case("futex:FUTEX_TRYLOCK_PI", locks),
    case("futex:FUTEX_UNLOCK_PI", |t| {
        let (word, lock) = (words(t)[0], val!("futex", "FUTEX_LOCK_PI"));
        sys!(t, "futex", word, lock, 0, 0, 0, 0);
        if first(t).load(Ordering::SeqCst) == 0 {
            t.failed(nr!("futex"), &[word, lock], 0);
        }
        sys!(t, "futex", word, t.value(0), 0, 0, 0, 0);
        t.check(first(t).load(Ordering::SeqCst) == 0);
    }),
    case("futex_wait", |t| {
        let word = words(t)[0];
        waits(t, |value| {
            raw!(t, "futex_wait", word, value, ALL, SIZE, &SHORT, 1)
        });
    }),
    case("futex_wake", |t| {
        let word = words(t)[0];
        wakes(t, || raw!(t, "futex_wake", word, ALL, 1, SIZE));
    }),
    case("futex_requeue", |t| {
        let [word, other] = words(t);
        let both = [
            0_u64,
            word as u64,
            SIZE as u64,
            0,
            other as u64,
            SIZE as u64,
        ];
        moves(t, || raw!(t, "futex_requeue", &both, 0, 0, 1));
    }),
    case("futex_waitv", |t| {
        let word = words(t)[0];
        waits(t, |value| {
            let waited = [value as u64, word as u64, SIZE as u64];
            raw!(t, "futex_waitv", &waited, 1, 0, &SHORT, 1)
        });
    }),
];

/// The waiter of the first word is one of the second then, and is woken there.
fn moves(t: &Try<'_>, requeue: impl Fn() -> isize) {
    let [word, other] = words(t);
    let child = waiter(t, word);
    // How many have moved is not told by every one of these calls.
    let moved = t.soon(|| {
        let result = requeue();
        t.word(11).store(result as u64, Ordering::SeqCst);
        result < 0 || raw!(t, "futex", other, WAKE, 1, 0, 0, 0) == 1
    });
    let result = t.word(11).load(Ordering::SeqCst) as isize;
    if result < 0 {
        t.failed(t.number(), &arguments(t), result.unsigned_abs());
    }
    t.check(moved && t.wait(child) == exited(1));
}
