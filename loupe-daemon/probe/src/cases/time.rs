//! Time: clocks, sleeping, timers.

use crate::attempt::{Arg, Try, new, raw, refuses, sys};
use crate::helpers::{NONBLOCK, SIGUSR1, seen};
use crate::list::{Case, case};
use crate::machine::ticks;
use crate::tables::{nr, val};

const MONOTONIC: usize = val!("clock", "CLOCK_MONOTONIC");
/// Ten milliseconds.
const SHORT: [u64; 2] = [0, 10_000_000];
/// A sleep of ten milliseconds that took fewer ticks of the processor was none.
const FEWEST_TICKS: u64 = 3_000_000;

fn takes_time(t: &Try<'_>, work: impl FnOnce()) {
    let before = ticks();
    work();
    t.check(ticks() - before > FEWEST_TICKS);
}

fn is_time(t: &Try<'_>, found: [u64; 2]) {
    t.check(found[1] < 1_000_000_000);
}

/// A timer that sends SIGUSR1.
fn timer(t: &Try<'_>, clock: usize) -> i32 {
    let mut event = [0_u64; 8];
    event[1] = SIGUSR1 as u64;
    let mut timer = -1_i32;
    sys!(t, "timer_create", clock, &event, &mut timer);
    if timer < 0 {
        t.failed(nr!("timer_create"), &[clock], 0);
    }
    timer
}

/// A clock that timers can be made of by this call.
fn clock_of(t: &Try<'_>, number: usize) -> usize {
    let clocks = [
        MONOTONIC,
        val!("clock", "CLOCK_REALTIME"),
        val!("clock", "CLOCK_BOOTTIME"),
    ];
    let good = clocks
        .iter()
        .find(|clock| !t.is_doubted(number, &[**clock]));
    *good.unwrap_or(&MONOTONIC)
}

fn set_timer(t: &Try<'_>, timer: i32, value: [u64; 4]) {
    if t.number() == nr!("timer_settime") {
        t.may_refuse(t.number(), &[1000, 0, (&value).arg(), 0]);
    }
    sys!(t, "timer_settime", timer, 0, &value, 0);
}

/// Burns time, so that clocks of the process go on, until a signal comes.
fn fires(t: &Try<'_>) {
    t.check(t.soon(|| {
        let until = ticks() + FEWEST_TICKS;
        while ticks() < until {}
        seen(SIGUSR1) > 0
    }));
}

fn timer_of_clock(t: &Try<'_>) {
    t.handle(SIGUSR1);
    let timer = timer(t, t.value(0));
    t.may_refuse(t.number(), &[t.value(0), 8, (&mut 0_i32).arg()]);
    set_timer(t, timer, [0, 0, 0, 5_000_000]);
    fires(t);
}

/// A descriptor of a timer fires once.
fn fired(t: &Try<'_>, fd: usize) {
    t.check(t.soon(|| {
        let mut count = [0_u64];
        raw!(t, "read", fd, &mut count, 8) == 8 && count[0] == 1
    }));
}

fn set_descriptor(t: &Try<'_>, fd: usize, value: [u64; 4]) {
    if t.number() == nr!("timerfd_settime") {
        t.may_refuse(t.number(), &[usize::MAX, 0, (&value).arg(), 0]);
    }
    sys!(t, "timerfd_settime", fd, 0, &value, 0);
}

fn sleep_by(t: &Try<'_>) {
    takes_time(t, || {
        sys!(t, "clock_nanosleep", t.value(0), 0, &SHORT, 0);
    });
}

