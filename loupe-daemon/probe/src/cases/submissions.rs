//! Operations of io_uring: each is submitted to a ring, its result is taken from the other one, and its
//! effect is looked at by plain syscalls.

mod files;
mod ring;

pub use files::CASES as OF_FILES;
use ring::{Entry, Ring, op};

use crate::attempt::{Arg, Try, new, raw, sys};
use crate::helpers::{AF_INET, AF_UNIX, HERE, LOOPBACK, PAGE, STREAM, exit, vector};
use crate::list::{Case, case};
use crate::machine::{peek, poke};
use crate::tables::val;

const TEXT: &[u8] = b"abcdef";
/// What `EPOLLIN` and `POLLIN` are.
const IN: u32 = 1;
const EINVAL: i32 = -22;
const ETIME: i32 = -62;
const ECANCELED: i32 = -125;
const HERE_FD: i32 = HERE as i32;
/// A time that nothing here takes.
const LONG: [u64; 2] = [100, 0];

/// An entry of what is tried.
fn entry(t: &Try<'_>) -> Entry {
    Entry::of(t.value(0) as u8)
}

/// Does the operation that is tried; what it returns.
fn does(t: &Try<'_>, entry: Entry) -> usize {
    Ring::new(t).does(t, entry)
}

fn at<T: ?Sized>(of: &T) -> u64 {
    of.arg() as u64
}

/// Where the kernel is to write.
fn into<T: ?Sized>(of: &mut T) -> u64 {
    of.arg() as u64
}

/// A message in one piece: `struct msghdr`.
fn message(vector: &[usize; 2]) -> [usize; 7] {
    [0, 0, vector.arg(), 1, 0, 0, 0]
}

fn full_pipe(t: &Try<'_>) -> usize {
    let [read, write] = t.pipe();
    t.write(write, TEXT);
    read
}

fn reads(t: &Try<'_>, read: usize, expected: &[u8]) {
    let mut bytes = [0_u8; 16];
    let count = t.read(read, &mut bytes);
    t.check(&bytes[..count] == expected);
}

/// A request that does not end by itself, whose number is 77.
fn waiting(t: &Try<'_>, ring: &Ring) {
    let [read, _] = t.pipe();
    ring.submit(
        t,
        Entry::of(op!("IORING_OP_POLL_ADD"))
            .file(read)
            .how(IN)
            .number(77),
        0,
    );
}

/// The first request ends since the second one takes it back.
fn takes_back(t: &Try<'_>, ring: &Ring) {
    let is_refused = ring.find(77).is_some();
    match ring.tries(t, entry(t).buffer(77, 0)) {
        0 => t.check(ring.result_of(t, 77) == ECANCELED),
        // Nobody knows it.
        EINVAL => ring.ends(t, EINVAL),
        _ if is_refused => t.skip("needs a request that waits"),
        result => ring.ends(t, result),
    }
}

fn words_of_lock(t: &Try<'_>) -> usize {
    t.word(9).arg()
}

