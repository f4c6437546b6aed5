//! Operations of io_uring on files and their names, as those of [`super`].

use super::ring::{Entry, Ring};
use super::{HERE_FD, TEXT, at, does, entry, full_pipe, into, reads};
use crate::attempt::{Arg, Try, raw, sys};
use crate::helpers::{CREAT, HERE, PAGE, RDWR, vector};
use crate::list::{Case, case};
use crate::machine::{peek, poke};
use crate::tables::val;

/// An operation on a file that leaves nothing to look at: a descriptor that is none is refused.
fn is_only_there(t: &Try<'_>, entry: Entry) {
    let ring = Ring::new(t);
    ring.does(t, entry.file(t.file_with(b'a', TEXT)));
    refuses_bad_file(t, &ring, entry);
}

fn refuses_bad_file(t: &Try<'_>, ring: &Ring, entry: Entry) {
    t.check(ring.tries(t, entry.file(usize::MAX)) < 0);
}

/// Reads or writes with a buffer that the ring knows.
fn with_known_buffer(t: &Try<'_>, file: usize) -> usize {
    let ring = Ring::new(t);
    let page = t.map(PAGE);
    for (index, byte) in b"xyz".iter().enumerate() {
        poke(page + index, *byte);
    }
    let what = val!("io_uring_register", "IORING_REGISTER_BUFFERS");
    sys!(t, "io_uring_register", ring.file, what, &[page, PAGE], 1);
    ring.does(t, entry(t).file(file).buffer(page as u64, 3));
    page
}

fn has_attribute(t: &Try<'_>, path: &[u8]) {
    let mut found = [0_u8; 8];
    t.check(sys!(t, "getxattr", path, c"user.probe", &mut found, 8) == 3 && &found[..3] == b"abc");
}

/// Gives it to a file, if its file system has any.
fn give_attribute(t: &Try<'_>, path: &[u8]) {
    sys!(t, "setxattr", path, c"user.probe", b"abc", 3, 0);
}

/// The first name is to become the second one, too.
fn two_names(t: &Try<'_>) {
    let (from, to) = (t.name(b'a'), t.name(b'b'));
    let both = entry(t)
        .at_place(HERE_FD)
        .buffer(at(&from), 0)
        .place(at(&to));
    // The second directory is where others have a length.
    does(t, both.length(HERE as u32));
}

