//! The content of files: reading, writing, copying, sizes, advice.

use crate::attempt::{Try, new, refuses, sys};
use crate::helpers::{CREAT, HERE, RDONLY, RDWR, vector};
use crate::list::{Case, case};
use crate::tables::val;

const TEXT: &[u8] = b"abcdef";

pub const CASES: &[Case] = &[
    case("read", |t| {
        let file = t.file_with(b'a', TEXT);
        let again = t.open(&t.name(b'a'), RDONLY);
        let mut bytes = [0_u8; 16];
        t.check(sys!(t, "read", again, &mut bytes, 16) == 6 && &bytes[..6] == TEXT);
        t.close(file);
    }),
    case("write", |t| {
        let file = t.file(b'a');
        t.check(sys!(t, "write", file, TEXT, 6) == 6);
        t.check(t.has(file, 0, TEXT));
    }),
    case("pread64", |t| {
        let file = t.file_with(b'a', TEXT);
        let mut bytes = [0_u8; 2];
        t.check(sys!(t, "pread64", file, &mut bytes, 2, 3) == 2 && &bytes == b"de");
    }),
    case("pwrite64", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(sys!(t, "pwrite64", file, b"XY", 2, 1) == 2);
        t.check(t.has(file, 0, b"aXYdef"));
    }),
    case("readv", |t| {
        t.file_with(b'a', TEXT);
        let again = t.open(&t.name(b'a'), RDONLY);
        let (mut one, mut two) = ([0_u8; 2], [0_u8; 4]);
        let vectors = [vector(&mut one), vector(&mut two)];
        t.check(sys!(t, "readv", again, &vectors, 2) == 6 && &one == b"ab" && &two == b"cdef");
    }),
    case("writev", |t| {
        let file = t.file(b'a');
        let (mut one, mut two) = (*b"ab", *b"cdef");
        let vectors = [vector(&mut one), vector(&mut two)];
        t.check(sys!(t, "writev", file, &vectors, 2) == 6);
        t.check(t.has(file, 0, TEXT));
    }),
    case("preadv", |t| {
        let file = t.file_with(b'a', TEXT);
        let mut bytes = [0_u8; 2];
        let vector = vector(&mut bytes);
        t.check(sys!(t, "preadv", file, &vector, 1, 2, 0) == 2 && &bytes == b"cd");
    }),
    case("pwritev", |t| {
        let file = t.file_with(b'a', TEXT);
        let mut bytes = *b"XY";
        let vector = vector(&mut bytes);
        t.check(sys!(t, "pwritev", file, &vector, 1, 2, 0) == 2);
        t.check(t.has(file, 0, b"abXYef"));
    }),
    case("preadv2", |t| {
        let file = t.file_with(b'a', TEXT);
        let mut bytes = [0_u8; 2];
        let vector = vector(&mut bytes);
        t.check(sys!(t, "preadv2", file, &vector, 1, 2, 0, 0) == 2 && &bytes == b"cd");
    }),
    case("pwritev2", |t| {
        let file = t.file_with(b'a', TEXT);
        let mut bytes = *b"XY";
        let vector = vector(&mut bytes);
        t.check(sys!(t, "pwritev2", file, &vector, 1, 2, 0, 0) == 2);
        t.check(t.has(file, 0, b"abXYef"));
    }),
    case("open", |t| {
        let file = new!(t, "open", &t.name(b'a'), RDWR | CREAT, 0o600);
        t.write(file, TEXT);
        t.check(t.has(file, 0, TEXT));
    }),
    case("openat", |t| {
        let file = new!(t, "openat", HERE, &t.name(b'a'), RDWR | CREAT, 0o600);
        t.write(file, TEXT);
        t.check(t.has(file, 0, TEXT));
    }),
    case("openat2", |t| {
        let how = [(RDWR | CREAT) as u64, 0o600, 0];
        let file = new!(t, "openat2", HERE, &t.name(b'a'), &how, 24);
        t.write(file, TEXT);
        t.check(t.has(file, 0, TEXT));
    }),
    case("creat", |t| {
        let file = new!(t, "creat", &t.name(b'a'), 0o600);
        t.write(file, TEXT);
        t.check(t.stat(file).size == 6);
    }),
    case("lseek:SEEK_SET", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(sys!(t, "lseek", file, 2, t.value(0)) == 2);
        let mut bytes = [0_u8; 1];
        t.check(t.read(file, &mut bytes) == 1 && bytes[0] == b'c');
    }),
    case("lseek:SEEK_CUR", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(sys!(t, "lseek", file, -1, t.value(0)) == 5);
    }),
    case("lseek:SEEK_END", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(sys!(t, "lseek", file, 1, t.value(0)) == 7);
    }),
    case("lseek:SEEK_DATA", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(sys!(t, "lseek", file, 1, t.value(0)) == 1);
        refuses!(t, "lseek", file, 7, t.value(0));
    }),
    case("lseek:SEEK_HOLE", |t| {
        let file = t.file_with(b'a', TEXT);
        t.check(sys!(t, "lseek", file, 1, t.value(0)) == 6);
    }),
    case("sendfile", |t| {
        let from = t.file_with(b'a', TEXT);
        let to = t.file(b'b');
        let mut offset = 1_u64;
        t.check(sys!(t, "sendfile", to, from, &mut offset, 3) == 3 && offset == 4);
        t.check(t.has(to, 0, b"bcd"));
    }),
    case("copy_file_range", |t| {
        let from = t.file_with(b'a', TEXT);
        let to = t.file(b'b');
        let mut offset = 1_u64;
        t.check(sys!(t, "copy_file_range", from, &mut offset, to, 0, 3, 0) == 3);
        t.check(t.has(to, 0, b"bcd"));
    }),
    case("splice", |t| {
        let from = t.file_with(b'a', TEXT);
        let [read, write] = t.pipe();
        let mut offset = 1_u64;
        t.check(sys!(t, "splice", from, &mut offset, write, 0, 3, 0) == 3);
        let mut bytes = [0_u8; 8];
        t.check(t.read(read, &mut bytes) == 3 && bytes.starts_with(b"bcd"));
    }),
    case("tee", |t| {
        let [read, write] = t.pipe();
        let [copy, to] = t.pipe();
        t.write(write, TEXT);
        t.check(sys!(t, "tee", read, to, 6, 0) == 6);
        let mut bytes = [0_u8; 8];
        t.check(t.read(copy, &mut bytes) == 6 && bytes.starts_with(TEXT));
        t.check(t.read(read, &mut bytes) == 6);
    }),
    case("vmsplice", |t| {
        let [read, write] = t.pipe();
        let mut bytes = *b"abcdef";
        let vector = vector(&mut bytes);
        t.check(sys!(t, "vmsplice", write, &vector, 1, 0) == 6);
        let mut bytes = [0_u8; 8];
        t.check(t.read(read, &mut bytes) == 6 && bytes.starts_with(TEXT));
    }),
    case("truncate", |t| {
        let file = t.file_with(b'a', TEXT);
        sys!(t, "truncate", &t.name(b'a'), 2);
        t.check(t.stat(file).size == 2);
    }),
    case("ftruncate", |t| {
        let file = t.file_with(b'a', TEXT);
        sys!(t, "ftruncate", file, 9);
        t.check(t.stat(file).size == 9);
    }),
    case("fallocate", |t| {
        let file = t.file(b'a');
        sys!(t, "fallocate", file, 0, 0, 8192);
        t.check(t.stat(file).size == 8192);
    }),
    case("fsync", |t| {
        sys!(t, "fsync", t.file_with(b'a', TEXT));
        refuses!(t, "fsync", -1);
    }),
    case("fdatasync", |t| {
        sys!(t, "fdatasync", t.file_with(b'a', TEXT));
        refuses!(t, "fdatasync", -1);
    }),
    case("syncfs", |t| {
        sys!(t, "syncfs", t.file_with(b'a', TEXT));
        refuses!(t, "syncfs", -1);
    }),
    case("sync_file_range", |t| {
        sys!(t, "sync_file_range", t.file_with(b'a', TEXT), 0, 6, 2);
        refuses!(t, "sync_file_range", -1, 0, 6, 2);
    }),
    case("readahead", |t| {
        sys!(t, "readahead", t.file_with(b'a', TEXT), 0, 6);
        refuses!(t, "readahead", -1, 0, 6);
    }),
    case("fadvise64:*", |t| {
        let advice = t.value(0);
        sys!(t, "fadvise64", t.file_with(b'a', TEXT), 0, 6, advice);
        refuses!(t, "fadvise64", -1, 0, 6, advice);
    }),
    case("cachestat", |t| {
        let file = t.file_with(b'a', TEXT);
        let (range, mut found) = ([0_u64, 4096], [9_u64; 5]);
        sys!(t, "cachestat", file, &range, &mut found, 0);
        t.check(found[0] <= 1 && found[4] <= 1);
        refuses!(t, "cachestat", -1, &range, &mut found, 0);
    }),
    case("flock", |t| {
        let file = t.file(b'a');
        let other = t.open(&t.name(b'a'), RDWR);
        // Exclusive; and without waiting.
        sys!(t, "flock", file, 2);
        refuses!(t, "flock", other, 2 | 4);
    }),
    case("mknod", |t| {
        sys!(t, "mknod", &t.name(b'a'), 0o010_600, 0);
        is_fifo(t);
    }),
    case("mknodat", |t| {
        sys!(t, "mknodat", HERE, &t.name(b'a'), 0o010_600, 0);
        is_fifo(t);
    }),
    case("memfd_create", |t| {
        let file = new!(t, "memfd_create", c"probe", 0);
        t.write(file, TEXT);
        t.check(t.has(file, 0, TEXT));
    }),
    case("name_to_handle_at", |t| {
        t.file(b'a');
        let handle = handle_of_a(t);
        t.check(handle[0] > 0 && handle[0] < 128);
    }),
    case("open_by_handle_at", |t| {
        t.needs_root();
        let file = t.file_with(b'a', TEXT);
        let handle = handle_of_a(t);
        let again = new!(t, "open_by_handle_at", file, &handle, RDONLY);
        t.check(t.has(again, 0, TEXT));
    }),
    case("process_vm_readv", |t| {
        let (mut from, mut to) = (*b"abcdef", [0_u8; 6]);
        let (local, remote) = (vector(&mut to), vector(&mut from));
        t.check(sys!(t, "process_vm_readv", t.me(), &local, 1, &remote, 1, 0) == 6);
        t.check(to == *TEXT);
    }),
    case("process_vm_writev", |t| {
        let (mut from, mut to) = (*b"abcdef", [0_u8; 6]);
        let (local, remote) = (vector(&mut from), vector(&mut to));
        t.check(sys!(t, "process_vm_writev", t.me(), &local, 1, &remote, 1, 0) == 6);
        t.check(to == *TEXT);
    }),
    case("sync", |t| {
        // Nothing tells that it did: a fake is as good.
        sys!(t, "sync");
    }),
];

/// What names the file `a` wherever it is mounted: its length and its kind, and then itself.
fn handle_of_a(t: &Try<'_>) -> [u32; 40] {
    let (mut handle, mut mount) = ([0_u32; 40], 0_u32);
    handle[0] = 128;
    let name = t.name(b'a');
    sys!(
        t,
        "name_to_handle_at",
        HERE,
        &name,
        &mut handle,
        &mut mount,
        0
    );
    handle
}

fn is_fifo(t: &Try<'_>) {
    let fifo = t.open(&t.name(b'a'), RDWR | val!("open flags", "O_NONBLOCK"));
    t.write(fifo, TEXT);
    let mut bytes = [0_u8; 8];
    t.check(t.read(fifo, &mut bytes) == 6);
}
