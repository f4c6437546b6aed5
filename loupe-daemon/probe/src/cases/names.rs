//! Names of files: making, linking, moving and removing them; whose they are and what they may.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{EMPTY_PATH, HERE, RDONLY, exit, exited};
use crate::list::{Case, case};
use crate::tables::val;

const DIRECTORY: usize = val!("open flags", "O_DIRECTORY");
/// Remove a directory (`unlinkat`).
const REMOVEDIR: usize = 0x200;

fn is_gone(t: &Try<'_>, path: &[u8]) {
    t.check(!t.exists(path));
}

fn is_there(t: &Try<'_>, path: &[u8]) {
    t.check(t.exists(path));
}

/// `b` has become what `a` was.
fn has_moved(t: &Try<'_>) {
    is_gone(t, &t.name(b'a'));
    is_there(t, &t.name(b'b'));
}

fn has_mode(t: &Try<'_>, wanted: u32) {
    t.check(
        t.mode_of(&t.name(b'a'))
            .is_some_and(|mode| mode & 0o777 == wanted),
    );
}

fn has_owner(t: &Try<'_>, file: usize) {
    let stat = t.stat(file);
    t.check(stat.uid == 7 && stat.gid == 8);
}

/// Changed at second 1,000,000.
fn has_time(t: &Try<'_>, file: usize) {
    t.check(t.stat(file).modified == 1_000_000);
}

/// An entry's name is among what was read of a directory.
fn lists(t: &Try<'_>, bytes: &[u8], count: usize) {
    let name = t.name(b'b');
    t.check(count > 0 && bytes[..count].windows(6).any(|window| window == &name[..6]));
}

/// A directory `a` with a file `b`, open.
fn directory_with_file(t: &Try<'_>) -> usize {
    let path = t.make_directory(b'a');
    let directory = t.open(&path, RDONLY | DIRECTORY);
    let file = new!(t, "openat", directory, &t.name(b'b'), 0x42, 0o600);
    t.close(file);
    directory
}

fn empty(t: &Try<'_>, directory: usize) {
    raw!(t, "unlinkat", directory, &t.name(b'b'), 0);
}

/// What `statfs` filled in: the size of a block.
fn is_statfs(t: &Try<'_>, found: &[u64; 32]) {
    t.check(found[1] >= 512 && found[1] < 1 << 30);
}

