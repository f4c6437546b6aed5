//! Waiting for several things: poll, select, epoll, eventfd, inotify, fanotify.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{HERE, NONBLOCK, RDONLY};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const ADD: usize = val!("epoll_ctl", "EPOLL_CTL_ADD");
/// There is something to read.
const IN: u32 = 1;

/// A pipe with something in it.
fn full(t: &Try<'_>) -> usize {
    let [read, write] = t.pipe();
    t.write(write, b"x");
    read
}

/// `struct epoll_event`, which is packed.
fn event(events: u32) -> [u32; 3] {
    [events, 0x55, 0]
}

fn epoll(t: &Try<'_>) -> usize {
    let epoll = new!(t, "epoll_create1", 0);
    sys!(t, "epoll_ctl", epoll, ADD, full(t), &event(IN));
    epoll
}

/// Adds something that can be read, and looks whether it was added.
fn add(t: &Try<'_>, epoll: usize, read: usize) {
    sys!(t, "epoll_ctl", epoll, ADD, read, &event(IN));
    let mut found = [0_u32; 3];
    if raw!(t, "epoll_wait", epoll, &mut found, 1, 0) != 1 {
        t.failed(nr!("epoll_ctl"), &[epoll, ADD], 0);
    }
}

fn is_event(t: &Try<'_>, count: usize, found: [u32; 3]) {
    t.check(count == 1 && found[0] == IN && found[1] == 0x55);
}

fn counts(t: &Try<'_>, fd: usize) {
    t.write(fd, &3_u64.to_le_bytes());
    t.write(fd, &4_u64.to_le_bytes());
    let mut bytes = [0_u8; 8];
    t.check(t.read(fd, &mut bytes) == 8 && bytes[0] == 7);
}

fn told(t: &Try<'_>, inotify: usize) {
    t.file(b'a');
    let mut bytes = [0_u8; 256];
    t.check(t.read(inotify, &mut bytes) > 16);
}

fn watch(t: &Try<'_>, inotify: usize) -> usize {
    // Something is made.
    new!(t, "inotify_add_watch", inotify, c".", 0x100)
}

pub const CASES: &[Case] = &[
    case("poll", |t| {
        let mut poll = [full(t) as u32, IN];
        t.check(sys!(t, "poll", &mut poll, 1, 100) == 1 && poll[1] >> 16 == IN);
    }),
    case("ppoll", |t| {
        let mut poll = [full(t) as u32, IN];
        t.check(sys!(t, "ppoll", &mut poll, 1, &mut [0_u64, 0], 0, 8) == 1);
        t.check(poll[1] >> 16 == IN);
    }),
    case("select", |t| {
        let read = full(t);
        let mut set = [1_u64 << read, 0];
        t.check(sys!(t, "select", read + 1, &mut set, 0, 0, &mut [0_u64, 0]) == 1);
        t.check(set[0] == 1 << read);
    }),
    case("pselect6", |t| {
        let read = full(t);
        let mut set = [1_u64 << read, 0];
        t.check(sys!(t, "pselect6", read + 1, &mut set, 0, 0, &mut [0_u64, 0], 0) == 1);
        t.check(set[0] == 1 << read);
    }),
    case("epoll_create", |t| {
        let epoll = new!(t, "epoll_create", 5);
        sys!(t, "epoll_ctl", epoll, ADD, full(t), &event(IN));
    }),
    case("epoll_create1", |t| {
        let epoll = new!(t, "epoll_create1", 0);
        sys!(t, "epoll_ctl", epoll, ADD, full(t), &event(IN));
    }),
    case("epoll_ctl:EPOLL_CTL_ADD", |t| {
        let mut found = [0_u32; 3];
        let count = sys!(t, "epoll_wait", epoll(t), &mut found, 1, 100);
        is_event(t, count, found);
    }),
    case("epoll_ctl:EPOLL_CTL_MOD", |t| {
        let (epoll, read) = (new!(t, "epoll_create1", 0), full(t));
        add(t, epoll, read);
        sys!(t, "epoll_ctl", epoll, t.value(0), read, &event(0));
        let mut found = [0_u32; 3];
        t.check(raw!(t, "epoll_wait", epoll, &mut found, 1, 0) == 0);
    }),
    case("epoll_ctl:EPOLL_CTL_DEL", |t| {
        let (epoll, read) = (new!(t, "epoll_create1", 0), full(t));
        add(t, epoll, read);
        sys!(t, "epoll_ctl", epoll, t.value(0), read, &event(0));
        let mut found = [0_u32; 3];
        t.check(raw!(t, "epoll_wait", epoll, &mut found, 1, 0) == 0);
    }),
    case("epoll_wait", |t| {
        let mut found = [0_u32; 3];
        let count = sys!(t, "epoll_wait", epoll(t), &mut found, 1, 100);
        is_event(t, count, found);
    }),
    case("epoll_pwait", |t| {
        let mut found = [0_u32; 3];
        let count = sys!(t, "epoll_pwait", epoll(t), &mut found, 1, 100, 0, 8);
        is_event(t, count, found);
    }),
    case("epoll_pwait2", |t| {
        let mut found = [0_u32; 3];
        let count = sys!(
            t,
            "epoll_pwait2",
            epoll(t),
            &mut found,
            1,
            &[0_u64, 1000],
            0,
            8
        );
        is_event(t, count, found);
    }),
    case("eventfd", |t| counts(t, new!(t, "eventfd", 0))),
    case("eventfd2", |t| counts(t, new!(t, "eventfd2", 0, 0))),
    case("inotify_init", |t| {
        let inotify = new!(t, "inotify_init");
        watch(t, inotify);
    }),
    case("inotify_init1", |t| {
        let inotify = new!(t, "inotify_init1", 0);
        watch(t, inotify);
    }),
    case("inotify_add_watch", |t| {
        let inotify = new!(t, "inotify_init1", NONBLOCK);
        watch(t, inotify);
        told(t, inotify);
    }),
    case("inotify_rm_watch", |t| {
        let inotify = new!(t, "inotify_init1", NONBLOCK);
        let watch = watch(t, inotify);
        sys!(t, "inotify_rm_watch", inotify, watch);
        refuses!(t, "inotify_rm_watch", inotify, watch);
    }),
    case("fanotify_init", |t| {
        t.needs_root();
        new!(t, "fanotify_init", 2, RDONLY);
    }),
    case("fanotify_mark", |t| {
        t.needs_root();
        let fanotify = new!(t, "fanotify_init", 2, RDONLY);
        // What is opened here.
        sys!(t, "fanotify_mark", fanotify, 1, 0x0800_0020, HERE, c".");
        t.file(b'a');
        let mut bytes = [0_u8; 256];
        t.check(t.read(fanotify, &mut bytes) >= 24);
    }),
    case("sched_yield", |t| {
        // Nothing tells that it did: a fake is as good.
        sys!(t, "sched_yield");
    }),
    case("getrandom", |t| {
        let mut bytes = [0_u8; 32];
        t.check(sys!(t, "getrandom", &mut bytes, 32, 0) == 32);
        t.check(bytes.iter().any(|byte| *byte != 0));
    }),
];
