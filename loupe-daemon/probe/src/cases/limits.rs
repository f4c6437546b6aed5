//! Limits, priorities and processors: what a process may take of them, and how much it is given.

use crate::attempt::{Try, new, refuses, sys};
use crate::list::{Case, case};

/// What a limit is set to: low enough to be below what there is, and no harm to the case.
const LOW: u64 = 77;
const UNTOUCHED: u64 = 0x7777_7777_7777;

/// A limit that can be lowered to some number.
fn lowered(t: &Try<'_>, resource: usize) -> [u64; 2] {
    let low = match resource {
        1..=3 | 5 | 8 | 9 => 1 << 30,
        _ => LOW,
    };
    let mut now = [UNTOUCHED; 2];
    sys!(t, "prlimit64", 0, resource, 0, &mut now);
    [low.min(now[0]), now[1]]
}

fn limit_of(t: &Try<'_>, resource: usize) -> [u64; 2] {
    let mut found = [UNTOUCHED; 2];
    t.alone();
    match t.is_doubted(crate::tables::nr!("getrlimit"), &[resource]) {
        true => sys!(t, "prlimit64", 0, resource, 0, &mut found),
        false => sys!(t, "getrlimit", resource, &mut found),
    };
    found
}

/// The scheduling of a process: `struct sched_attr`.
fn attributes(t: &Try<'_>) -> [u64; 7] {
    let mut found = [0_u64; 7];
    sys!(t, "sched_getattr", 0, &mut found, 56, 0);
    found
}

const BATCH: usize = 3;

