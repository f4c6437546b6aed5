//! Memory: mapping it, what it may, what happens to it, where it is.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{PAGE, exited, number_after};
use crate::list::{Case, case};
use crate::machine::{peek, poke, run_code};
use crate::tables::{nr, val};

/// Where nothing is mapped.
const NOWHERE: usize = 0x10_0000;
const READ: usize = val!("protection", "PROT_READ");
const BOTH: usize = READ | val!("protection", "PROT_WRITE");
const SHARED_ANONYMOUS: usize = val!("map type", "MAP_SHARED") | val!("map flags", "MAP_ANONYMOUS");
/// Code: 7 into the register of the result, and `ret`.
pub(super) const CODE: [u8; 6] = [0xb8, 7, 0, 0, 0, 0xc3];

fn advise(t: &Try<'_>, at: usize) {
    sys!(t, "madvise", at, PAGE, t.value(0));
}

/// A page with something in it, advised, in a child that forked after that.
fn in_fork(t: &Try<'_>, look: impl FnOnce(usize)) -> u32 {
    let page = t.map(PAGE);
    poke(page, 5);
    advise(t, page);
    let child = t.in_child(|| look(page));
    t.wait(child)
}

fn takes_back(t: &Try<'_>, first: usize) -> u32 {
    let page = t.map(PAGE);
    poke(page, 5);
    sys!(t, "madvise", page, PAGE, first);
    let in_child = || t.wait(t.in_child(|| crate::helpers::exit(usize::from(peek(page)))));
    if in_child() == exited(5) {
        t.failed(nr!("madvise"), &[page, PAGE, first], 0);
    }
    advise(t, page);
    in_child()
}

pub(super) fn resident(t: &Try<'_>, page: usize) -> bool {
    let mut found = [0x7e_u8; 1];
    sys!(t, "mincore", page, PAGE, &mut found);
    found[0] == 1
}

/// Kilobytes that are locked.
pub(super) fn locked(t: &Try<'_>) -> usize {
    let mut bytes = [0_u8; 4096];
    let status = t.pseudo_file("/proc/self/status\0", &mut bytes);
    match number_after(status, b"VmLck:") {
        Some(kilobytes) => kilobytes,
        None => t.skip("this OS does not tell what is locked"),
    }
}