pub const CASES: &[Case] = &[
    case("access", |t| {
        t.file(b'a');
        sys!(t, "access", &t.name(b'a'), 4);
        refuses!(t, "access", &t.name(b'b'), 4);
    }),
    case("faccessat", |t| {
        t.file(b'a');
        sys!(t, "faccessat", HERE, &t.name(b'a'), 4);
        refuses!(t, "faccessat", HERE, &t.name(b'b'), 4);
    }),
    case("faccessat2", |t| {
        t.file(b'a');
        sys!(t, "faccessat2", HERE, &t.name(b'a'), 4, 0x200);
        refuses!(t, "faccessat2", HERE, &t.name(b'b'), 4, 0x200);
    }),
    case("stat", |t| {
        t.file_with(b'a', b"abc");
        let mut found = [0_u64; 18];
        sys!(t, "stat", &t.name(b'a'), &mut found);
        t.check(found[6] == 3);
    }),
    case("lstat", |t| {
        t.file_with(b'a', b"abc");
        let mut found = [0_u64; 18];
        sys!(t, "lstat", &t.name(b'a'), &mut found);
        t.check(found[6] == 3);
    }),
    case("fstat", |t| {
        let file = t.file_with(b'a', b"abc");
        let mut found = [0_u64; 18];
        sys!(t, "fstat", file, &mut found);
        t.check(found[6] == 3);
    }),
    case("newfstatat", |t| {
        t.file_with(b'a', b"abc");
        let mut found = [0_u64; 18];
        sys!(t, "newfstatat", HERE, &t.name(b'a'), &mut found, 0);
        t.check(found[6] == 3);
    }),
    case("statx", |t| {
        let file = t.file_with(b'a', b"abc");
        let mut found = [0_u64; 32];
        sys!(t, "statx", file, b"\0", EMPTY_PATH, 0x7ff, &mut found);
        t.check(found[5] == 3);
    }),
    case("statfs", |t| {
        let mut found = [0_u64; 32];
        sys!(t, "statfs", b".\0", &mut found);
        is_statfs(t, &found);
    }),
    case("fstatfs", |t| {
        let mut found = [0_u64; 32];
        sys!(t, "fstatfs", t.file(b'a'), &mut found);
        is_statfs(t, &found);
    }),
    case("ustat", |t| {
        let (stat, mut found) = ([0_u64; 18], [0_u8; 32]);
        let mut stat = stat;
        sys!(t, "newfstatat", HERE, b"/\0", &mut stat, 0);
        found.fill(9);
        sys!(t, "ustat", stat[0], &mut found);
        t.check(found[0] != 9 || found[1] != 9);
    }),
    case("sysfs", |t| {
        // How many kinds of file systems there are.
        new!(t, "sysfs", 3, 0, 0);
    }),
    case("mkdir", |t| {
        sys!(t, "mkdir", &t.name(b'a'), 0o700);
        is_there(t, &t.name(b'a'));
    }),
    case("mkdirat", |t| {
        sys!(t, "mkdirat", HERE, &t.name(b'a'), 0o700);
        is_there(t, &t.name(b'a'));
    }),
    case("rmdir", |t| {
        let path = t.make_directory(b'a');
        sys!(t, "rmdir", &path);
        is_gone(t, &path);
    }),
    case("unlink", |t| {
        t.file(b'a');
        sys!(t, "unlink", &t.name(b'a'));
        is_gone(t, &t.name(b'a'));
    }),
    case("unlinkat", |t| {
        t.file(b'a');
        sys!(t, "unlinkat", HERE, &t.name(b'a'), 0);
        is_gone(t, &t.name(b'a'));
        let path = t.make_directory(b'b');
        sys!(t, "unlinkat", HERE, &path, REMOVEDIR);
        is_gone(t, &path);
    }),
    case("link", |t| {
        let file = t.file(b'a');
        sys!(t, "link", &t.name(b'a'), &t.name(b'b'));
        t.check(t.stat(file).links == 2);
    }),
    case("linkat", |t| {
        let file = t.file(b'a');
        sys!(t, "linkat", HERE, &t.name(b'a'), HERE, &t.name(b'b'), 0);
        t.check(t.stat(file).links == 2);
    }),
    case("symlink", |t| {
        sys!(t, "symlink", c"target", &t.name(b'a'));
        t.check(
            t.mode_of(&t.name(b'a'))
                .is_some_and(|mode| mode >> 12 == 0o12),
        );
    }),
    case("symlinkat", |t| {
        sys!(t, "symlinkat", c"target", HERE, &t.name(b'a'));
        t.check(
            t.mode_of(&t.name(b'a'))
                .is_some_and(|mode| mode >> 12 == 0o12),
        );
    }),
    case("readlink", |t| {
        symlink(t);
        let mut bytes = [0_u8; 16];
        t.check(sys!(t, "readlink", &t.name(b'a'), &mut bytes, 16) == 6);
        t.check(bytes.starts_with(b"target"));
    }),
    case("readlinkat", |t| {
        symlink(t);
        let mut bytes = [0_u8; 16];
        t.check(sys!(t, "readlinkat", HERE, &t.name(b'a'), &mut bytes, 16) == 6);
        t.check(bytes.starts_with(b"target"));
    }),
    case("rename", |t| {
        t.file(b'a');
        sys!(t, "rename", &t.name(b'a'), &t.name(b'b'));
        has_moved(t);
    }),
    case("renameat", |t| {
        t.file(b'a');
        sys!(t, "renameat", HERE, &t.name(b'a'), HERE, &t.name(b'b'));
        has_moved(t);
    }),
    case("renameat2", |t| {
        t.file(b'a');
        sys!(t, "renameat2", HERE, &t.name(b'a'), HERE, &t.name(b'b'), 0);
        has_moved(t);
    }),
    case("chmod", |t| {
        t.file(b'a');
        sys!(t, "chmod", &t.name(b'a'), 0o640);
        has_mode(t, 0o640);
    }),
    case("fchmod", |t| {
        sys!(t, "fchmod", t.file(b'a'), 0o640);
        has_mode(t, 0o640);
    }),
    case("fchmodat", |t| {
        t.file(b'a');
        sys!(t, "fchmodat", HERE, &t.name(b'a'), 0o640);
        has_mode(t, 0o640);
    }),
    case("fchmodat2", |t| {
        t.file(b'a');
        sys!(t, "fchmodat2", HERE, &t.name(b'a'), 0o640, 0);
        has_mode(t, 0o640);
    }),
    case("chown", |t| {
        t.needs_root();
        let file = t.file(b'a');
        sys!(t, "chown", &t.name(b'a'), 7, 8);
        has_owner(t, file);
    }),
    case("lchown", |t| {
        t.needs_root();
        let file = t.file(b'a');
        sys!(t, "lchown", &t.name(b'a'), 7, 8);
        has_owner(t, file);
    }),
    case("fchown", |t| {
        t.needs_root();
        let file = t.file(b'a');
        sys!(t, "fchown", file, 7, 8);
        has_owner(t, file);
    }),
    case("fchownat", |t| {
        t.needs_root();
        let file = t.file(b'a');
        sys!(t, "fchownat", HERE, &t.name(b'a'), 7, 8, 0);
        has_owner(t, file);
    }),
    case("umask", |t| {
        sys!(t, "umask", 0o077);
        t.check(sys!(t, "umask", 0o022) == 0o077);
    }),
    case("utime", |t| {
        let file = t.file(b'a');
        sys!(t, "utime", &t.name(b'a'), &[1_000_000_u64; 2]);
        has_time(t, file);
    }),
    case("utimes", |t| {
        let file = t.file(b'a');
        sys!(
            t,
            "utimes",
            &t.name(b'a'),
            &[1_000_000_u64, 0, 1_000_000, 0]
        );
        has_time(t, file);
    }),
    case("futimesat", |t| {
        let file = t.file(b'a');
        sys!(
            t,
            "futimesat",
            HERE,
            &t.name(b'a'),
            &[1_000_000_u64, 0, 1_000_000, 0]
        );
        has_time(t, file);
    }),
    case("utimensat", |t| {
        let file = t.file(b'a');
        sys!(
            t,
            "utimensat",
            HERE,
            &t.name(b'a'),
            &[1_000_000_u64, 0, 1_000_000, 0],
            0
        );
        has_time(t, file);
    }),
    case("chdir", |t| {
        let path = t.make_directory(b'a');
        sys!(t, "chdir", &path);
        is_gone(t, &path);
    }),
    case("fchdir", |t| {
        let path = t.make_directory(b'a');
        sys!(t, "fchdir", t.open(&path, RDONLY));
        is_gone(t, &path);
    }),
    case("getcwd", |t| {
        let mut bytes = [0_u8; 256];
        let count = new!(t, "getcwd", &mut bytes, 256);
        t.check(count > 1 && bytes[0] == b'/');
    }),
    case("chroot", |t| {
        t.needs_root();
        let path = t.make_directory(b'a');
        let (name, directory) = (t.name(b'b'), t.open(&path, RDONLY));
        new!(t, "openat", directory, &name, 0x42, 0o600);
        let mut absolute = *b"/\0\0\0\0\0\0\0\0";
        absolute[1..].copy_from_slice(&name);
        let child = t.in_child(|| {
            sys!(t, "chroot", &path);
            exit(usize::from(t.exists(&absolute)));
        });
        let status = t.wait(child);
        empty(t, directory);
        t.check(status == exited(1));
    }),
    case("getdents", |t| {
        let directory = directory_with_file(t);
        let mut bytes = [0_u8; 1024];
        let count = sys!(t, "getdents", directory, &mut bytes, 1024);
        empty(t, directory);
        lists(t, &bytes, count);
    }),
    case("getdents64", |t| {
        let directory = directory_with_file(t);
        let mut bytes = [0_u8; 1024];
        let count = sys!(t, "getdents64", directory, &mut bytes, 1024);
        empty(t, directory);
        lists(t, &bytes, count);
    }),
    case("file_getattr", |t| {
        t.file(b'a');
        let mut found = [0x99_u8; 24];
        sys!(t, "file_getattr", HERE, &t.name(b'a'), &mut found, 24, 0);
        t.check(found[23] != 0x99);
    }),
    case("file_setattr", |t| {
        t.file(b'a');
        let mut found = [0_u64; 3];
        sys!(t, "file_getattr", HERE, &t.name(b'a'), &mut found, 24, 0);
        // Without an access time; not every file system knows that.
        let wanted = [found[0] | 0x40, found[1], found[2]];
        sys!(t, "file_setattr", HERE, &t.name(b'a'), &wanted, 24, 0);
        sys!(t, "file_getattr", HERE, &t.name(b'a'), &mut found, 24, 0);
        t.check(found[0] & 0x40 != 0);
    }),
];

fn symlink(t: &Try<'_>) {
    match t.is_doubted(crate::tables::nr!("symlinkat"), &[]) {
        true => sys!(t, "symlink", c"target", &t.name(b'a')),
        false => sys!(t, "symlinkat", c"target", HERE, &t.name(b'a')),
    };
}
