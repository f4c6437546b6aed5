//! Looking into another process: `ptrace`.

use crate::attempt::{Arg, Try, raw, refuses, sys};
use crate::helpers::{PAGE, SIGKILL, SIGUSR1, exit};
use crate::list::{Case, case};
use crate::tables::val;

const CONT: usize = val!("ptrace", "PTRACE_CONT");
const SIGSTOP: usize = val!("signal", "SIGSTOP");

/// A word that a traced child has, too, at the same place.
static WORD: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0x5152_5354);

fn word() -> usize {
    (&WORD).arg()
}

/// A child that lets itself be traced and has stopped itself.
fn traced(t: &Try<'_>) -> usize {
    let child = t.in_child(|| {
        let trace_me = val!("ptrace", "PTRACE_TRACEME");
        sys!(t, "ptrace", trace_me, 0, 0, 0);
        // Not twice.
        refuses!(t, "ptrace", trace_me, 0, 0, 0);
        t.kill(t.me(), SIGSTOP);
        exit(7);
    });
    stops(t, child);
    child
}

fn stops(t: &Try<'_>, child: usize) {
    t.check(t.wait(child) & 0xff == 0x7f);
}

/// A child that is not traced, for a second.
fn other(t: &Try<'_>) -> usize {
    t.in_child(|| t.sleep_ms(900))
}

fn end(t: &Try<'_>, child: usize) {
    t.kill(child, SIGKILL);
}

/// Something that is told of a stopped child through memory.
fn tells(t: &Try<'_>) {
    let child = traced(t);
    let mut found = [0x7777_7777_u64; 128];
    sys!(t, "ptrace", t.value(0), child, 0, &mut found);
    end(t, child);
    t.check(found[0] != 0x7777_7777 || found[1] != 0x7777_7777);
}

/// The child goes on and ends with 7.
fn goes_on(t: &Try<'_>, child: usize) {
    sys!(t, "ptrace", CONT, child, 0, 0);
    t.check(t.wait(child) == 7 << 8);
}

/// The child goes on until something stops it again.
fn stops_again(t: &Try<'_>) {
    let child = traced(t);
    sys!(t, "ptrace", t.value(0), child, 0, 0);
    stops(t, child);
    end(t, child);
}

fn pokes(t: &Try<'_>) {
    let child = traced(t);
    sys!(t, "ptrace", t.value(0), child, word(), 0x1234);
    let mut found = 0_usize;
    sys!(
        t,
        "ptrace",
        val!("ptrace", "PTRACE_PEEKDATA"),
        child,
        word(),
        &mut found
    );
    end(t, child);
    t.check(found == 0x1234);
}

fn peeks(t: &Try<'_>) {
    let child = traced(t);
    let mut found = 0_usize;
    sys!(t, "ptrace", t.value(0), child, word(), &mut found);
    end(t, child);
    t.check(found == 0x5152_5354);
}

/// What was told is set again, which changes nothing; and is refused of a process that is not there.
fn sets(t: &Try<'_>, told_by: usize) {
    let child = traced(t);
    let mut found = [0_u64; 128];
    sys!(t, "ptrace", told_by, child, 0, &mut found);
    sys!(t, "ptrace", t.value(0), child, 0, &found);
    refuses!(t, "ptrace", t.value(0), 0x7fff_fff0, 0, &found);
    goes_on(t, child);
}

/// The general registers, by `struct iovec`.
fn registers(t: &Try<'_>, child: usize, how: usize, found: &mut [u64; 32]) {
    let vector = [found.as_mut_ptr() as usize, 27 * 8];
    sys!(t, "ptrace", how, child, 1, &vector);
}

