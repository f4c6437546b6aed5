//! Extended attributes, and what file systems and terminals are asked by `ioctl`.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{HERE, NONBLOCK, RDONLY};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const NAME: &core::ffi::CStr = c"user.probe";
const VALUE: &[u8] = b"value";

fn attribute(t: &Try<'_>) -> usize {
    let file = t.file(b'a');
    match t.is_doubted(nr!("fsetxattr"), &[]) {
        true => sys!(t, "setxattr", &t.name(b'a'), NAME, VALUE, 5, 0),
        false => sys!(t, "fsetxattr", file, NAME, VALUE, 5, 0),
    };
    file
}

fn is_set(t: &Try<'_>, file: usize) {
    let mut found = [0_u8; 16];
    let count = match t.is_doubted(nr!("fgetxattr"), &[]) {
        true => raw!(t, "getxattr", &t.name(b'a'), NAME, &mut found, 16),
        false => raw!(t, "fgetxattr", file, NAME, &mut found, 16),
    };
    t.check(count == 5 && found.starts_with(VALUE));
}

fn is_value(t: &Try<'_>, count: usize, found: &[u8]) {
    t.check(count == 5 && found.starts_with(VALUE));
}

fn is_list(t: &Try<'_>, count: usize, found: &[u8]) {
    t.check(count >= 11 && crate::helpers::find(found, b"user.probe\0").is_some());
}

fn is_removed(t: &Try<'_>, file: usize) {
    let mut found = [0_u8; 16];
    let count = match t.is_doubted(nr!("fgetxattr"), &[]) {
        true => raw!(t, "getxattr", &t.name(b'a'), NAME, &mut found, 16),
        false => raw!(t, "fgetxattr", file, NAME, &mut found, 16),
    };
    t.check(count < 0);
}

/// `struct xattr_args`.
fn value_args(bytes: &mut [u8]) -> [u64; 2] {
    [bytes.as_mut_ptr() as u64, bytes.len() as u64]
}

