//! Signals: sending, handling, blocking and waiting for them, and timers that send them.

use core::sync::atomic::Ordering;

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::handlers;
use crate::helpers::{PAGE, SIGALRM, SIGINFO, SIGKILL, SIGUSR1, action, exited, noting, seen};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const BLOCK: usize = val!("sigprocmask", "SIG_BLOCK");
/// `SI_QUEUE`: sent by a process, with a value.
const QUEUED: i32 = -1;

/// A set with one signal.
const fn set(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// Blocked, and sent.
fn pending(t: &Try<'_>, signal: usize) {
    sys!(t, "rt_sigprocmask", BLOCK, &set(signal), 0, 8);
    t.kill(t.me(), signal);
}

fn info(signal: usize) -> [u64; 16] {
    let mut info = [0_u64; 16];
    info[0] = signal as u64;
    info[1] = u64::from(QUEUED as u32);
    info[3] = 0x1234_5678;
    info
}

fn came_with_value(t: &Try<'_>) {
    t.check(seen(SIGUSR1) == 1);
    t.check(handlers::CODE.load(Ordering::SeqCst) == QUEUED);
    t.check(handlers::VALUE.load(Ordering::SeqCst) == 0x1234_5678);
}

/// Ended by SIGKILL.
fn is_killed(t: &Try<'_>, child: usize) {
    t.check(t.wait(child) & 0x7f == SIGKILL as u32);
}

/// A child that waits for a second.
fn sleeper(t: &Try<'_>) -> usize {
    t.in_child(|| t.sleep_ms(900))
}

/// What a descriptor of signals tells of the one that is pending.
fn tells(t: &Try<'_>, fd: usize) {
    let mut found = [0_u32; 32];
    let bytes = crate::machine::bytes_of(&mut found);
    t.check(t.read(fd, bytes) == 128);
    t.check(found[0] == SIGUSR1 as u32);
}

pub const CASES: &[Case] = &[
    case("rt_sigaction:SIGKILL", refused),
    case("rt_sigaction:SIGSTOP", refused),
    case("rt_sigaction:*", |t| {
        let signal = t.value(0);
        t.handle(signal);
        let mut before = [7_usize; 4];
        sys!(t, "rt_sigaction", signal, 0, &mut before, 8);
        // Without a handler it would end the process.
        t.check(before[0] == noting());
        t.kill(t.me(), signal);
        t.check(seen(signal) == 1);
    }),
    case("rt_sigprocmask:SIG_BLOCK", |t| {
        t.handle(SIGUSR1);
        sys!(t, "rt_sigprocmask", BLOCK, &set(SIGUSR1), 0, 8);
        t.kill(t.me(), SIGUSR1);
        t.check(seen(SIGUSR1) == 0);
    }),
    case("rt_sigprocmask:SIG_UNBLOCK", |t| {
        t.handle(SIGUSR1);
        pending(t, SIGUSR1);
        if seen(SIGUSR1) != 0 {
            t.failed(nr!("rt_sigprocmask"), &[BLOCK], 0);
        }
        sys!(t, "rt_sigprocmask", t.value(0), &set(SIGUSR1), 0, 8);
        t.check(seen(SIGUSR1) == 1);
    }),
    case("rt_sigprocmask:SIG_SETMASK", |t| {
        t.handle(SIGUSR1);
        sys!(t, "rt_sigprocmask", t.value(0), &set(SIGUSR1), 0, 8);
        t.kill(t.me(), SIGUSR1);
        t.check(seen(SIGUSR1) == 0);
    }),
    case("rt_sigpending", |t| {
        pending(t, SIGUSR1);
        let mut found = 0_u64;
        sys!(t, "rt_sigpending", &mut found, 8);
        t.check(found == set(SIGUSR1));
    }),
    case("rt_sigsuspend", |t| {
        t.handle(SIGUSR1);
        pending(t, SIGUSR1);
        let result = raw!(t, "rt_sigsuspend", &0_u64, 8);
        interrupted(t, result);
    }),
    case("pause", |t| {
        t.handle(SIGALRM);
        sys!(t, "setitimer", 0, &[0_u64, 0, 0, 20_000], 0);
        let result = raw!(t, "pause");
        interrupted(t, result);
    }),
    case("rt_sigtimedwait", |t| {
        pending(t, SIGUSR1);
        let mut found = [0_u32; 32];
        t.check(
            new!(
                t,
                "rt_sigtimedwait",
                &set(SIGUSR1),
                &mut found,
                &[0_u64, 0],
                8
            ) == SIGUSR1,
        );
        t.check(found[0] == SIGUSR1 as u32);
    }),
    case("rt_sigqueueinfo", |t| {
        t.handle(SIGUSR1);
        sys!(t, "rt_sigqueueinfo", t.me(), SIGUSR1, &info(SIGUSR1));
        came_with_value(t);
    }),
    case("rt_tgsigqueueinfo", |t| {
        t.handle(SIGUSR1);
        let me = t.me();
        sys!(t, "rt_tgsigqueueinfo", me, me, SIGUSR1, &info(SIGUSR1));
        came_with_value(t);
    }),
    case("rt_sigreturn", |t| {
        t.alone();
        t.handle(SIGUSR1);
        t.kill(t.me(), SIGUSR1);
        t.check(seen(SIGUSR1) == 1);
    }),
    case("sigaltstack", |t| {
        let stack = t.map(8 * PAGE);
        sys!(t, "sigaltstack", &[stack, 0, 8 * PAGE], 0);
        sys!(
            t,
            "rt_sigaction",
            SIGUSR1,
            &action(noting(), SIGINFO | 0x0800_0000),
            0,
            8
        );
        t.kill(t.me(), SIGUSR1);
        let here = handlers::STACK.load(Ordering::SeqCst);
        t.check(seen(SIGUSR1) == 1 && (stack..stack + 8 * PAGE).contains(&here));
    }),
    case("kill", |t| {
        let child = sleeper(t);
        sys!(t, "kill", child, SIGKILL);
        is_killed(t, child);
    }),
    case("tkill", |t| {
        let child = sleeper(t);
        sys!(t, "tkill", child, SIGKILL);
        is_killed(t, child);
    }),
    case("tgkill", |t| {
        let child = sleeper(t);
        sys!(t, "tgkill", child, child, SIGKILL);
        is_killed(t, child);
    }),
    case("pidfd_send_signal", |t| {
        let child = sleeper(t);
        let process = new!(t, "pidfd_open", child, 0);
        sys!(t, "pidfd_send_signal", process, SIGKILL, 0, 0);
        is_killed(t, child);
    }),
    case("alarm", |t| {
        sys!(t, "alarm", 100);
        t.check(sys!(t, "alarm", 0) >= 99);
    }),
    case("setitimer", |t| {
        t.handle(SIGALRM);
        sys!(t, "setitimer", 0, &[0_u64, 0, 0, 10_000], 0);
        t.check(t.soon(|| seen(SIGALRM) > 0));
    }),
    case("getitimer", |t| {
        sys!(t, "setitimer", 0, &[0_u64, 0, 100, 0], 0);
        let mut found = [0_u64; 4];
        sys!(t, "getitimer", 0, &mut found);
        t.check((90..=100).contains(&found[2]));
    }),
    case("signalfd", |t| {
        pending(t, SIGUSR1);
        tells(t, new!(t, "signalfd", -1, &set(SIGUSR1), 8));
    }),
    case("signalfd4", |t| {
        pending(t, SIGUSR1);
        tells(t, new!(t, "signalfd4", -1, &set(SIGUSR1), 8, 0));
    }),
    case("wait4", |t| {
        let child = t.in_child(|| crate::helpers::exit(7));
        let mut status = 0_u32;
        t.check(new!(t, "wait4", child, &mut status, 0, 0) == child && status == exited(7));
    }),
    case("waitid", |t| {
        let child = t.in_child(|| crate::helpers::exit(7));
        let mut info = [0_u32; 32];
        sys!(t, "waitid", 1, child, &mut info, 4, 0);
        t.check(info[6] == 7 && info[4] == child as u32);
    }),
];

/// Nobody may handle it.
fn refused(t: &Try<'_>) {
    refuses!(
        t,
        "rt_sigaction",
        t.value(0),
        &action(noting(), SIGINFO),
        0,
        8
    );
    let mut before = [7_usize; 4];
    sys!(t, "rt_sigaction", t.value(0), 0, &mut before, 8);
    t.check(before[0] == 0);
}

/// Came back for a signal, which was handled.
fn interrupted(t: &Try<'_>, result: isize) {
    // EINTR
    match result {
        -4 => t.check(seen(SIGUSR1) + seen(SIGALRM) == 1),
        0.. => t.check(false),
        errno => t.failed(t.number(), &[], errno.unsigned_abs()),
    }
}