pub const CASES: &[Case] = &[
    case("io_uring:IORING_OP_READ", |t| {
        let mut bytes = [0_u8; 8];
        let read = entry(t)
            .file(t.file_with(b'a', TEXT))
            .buffer(into(&mut bytes), 8);
        t.check(does(t, read.place(2)) == 4 && peek((&bytes).arg()) == b'c');
    }),
    case("io_uring:IORING_OP_WRITE", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(does(t, entry(t).file(file).buffer(at(b"XY"), 2).place(1)) == 2);
        t.check(t.has(file, 0, b"aXYdef"));
    }),
    case("io_uring:IORING_OP_READV", |t| {
        let mut bytes = [0_u8; 8];
        let vector = vector(&mut bytes);
        let read = entry(t)
            .file(t.file_with(b'a', TEXT))
            .buffer(at(&vector), 1);
        t.check(does(t, read) == 6 && peek(vector[0] + 5) == b'f');
    }),
    case("io_uring:IORING_OP_WRITEV", |t| {
        let file = t.file(b'a');
        let mut bytes = *b"abcdef";
        let vector = vector(&mut bytes);
        t.check(does(t, entry(t).file(file).buffer(at(&vector), 1)) == 6);
        t.check(t.has(file, 0, TEXT));
    }),
    case("io_uring:IORING_OP_READ_FIXED", |t| {
        let page = with_known_buffer(t, t.file_with(b'a', TEXT));
        t.check(peek(page + 2) == b'c');
    }),
    case("io_uring:IORING_OP_WRITE_FIXED", |t| {
        let file = t.file_with(b'a', TEXT);
        with_known_buffer(t, file);
        t.check(t.has(file, 0, b"xyzdef"));
    }),
    case("io_uring:IORING_OP_FSYNC", |t| is_only_there(t, entry(t))),
    case("io_uring:IORING_OP_SYNC_FILE_RANGE", |t| {
        is_only_there(t, entry(t).buffer(0, 6))
    }),
    case("io_uring:IORING_OP_FADVISE", |t| {
        is_only_there(t, entry(t).buffer(0, 6))
    }),
    case("io_uring:IORING_OP_FALLOCATE", |t| {
        let file = t.file(b'a');
        // The length is where others have a buffer.
        does(t, entry(t).file(file).buffer(8192, 0));
        t.check(t.stat(file).size == 8192);
    }),
    case("io_uring:IORING_OP_FTRUNCATE", |t| {
        let file = t.file_with(b'a', TEXT);
        does(t, entry(t).file(file).place(2));
        t.check(t.stat(file).size == 2);
    }),
    case("io_uring:IORING_OP_OPENAT", |t| {
        let path = t.name(b'a');
        let open = entry(t).at_place(HERE_FD).buffer(at(&path), 0o600);
        let file = does(t, open.how((RDWR | CREAT) as u32));
        t.write(file, TEXT);
        t.check(t.has(file, 0, TEXT));
    }),
    case("io_uring:IORING_OP_OPENAT2", |t| {
        let (path, how) = (t.name(b'a'), [(RDWR | CREAT) as u64, 0o600, 0]);
        let open = entry(t).at_place(HERE_FD).buffer(at(&path), 24);
        let file = does(t, open.place(at(&how)));
        t.write(file, TEXT);
        t.check(t.has(file, 0, TEXT));
    }),
    case("io_uring:IORING_OP_CLOSE", |t| {
        let file = t.file(b'a');
        does(t, entry(t).file(file));
        t.check(raw!(t, "fcntl", file, val!("fcntl", "F_GETFD"), 0) < 0);
    }),
    case("io_uring:IORING_OP_STATX", |t| {
        t.file_with(b'a', TEXT);
        let (path, mut found) = (t.name(b'a'), [0_u64; 32]);
        let stat = entry(t).at_place(HERE_FD).buffer(at(&path), 0x7ff);
        does(t, stat.place(into(&mut found)));
        t.check(crate::machine::peek_word((&found).arg() + 40) == 6);
    }),
    case("io_uring:IORING_OP_SPLICE", |t| {
        let [read, write] = t.pipe();
        let from = t.file_with(b'a', TEXT);
        let splice = entry(t).file(write).place(u64::MAX).buffer(1, 3);
        t.check(does(t, splice.from(from)) == 3);
        reads(t, read, b"bcd");
    }),
    case("io_uring:IORING_OP_TEE", |t| {
        let (from, [read, write]) = (full_pipe(t), t.pipe());
        t.check(does(t, entry(t).file(write).buffer(0, 6).from(from)) == 6);
        reads(t, read, TEXT);
        reads(t, from, TEXT);
    }),
    case("io_uring:IORING_OP_RENAMEAT", |t| {
        t.file(b'a');
        two_names(t);
        t.check(!t.exists(&t.name(b'a')) && t.exists(&t.name(b'b')));
    }),
    case("io_uring:IORING_OP_LINKAT", |t| {
        let file = t.file(b'a');
        two_names(t);
        t.check(t.stat(file).links == 2 && t.exists(&t.name(b'b')));
    }),
    case("io_uring:IORING_OP_SYMLINKAT", |t| {
        let (target, path) = (t.name(b'a'), t.name(b'b'));
        does(
            t,
            entry(t)
                .at_place(HERE_FD)
                .buffer(at(&target), 0)
                .place(at(&path)),
        );
        t.check(
            t.mode_of(&path)
                .is_some_and(|mode| mode & 0o170_000 == 0o120_000),
        );
    }),
    case("io_uring:IORING_OP_UNLINKAT", |t| {
        t.file(b'a');
        does(t, entry(t).at_place(HERE_FD).buffer(at(&t.name(b'a')), 0));
        t.check(!t.exists(&t.name(b'a')));
    }),
    case("io_uring:IORING_OP_MKDIRAT", |t| {
        does(
            t,
            entry(t).at_place(HERE_FD).buffer(at(&t.name(b'a')), 0o700),
        );
        let mode = t.mode_of(&t.name(b'a'));
        t.check(mode.is_some_and(|mode| mode & 0o170_000 == 0o040_000));
    }),
    case("io_uring:IORING_OP_SETXATTR", |t| {
        t.file(b'a');
        let path = t.name(b'a');
        let set = entry(t).buffer(at(c"user.probe"), 3).place(at(b"abc"));
        does(t, set.third(at(&path)));
        has_attribute(t, &path);
    }),
    case("io_uring:IORING_OP_FSETXATTR", |t| {
        let file = t.file(b'a');
        let set = entry(t).file(file).buffer(at(c"user.probe"), 3);
        does(t, set.place(at(b"abc")));
        has_attribute(t, &t.name(b'a'));
    }),
    case("io_uring:IORING_OP_GETXATTR", |t| {
        t.file(b'a');
        let (path, mut found) = (t.name(b'a'), [0_u8; 8]);
        give_attribute(t, &path);
        let get = entry(t)
            .buffer(at(c"user.probe"), 8)
            .place(into(&mut found));
        t.check(does(t, get.third(at(&path))) == 3 && peek((&found).arg()) == b'a');
    }),
    case("io_uring:IORING_OP_FGETXATTR", |t| {
        let file = t.file(b'a');
        let mut found = [0_u8; 8];
        give_attribute(t, &t.name(b'a'));
        let get = entry(t).file(file).buffer(at(c"user.probe"), 8);
        t.check(does(t, get.place(into(&mut found))) == 3 && peek((&found).arg()) == b'a');
    }),
    case("io_uring:IORING_OP_PIPE", |t| {
        let mut ends = [0_u32; 2];
        does(t, entry(t).buffer(into(&mut ends), 0));
        let word = crate::machine::peek_word((&ends).arg());
        let [read, write] = [word & 0xffff_ffff, word >> 32];
        t.write(write, TEXT);
        reads(t, read, TEXT);
    }),
];