pub const CASES: &[Case] = &[
    case("nanosleep", |t| {
        takes_time(t, || {
            sys!(t, "nanosleep", &SHORT, 0);
        });
    }),
    case("clock_nanosleep:CLOCK_REALTIME", sleep_by),
    case("clock_nanosleep:CLOCK_MONOTONIC", sleep_by),
    case("clock_nanosleep:CLOCK_BOOTTIME", sleep_by),
    case("clock_nanosleep:CLOCK_TAI", sleep_by),
    case("clock_gettime:*", |t| {
        let mut found = [0, u64::MAX];
        sys!(t, "clock_gettime", t.value(0), &mut found);
        is_time(t, found);
    }),
    case("clock_getres:*", |t| {
        let mut found = [0, u64::MAX];
        sys!(t, "clock_getres", t.value(0), &mut found);
        is_time(t, found);
    }),
    case("gettimeofday", |t| {
        let mut found = [0, u64::MAX];
        sys!(t, "gettimeofday", &mut found, 0);
        is_time(t, found);
    }),
    case("time", |t| {
        let mut found = 0_u64;
        t.check(new!(t, "time", &mut found) as u64 == found);
    }),
    case("times", |t| {
        let mut found = [u64::MAX; 4];
        new!(t, "times", &mut found);
        t.check(found[0] != u64::MAX);
    }),
    case("timer_create:CLOCK_REALTIME", timer_of_clock),
    case("timer_create:CLOCK_MONOTONIC", timer_of_clock),
    case("timer_create:CLOCK_BOOTTIME", timer_of_clock),
    case("timer_create:CLOCK_TAI", timer_of_clock),
    case("timer_create:CLOCK_PROCESS_CPUTIME_ID", timer_of_clock),
    case("timer_create:CLOCK_THREAD_CPUTIME_ID", timer_of_clock),
    case("timer_settime", |t| {
        t.handle(SIGUSR1);
        let timer = timer(t, clock_of(t, nr!("timer_create")));
        set_timer(t, timer, [0, 0, 0, 5_000_000]);
        fires(t);
    }),
    case("timer_gettime", |t| {
        let timer = timer(t, clock_of(t, nr!("timer_create")));
        let mut found = [0_u64; 4];
        t.may_refuse(t.number(), &[1000, (&mut found).arg()]);
        set_timer(t, timer, [0, 0, 100, 0]);
        sys!(t, "timer_gettime", timer, &mut found);
        t.check((90..=100).contains(&found[2]));
    }),
    case("timer_getoverrun", |t| {
        let timer = timer(t, clock_of(t, nr!("timer_create")));
        sys!(t, "timer_getoverrun", timer);
        refuses!(t, "timer_getoverrun", timer + 1000);
    }),
    case("timer_delete", |t| {
        let timer = timer(t, clock_of(t, nr!("timer_create")));
        sys!(t, "timer_delete", timer);
        refuses!(t, "timer_delete", timer);
    }),
    case("timerfd_create:CLOCK_REALTIME", descriptor_of_clock),
    case("timerfd_create:CLOCK_MONOTONIC", descriptor_of_clock),
    case("timerfd_create:CLOCK_BOOTTIME", descriptor_of_clock),
    case("timerfd_settime", |t| {
        let fd = new!(
            t,
            "timerfd_create",
            clock_of(t, nr!("timerfd_create")),
            NONBLOCK
        );
        set_descriptor(t, fd, [0, 0, 0, 5_000_000]);
        fired(t, fd);
    }),
    case("timerfd_gettime", |t| {
        let fd = new!(
            t,
            "timerfd_create",
            clock_of(t, nr!("timerfd_create")),
            NONBLOCK
        );
        let mut found = [0_u64; 4];
        t.may_refuse(t.number(), &[usize::MAX, (&mut found).arg()]);
        set_descriptor(t, fd, [0, 0, 100, 0]);
        sys!(t, "timerfd_gettime", fd, &mut found);
        t.check((90..=100).contains(&found[2]));
    }),
    case("adjtimex", |t| {
        // Asks only.
        let mut found = [0_u64; 26];
        sys!(t, "adjtimex", &mut found);
        t.check(found[10] > 1_000 || found[9] > 1_000);
    }),
    case("clock_adjtime:CLOCK_REALTIME", |t| {
        let mut found = [0_u64; 26];
        sys!(t, "clock_adjtime", t.value(0), &mut found);
        t.check(found[10] > 1_000 || found[9] > 1_000);
    }),
];

fn descriptor_of_clock(t: &Try<'_>) {
    let fd = new!(t, "timerfd_create", t.value(0), 0);
    t.may_refuse(t.number(), &[t.value(0), 0x7000_0000]);
    set_descriptor(t, fd, [0, 0, 0, 5_000_000]);
    fired(t, fd);
}
