//! Who a process is and what it may: users, groups, capabilities; names of the host.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::{UTS, exit, exited};
use crate::list::{Case, case};

/// Another user: real, effective and saved one differ.
fn become_user(t: &Try<'_>) {
    t.alone();
    t.needs_root();
    sys!(t, "setresuid", 7, 8, 9);
}

fn become_group(t: &Try<'_>) {
    t.alone();
    t.needs_root();
    sys!(t, "setresgid", 7, 8, 9);
}

/// Who one is then.
fn users(t: &Try<'_>) -> [u32; 3] {
    let mut found = [77_u32; 3];
    let [a, b, c] = &mut found;
    sys!(t, "getresuid", a, b, c);
    found
}

fn groups(t: &Try<'_>) -> [u32; 3] {
    let mut found = [77_u32; 3];
    let [a, b, c] = &mut found;
    sys!(t, "getresgid", a, b, c);
    found
}

/// What is only for root, in a process whose end is then that of a namespace.
fn apart(t: &Try<'_>, work: impl FnOnce() -> bool) {
    t.needs_root();
    let child = t.in_child(|| {
        t.leave_namespace(NEWUTS, UTS);
        exit(usize::from(work()));
    });
    t.check(t.wait(child) == exited(1));
}

const NEWUTS: usize = crate::tables::val!("clone flags", "CLONE_NEWUTS");

fn host_name(t: &Try<'_>, field: usize, name: &[u8]) -> bool {
    let mut found = [0_u8; 390];
    sys!(t, "uname", &mut found);
    found[field * 65..].starts_with(name)
}

pub const CASES: &[Case] = &[
    case("getuid", |t| {
        become_user(t);
        t.check(sys!(t, "getuid") == 7);
    }),
    case("geteuid", |t| {
        become_user(t);
        t.check(sys!(t, "geteuid") == 8);
    }),
    case("getresuid", |t| {
        t.check(users(t) != [77; 3]);
    }),
    case("getgid", |t| {
        become_group(t);
        t.check(sys!(t, "getgid") == 7);
    }),
    case("getegid", |t| {
        become_group(t);
        t.check(sys!(t, "getegid") == 8);
    }),
    case("getresgid", |t| {
        t.check(groups(t) != [77; 3]);
    }),
    case("setuid", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setuid", 7);
        t.check(users(t) == [7, 7, 7]);
    }),
    case("setgid", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setgid", 7);
        t.check(groups(t) == [7, 7, 7]);
    }),
    case("setreuid", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setreuid", 7, 8);
        t.check(users(t) == [7, 8, 8]);
    }),
    case("setregid", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setregid", 7, 8);
        t.check(groups(t) == [7, 8, 8]);
    }),
    case("setresuid", |t| {
        become_user(t);
        t.check(users(t) == [7, 8, 9]);
    }),
    case("setresgid", |t| {
        become_group(t);
        t.check(groups(t) == [7, 8, 9]);
    }),
    case("setfsuid", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setfsuid", 7);
        t.check(sys!(t, "setfsuid", -1) == 7);
    }),
    case("setfsgid", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setfsgid", 7);
        t.check(sys!(t, "setfsgid", -1) == 7);
    }),
    case("setgroups", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setgroups", 2, &[7_u32, 8]);
        refuses!(t, "setgroups", 70_000, &[7_u32, 8]);
        let mut found = [0_u32; 8];
        t.check(raw!(t, "getgroups", 8, &mut found) == 2 && found[..2] == [7, 8]);
    }),
    case("getgroups", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "setgroups", 2, &[7_u32, 8]);
        let mut found = [0_u32; 8];
        t.check(sys!(t, "getgroups", 8, &mut found) == 2 && found[..2] == [7, 8]);
    }),
    case("capget", |t| {
        let (mut head, mut found) = ([0x2008_0522_u32, 0], [0x7777_7777_u32; 6]);
        sys!(t, "capget", &mut head, &mut found);
        t.check(found[0] != 0x7777_7777);
    }),
    case("capset", |t| {
        t.alone();
        let (mut head, mut found) = ([0x2008_0522_u32, 0], [0_u32; 6]);
        sys!(t, "capset", &mut head, &mut found);
        found.fill(0x7777_7777);
        sys!(t, "capget", &mut head, &mut found);
        t.check(found[0] == 0 && found[1] == 0);
    }),
    case("sethostname", |t| {
        apart(t, || {
            sys!(t, "sethostname", c"probed", 6);
            host_name(t, 1, b"probed\0")
        });
    }),
    case("setdomainname", |t| {
        apart(t, || {
            sys!(t, "setdomainname", c"probed", 6);
            host_name(t, 5, b"probed\0")
        });
    }),
    case("unshare", |t| {
        t.needs_root();
        let child = t.in_child(|| {
            t.leave_namespace(NEWUTS, UTS);
            exit(1);
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("setns", |t| {
        t.needs_root();
        let child = t.in_child(|| {
            let file = t.open(UTS, 0);
            let before = t.leave_namespace(NEWUTS, UTS);
            sys!(t, "setns", file, NEWUTS);
            exit(usize::from(t.namespace(UTS) == before));
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("syslog", |t| {
        t.needs_root();
        // How large the buffer is.
        new!(t, "syslog", 10, 0, 0);
    }),
    case("iopl", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "iopl", 3);
        refuses!(t, "iopl", 4);
    }),
    case("ioperm", |t| {
        t.alone();
        t.needs_root();
        sys!(t, "ioperm", 0x80, 1, 1);
        refuses!(t, "ioperm", 0x1_0000, 1, 1);
    }),
    case("vhangup", |t| {
        t.needs_root();
        let child = t.in_child(|| {
            // Without a terminal nobody is hung up.
            sys!(t, "setsid");
            sys!(t, "vhangup");
        });
        t.check(t.wait(child) == 0);
        t.skip("its effect cannot be seen without a terminal");
    }),
];