pub const CASES: &[Case] = &[
    case("setxattr", |t| {
        let file = t.file(b'a');
        sys!(t, "setxattr", &t.name(b'a'), NAME, VALUE, 5, 0);
        refuses!(t, "setxattr", &t.name(b'a'), c"nameless", VALUE, 5, 0);
        is_set(t, file);
    }),
    case("lsetxattr", |t| {
        let file = t.file(b'a');
        sys!(t, "lsetxattr", &t.name(b'a'), NAME, VALUE, 5, 0);
        refuses!(t, "lsetxattr", &t.name(b'a'), c"nameless", VALUE, 5, 0);
        is_set(t, file);
    }),
    case("fsetxattr", |t| {
        let file = t.file(b'a');
        sys!(t, "fsetxattr", file, NAME, VALUE, 5, 0);
        refuses!(t, "fsetxattr", file, c"nameless", VALUE, 5, 0);
        is_set(t, file);
    }),
    case("setxattrat", |t| {
        let file = t.file(b'a');
        let mut value = *b"value";
        let arguments = value_args(&mut value);
        sys!(
            t,
            "setxattrat",
            HERE,
            &t.name(b'a'),
            0,
            NAME,
            &arguments,
            16
        );
        refuses!(
            t,
            "setxattrat",
            HERE,
            &t.name(b'a'),
            0,
            c"nameless",
            &arguments,
            16
        );
        is_set(t, file);
    }),
    case("getxattr", |t| {
        attribute(t);
        let mut found = [0_u8; 16];
        let count = sys!(t, "getxattr", &t.name(b'a'), NAME, &mut found, 16);
        is_value(t, count, &found);
    }),
    case("lgetxattr", |t| {
        attribute(t);
        let mut found = [0_u8; 16];
        let count = sys!(t, "lgetxattr", &t.name(b'a'), NAME, &mut found, 16);
        is_value(t, count, &found);
    }),
    case("fgetxattr", |t| {
        let file = attribute(t);
        let mut found = [0_u8; 16];
        let count = sys!(t, "fgetxattr", file, NAME, &mut found, 16);
        is_value(t, count, &found);
    }),
    case("getxattrat", |t| {
        attribute(t);
        let mut found = [0_u8; 16];
        let arguments = value_args(&mut found);
        let count = sys!(
            t,
            "getxattrat",
            HERE,
            &t.name(b'a'),
            0,
            NAME,
            &arguments,
            16
        );
        is_value(t, count, &found);
    }),
    case("listxattr", |t| {
        attribute(t);
        let mut found = [0_u8; 256];
        let count = sys!(t, "listxattr", &t.name(b'a'), &mut found, 256);
        is_list(t, count, &found);
    }),
    case("llistxattr", |t| {
        attribute(t);
        let mut found = [0_u8; 256];
        let count = sys!(t, "llistxattr", &t.name(b'a'), &mut found, 256);
        is_list(t, count, &found);
    }),
    case("flistxattr", |t| {
        let file = attribute(t);
        let mut found = [0_u8; 256];
        let count = sys!(t, "flistxattr", file, &mut found, 256);
        is_list(t, count, &found);
    }),
    case("listxattrat", |t| {
        attribute(t);
        let mut found = [0_u8; 256];
        let count = sys!(t, "listxattrat", HERE, &t.name(b'a'), 0, &mut found, 256);
        is_list(t, count, &found);
    }),
    case("removexattr", |t| {
        let file = attribute(t);
        sys!(t, "removexattr", &t.name(b'a'), NAME);
        is_removed(t, file);
    }),
    case("lremovexattr", |t| {
        let file = attribute(t);
        sys!(t, "lremovexattr", &t.name(b'a'), NAME);
        is_removed(t, file);
    }),
    case("fremovexattr", |t| {
        let file = attribute(t);
        sys!(t, "fremovexattr", file, NAME);
        is_removed(t, file);
    }),
    case("removexattrat", |t| {
        let file = attribute(t);
        sys!(t, "removexattrat", HERE, &t.name(b'a'), 0, NAME);
        is_removed(t, file);
    }),
    case("ioctl:FIONREAD", |t| {
        let [read, write] = t.pipe();
        t.write(write, b"abc");
        let mut found = 0_u32;
        sys!(t, "ioctl", read, t.value(0), &mut found);
        t.check(found == 3);
    }),
    case("ioctl:FIONBIO", |t| {
        let [read, _write] = t.pipe();
        sys!(t, "ioctl", read, t.value(0), &1_u32);
        t.check(sys!(t, "fcntl", read, val!("fcntl", "F_GETFL")) & NONBLOCK != 0);
    }),
    case("ioctl:FIOASYNC", |t| {
        let [one, other] = t.pair();
        let signal = val!("signal", "SIGIO");
        t.handle(signal);
        sys!(t, "fcntl", one, val!("fcntl", "F_SETOWN"), t.me());
        sys!(t, "ioctl", one, t.value(0), &1_u32);
        t.write(other, b"x");
        t.check(t.soon(|| crate::helpers::seen(signal) > 0));
    }),
    case("ioctl:FIOCLEX", |t| {
        let file = t.file(b'a');
        sys!(t, "ioctl", file, t.value(0));
        t.check(sys!(t, "fcntl", file, val!("fcntl", "F_GETFD")) == 1);
    }),
    case("ioctl:FIONCLEX", |t| {
        let file = t.file(b'a');
        sys!(t, "fcntl", file, val!("fcntl", "F_SETFD"), 1);
        sys!(t, "ioctl", file, t.value(0));
        t.check(sys!(t, "fcntl", file, val!("fcntl", "F_GETFD")) == 0);
    }),
    case("ioctl:FIGETBSZ", |t| {
        let mut found = 0_u32;
        sys!(t, "ioctl", t.file(b'a'), t.value(0), &mut found);
        t.check(found >= 512);
    }),
    case("ioctl:FIOQSIZE", |t| {
        let mut found = u64::MAX;
        sys!(
            t,
            "ioctl",
            t.file_with(b'a', b"abc"),
            t.value(0),
            &mut found
        );
        t.check(found != u64::MAX);
    }),
    case("ioctl:FS_IOC_GETFLAGS", |t| {
        let mut found = 0x7777_u32;
        sys!(t, "ioctl", t.file(b'a'), t.value(0), &mut found);
        t.check(found != 0x7777);
    }),
    case("ioctl:FS_IOC_SETFLAGS", |t| {
        let (file, mut found) = (t.file(b'a'), 0_u32);
        let get = val!("ioctl", "FS_IOC_GETFLAGS");
        sys!(t, "ioctl", file, get, &mut found);
        // Without an access time.
        sys!(t, "ioctl", file, t.value(0), &(found | 0x80));
        sys!(t, "ioctl", file, get, &mut found);
        t.check(found & 0x80 != 0);
    }),
    case("ioctl:FS_IOC_FSGETXATTR", |t| {
        let mut found = [0x7777_7777_u32; 7];
        sys!(t, "ioctl", t.file(b'a'), t.value(0), &mut found);
        t.check(found[0] != 0x7777_7777);
    }),
    case("ioctl:FS_IOC_FSSETXATTR", |t| {
        let (file, mut found) = (t.file(b'a'), [0_u32; 7]);
        let get = val!("ioctl", "FS_IOC_FSGETXATTR");
        sys!(t, "ioctl", file, get, &mut found);
        found[0] |= 0x40;
        sys!(t, "ioctl", file, t.value(0), &found);
        let mut again = [0_u32; 7];
        sys!(t, "ioctl", file, get, &mut again);
        t.check(again[0] & 0x40 != 0);
    }),
    case("ioctl:RNDGETENTCNT", |t| {
        let random = t.open(b"/dev/urandom\0", RDONLY | NONBLOCK);
        let mut found = u32::MAX;
        sys!(t, "ioctl", random, t.value(0), &mut found);
        t.check(found != u32::MAX);
    }),
    case("ioctl:NS_GET_NSTYPE", |t| {
        let namespace = t.open(b"/proc/self/ns/uts\0", RDONLY);
        let kind = val!("clone flags", "CLONE_NEWUTS");
        t.check(sys!(t, "ioctl", namespace, t.value(0)) == kind);
    }),
    case("ioctl:NS_GET_USERNS", |t| {
        let namespace = t.open(b"/proc/self/ns/uts\0", RDONLY);
        new!(t, "ioctl", namespace, t.value(0));
    }),
];
