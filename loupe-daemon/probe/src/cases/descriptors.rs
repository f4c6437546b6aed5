//! Descriptors: copies, their flags, pipes, what `fcntl` says of them.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{NONBLOCK, RDONLY, RDWR, SIGUSR1, exited, noting, seen};
use crate::list::{Case, case};
use crate::tables::val;

const CLOEXEC: usize = val!("open flags", "O_CLOEXEC");
const GETFD: usize = val!("fcntl", "F_GETFD");
const SETFD: usize = val!("fcntl", "F_SETFD");
const GETFL: usize = val!("fcntl", "F_GETFL");

/// Writes through one descriptor and looks through another.
fn is_same(t: &Try<'_>, one: usize, other: usize) {
    t.write(one, b"same");
    t.check(t.has(other, 0, b"same"));
}

/// A lock of the first byte: `struct flock`, for reading (0), writing (1) or nobody (2).
fn lock(kind: u64) -> [u64; 4] {
    [kind, 0, 1, 0]
}

/// Another process must not get the lock that this one has.
fn excludes(t: &Try<'_>, file: usize) {
    let child = t.in_child(|| {
        let refused = raw!(t, "fcntl", file, val!("fcntl", "F_SETLK"), &lock(1)) < 0;
        crate::helpers::exit(usize::from(refused));
    });
    t.check(t.wait(child) == exited(1));
}