pub const CASES: &[Case] = &[
    case("io_uring_enter:IORING_ENTER_GETEVENTS", |t| {
        let ring = Ring::new(t);
        let soon = [0_u64, 5_000_000];
        ring.push(
            Entry::of(op!("IORING_OP_TIMEOUT"))
                .buffer(at(&soon), 1)
                .number(77),
        );
        // It comes back when the time is over, and not before.
        t.check(sys!(t, "io_uring_enter", ring.file, 1, 1, t.value(0), 0, 0) == 1);
        match ring.find(77) {
            Some(ETIME) => {}
            Some(_) => t.skip("needs a ring that can wait for a time"),
            None => t.check(false),
        }
    }),
    case("io_uring_enter:IORING_ENTER_EXT_ARG", |t| {
        let ring = Ring::new(t);
        let (soon, get) = (
            [0_u64, 1_000_000],
            val!("io_uring_enter flags", "IORING_ENTER_GETEVENTS"),
        );
        let waits = [0_u64, 8, at(&soon)];
        let how = get | t.value(0);
        match raw!(t, "io_uring_enter", ring.file, 0, 1, how, &waits, 24) as i32 {
            ETIME => {}
            result => ring.ends(t, result),
        }
    }),
    case("io_uring:IORING_OP_NOP", |t| {
        t.check(does(t, entry(t)) == 0)
    }),
    case("io_uring:IORING_OP_MADVISE", |t| {
        let page = t.map(PAGE);
        poke(page, 5);
        let advice = val!("madvise", "MADV_DONTNEED") as u32;
        does(t, entry(t).buffer(page as u64, PAGE).how(advice));
        t.check(peek(page) == 0);
    }),
    case("io_uring:IORING_OP_POLL_ADD", |t| {
        t.check(does(t, entry(t).file(full_pipe(t)).how(IN)) & IN as usize == IN as usize);
    }),
    case("io_uring:IORING_OP_POLL_REMOVE", |t| {
        let ring = Ring::new(t);
        waiting(t, &ring);
        takes_back(t, &ring);
    }),
    case("io_uring:IORING_OP_ASYNC_CANCEL", |t| {
        let ring = Ring::new(t);
        waiting(t, &ring);
        takes_back(t, &ring);
    }),
    case("io_uring:IORING_OP_TIMEOUT", |t| {
        let soon = [0_u64, 1_000_000];
        let ring = Ring::new(t);
        match ring.tries(t, entry(t).buffer(at(&soon), 1)) {
            ETIME => ring.claims(t),
            result => ring.ends(t, result),
        }
    }),
    case("io_uring:IORING_OP_TIMEOUT_REMOVE", |t| {
        let ring = Ring::new(t);
        let timeout = Entry::of(op!("IORING_OP_TIMEOUT")).buffer(at(&LONG), 1);
        ring.submit(t, timeout.number(77), 0);
        takes_back(t, &ring);
    }),
    case("io_uring:IORING_OP_LINK_TIMEOUT", |t| {
        let ring = Ring::new(t);
        let [read, _] = t.pipe();
        let soon = [0_u64, 1_000_000];
        let poll = Entry::of(op!("IORING_OP_POLL_ADD")).file(read).how(IN);
        ring.push(poll.number(77).linked());
        ring.push(entry(t).buffer(at(&soon), 1).number(78));
        ring.enter(t, 2, 2);
        let result = ring.result_of(t, 78);
        if result != ETIME {
            ring.ends(t, result);
        }
        ring.claims(t);
        t.check(ring.result_of(t, 77) == ECANCELED);
    }),
    case("io_uring:IORING_OP_SEND", |t| {
        let [one, other] = t.pair();
        t.check(does(t, entry(t).file(one).buffer(at(TEXT), 6)) == 6);
        reads(t, other, TEXT);
    }),
    case("io_uring:IORING_OP_SEND_ZC", |t| {
        let [one, other] = t.connection();
        t.check(does(t, entry(t).file(one).buffer(at(TEXT), 6)) == 6);
        reads(t, other, TEXT);
    }),
    case("io_uring:IORING_OP_RECV", |t| {
        let [one, other] = t.pair();
        t.write(one, TEXT);
        let mut bytes = [0_u8; 8];
        t.check(does(t, entry(t).file(other).buffer(into(&mut bytes), 8)) == 6);
        t.check(peek((&bytes).arg()) == b'a');
    }),
    case("io_uring:IORING_OP_SENDMSG", |t| {
        let [one, other] = t.pair();
        let mut bytes = *b"abcdef";
        let vector = vector(&mut bytes);
        t.check(does(t, entry(t).file(one).buffer(at(&message(&vector)), 1)) == 6);
        reads(t, other, TEXT);
    }),
    case("io_uring:IORING_OP_RECVMSG", |t| {
        let [one, other] = t.pair();
        t.write(one, TEXT);
        let mut bytes = [0_u8; 8];
        let vector = vector(&mut bytes);
        t.check(does(t, entry(t).file(other).buffer(at(&message(&vector)), 1)) == 6);
        t.check(peek(vector[0]) == b'a');
    }),
    case("io_uring:IORING_OP_SOCKET", |t| {
        let socket = does(t, entry(t).at_place(AF_UNIX as i32).place(STREAM as u64));
        let (mut kind, mut length) = (0_u32, 4_u32);
        let option = val!("sockopt SOL_SOCKET", "SO_TYPE");
        sys!(t, "getsockopt", socket, 1, option, &mut kind, &mut length);
        t.check(peek((&kind).arg()) as usize == STREAM);
    }),
    case("io_uring:IORING_OP_BIND", |t| {
        let socket = new!(t, "socket", AF_INET, STREAM, 0);
        let address = [AF_INET as u32, LOOPBACK, 0, 0];
        does(t, entry(t).file(socket).buffer(at(&address), 0).place(16));
        let (mut found, mut length) = ([0_u32; 4], 16_u32);
        sys!(t, "getsockname", socket, &mut found, &mut length);
        t.check(found[0] >> 16 != 0);
    }),
    case("io_uring:IORING_OP_LISTEN", |t| {
        let socket = new!(t, "socket", AF_INET, STREAM, 0);
        does(t, entry(t).file(socket).buffer(0, 4));
        let (mut listens, mut length) = (0_u32, 4_u32);
        let option = val!("sockopt SOL_SOCKET", "SO_ACCEPTCONN");
        sys!(
            t,
            "getsockopt",
            socket,
            1,
            option,
            &mut listens,
            &mut length
        );
        t.check(peek((&listens).arg()) == 1);
    }),
    case("io_uring:IORING_OP_CONNECT", |t| {
        let (listener, address) = t.listener();
        let client = new!(t, "socket", AF_INET, STREAM, 0);
        does(t, entry(t).file(client).buffer(at(&address), 0).place(16));
        t.write(client, TEXT);
        reads(t, accept(t, listener), TEXT);
    }),
    case("io_uring:IORING_OP_ACCEPT", |t| {
        let (listener, address) = t.listener();
        let client = new!(t, "socket", AF_INET, STREAM, 0);
        sys!(t, "connect", client, &address, 16);
        let server = does(t, entry(t).file(listener));
        t.write(client, TEXT);
        reads(t, server, TEXT);
    }),
    case("io_uring:IORING_OP_SHUTDOWN", |t| {
        let [one, other] = t.pair();
        // No more will be written.
        does(t, entry(t).file(one).buffer(0, 1));
        t.check(t.read(other, &mut [0_u8; 1]) == 0);
    }),
    case("io_uring:IORING_OP_EPOLL_CTL", |t| {
        let epoll = new!(t, "epoll_create1", 0);
        let (add, event) = (val!("epoll_ctl", "EPOLL_CTL_ADD"), [IN, 0x55, 0]);
        // The file is where others have a place.
        let added = entry(t).file(epoll).buffer(at(&event), add);
        does(t, added.place(full_pipe(t) as u64));
        let mut found = [0_u32; 3];
        t.check(sys!(t, "epoll_wait", epoll, &mut found, 1, 0) == 1);
    }),
    case("io_uring:IORING_OP_WAITID", |t| {
        let child = t.in_child(|| exit(7));
        let mut info = [0_u32; 32];
        // A process by its number, that has ended.
        let wait = entry(t).at_place(child as i32).buffer(0, 1).from(4);
        does(t, wait.place(into(&mut info)));
        t.check(peek((&info).arg() + 24) == 7);
    }),
    case("io_uring:IORING_OP_FUTEX_WAIT", |t| {
        let ring = Ring::new(t);
        // There is another value in the word: EAGAIN.
        let result = ring.tries(t, entry(t).lock(words_of_lock(t), 1));
        match result {
            -11 => ring.claims(t),
            result => ring.ends(t, result),
        }
    }),
    case("io_uring:IORING_OP_FUTEX_WAKE", |t| {
        let ring = Ring::new(t);
        let wait = Entry::of(op!("IORING_OP_FUTEX_WAIT")).lock(words_of_lock(t), 0);
        ring.submit(t, wait.number(77), 0);
        t.check(ring.does(t, entry(t).lock(words_of_lock(t), 1)) == 1);
        t.check(ring.result_of(t, 77) == 0);
    }),
    case("io_uring:IORING_OP_MSG_RING", |t| {
        let (ring, other) = (Ring::new(t), Ring::new(t));
        ring.does(t, entry(t).file(other.file).buffer(0, 5).place(77));
        t.check(other.result_of(t, 77) == 5);
    }),
    case("io_uring:IORING_OP_PROVIDE_BUFFERS", |t| {
        let ring = Ring::new(t);
        provide(t, &ring, entry(t));
        // One can be taken back once.
        let back = Entry::of(op!("IORING_OP_REMOVE_BUFFERS")).at_place(1);
        t.check(ring.tries(t, back) == 1 && ring.tries(t, back) != 1);
    }),
    case("io_uring:IORING_OP_REMOVE_BUFFERS", |t| {
        let ring = Ring::new(t);
        provide(t, &ring, Entry::of(op!("IORING_OP_PROVIDE_BUFFERS")));
        t.check(ring.does(t, entry(t).at_place(1)) == 1);
        t.check(ring.tries(t, entry(t).at_place(1)) != 1);
    }),
];

fn provide(t: &Try<'_>, ring: &Ring, entry: Entry) {
    let result = ring.tries(t, entry.at_place(1).buffer(t.map(PAGE) as u64, 64));
    if result < 0 {
        ring.ends(t, result);
    }
    ring.claims(t);
}

fn accept(t: &Try<'_>, listener: usize) -> usize {
    match t.is_doubted(crate::tables::nr!("accept4"), &[]) {
        true => new!(t, "accept", listener, 0, 0),
        false => new!(t, "accept4", listener, 0, 0, 0),
    }
}
