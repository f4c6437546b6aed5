//! Flags of opening files, and of calls that make descriptors: not to block, to be closed by `execve`.

use crate::attempt::{Arg, Try, new, raw, sys};
use crate::helpers::{AF_UNIX, CREAT, DGRAM, HERE, NONBLOCK, RDONLY, RDWR, SIGUSR1, STREAM};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const TEXT: &[u8] = b"abcdef";
const WRONLY: usize = val!("open access", "O_WRONLY");

/// Errnos, as the kernel returns them.
const EBADF: isize = -9;
const EAGAIN: isize = -11;
const EEXIST: isize = -17;
const ENOTDIR: isize = -20;
const ELOOP: isize = -40;
const ETIMEDOUT: isize = -110;

/// By the syscall whose flag is tried.
fn try_open(t: &Try<'_>, path: &[u8], flags: usize) -> isize {
    match t.number() == nr!("open") {
        true => raw!(t, "open", path, flags, 0o600),
        false => raw!(t, "openat", HERE, path, flags, 0o600),
    }
}

fn opened(t: &Try<'_>, path: &[u8], flags: usize) -> usize {
    match t.number() == nr!("open") {
        true => new!(t, "open", path, flags, 0o600),
        false => new!(t, "openat", HERE, path, flags, 0o600),
    }
}

fn for_reading(t: &Try<'_>) {
    t.file_with(b'a', TEXT);
    let file = opened(t, &t.name(b'a'), RDONLY);
    let mut bytes = [0_u8; 8];
    t.check(t.read(file, &mut bytes) == 6 && bytes.starts_with(TEXT));
    t.check(raw!(t, "write", file, TEXT, 1) == EBADF);
}

fn for_writing(t: &Try<'_>) {
    let known = t.file(b'a');
    let file = opened(t, &t.name(b'a'), WRONLY);
    t.write(file, TEXT);
    t.check(t.has(known, 0, TEXT));
    t.check(raw!(t, "read", file, &mut [0_u8; 1], 1) == EBADF);
}

fn for_both(t: &Try<'_>) {
    t.file(b'a');
    let file = opened(t, &t.name(b'a'), RDWR);
    t.write(file, TEXT);
    t.check(t.has(file, 0, TEXT));
}

fn makes(t: &Try<'_>) {
    opened(t, &t.name(b'a'), CREAT | RDONLY);
    t.check(t.exists(&t.name(b'a')));
}

fn only_makes(t: &Try<'_>) {
    let flags = CREAT | val!("open flags", "O_EXCL");
    opened(t, &t.name(b'a'), flags);
    t.check(t.exists(&t.name(b'a')));
    t.check(try_open(t, &t.name(b'a'), flags) == EEXIST);
}

fn empties(t: &Try<'_>) {
    let known = t.file_with(b'a', TEXT);
    opened(t, &t.name(b'a'), WRONLY | val!("open flags", "O_TRUNC"));
    t.check(t.stat(known).size == 0);
}

fn appends(t: &Try<'_>) {
    let known = t.file_with(b'a', TEXT);
    let flags = WRONLY | val!("open flags", "O_APPEND");
    let file = opened(t, &t.name(b'a'), flags);
    t.write(file, b"xy");
    t.check(t.has(known, 0, b"abcdefxy"));
}

fn opens_at_once(t: &Try<'_>) {
    match t.is_doubted(nr!("mknodat"), &[]) {
        true => sys!(t, "mknod", &t.name(b'a'), 0o010_600, 0),
        false => sys!(t, "mknodat", HERE, &t.name(b'a'), 0o010_600, 0),
    };
    // Nobody writes to it.
    let fifo = opened(t, &t.name(b'a'), NONBLOCK);
    t.check(t.read(fifo, &mut [0_u8; 1]) == 0);
}

/// The descriptor tells that it has the flag.
fn is_told(t: &Try<'_>) {
    t.file(b'a');
    has_status(t, opened(t, &t.name(b'a'), t.value(0)), t.value(0));
}

fn only_directories(t: &Try<'_>) {
    t.file(b'a');
    opened(t, b".\0", t.value(0));
    t.check(try_open(t, &t.name(b'a'), t.value(0)) == ENOTDIR);
}

fn no_links(t: &Try<'_>) {
    t.file(b'a');
    opened(t, &t.name(b'a'), t.value(0));
    match t.is_doubted(nr!("symlinkat"), &[]) {
        true => sys!(t, "symlink", &t.name(b'a'), &t.name(b'b')),
        false => sys!(t, "symlinkat", &t.name(b'a'), HERE, &t.name(b'b')),
    };
    t.check(try_open(t, &t.name(b'b'), t.value(0)) == ELOOP);
}

