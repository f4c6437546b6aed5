//! Keys and keyrings of the kernel's.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::list::{Case, case};
use crate::tables::{nr, val};

/// The process's own keyring.
const PROCESS_RING: isize = -2;

/// Adds a key with a payload to the process's own ring.
fn key(t: &Try<'_>) -> usize {
    t.alone();
    new!(t, "add_key", c"user", c"probe", b"secret", 6, PROCESS_RING)
}

fn ring(t: &Try<'_>) -> usize {
    t.alone();
    new!(t, "add_key", c"keyring", c"probes", 0, 0, PROCESS_RING)
}

fn read_key(t: &Try<'_>, key: usize) -> [u8; 16] {
    let mut found = [0_u8; 16];
    raw!(
        t,
        "keyctl",
        val!("keyctl", "KEYCTL_READ"),
        key,
        &mut found,
        16,
        0
    );
    found
}

/// A key that can be read, for now.
fn readable(t: &Try<'_>) -> usize {
    let key = key(t);
    if !read_key(t, key).starts_with(b"secret") {
        t.failed(nr!("keyctl"), &[val!("keyctl", "KEYCTL_READ")], 0);
    }
    key
}

/// Whether a key is in a ring; then it is no more.
fn unlinks(t: &Try<'_>, key: usize, ring: usize) {
    let unlink = val!("keyctl", "KEYCTL_UNLINK");
    sys!(t, "keyctl", unlink, key, ring, 0, 0);
    if raw!(t, "keyctl", unlink, key, ring, 0, 0) >= 0 {
        t.failed(nr!("keyctl"), &[unlink], 0);
    }
}

pub const CASES: &[Case] = &[
    case("add_key", |t| {
        t.alone();
        refuses!(
            t,
            "add_key",
            c"no such type",
            c"probe",
            b"x",
            1,
            PROCESS_RING
        );
        t.check(read_key(t, key(t)).starts_with(b"secret"));
    }),
    case("request_key", |t| {
        let added = key(t);
        let found = new!(t, "request_key", c"user", c"probe", 0, PROCESS_RING);
        t.check(found == added);
    }),
    case("keyctl:KEYCTL_GET_KEYRING_ID", |t| {
        key(t);
        new!(t, "keyctl", t.value(0), PROCESS_RING, 0, 0, 0);
    }),
    case("keyctl:KEYCTL_JOIN_SESSION_KEYRING", |t| {
        t.alone();
        new!(t, "keyctl", t.value(0), c"probes", 0, 0, 0);
    }),
    case("keyctl:KEYCTL_READ", |t| {
        let (key, mut found) = (key(t), [0_u8; 16]);
        t.check(sys!(t, "keyctl", t.value(0), key, &mut found, 16, 0) == 6);
        t.check(found.starts_with(b"secret"));
    }),
    case("keyctl:KEYCTL_UPDATE", |t| {
        let key = key(t);
        sys!(t, "keyctl", t.value(0), key, b"newer", 5, 0);
        refuses!(t, "keyctl", t.value(0), 0x7fff_fff0, b"newer", 5, 0);
        t.check(read_key(t, key).starts_with(b"newer"));
    }),
    case("keyctl:KEYCTL_DESCRIBE", |t| {
        let (key, mut found) = (key(t), [0_u8; 64]);
        new!(t, "keyctl", t.value(0), key, &mut found, 64, 0);
        t.check(found.starts_with(b"user;"));
    }),
    case("keyctl:KEYCTL_SEARCH", |t| {
        let key = key(t);
        t.check(sys!(t, "keyctl", t.value(0), PROCESS_RING, c"user", c"probe", 0) == key);
    }),
    case("keyctl:KEYCTL_REVOKE", |t| gone(t, readable(t), [0; 2])),
    case("keyctl:KEYCTL_INVALIDATE", |t| gone(t, readable(t), [0; 2])),
    case("keyctl:KEYCTL_UNLINK", |t| {
        let key = key(t);
        sys!(t, "keyctl", t.value(0), key, PROCESS_RING, 0, 0);
        refuses!(t, "keyctl", t.value(0), key, PROCESS_RING, 0, 0);
    }),
    case("keyctl:KEYCTL_LINK", |t| {
        let (key, ring) = (key(t), ring(t));
        sys!(t, "keyctl", t.value(0), key, ring, 0, 0);
        unlinks(t, key, ring);
    }),
    case("keyctl:KEYCTL_MOVE", |t| {
        let (key, ring) = (key(t), ring(t));
        sys!(t, "keyctl", t.value(0), key, PROCESS_RING, ring, 0);
        unlinks(t, key, ring);
    }),
    case("keyctl:KEYCTL_CLEAR", |t| {
        let (key, ring) = (key(t), ring(t));
        sys!(t, "keyctl", val!("keyctl", "KEYCTL_LINK"), key, ring, 0, 0);
        sys!(t, "keyctl", t.value(0), ring, 0, 0, 0);
        t.check(
            raw!(
                t,
                "keyctl",
                val!("keyctl", "KEYCTL_UNLINK"),
                key,
                ring,
                0,
                0
            ) < 0,
        );
    }),
    case("keyctl:KEYCTL_SETPERM", |t| {
        // Nobody may read it any more.
        let key = readable(t);
        sys!(t, "keyctl", t.value(0), key, 0x0101_0000, 0, 0);
        t.check(read_key(t, key) == [0; 16]);
    }),
    case("keyctl:KEYCTL_CHOWN", |t| {
        t.needs_root();
        let (key, mut found) = (key(t), [0_u8; 64]);
        sys!(t, "keyctl", t.value(0), key, 7, 8, 0);
        sys!(
            t,
            "keyctl",
            val!("keyctl", "KEYCTL_DESCRIBE"),
            key,
            &mut found,
            64,
            0
        );
        t.check(found.starts_with(b"user;7;8;"));
    }),
    case("keyctl:KEYCTL_SET_TIMEOUT", |t| {
        sys!(t, "keyctl", t.value(0), key(t), 100, 0, 0);
        refuses!(t, "keyctl", t.value(0), 0x7fff_fff0, 100, 0, 0);
    }),
    case("keyctl:KEYCTL_SET_REQKEY_KEYRING", |t| {
        t.alone();
        sys!(t, "keyctl", t.value(0), 2, 0, 0, 0);
        t.check(sys!(t, "keyctl", t.value(0), -1, 0, 0, 0) == 2);
    }),
    case("keyctl:KEYCTL_CAPABILITIES", |t| {
        let mut found = [0_u8; 8];
        new!(t, "keyctl", t.value(0), &mut found, 8, 0, 0);
        t.check(found[0] != 0);
    }),
    case("keyctl:KEYCTL_RESTRICT_KEYRING", |t| {
        let (ring, key) = (ring(t), key(t));
        let link = val!("keyctl", "KEYCTL_LINK");
        sys!(t, "keyctl", link, key, ring, 0, 0);
        // Nothing more is linked to it.
        sys!(t, "keyctl", t.value(0), ring, 0, 0, 0);
        t.check(raw!(t, "keyctl", link, key, ring, 0, 0) < 0);
    }),
];

fn gone(t: &Try<'_>, key: usize, rest: [usize; 2]) {
    sys!(t, "keyctl", t.value(0), key, rest[0], rest[1], 0);
    t.check(read_key(t, key) == [0; 16]);
}
