//! Mounts, in a namespace of the case's own.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{HERE, MOUNTS, RDWR, exit, exited};
use crate::list::{Case, case};
use crate::tables::val;

/// A file in the directory `d`, which a mount hides.
fn hidden(t: &Try<'_>) -> [u8; 16] {
    let mut path = [0_u8; 16];
    path[..6].copy_from_slice(&t.name(b'd')[..6]);
    path[6] = b'/';
    path[7..15].copy_from_slice(&t.name(b'b'));
    path
}

/// In a mount namespace that is the case's own, whose mounts nobody else sees.
fn in_namespace(t: &Try<'_>, work: impl FnOnce(&[u8]) -> bool) {
    t.needs_root();
    let directory = t.make_directory(b'd');
    t.close(t.open(&hidden(t), RDWR | 0x40));
    let child = t.in_child(|| {
        t.leave_namespace(val!("clone flags", "CLONE_NEWNS"), MOUNTS);
        // Private, and everything below it.
        let private = (1 << 18) | (1 << 14);
        sys!(t, "mount", 0, c"/", 0, private, 0);
        exit(usize::from(work(&directory)));
    });
    let status = t.wait(child);
    raw!(t, "unlinkat", HERE, &hidden(t), 0);
    t.check(status == exited(1));
}

fn mounts(t: &Try<'_>, directory: &[u8]) {
    sys!(t, "mount", c"probe", directory, c"tmpfs", 0, 0);
}

/// Whether an empty file system of its own is there.
fn is_mounted(t: &Try<'_>) -> bool {
    !t.exists(&hidden(t))
}

/// A file system of its own, not mounted yet.
fn made(t: &Try<'_>) -> usize {
    let made = new!(t, "fsopen", c"tmpfs", 0);
    // To create it.
    sys!(t, "fsconfig", made, 6, 0, 0, 0);
    new!(t, "fsmount", made, 0, 0)
}

fn is_tmpfs(t: &Try<'_>, mount: usize) -> bool {
    let mut found = [0_u64; 32];
    sys!(t, "fstatfs", mount, &mut found);
    found[0] == 0x0102_1994
}

fn moved(t: &Try<'_>, from: usize, directory: &[u8]) {
    // The descriptor itself is meant.
    sys!(t, "move_mount", from, b"\0", HERE, directory, 4);
}

pub const CASES: &[Case] = &[
    case("mount", |t| {
        in_namespace(t, |directory| {
            mounts(t, directory);
            is_mounted(t)
        });
    }),
    case("umount2", |t| {
        in_namespace(t, |directory| {
            mounts(t, directory);
            sys!(t, "umount2", directory, 0);
            !is_mounted(t)
        });
    }),
    case("fsopen", |t| {
        t.needs_root();
        let made = new!(t, "fsopen", c"tmpfs", 0);
        refuses!(t, "fsopen", c"no such file system", 0);
        t.close(made);
    }),
    case("fsconfig", |t| {
        t.needs_root();
        let made = new!(t, "fsopen", c"tmpfs", 0);
        refuses!(t, "fsconfig", made, 99, 0, 0, 0);
        t.check(is_tmpfs(t, self::made(t)));
    }),
    case("fsmount", |t| {
        t.needs_root();
        t.check(is_tmpfs(t, made(t)));
    }),
    case("move_mount", |t| {
        in_namespace(t, |directory| {
            moved(t, made(t), directory);
            is_mounted(t)
        });
    }),
    case("fspick", |t| {
        in_namespace(t, |directory| {
            mounts(t, directory);
            new!(t, "fspick", HERE, directory, 0) > 0
        });
    }),
    case("open_tree", |t| {
        in_namespace(t, |directory| {
            mounts(t, directory);
            let tree = new!(t, "open_tree", HERE, directory, 0);
            sys!(t, "fchdir", tree);
            t.check(!t.exists(&t.name(b'b')));
            t.close(t.file(b'c'));
            t.exists(&t.name(b'c'))
        });
    }),
    case("open_tree_attr", |t| {
        in_namespace(t, |directory| {
            mounts(t, directory);
            let attributes = [0_u64; 4];
            new!(t, "open_tree_attr", HERE, directory, 1, &attributes, 32) > 0
        });
    }),
    case("mount_setattr", |t| {
        in_namespace(t, |directory| {
            mounts(t, directory);
            // Read-only.
            let attributes = [1_u64, 0, 0, 0];
            sys!(t, "mount_setattr", HERE, directory, 0, &attributes, 32);
            sys!(t, "chdir", directory);
            raw!(t, "open", c"x", RDWR | 0x40, 0o600) < 0
        });
    }),
    case("statmount", |t| {
        let (mut mount, mut found) = ([0_u64; 32], [0_u64; 64]);
        // The mount's number that is never used again.
        sys!(t, "statx", HERE, c"/", 0, 0x4000, &mut mount);
        let request = [24_u64, mount[18], 1];
        sys!(t, "statmount", &request, &mut found, 512, 0);
        t.check(found[0] != 0);
    }),
    case("listmount", |t| {
        let mut found = [0_u64; 16];
        let request = [24_u64, u64::MAX, 0];
        new!(t, "listmount", &request, &mut found, 16, 0);
        t.check(found[0] != 0);
    }),
];