fn only_a_place(t: &Try<'_>) {
    t.file_with(b'a', TEXT);
    let file = opened(t, &t.name(b'a'), t.value(0));
    t.check(t.stat(file).size == 6);
    t.check(raw!(t, "read", file, &mut [0_u8; 1], 1) == EBADF);
}

fn without_a_name(t: &Try<'_>) {
    let file = opened(t, b".\0", RDWR | t.value(0));
    t.write(file, TEXT);
    t.check(t.has(file, 0, TEXT) && t.stat(file).links == 0);
}

fn closed_file(t: &Try<'_>) {
    t.file(b'a');
    is_closed_on_exec(t, opened(t, &t.name(b'a'), t.value(0)));
}

fn has_status(t: &Try<'_>, file: usize, flags: usize) {
    let status = sys!(t, "fcntl", file, val!("fcntl", "F_GETFL"), 0);
    t.check(status & flags == flags);
}

fn is_closed_on_exec(t: &Try<'_>, file: usize) {
    t.check(sys!(t, "fcntl", file, val!("fcntl", "F_GETFD"), 0) & 1 == 1);
}

/// There is nothing to read, and that is told at once.
fn does_not_block(t: &Try<'_>, file: usize) {
    t.check(raw!(t, "read", file, &mut [0_u64; 32], 256) == EAGAIN);
}

fn accepted(t: &Try<'_>) -> usize {
    let (listener, address) = t.listener();
    let client = new!(t, "socket", crate::helpers::AF_INET, STREAM, 0);
    sys!(t, "connect", client, &address, 16);
    new!(t, "accept4", listener, 0, 0, t.value(0))
}

fn pipe(t: &Try<'_>) -> [usize; 2] {
    let mut ends = [0_i32; 2];
    sys!(t, "pipe2", &mut ends, t.value(0));
    t.check(ends[1] > 0);
    ends.map(|end| end as usize)
}

fn pair(t: &Try<'_>) -> [usize; 2] {
    let mut ends = [0_i32; 2];
    sys!(t, "socketpair", AF_UNIX, STREAM | t.value(0), 0, &mut ends);
    t.check(ends[1] > 0);
    ends.map(|end| end as usize)
}

fn signals(t: &Try<'_>) -> usize {
    let set = 1_u64 << (SIGUSR1 - 1);
    new!(t, "signalfd4", -1, &set, 8, t.value(0))
}

fn timer(t: &Try<'_>) -> usize {
    let clocks = [
        val!("clock", "CLOCK_MONOTONIC"),
        val!("clock", "CLOCK_REALTIME"),
    ];
    let good = clocks
        .iter()
        .find(|clock| !t.is_doubted(nr!("timerfd_create"), &[**clock]));
    new!(
        t,
        "timerfd_create",
        good.copied().unwrap_or(clocks[0]),
        t.value(0)
    )
}

/// A wait that ends by its time: what the kernel returns.
fn waits(t: &Try<'_>, how: usize, time: &[u64; 2]) {
    let word = t.word(5);
    let result = raw!(t, "futex", word, how, 0, time, 0, usize::MAX);
    match result {
        ETIMEDOUT => {}
        0.. => t.check(false),
        errno => t.failed(t.number(), &[word.arg(), how], errno.unsigned_abs()),
    }
}