pub const CASES: &[Case] = &[
    case("ptrace:PTRACE_TRACEME", |t| {
        let child = traced(t);
        goes_on(t, child);
    }),
    case("ptrace:PTRACE_CONT", |t| {
        let child = traced(t);
        goes_on(t, child);
    }),
    case("ptrace:PTRACE_ATTACH", |t| {
        let child = other(t);
        sys!(t, "ptrace", t.value(0), child, 0, 0);
        stops(t, child);
        end(t, child);
    }),
    case("ptrace:PTRACE_SEIZE", |t| {
        let child = other(t);
        sys!(t, "ptrace", t.value(0), child, 0, 0);
        sys!(t, "ptrace", val!("ptrace", "PTRACE_INTERRUPT"), child, 0, 0);
        stops(t, child);
        end(t, child);
    }),
    case("ptrace:PTRACE_INTERRUPT", |t| {
        let child = other(t);
        sys!(t, "ptrace", val!("ptrace", "PTRACE_SEIZE"), child, 0, 0);
        sys!(t, "ptrace", t.value(0), child, 0, 0);
        stops(t, child);
        end(t, child);
    }),
    case("ptrace:PTRACE_DETACH", |t| {
        let child = traced(t);
        sys!(t, "ptrace", t.value(0), child, 0, 0);
        // It is nobody's any more.
        refuses!(t, "ptrace", t.value(0), child, 0, 0);
        end(t, child);
    }),
    case("ptrace:PTRACE_KILL", |t| {
        let child = traced(t);
        sys!(t, "ptrace", t.value(0), child, 0, 0);
        t.check(t.wait(child) & 0x7f == SIGKILL as u32);
    }),
    case("ptrace:PTRACE_PEEKTEXT", peeks),
    case("ptrace:PTRACE_PEEKDATA", peeks),
    case("ptrace:PTRACE_POKETEXT", pokes),
    case("ptrace:PTRACE_POKEDATA", pokes),
    case("ptrace:PTRACE_PEEKUSR", |t| {
        let child = traced(t);
        // The stack pointer.
        let mut found = 0_usize;
        sys!(t, "ptrace", t.value(0), child, 19 * 8, &mut found);
        end(t, child);
        t.check(found > PAGE);
    }),
    case("ptrace:PTRACE_POKEUSR", |t| {
        let child = traced(t);
        // r15, which nobody needs any more.
        sys!(t, "ptrace", t.value(0), child, 0, 0x4321);
        let mut found = 0_usize;
        sys!(
            t,
            "ptrace",
            val!("ptrace", "PTRACE_PEEKUSR"),
            child,
            0,
            &mut found
        );
        end(t, child);
        t.check(found == 0x4321);
    }),
    case("ptrace:PTRACE_SINGLESTEP", stops_again),
    case("ptrace:PTRACE_SINGLEBLOCK", stops_again),
    case("ptrace:PTRACE_SYSCALL", stops_again),
    case("ptrace:PTRACE_SYSEMU", stops_again),
    case("ptrace:PTRACE_SYSEMU_SINGLESTEP", stops_again),
    case("ptrace:PTRACE_GETREGS", tells),
    case("ptrace:PTRACE_GETFPREGS", tells),
    case("ptrace:PTRACE_GETSIGINFO", tells),
    case("ptrace:PTRACE_SETREGS", |t| {
        sets(t, val!("ptrace", "PTRACE_GETREGS"))
    }),
    case("ptrace:PTRACE_SETFPREGS", |t| {
        sets(t, val!("ptrace", "PTRACE_GETFPREGS"))
    }),
    case("ptrace:PTRACE_SETSIGINFO", |t| {
        sets(t, val!("ptrace", "PTRACE_GETSIGINFO"))
    }),
    case("ptrace:PTRACE_GETREGSET", |t| {
        let child = traced(t);
        let mut found = [0_u64; 32];
        registers(t, child, t.value(0), &mut found);
        end(t, child);
        t.check(found[19] > PAGE as u64);
    }),
    case("ptrace:PTRACE_SETREGSET", |t| {
        let child = traced(t);
        let mut found = [0_u64; 32];
        let get = val!("ptrace", "PTRACE_GETREGSET");
        registers(t, child, get, &mut found);
        found[0] = 0x4321;
        registers(t, child, t.value(0), &mut found);
        found[0] = 0;
        registers(t, child, get, &mut found);
        end(t, child);
        t.check(found[0] == 0x4321);
    }),
    case("ptrace:PTRACE_SETOPTIONS", |t| {
        let child = traced(t);
        // It dies with who traces it.
        sys!(t, "ptrace", t.value(0), child, 0, 1 << 20);
        refuses!(t, "ptrace", t.value(0), child, 0, 1 << 30);
        end(t, child);
    }),
    case("ptrace:PTRACE_GETEVENTMSG", tells),
    case("ptrace:PTRACE_GETSIGMASK", |t| {
        let child = traced(t);
        let mut found = u64::MAX;
        sys!(t, "ptrace", t.value(0), child, 8, &mut found);
        end(t, child);
        t.check(found == 0);
    }),
    case("ptrace:PTRACE_SETSIGMASK", |t| {
        let child = traced(t);
        let mut found = 0x200_u64;
        sys!(t, "ptrace", t.value(0), child, 8, &found);
        found = 0;
        sys!(
            t,
            "ptrace",
            val!("ptrace", "PTRACE_GETSIGMASK"),
            child,
            8,
            &mut found
        );
        end(t, child);
        t.check(found == 0x200);
    }),
    case("ptrace:PTRACE_PEEKSIGINFO", |t| {
        let child = traced(t);
        t.kill(child, SIGUSR1);
        // The first that is pending, of the whole process or of its thread.
        let mut found = [0_u32; 32];
        let mut peek = |queue: u64| {
            let wanted = [0_u64, queue | 1 << 32];
            raw!(t, "ptrace", t.value(0), child, &wanted, &mut found)
        };
        let count = match peek(1) {
            0 => peek(0),
            count => count,
        };
        end(t, child);
        if count < 0 {
            t.failed(t.number(), &[t.value(0)], count.unsigned_abs());
        }
        t.check(count == 1 && found[0] == SIGUSR1 as u32);
    }),
    case("ptrace:PTRACE_GET_SYSCALL_INFO", |t| {
        let child = traced(t);
        let mut found = [0_u64; 16];
        let size = raw!(t, "ptrace", t.value(0), child, 128, &mut found);
        end(t, child);
        if size < 0 {
            t.failed(t.number(), &[t.value(0)], size.unsigned_abs());
        }
        t.check(size > 0 && found[2] > PAGE as u64);
    }),
    case("ptrace:PTRACE_GET_RSEQ_CONFIGURATION", |t| {
        let child = traced(t);
        let mut found = [0x7777_u64; 4];
        let size = raw!(t, "ptrace", t.value(0), child, 24, &mut found);
        end(t, child);
        if size < 0 {
            t.failed(t.number(), &[t.value(0)], size.unsigned_abs());
        }
        t.check(size > 0 && found[0] != 0x7777);
    }),
];