pub const CASES: &[Case] = &[
    case("getrlimit:*", |t| {
        let mut found = [UNTOUCHED; 2];
        sys!(t, "getrlimit", t.value(0), &mut found);
        t.check(found[0] != UNTOUCHED && found[1] != UNTOUCHED);
    }),
    case("setrlimit:*", |t| {
        t.alone();
        let wanted = lowered(t, t.value(0));
        sys!(t, "setrlimit", t.value(0), &wanted);
        t.check(limit_of(t, t.value(0)) == wanted);
        refuses!(t, "setrlimit", t.value(0), &[2_u64, 1]);
    }),
    case("prlimit64:*", |t| {
        t.alone();
        let mut found = [UNTOUCHED; 2];
        sys!(t, "prlimit64", 0, t.value(0), 0, &mut found);
        t.check(found[0] != UNTOUCHED);
        let wanted = [found[0].min(1 << 30), found[1]];
        sys!(t, "prlimit64", 0, t.value(0), &wanted, 0);
        sys!(t, "prlimit64", 0, t.value(0), 0, &mut found);
        t.check(found == wanted);
    }),
    case("getpriority", |t| {
        // Told as 20 minus it, which is never 0.
        new!(t, "getpriority", 0, 0);
    }),
    case("setpriority", |t| {
        t.alone();
        sys!(t, "setpriority", 0, 0, 5);
        t.check(sys!(t, "getpriority", 0, 0) == 15);
    }),
    case("ioprio_set", |t| {
        // The process itself: best effort (2), 6.
        sys!(t, "ioprio_set", 1, 0, 2 << 13 | 6);
        refuses!(t, "ioprio_set", 1, 0, 7 << 13);
        t.check(sys!(t, "ioprio_get", 1, 0) == 2 << 13 | 6);
    }),
    case("ioprio_get", |t| {
        sys!(t, "ioprio_set", 1, 0, 2 << 13 | 5);
        t.check(sys!(t, "ioprio_get", 1, 0) == 2 << 13 | 5);
    }),
    case("sched_getscheduler", |t| {
        t.alone();
        sys!(t, "sched_setscheduler", 0, BATCH, &0_u32);
        refuses!(t, "sched_setscheduler", 0, 99, &0_u32);
        t.check(sys!(t, "sched_getscheduler", 0) == BATCH);
    }),
    case("sched_setscheduler", |t| {
        t.alone();
        sys!(t, "sched_setscheduler", 0, BATCH, &0_u32);
        refuses!(t, "sched_setscheduler", 0, 99, &0_u32);
        t.check(sys!(t, "sched_getscheduler", 0) == BATCH);
    }),
    case("sched_getparam", |t| {
        let mut found = 0x7777_u32;
        sys!(t, "sched_getparam", 0, &mut found);
        t.check(found == 0);
    }),
    case("sched_setparam", |t| {
        sys!(t, "sched_setparam", 0, &0_u32);
        // Only real-time ones have another.
        refuses!(t, "sched_setparam", 0, &5_u32);
    }),
    case("sched_get_priority_max", |t| {
        t.check(sys!(t, "sched_get_priority_max", 1) == 99);
    }),
    case("sched_get_priority_min", |t| {
        t.check(sys!(t, "sched_get_priority_min", 1) == 1);
    }),
    case("sched_rr_get_interval", |t| {
        let mut found = [UNTOUCHED; 2];
        sys!(t, "sched_rr_get_interval", 0, &mut found);
        t.check(found[0] != UNTOUCHED);
    }),
    case("sched_getaffinity", |t| {
        let mut found = [0_u64; 128];
        t.check(new!(t, "sched_getaffinity", 0, 1024, &mut found) >= 8);
        t.check(found.iter().any(|word| *word != 0));
    }),
    case("sched_setaffinity", |t| {
        t.alone();
        let mut found = [0_u64; 128];
        sys!(t, "sched_getaffinity", 0, 1024, &mut found);
        let lowest = found[0] & found[0].wrapping_neg();
        sys!(t, "sched_setaffinity", 0, 8, &lowest);
        let mut found = [0_u64; 128];
        sys!(t, "sched_getaffinity", 0, 1024, &mut found);
        t.check(found[0] == lowest);
        refuses!(t, "sched_setaffinity", 0, 8, &0_u64);
    }),
    case("sched_getattr", |t| {
        t.check(attributes(t)[0] as u32 >= 48);
    }),
    case("sched_setattr", |t| {
        t.alone();
        let mut wanted = attributes(t);
        // Its size, then the policy.
        wanted[0] = 48 | (BATCH as u64) << 32;
        wanted[1] = 0;
        sys!(t, "sched_setattr", 0, &wanted, 0);
        t.check(attributes(t)[0] >> 32 == BATCH as u64);
    }),
    case("perf_event_open", |t| {
        // A counter of software: of the time that the process runs.
        let mut wanted = [0_u64; 16];
        wanted[0] = 1 | 128 << 32;
        wanted[1] = 1;
        let counter = new!(t, "perf_event_open", &wanted, 0, -1, -1, 0);
        let mut bytes = [0_u8; 8];
        t.check(t.read(counter, &mut bytes) == 8);
    }),
    case("io_setup", |t| {
        let mut context = 0_usize;
        sys!(t, "io_setup", 4, &mut context);
        t.check(context != 0);
    }),
    case("io_destroy", |t| {
        let context = context(t);
        sys!(t, "io_destroy", context);
        refuses!(t, "io_destroy", context);
    }),
    case("io_submit", |t| {
        let file = submitted(t, context(t));
        t.check(t.soon(|| t.has(file, 0, b"asynchronous")));
    }),
    case("io_getevents", |t| {
        let context = context(t);
        submitted(t, context);
        let mut events = [0_u64; 4];
        t.check(sys!(t, "io_getevents", context, 1, 1, &mut events, &[1_u64, 0]) == 1);
        t.check(events[0] == 0x1234 && events[2] == 12);
    }),
    case("io_pgetevents", |t| {
        let context = context(t);
        submitted(t, context);
        let mut events = [0_u64; 4];
        t.check(
            sys!(
                t,
                "io_pgetevents",
                context,
                1,
                1,
                &mut events,
                &[1_u64, 0],
                0
            ) == 1,
        );
        t.check(events[0] == 0x1234 && events[2] == 12);
    }),
    case("io_cancel", |t| {
        let context = context(t);
        // Nothing of this kind is under way; a fake would not know.
        refuses!(t, "io_cancel", context, &[0_u64; 8], &mut [0_u64; 4]);
        t.skip("what can be cancelled is over too soon");
    }),
];

fn context(t: &Try<'_>) -> usize {
    let mut context = 0_usize;
    sys!(t, "io_setup", 4, &mut context);
    if context == 0 {
        t.failed(crate::tables::nr!("io_setup"), &[], 0);
    }
    context
}

/// A write of twelve bytes is under way: `struct iocb`.
fn submitted(t: &Try<'_>, context: usize) -> usize {
    let file = t.file(b'a');
    let mut block = [0_u64; 8];
    block[0] = 0x1234;
    block[2] = 1 | (file as u64) << 32;
    block[3] = b"asynchronous".as_ptr() as u64;
    block[4] = 12;
    let blocks = [core::ptr::from_ref(&block) as usize];
    let count = sys!(t, "io_submit", context, 1, &blocks);
    if count != 1 {
        t.failed(crate::tables::nr!("io_submit"), &[], 0);
    }
    file
}