pub const CASES: &[Case] = &[
    case("open:O_RDONLY", for_reading),
    case("openat:O_RDONLY", for_reading),
    case("open:O_WRONLY", for_writing),
    case("openat:O_WRONLY", for_writing),
    case("open:O_RDWR", for_both),
    case("openat:O_RDWR", for_both),
    case("open:O_CREAT", makes),
    case("openat:O_CREAT", makes),
    case("open:O_EXCL", only_makes),
    case("openat:O_EXCL", only_makes),
    case("open:O_TRUNC", empties),
    case("openat:O_TRUNC", empties),
    case("open:O_APPEND", appends),
    case("openat:O_APPEND", appends),
    case("open:O_NONBLOCK", opens_at_once),
    case("openat:O_NONBLOCK", opens_at_once),
    case("open:O_DSYNC", is_told),
    case("openat:O_DSYNC", is_told),
    case("open:O_SYNC", is_told),
    case("openat:O_SYNC", is_told),
    case("open:O_DIRECT", is_told),
    case("openat:O_DIRECT", is_told),
    case("open:O_NOATIME", is_told),
    case("openat:O_NOATIME", is_told),
    case("open:O_DIRECTORY", only_directories),
    case("openat:O_DIRECTORY", only_directories),
    case("open:O_NOFOLLOW", no_links),
    case("openat:O_NOFOLLOW", no_links),
    case("open:O_PATH", only_a_place),
    case("openat:O_PATH", only_a_place),
    case("open:O_TMPFILE", without_a_name),
    case("openat:O_TMPFILE", without_a_name),
    case("open:O_CLOEXEC", closed_file),
    case("openat:O_CLOEXEC", closed_file),
    case("dup3:O_CLOEXEC", |t| {
        t.check(sys!(t, "dup3", t.file(b'a'), 77, t.value(0)) == 77);
        is_closed_on_exec(t, 77);
    }),
    case("pipe2:O_CLOEXEC", |t| is_closed_on_exec(t, pipe(t)[0])),
    case("pipe2:O_NONBLOCK", |t| does_not_block(t, pipe(t)[0])),
    case("pipe2:O_DIRECT", |t| {
        let [read, write] = pipe(t);
        t.write(write, b"ab");
        t.write(write, b"cd");
        // A packet at a time.
        t.check(t.read(read, &mut [0_u8; 8]) == 2);
    }),
    case("epoll_create1:EPOLL_CLOEXEC", |t| {
        is_closed_on_exec(t, new!(t, "epoll_create1", t.value(0)));
    }),
    case("eventfd2:EFD_CLOEXEC", |t| {
        is_closed_on_exec(t, new!(t, "eventfd2", 0, t.value(0)));
    }),
    case("eventfd2:EFD_NONBLOCK", |t| {
        does_not_block(t, new!(t, "eventfd2", 0, t.value(0)));
    }),
    case("eventfd2:EFD_SEMAPHORE", |t| {
        let event = new!(t, "eventfd2", 2, t.value(0));
        let mut bytes = [0_u8; 8];
        t.check(t.read(event, &mut bytes) == 8 && bytes[0] == 1);
        t.check(t.read(event, &mut bytes) == 8 && bytes[0] == 1);
    }),
    case("inotify_init1:IN_CLOEXEC", |t| {
        is_closed_on_exec(t, new!(t, "inotify_init1", t.value(0)));
    }),
    case("inotify_init1:IN_NONBLOCK", |t| {
        does_not_block(t, new!(t, "inotify_init1", t.value(0)));
    }),
    case("signalfd4:SFD_CLOEXEC", |t| {
        is_closed_on_exec(t, signals(t))
    }),
    case("signalfd4:SFD_NONBLOCK", |t| does_not_block(t, signals(t))),
    case("timerfd_create:TFD_CLOEXEC", |t| {
        is_closed_on_exec(t, timer(t))
    }),
    case("timerfd_create:TFD_NONBLOCK", |t| {
        does_not_block(t, timer(t))
    }),
    case("accept4:SOCK_CLOEXEC", |t| {
        is_closed_on_exec(t, accepted(t))
    }),
    case("accept4:SOCK_NONBLOCK", |t| does_not_block(t, accepted(t))),
    case("socket:SOCK_CLOEXEC", |t| {
        is_closed_on_exec(t, new!(t, "socket", AF_UNIX, DGRAM | t.value(0), 0));
    }),
    case("socket:SOCK_NONBLOCK", |t| {
        does_not_block(t, new!(t, "socket", AF_UNIX, DGRAM | t.value(0), 0));
    }),
    case("socketpair:SOCK_CLOEXEC", |t| {
        is_closed_on_exec(t, pair(t)[1])
    }),
    case("socketpair:SOCK_NONBLOCK", |t| {
        does_not_block(t, pair(t)[1])
    }),
    case("futex:FUTEX_PRIVATE_FLAG", |t| {
        waits(t, val!("futex", "FUTEX_WAIT") | t.value(0), &[0, 1_000_000]);
    }),
    case("futex:FUTEX_CLOCK_REALTIME", |t| {
        // A moment ago by this clock, and in decades by the other.
        let (mut time, clock) = ([0_u64; 2], val!("clock", "CLOCK_REALTIME"));
        sys!(t, "clock_gettime", clock, &mut time);
        if time[0] < 1_000_000_000 {
            t.failed(nr!("clock_gettime"), &[clock], 0);
        }
        waits(t, val!("futex", "FUTEX_WAIT_BITSET") | t.value(0), &time);
    }),
];
