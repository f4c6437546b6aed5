//! Processes: starting and ending them, their groups and sessions, what they look like to others.

use core::ffi::CStr;

use crate::attempt::{Arg, Try, new, raw, refuses, sys};
use crate::helpers::{HERE, PAGE, RDONLY, SIGCHLD, exit, exited};
use crate::list::{Case, case};
use crate::machine;
use crate::tables::nr;

/// What the probe does when it is started with this word: it exits with 42.
const WORD: &CStr = c"--exits";
const PROGRAM_EXITED: u32 = exited(42);

/// Words of the command line of the probe that only exits.
fn words(program: usize) -> [usize; 3] {
    [program, WORD.arg(), 0]
}

/// A child that ends at once, by a fork of any kind.
fn forks(t: &Try<'_>, child: usize) {
    t.check(t.wait(child) == exited(42));
}

/// In the child of a fork, or in oneself where it was only faked: 42 is the child's.
fn is_child(t: &Try<'_>, me: isize) {
    if t.tools.me() == me {
        t.check(false);
    }
    exit(42)
}

pub const CASES: &[Case] = &[
    case("fork", |t| {
        let me = t.tools.me();
        match sys!(t, "fork") {
            0 => is_child(t, me),
            child => forks(t, child),
        }
    }),
    case("vfork", |t| {
        let result = machine::fork_and_end(nr!("vfork"), 0, 0, t.tools.id, t.tools.me() as usize);
        match result {
            0 => t.check(false),
            1.. => forks(t, result as usize),
            errno => t.failed(nr!("vfork"), &[], errno.unsigned_abs()),
        }
    }),
    case("clone", |t| {
        let me = t.tools.me();
        match sys!(t, "clone", SIGCHLD, 0, 0, 0, 0) {
            0 => is_child(t, me),
            child => forks(t, child),
        }
    }),
    case("clone3", |t| {
        let me = t.tools.me();
        let mut arguments = [0_u64; 8];
        arguments[4] = SIGCHLD as u64;
        match sys!(t, "clone3", &mut arguments, 64) {
            0 => is_child(t, me),
            child => forks(t, child),
        }
    }),
    case("exit", |t| {
        let child = t.in_child(|| {
            sys!(t, "exit", 9);
            t.check(false);
        });
        t.check(t.wait(child) == exited(9));
    }),
    case("exit_group", |t| {
        let child = t.in_child(|| {
            sys!(t, "exit_group", 9);
            t.check(false);
        });
        t.check(t.wait(child) == exited(9));
    }),
    case("execve", |t| {
        let child = t.in_child(|| {
            let program = t.program();
            sys!(t, "execve", program, &words(program), &[0_usize]);
            t.check(false);
        });
        t.check(t.wait(child) == PROGRAM_EXITED);
    }),
    case("execveat", |t| {
        let child = t.in_child(|| {
            let program = t.program();
            sys!(t, "execveat", HERE, program, &words(program), &[0_usize], 0);
            t.check(false);
        });
        t.check(t.wait(child) == PROGRAM_EXITED);
    }),
    case("getpid", |t| {
        let me = new!(t, "getpid");
        let child = t.in_child(|| t.check(new!(t, "getpid") != me));
        t.check(t.wait(child) == 0);
    }),
    case("gettid", |t| {
        let me = new!(t, "gettid");
        let child = t.in_child(|| t.check(new!(t, "gettid") != me));
        t.check(t.wait(child) == 0);
    }),
    case("getppid", |t| {
        let me = t.me();
        let child = t.in_child(|| exit(usize::from(sys!(t, "getppid") == me)));
        t.check(t.wait(child) == exited(1));
    }),
    case("set_tid_address", |t| {
        let word = 0_u32;
        new!(t, "set_tid_address", &word);
    }),
    case("setpgid", |t| {
        let child = t.in_child(|| {
            sys!(t, "setpgid", 0, 0);
            exit(usize::from(raw!(t, "getpgrp") == raw!(t, "getpid")));
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("getpgid", |t| {
        let found = new!(t, "getpgid", 0);
        t.check(found == new!(t, "getpgrp"));
    }),
    case("getpgrp", |t| {
        new!(t, "getpgrp");
    }),
    case("setsid", |t| {
        let child = t.in_child(|| {
            let session = sys!(t, "setsid");
            exit(usize::from(
                session != 0 && raw!(t, "getpgrp") == session as isize,
            ));
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("getsid", |t| {
        let child = t.in_child(|| {
            let session = new!(t, "setsid");
            exit(usize::from(sys!(t, "getsid", 0) == session));
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("pidfd_open", |t| {
        let child = t.in_child(|| {});
        let process = new!(t, "pidfd_open", child, 0);
        // Readable when it has ended.
        let mut poll = [process as u32, 1];
        t.check(sys!(t, "poll", &mut poll, 1, 1000) == 1);
    }),
    case("pidfd_getfd", |t| {
        let file = t.file_with(b'a', b"abc");
        let process = new!(t, "pidfd_open", t.me(), 0);
        let copy = new!(t, "pidfd_getfd", process, file, 0);
        t.check(t.has(copy, 0, b"abc"));
    }),
    case("kcmp", |t| {
        let (file, me) = (t.file(b'a'), t.me());
        let copy = new!(t, "dup", file);
        let other = t.open(b".\0", RDONLY);
        t.check(sys!(t, "kcmp", me, me, 0, file, copy) == 0);
        t.check(sys!(t, "kcmp", me, me, 0, file, other) != 0);
    }),
    case("process_mrelease", |t| {
        let child = t.in_child(|| t.sleep_ms(900));
        let process = new!(t, "pidfd_open", child, 0);
        // Only of one that is being killed.
        refuses!(t, "process_mrelease", process, 0);
        t.kill(child, crate::helpers::SIGKILL);
        let result = raw!(t, "process_mrelease", process, 0);
        // It may have ended already: ESRCH.
        match result {
            0 | -3 => {}
            errno => t.failed(nr!("process_mrelease"), &[], errno.unsigned_abs()),
        }
    }),
    case("set_robust_list", |t| {
        let head = [0_usize; 3];
        sys!(t, "set_robust_list", &head, 24);
        refuses!(t, "set_robust_list", &head, 7);
    }),
    case("get_robust_list", |t| {
        let head = [0_usize; 3];
        sys!(t, "set_robust_list", &head, 24);
        let (mut found, mut length) = (0_usize, 0_usize);
        sys!(t, "get_robust_list", 0, &mut found, &mut length);
        t.check(found == (&head).arg() && length == 24);
    }),
    case("personality", |t| {
        // No random addresses; and ask.
        sys!(t, "personality", 0x004_0000);
        t.check(sys!(t, "personality", 0xffff_ffff_usize) == 0x004_0000);
    }),
    case("rseq", |t| {
        // 32 bytes, aligned so; what the kernel fills in is the processor's number.
        let area = t.map(PAGE);
        sys!(t, "rseq", area, 32, 0, 0x5305_3053);
        t.check(machine::peek_word(area) as u32 != u32::MAX);
        refuses!(t, "rseq", area + 64, 32, 0, 0x5305_3053);
    }),
    case("getrusage", |t| {
        let mut found = [u64::MAX; 18];
        sys!(t, "getrusage", 0, &mut found);
        t.check(found[1] < 1_000_000 && found[17] != u64::MAX);
    }),
    case("getcpu", |t| {
        let (mut cpu, mut node) = (u32::MAX, u32::MAX);
        sys!(t, "getcpu", &mut cpu, &mut node, 0);
        t.check(cpu != u32::MAX);
    }),
    case("uname", |t| {
        let mut found = [0_u8; 390];
        sys!(t, "uname", &mut found);
        t.check(found[0] != 0 && found[4 * 65] != 0);
    }),
    case("sysinfo", |t| {
        let mut found = [0_u64; 14];
        sys!(t, "sysinfo", &mut found);
        t.check(found[4] > 0);
    }),
    case("restart_syscall", |t| {
        // Nothing was interrupted: EINTR.
        match raw!(t, "restart_syscall") {
            -4 => {}
            0.. => t.check(false),
            errno => t.failed(nr!("restart_syscall"), &[], errno.unsigned_abs()),
        }
    }),
];
