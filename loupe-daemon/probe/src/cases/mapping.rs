//! Flags of mapping memory, of moving it, and what it may: one at a time, with as few others as can be.

use super::memory::{CODE, locked, resident};
use crate::attempt::{Try, new, raw, sys};
use crate::helpers::PAGE;
use crate::list::{Case, case};
use crate::machine::{peek, poke, run_code};
use crate::tables::val;

const READ: usize = val!("protection", "PROT_READ");
const BOTH: usize = READ | val!("protection", "PROT_WRITE");
const PRIVATE: usize = val!("map type", "MAP_PRIVATE");
const ANONYMOUS: usize = val!("map flags", "MAP_ANONYMOUS");
const MAYMOVE: usize = val!("mremap flags", "MREMAP_MAYMOVE");
const EEXIST: isize = -17;

/// New memory with the flag that is tried.
fn with(t: &Try<'_>, at: usize, pages: usize) -> usize {
    let flags = PRIVATE | ANONYMOUS | t.value(0);
    new!(t, "mmap", at, pages * PAGE, BOTH, flags, -1, 0)
}

/// A private page of a file, of this protection only.
fn of_file(t: &Try<'_>, bytes: &[u8]) -> usize {
    new!(
        t,
        "mmap",
        0,
        PAGE,
        t.value(0),
        PRIVATE,
        t.file_with(b'a', bytes),
        0
    )
}

/// Writes through a mapping of a file that nothing may be done with at first; whether the file has it.
fn changes_file(t: &Try<'_>, kind: usize, protection: usize) -> bool {
    let file = t.file_with(b'a', b"abc");
    let page = new!(t, "mmap", 0, PAGE, protection, kind, file, 0);
    if protection == 0 {
        sys!(t, "mprotect", page, PAGE, BOTH);
    }
    t.check(peek(page + 1) == b'b');
    poke(page, b'x');
    t.has(file, 0, b"xbc")
}

/// By the syscall whose flag is tried; a key that means none.
fn protect(t: &Try<'_>, page: usize, protection: usize) {
    t.call(t.number(), &[page, PAGE, protection, usize::MAX]);
}

fn may_be_read(t: &Try<'_>) {
    let page = t.map(PAGE);
    poke(page, 1);
    protect(t, page, READ);
    t.check(peek(page) == 1 && t.dies(|| poke(page, 2)));
}

fn may_be_written(t: &Try<'_>) {
    let page = new!(t, "mmap", 0, PAGE, 0, PRIVATE | ANONYMOUS, -1, 0);
    protect(t, page, t.value(0));
    poke(page, 3);
    t.check(peek(page) == 3);
}

fn may_be_run(t: &Try<'_>) {
    let page = t.map(PAGE);
    put_code(page);
    t.check(t.dies(|| {
        run_code(page);
    }));
    protect(t, page, t.value(0));
    t.check(run_code(page) == 7);
}

fn put_code(page: usize) {
    for (index, byte) in CODE.iter().enumerate() {
        poke(page + index, *byte);
    }
}

/// From its first page on, where only the last one is named.
fn down_to_the_first(t: &Try<'_>) {
    let flags = PRIVATE | ANONYMOUS | val!("map flags", "MAP_GROWSDOWN");
    let first = new!(t, "mmap", 0, 4 * PAGE, BOTH, flags, -1, 0);
    protect(t, first + 3 * PAGE, READ | t.value(0));
    t.check(t.dies(|| poke(first, 1)));
}

pub const CASES: &[Case] = &[
    case("mmap:PROT_READ", |t| {
        t.check(peek(of_file(t, b"abc") + 1) == b'b')
    }),
    case("mmap:PROT_WRITE", |t| {
        let page = of_file(t, b"abc");
        poke(page, b'x');
        t.check(peek(page) == b'x');
    }),
    case("mmap:PROT_EXEC", |t| {
        t.check(run_code(of_file(t, &CODE)) == 7)
    }),
    case("mmap:MAP_PRIVATE", |t| {
        t.check(!changes_file(t, t.value(0), 0))
    }),
    case("mmap:MAP_SHARED", |t| {
        t.check(changes_file(t, t.value(0), 0))
    }),
    case("mmap:MAP_SHARED_VALIDATE", |t| {
        t.check(changes_file(t, t.value(0), 0))
    }),
    case("mmap:MAP_ANONYMOUS", |t| {
        let page = new!(t, "mmap", 0, PAGE, 0, PRIVATE | t.value(0), -1, 0);
        sys!(t, "mprotect", page, PAGE, BOTH);
        t.check(peek(page) == 0);
    }),
    case("mmap:MAP_FIXED", |t| {
        let page = t.map(PAGE);
        poke(page, 1);
        t.check(with(t, page, 1) == page && peek(page) == 0);
    }),
    case("mmap:MAP_FIXED_NOREPLACE", |t| {
        let page = t.map(PAGE);
        sys!(t, "munmap", page, PAGE);
        t.check(with(t, page, 1) == page);
        let flags = PRIVATE | ANONYMOUS | t.value(0);
        t.check(raw!(t, "mmap", page, PAGE, BOTH, flags, -1, 0) == EEXIST);
    }),
    case("mmap:MAP_32BIT", |t| t.check(with(t, 0, 1) < 1 << 32)),
    case("mmap:MAP_GROWSDOWN", |t| {
        let page = with(t, 0, 1);
        poke(page - PAGE, 1);
        t.check(peek(page - PAGE) == 1);
    }),
    case("mmap:MAP_LOCKED", |t| {
        let before = locked(t);
        with(t, 0, 4);
        t.check(locked(t) == before + 16);
    }),
    case("mmap:MAP_POPULATE", |t| {
        t.check(!resident(t, t.map(PAGE)));
        t.check(resident(t, with(t, 0, 1)));
    }),
    case("mprotect:PROT_READ", may_be_read),
    case("pkey_mprotect:PROT_READ", may_be_read),
    case("mprotect:PROT_WRITE", may_be_written),
    case("pkey_mprotect:PROT_WRITE", may_be_written),
    case("mprotect:PROT_EXEC", may_be_run),
    case("pkey_mprotect:PROT_EXEC", may_be_run),
    case("mprotect:PROT_GROWSDOWN", down_to_the_first),
    case("pkey_mprotect:PROT_GROWSDOWN", down_to_the_first),
    case("mremap:MREMAP_MAYMOVE", |t| {
        // What lies behind the first page is in its way.
        let page = t.map(2 * PAGE);
        poke(page, 9);
        let moved = new!(t, "mremap", page, PAGE, 4 * PAGE, MAYMOVE);
        poke(moved + 3 * PAGE, 1);
        t.check(moved != page && peek(moved) == 9);
    }),
    case("mremap:MREMAP_FIXED", |t| {
        let (page, place) = (t.map(PAGE), t.map(PAGE));
        poke(page, 9);
        let moved = new!(t, "mremap", page, PAGE, PAGE, MAYMOVE | t.value(0), place);
        t.check(moved == place && peek(place) == 9);
    }),
    case("mremap:MREMAP_DONTUNMAP", |t| {
        let page = t.map(PAGE);
        poke(page, 9);
        let moved = new!(t, "mremap", page, PAGE, PAGE, MAYMOVE | t.value(0), 0);
        t.check(moved != page && peek(moved) == 9 && peek(page) == 0);
    }),
];