pub const CASES: &[Case] = &[
    case("close", |t| {
        let file = t.file(b'a');
        sys!(t, "close", file);
        refuses!(t, "close", file);
    }),
    case("close_range", |t| {
        let file = t.file(b'a');
        sys!(t, "close_range", file, file, 0);
        t.check(raw!(t, "lseek", file, 0, val!("seek", "SEEK_CUR")) < 0);
    }),
    case("dup", |t| {
        let file = t.file(b'a');
        is_same(t, new!(t, "dup", file), file);
    }),
    case("dup2", |t| {
        let file = t.file(b'a');
        t.check(sys!(t, "dup2", file, 77) == 77);
        is_same(t, 77, file);
    }),
    case("dup3", |t| {
        let file = t.file(b'a');
        t.check(sys!(t, "dup3", file, 77, 0) == 77);
        is_same(t, 77, file);
    }),
    case("pipe", |t| {
        let mut ends = [0_i32; 2];
        sys!(t, "pipe", &mut ends);
        passes(t, ends);
    }),
    case("pipe2", |t| {
        let mut ends = [0_i32; 2];
        sys!(t, "pipe2", &mut ends, 0);
        passes(t, ends);
    }),
    case("fcntl:F_DUPFD", |t| {
        let file = t.file(b'a');
        let copy = new!(t, "fcntl", file, t.value(0), 50);
        t.check(copy >= 50);
        is_same(t, copy, file);
    }),
    case("fcntl:F_DUPFD_CLOEXEC", |t| {
        let file = t.file(b'a');
        let copy = new!(t, "fcntl", file, t.value(0), 50);
        t.check(copy >= 50);
        is_same(t, copy, file);
    }),
    case("fcntl:F_GETFD", |t| {
        let file = t.open(&t.name(b'a'), RDWR | 0x40 | CLOEXEC);
        t.check(sys!(t, "fcntl", file, GETFD) == 1);
    }),
    case("fcntl:F_SETFD", |t| {
        let file = t.file(b'a');
        sys!(t, "fcntl", file, SETFD, 1);
        t.check(sys!(t, "fcntl", file, GETFD) == 1);
    }),
    case("fcntl:F_GETFL", |t| {
        let file = t.file(b'a');
        t.check(sys!(t, "fcntl", file, GETFL) & 3 == RDWR);
    }),
    case("fcntl:F_SETFL", |t| {
        let [read, _write] = t.pipe();
        sys!(t, "fcntl", read, t.value(0), NONBLOCK);
        t.check(sys!(t, "fcntl", read, GETFL) & NONBLOCK != 0);
        let mut byte = [0_u8; 1];
        t.check(raw!(t, "read", read, &mut byte, 1) < 0);
    }),
    case("fcntl:F_SETLK", |t| {
        let file = t.file(b'a');
        sys!(t, "fcntl", file, t.value(0), &lock(1));
        let child = t.in_child(|| {
            let refused = raw!(t, "fcntl", file, t.value(0), &lock(1)) < 0;
            crate::helpers::exit(usize::from(refused));
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("fcntl:F_SETLKW", |t| {
        let file = t.file(b'a');
        sys!(t, "fcntl", file, t.value(0), &lock(1));
        excludes(t, file);
    }),
    case("fcntl:F_GETLK", |t| {
        let file = t.file(b'a');
        let mut found = lock(1);
        sys!(t, "fcntl", file, t.value(0), &mut found);
        // Nobody has it.
        t.check(found[0] & 0xffff == 2);
    }),
    case("fcntl:F_OFD_SETLK", |t| {
        let file = t.file(b'a');
        let other = t.open(&t.name(b'a'), RDWR);
        sys!(t, "fcntl", file, t.value(0), &lock(1));
        refuses!(t, "fcntl", other, t.value(0), &lock(1));
    }),
    case("fcntl:F_OFD_SETLKW", |t| {
        let file = t.file(b'a');
        let other = t.open(&t.name(b'a'), RDWR);
        sys!(t, "fcntl", file, t.value(0), &lock(1));
        t.check(raw!(t, "fcntl", other, val!("fcntl", "F_OFD_SETLK"), &lock(1)) < 0);
    }),
    case("fcntl:F_OFD_GETLK", |t| {
        let file = t.file(b'a');
        let mut found = lock(1);
        sys!(t, "fcntl", file, t.value(0), &mut found);
        t.check(found[0] & 0xffff == 2);
    }),
    case("fcntl:F_SETOWN", |t| {
        let [one, _other] = t.pair();
        let me = t.me();
        sys!(t, "fcntl", one, t.value(0), me);
        t.check(sys!(t, "fcntl", one, val!("fcntl", "F_GETOWN")) == me);
    }),
    case("fcntl:F_GETOWN", |t| {
        let [one, _other] = t.pair();
        let me = t.me();
        let owner = [1_u32, me as u32];
        sys!(t, "fcntl", one, val!("fcntl", "F_SETOWN_EX"), &owner);
        t.check(sys!(t, "fcntl", one, t.value(0)) == me);
    }),
    case("fcntl:F_SETOWN_EX", |t| {
        let [one, _other] = t.pair();
        let (owner, mut found) = ([1_u32, t.me() as u32], [0_u32; 2]);
        sys!(t, "fcntl", one, t.value(0), &owner);
        sys!(t, "fcntl", one, val!("fcntl", "F_GETOWN_EX"), &mut found);
        t.check(found == owner);
    }),
    case("fcntl:F_GETOWN_EX", |t| {
        let [one, _other] = t.pair();
        let me = t.me();
        sys!(t, "fcntl", one, val!("fcntl", "F_SETOWN"), me);
        let mut found = [0_u32; 2];
        sys!(t, "fcntl", one, t.value(0), &mut found);
        t.check(found == [1, me as u32]);
    }),
    case("fcntl:F_GETOWNER_UIDS", |t| {
        let [one, _other] = t.pair();
        let mut found = [77_u32; 2];
        sys!(t, "fcntl", one, val!("fcntl", "F_SETOWN"), t.me());
        sys!(t, "fcntl", one, t.value(0), &mut found);
        t.check(found[0] != 77);
    }),
    case("fcntl:F_SETSIG", |t| {
        let [one, _other] = t.pair();
        sys!(t, "fcntl", one, t.value(0), SIGUSR1);
        refuses!(t, "fcntl", one, t.value(0), 999);
        t.check(sys!(t, "fcntl", one, val!("fcntl", "F_GETSIG")) == SIGUSR1);
    }),
    case("fcntl:F_GETSIG", |t| {
        let [one, _other] = t.pair();
        sys!(t, "fcntl", one, val!("fcntl", "F_SETSIG"), SIGUSR1);
        t.check(sys!(t, "fcntl", one, t.value(0)) == SIGUSR1);
    }),
    case("fcntl:F_SETLEASE", |t| {
        t.file(b'a');
        let file = t.open(&t.name(b'a'), RDONLY);
        // For reading, while nobody writes.
        for fd in 3..file {
            raw!(t, "close", fd);
        }
        sys!(t, "fcntl", file, t.value(0), 0);
        t.check(sys!(t, "fcntl", file, val!("fcntl", "F_GETLEASE")) == 0);
        sys!(t, "fcntl", file, t.value(0), 2);
        t.check(sys!(t, "fcntl", file, val!("fcntl", "F_GETLEASE")) == 2);
    }),
    case("fcntl:F_GETLEASE", |t| {
        let file = t.file(b'a');
        t.check(sys!(t, "fcntl", file, t.value(0)) == 2);
    }),
    case("fcntl:F_NOTIFY", |t| {
        let directory = t.open(b".\0", RDONLY);
        let signal = val!("signal", "SIGIO");
        t.handle(signal);
        // Something is made in it.
        sys!(t, "fcntl", directory, t.value(0), 4);
        t.file(b'a');
        t.check(t.soon(|| seen(signal) > 0) && noting() != 0);
    }),
    case("fcntl:F_DUPFD_QUERY", |t| {
        let file = t.file(b'a');
        let copy = new!(t, "dup", file);
        t.check(sys!(t, "fcntl", file, t.value(0), copy) == 1);
    }),
    case("fcntl:F_CREATED_QUERY", |t| {
        let file = t.file(b'a');
        t.check(sys!(t, "fcntl", file, t.value(0)) == 1);
    }),
    case("fcntl:F_SETPIPE_SZ", |t| {
        let [read, _write] = t.pipe();
        t.check(sys!(t, "fcntl", read, t.value(0), 8192) == 8192);
    }),
    case("fcntl:F_GETPIPE_SZ", |t| {
        let [read, _write] = t.pipe();
        t.check(sys!(t, "fcntl", read, t.value(0)) >= 4096);
    }),
    case("fcntl:F_ADD_SEALS", |t| {
        let file = new!(t, "memfd_create", c"probe", 2);
        sys!(t, "fcntl", file, t.value(0), 8);
        t.check(raw!(t, "write", file, b"x", 1) < 0);
    }),
    case("fcntl:F_GET_SEALS", |t| {
        // Without permission to seal, it is sealed against sealing.
        let file = new!(t, "memfd_create", c"probe", 0);
        t.check(sys!(t, "fcntl", file, t.value(0)) == 1);
    }),
    case("fcntl:F_SET_RW_HINT", |t| {
        let file = t.file(b'a');
        sys!(t, "fcntl", file, t.value(0), &2_u64);
        let mut hint = 77_u64;
        sys!(t, "fcntl", file, val!("fcntl", "F_GET_RW_HINT"), &mut hint);
        t.check(hint == 2);
    }),
    case("fcntl:F_GET_RW_HINT", |t| {
        let mut hint = 77_u64;
        sys!(t, "fcntl", t.file(b'a'), t.value(0), &mut hint);
        t.check(hint == 0);
    }),
];

fn passes(t: &Try<'_>, ends: [i32; 2]) {
    t.check(ends[1] > 0);
    t.write(ends[1] as usize, b"xyz");
    let mut bytes = [0_u8; 8];
    t.check(t.read(ends[0] as usize, &mut bytes) == 3 && bytes.starts_with(b"xyz"));
}