pub const CASES: &[Case] = &[
    case("mmap", |t| {
        let file = t.file_with(b'a', b"abc");
        let shared = val!("map type", "MAP_SHARED");
        let page = new!(t, "mmap", 0, PAGE, BOTH, shared, file, 0);
        t.check(peek(page + 1) == b'b');
        poke(page, b'x');
        t.check(t.has(file, 0, b"xbc"));
    }),
    case("munmap", |t| {
        let page = t.map(PAGE);
        sys!(t, "munmap", page, PAGE);
        t.check(t.dies(|| poke(page, 1)));
    }),
    case("mprotect", |t| {
        let page = t.map(PAGE);
        poke(page, 1);
        sys!(t, "mprotect", page, PAGE, READ);
        t.check(peek(page) == 1 && t.dies(|| poke(page, 2)));
        let page = t.map(PAGE);
        for (index, byte) in CODE.iter().enumerate() {
            poke(page + index, *byte);
        }
        sys!(
            t,
            "mprotect",
            page,
            PAGE,
            READ | val!("protection", "PROT_EXEC")
        );
        t.check(run_code(page) == 7);
    }),
    case("mremap", |t| {
        let page = t.map(2 * PAGE);
        poke(page, 9);
        t.check(new!(t, "mremap", page, 2 * PAGE, PAGE, 0) == page);
        t.check(peek(page) == 9 && t.dies(|| poke(page + PAGE, 1)));
    }),
    case("brk", |t| {
        let end = new!(t, "brk", 0);
        t.check(new!(t, "brk", end + 2 * PAGE) == end + 2 * PAGE);
        poke(end + PAGE, 1);
    }),
    case("msync", |t| {
        let page = t.map_file(t.file_with(b'a', b"abc"), PAGE);
        poke(page, b'x');
        sys!(t, "msync", page, PAGE, 4);
        refuses!(t, "msync", NOWHERE, PAGE, 4);
    }),
    case("mincore", |t| {
        let page = t.map(PAGE);
        poke(page, 1);
        t.check(resident(t, page));
        let mut found = [0_u8; 1];
        refuses!(t, "mincore", NOWHERE, PAGE, &mut found);
    }),
    case("mlock", |t| {
        sys!(t, "mlock", t.map(PAGE), PAGE);
        refuses!(t, "mlock", NOWHERE, PAGE);
    }),
    case("mlock2", |t| {
        sys!(t, "mlock2", t.map(PAGE), PAGE, 0);
        refuses!(t, "mlock2", NOWHERE, PAGE, 0);
    }),
    case("munlock", |t| {
        sys!(t, "munlock", t.map(PAGE), PAGE);
        refuses!(t, "munlock", NOWHERE, PAGE);
    }),
    case("mlockall", |t| {
        sys!(t, "mlockall", 1);
        refuses!(t, "mlockall", 0);
    }),
    case("munlockall", |t| {
        sys!(t, "mlock", t.map(PAGE), PAGE);
        let before = locked(t);
        sys!(t, "munlockall");
        t.check(before > 0 && locked(t) == 0);
    }),
    case("remap_file_pages", |t| {
        let file = t.file_with(b'a', b"abc");
        sys!(t, "ftruncate", file, 2 * PAGE);
        sys!(t, "pwrite64", file, b"second", 6, PAGE);
        let pages = t.map_file(file, 2 * PAGE);
        sys!(t, "remap_file_pages", pages, PAGE, 0, 1, 0);
        t.check(peek(pages) == b's');
    }),
    case("memfd_secret", |t| {
        let file = new!(t, "memfd_secret", 0);
        sys!(t, "ftruncate", file, PAGE);
        let page = t.map_file(file, PAGE);
        poke(page, 3);
        t.check(peek(page) == 3);
    }),
    case("mseal", |t| {
        let page = t.map(PAGE);
        sys!(t, "mseal", page, PAGE, 0);
        t.check(raw!(t, "munmap", page, PAGE) < 0);
    }),
    case("pkey_alloc", |t| {
        new!(t, "pkey_alloc", 0, 0);
    }),
    case("pkey_free", |t| {
        let key = new!(t, "pkey_alloc", 0, 0);
        sys!(t, "pkey_free", key);
        refuses!(t, "pkey_free", key);
    }),
    case("pkey_mprotect", |t| {
        let page = t.map(PAGE);
        // Without a key it is mprotect.
        sys!(t, "pkey_mprotect", page, PAGE, READ, -1);
        t.check(t.dies(|| poke(page, 2)));
    }),
    case("membarrier", |t| {
        // Which of them there are; a fake has none.
        t.check(sys!(t, "membarrier", 0, 0, 0) & 1 == 1);
        refuses!(t, "membarrier", 0x7000_0000, 0, 0);
    }),
    case("userfaultfd", |t| {
        t.needs_root();
        let fd = new!(t, "userfaultfd", 1);
        let mut api = [0xaa_u64, 0, 0];
        sys!(t, "ioctl", fd, val!("ioctl", "UFFDIO_API"), &mut api);
        t.check(api[2] != 0);
    }),
    case("get_mempolicy", |t| {
        let mut mode = 0x7777_u32;
        sys!(t, "get_mempolicy", &mut mode, 0, 0, 0, 0);
        t.check(mode == 0);
    }),
    case("set_mempolicy", |t| {
        // What has to be local (4), without a list of nodes.
        sys!(t, "set_mempolicy", 4, 0, 0);
        let mut mode = 0x7777_u32;
        sys!(t, "get_mempolicy", &mut mode, 0, 0, 0, 0);
        t.check(mode == 4);
    }),
    case("mbind", |t| {
        let page = t.map(PAGE);
        sys!(t, "mbind", page, PAGE, 2, &1_u64, 2, 0);
        let mut mode = 0x7777_u32;
        sys!(t, "get_mempolicy", &mut mode, 0, 0, page, 2);
        t.check(mode == 2);
    }),
    case("set_mempolicy_home_node", |t| {
        let page = t.map(PAGE);
        sys!(t, "mbind", page, PAGE, 2, &1_u64, 2, 0);
        sys!(t, "set_mempolicy_home_node", page, PAGE, 0, 0);
        refuses!(t, "set_mempolicy_home_node", page, PAGE, 9999, 0);
    }),
    case("migrate_pages", |t| {
        sys!(t, "migrate_pages", 0, 2, &1_u64, &1_u64);
        refuses!(t, "migrate_pages", 0, 2, &1_u64, 8);
    }),
    case("move_pages", |t| {
        let page = t.map(PAGE);
        poke(page, 1);
        let (pages, mut status) = ([page], [0x7777_u32; 1]);
        sys!(t, "move_pages", 0, 1, &pages, 0, &mut status, 0);
        t.check(status[0] < 1024);
    }),
    case("madvise:MADV_DONTNEED", |t| {
        let page = t.map(PAGE);
        poke(page, 7);
        advise(t, page);
        t.check(peek(page) == 0);
    }),
    case("madvise:MADV_DONTNEED_LOCKED", |t| {
        let page = t.map(PAGE);
        poke(page, 7);
        advise(t, page);
        t.check(peek(page) == 0);
    }),
    case("madvise:MADV_REMOVE", |t| {
        let page = new!(t, "mmap", 0, PAGE, BOTH, SHARED_ANONYMOUS, -1, 0);
        poke(page, 7);
        advise(t, page);
        t.check(peek(page) == 0);
    }),
    case("madvise:MADV_DONTFORK", |t| {
        let status = in_fork(t, |page| poke(page, 1));
        t.check(status & 0x7f != 0);
    }),
    case("madvise:MADV_DOFORK", |t| {
        let status = takes_back(t, val!("madvise", "MADV_DONTFORK"));
        t.check(status == exited(5));
    }),
    case("madvise:MADV_WIPEONFORK", |t| {
        let status = in_fork(t, |page| crate::helpers::exit(usize::from(peek(page)) + 1));
        t.check(status == exited(1));
    }),
    case("madvise:MADV_KEEPONFORK", |t| {
        let status = takes_back(t, val!("madvise", "MADV_WIPEONFORK"));
        t.check(status == exited(5));
    }),
    case("madvise:MADV_POPULATE_READ", |t| {
        let page = t.map(PAGE);
        advise(t, page);
        t.check(resident(t, page));
    }),
    case("madvise:MADV_POPULATE_WRITE", |t| {
        let page = t.map(PAGE);
        advise(t, page);
        t.check(resident(t, page));
    }),
    case("madvise:MADV_GUARD_INSTALL", |t| {
        let page = t.map(PAGE);
        advise(t, page);
        t.check(t.dies(|| poke(page, 1)));
    }),
    case("madvise:MADV_GUARD_REMOVE", |t| {
        let page = t.map(PAGE);
        let install = val!("madvise", "MADV_GUARD_INSTALL");
        sys!(t, "madvise", page, PAGE, install);
        if !t.dies(|| poke(page, 1)) {
            t.failed(nr!("madvise"), &[page, PAGE, install], 0);
        }
        advise(t, page);
        t.check(!t.dies(|| poke(page, 1)));
    }),
    case("madvise:MADV_COLLAPSE", |t| {
        let huge = 2 << 20;
        let area = t.map(2 * huge).next_multiple_of(huge);
        poke(area, 1);
        sys!(t, "madvise", area, huge, t.value(0));
        refuses!(t, "madvise", area + 1, huge, t.value(0));
    }),
    case("madvise:*", |t| {
        let page = t.map(PAGE);
        poke(page, 7);
        advise(t, page);
        t.check(matches!(peek(page), 0 | 7));
        refuses!(t, "madvise", page + 1, PAGE, t.value(0));
    }),
    case("process_madvise:MADV_COLD", advises_process),
    case("process_madvise:MADV_PAGEOUT", advises_process),
    case("process_madvise:MADV_WILLNEED", advises_process),
    case("process_madvise:MADV_DONTNEED", advises_process),
    case("process_madvise:MADV_FREE", advises_process),
];

fn advises_process(t: &Try<'_>) {
    let page = t.map(PAGE);
    poke(page, 7);
    let process = new!(t, "pidfd_open", t.me(), 0);
    let area = [page, PAGE];
    t.check(sys!(t, "process_madvise", process, &area, 1, t.value(0), 0) == PAGE);
}
