//! Flags of `clone` and `unshare`: what a new process shares, and what it has for itself. Namespaces
//! are only looked at, and nothing in them is changed.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::attempt::{Arg, Try, choose, new, raw, sys};
use crate::helpers::{PAGE, RDONLY, SIGCHLD, SIGUSR1, action, exit, exited};
use crate::list::{Case, case};
use crate::machine::{self, word_at_fs};
use crate::tables::{nr, val};

const VM: usize = val!("clone flags", "CLONE_VM");
const SIGHAND: usize = val!("clone flags", "CLONE_SIGHAND");
/// What threads share.
const THREAD: usize = VM
    | SIGHAND
    | val!("clone flags", "CLONE_FS")
    | val!("clone flags", "CLONE_FILES")
    | val!("clone flags", "CLONE_THREAD")
    | val!("clone flags", "CLONE_SYSVSEM");
const IGNORED: usize = 1;

/// What a thread of the case has found out.
static FOUND: AtomicUsize = AtomicUsize::new(0);

extern "C" fn tells_process(_: usize) {
    FOUND.store(
        machine::syscall(nr!("getpid"), [0; 6]) as usize,
        Ordering::SeqCst,
    );
}

extern "C" fn ignores(_: usize) {
    let ignore = action(IGNORED, 0);
    machine::syscall(nr!("rt_sigaction"), [SIGUSR1, (&ignore).arg(), 0, 8, 0, 0]);
    FOUND.store(1, Ordering::SeqCst);
}

extern "C" fn goes_up(_: usize) {
    machine::syscall(nr!("chdir"), [c"..".arg(), 0, 0, 0, 0, 0]);
    FOUND.store(1, Ordering::SeqCst);
}

/// A file that a thread of the case closes.
static FILE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn closes(_: usize) {
    machine::syscall(nr!("close"), [FILE.load(Ordering::SeqCst), 0, 0, 0, 0, 0]);
    FOUND.store(1, Ordering::SeqCst);
}

/// A copy of the process that shares with it what the flag says; 0 in it.
fn copy(t: &Try<'_>, [parent, child, local]: [usize; 3]) -> usize {
    t.alone();
    let me = t.tools.me();
    let flags = t.value(0) | SIGCHLD;
    let found = sys!(t, "clone", flags, 0, parent, child, local);
    // A call that was only faked leaves one alone with oneself.
    if found == 0 && t.tools.me() == me {
        t.failed(nr!("clone"), &[flags], 0);
    }
    found
}

/// What such a copy exits with.
fn ends_with(t: &Try<'_>, work: impl FnOnce() -> u32) -> u32 {
    match copy(t, [0; 3]) {
        0 => exit(work() as usize),
        child => t.wait(child) >> 8,
    }
}

/// Starts a function on a stack of its own.
fn start(t: &Try<'_>, flags: usize, function: extern "C" fn(usize)) -> isize {
    let top = t.map(4 * PAGE) + 4 * PAGE;
    let arguments = [flags, top, 0, 0, 0, 0];
    t.raw_by(nr!("clone"), &arguments, || {
        machine::clone_running(nr!("clone"), [flags, top], top, function, 0)
    })
}

/// Runs a function that shares the memory, until it has found something. Where there are no processes
/// that share less than all, as a thread.
fn runs(t: &Try<'_>, flags: usize, function: extern "C" fn(usize)) -> usize {
    t.alone();
    t.uses_call(nr!("exit"));
    let result = match start(t, flags, function) {
        ..0 => start(t, THREAD, function),
        result => result,
    };
    if result <= 0 {
        t.failed(nr!("clone"), &[THREAD], result.unsigned_abs());
    }
    t.check(t.soon(|| FOUND.load(Ordering::SeqCst) != 0));
    FOUND.load(Ordering::SeqCst)
}

/// The link that tells of a namespace that such a process has, or is to have.
fn link(flag: usize) -> &'static [u8] {
    match flag {
        flag if flag == val!("clone flags", "CLONE_NEWNS") => b"/proc/self/ns/mnt\0",
        flag if flag == val!("clone flags", "CLONE_NEWUTS") => b"/proc/self/ns/uts\0",
        flag if flag == val!("clone flags", "CLONE_NEWIPC") => b"/proc/self/ns/ipc\0",
        flag if flag == val!("clone flags", "CLONE_NEWNET") => b"/proc/self/ns/net\0",
        flag if flag == val!("clone flags", "CLONE_NEWUSER") => b"/proc/self/ns/user\0",
        flag if flag == val!("clone flags", "CLONE_NEWCGROUP") => b"/proc/self/ns/cgroup\0",
        flag if flag == val!("clone flags", "CLONE_NEWTIME") => {
            b"/proc/self/ns/time_for_children\0"
        }
        _ => b"/proc/self/ns/pid_for_children\0",
    }
}

fn clones_namespace(t: &Try<'_>) {
    t.needs_root();
    let before = t.namespace(link(t.value(0)));
    t.check(ends_with(t, || u32::from(t.namespace(link(t.value(0))) != before)) == 1);
}

fn leaves_namespace(t: &Try<'_>) {
    t.needs_root();
    let child = t.in_child(|| {
        t.leave_namespace(t.value(0), link(t.value(0)));
        exit(1);
    });
    t.check(t.wait(child) == exited(1));
}

/// A copy that shares something (`fork` and its like share nothing) and leaves that.
fn leaves(t: &Try<'_>, change: impl FnOnce()) {
    t.alone();
    match sys!(t, "clone", t.value(0) | SIGCHLD, 0, 0, 0, 0) {
        0 => {
            sys!(t, "unshare", t.value(0));
            change();
            exit(1)
        }
        child => t.check(t.wait(child) == exited(1)),
    }
}

fn go_up(t: &Try<'_>) {
    sys!(t, "chdir", c"..");
}

fn is_open(t: &Try<'_>, file: usize) -> bool {
    raw!(t, "fcntl", file, val!("fcntl", "F_GETFD"), 0) >= 0
}

fn parent_of(t: &Try<'_>) -> usize {
    new!(t, "getppid")
}

pub const CASES: &[Case] = &[
    case("clone:CLONE_VM", |t| {
        runs(t, t.value(0) | SIGCHLD, tells_process);
    }),
    case("clone:CLONE_SIGHAND", |t| {
        runs(t, VM | t.value(0) | SIGCHLD, ignores);
        let mut before = [7_usize; 4];
        sys!(t, "rt_sigaction", SIGUSR1, 0, &mut before, 8);
        t.check(before[0] == IGNORED);
    }),
    case("clone:CLONE_THREAD", |t| {
        t.check(runs(t, VM | SIGHAND | t.value(0), tells_process) == t.me());
    }),
    case("clone:CLONE_FS", |t| {
        t.file(b'a');
        t.uses_call(nr!("chdir"));
        runs(t, VM | t.value(0) | SIGCHLD, goes_up);
        t.check(!t.exists(&t.name(b'a')));
    }),
    case("clone:CLONE_FILES", |t| {
        let file = t.file(b'a');
        t.uses_call(nr!("close"));
        FILE.store(file, Ordering::SeqCst);
        runs(t, VM | t.value(0) | SIGCHLD, closes);
        t.check(!is_open(t, file));
    }),
    case("clone:CLONE_VFORK", |t| {
        let word = t.word(3);
        let child = copy(t, [0; 3]);
        if child == 0 {
            t.tools.sleep_ms(20);
            word.store(1, Ordering::SeqCst);
            exit(0);
        }
        t.check(word.load(Ordering::SeqCst) == 1);
    }),
    case("clone:CLONE_PARENT", |t| {
        let (word, parent) = (t.word(3), parent_of(t));
        if copy(t, [0; 3]) == 0 {
            word.store(parent_of(t) as u64, Ordering::SeqCst);
            exit(0);
        }
        t.check(t.soon(|| word.load(Ordering::SeqCst) != 0));
        t.check(word.load(Ordering::SeqCst) == parent as u64);
    }),
    case("clone:CLONE_PARENT_SETTID", |t| {
        let mut told = 0_u32;
        let place = (&mut told).arg();
        let child = copy(t, [place, 0, 0]);
        if child == 0 {
            exit(0);
        }
        t.wait(child);
        t.check(machine::peek_word(place) as u32 == child as u32);
    }),
    case("clone:CLONE_CHILD_SETTID", |t| {
        let mut told = 0_u32;
        let place = (&mut told).arg();
        let child = copy(t, [0, place, 0]);
        if child == 0 {
            let told = machine::peek_word(place) as u32;
            exit(usize::from(told as isize == t.tools.me()));
        }
        t.check(t.wait(child) == exited(1));
    }),
    case("clone:CLONE_SETTLS", |t| {
        let words = [0x1234_usize, 0];
        let child = copy(t, [0, 0, (&words).arg()]);
        if child == 0 {
            exit(usize::from(word_at_fs() == 0x1234));
        }
        t.check(t.wait(child) == exited(1));
    }),
    case("clone:CLONE_PIDFD", |t| {
        let mut told = [0_u32; 2];
        let place = (&mut told).arg();
        let child = copy(t, [place, 0, 0]);
        if child == 0 {
            exit(7);
        }
        let file = machine::peek_word(place) & 0xffff_ffff;
        t.check(file > 2 && is_open(t, file));
        let mut info = [0_u32; 32];
        // By a descriptor, and one that has ended.
        sys!(t, "waitid", 3, file, &mut info, 4, 0);
        t.check(info[4] == child as u32);
    }),
    case("clone:CLONE_NEWPID", |t| {
        t.needs_root();
        let first = ends_with(t, || {
            choose!(t, ["getpid", "gettid", "set_tid_address"], {
                "getpid" => raw!(t, "getpid"),
                "gettid" => raw!(t, "gettid"),
                "set_tid_address" => raw!(t, "set_tid_address", 0),
            }) as u32
        });
        t.check(first == 1);
    }),
    case("clone:CLONE_NEWNS", clones_namespace),
    case("clone:CLONE_NEWUTS", clones_namespace),
    case("clone:CLONE_NEWIPC", clones_namespace),
    case("clone:CLONE_NEWNET", clones_namespace),
    case("clone:CLONE_NEWUSER", clones_namespace),
    case("clone:CLONE_NEWCGROUP", clones_namespace),
    case("unshare:CLONE_NEWNS", leaves_namespace),
    case("unshare:CLONE_NEWUTS", leaves_namespace),
    case("unshare:CLONE_NEWIPC", leaves_namespace),
    case("unshare:CLONE_NEWNET", leaves_namespace),
    case("unshare:CLONE_NEWUSER", leaves_namespace),
    case("unshare:CLONE_NEWCGROUP", leaves_namespace),
    case("unshare:CLONE_NEWPID", |t| {
        t.needs_root();
        let child = t.in_child(|| {
            sys!(t, "unshare", t.value(0));
            let inner = t.fork_unseen();
            if inner == 0 {
                exit(usize::from(t.tools.me() == 1));
            }
            exit(t.wait(inner) as usize >> 8);
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("unshare:CLONE_NEWTIME", leaves_namespace),
    case("unshare:CLONE_FS", |t| {
        t.file(b'a');
        leaves(t, || go_up(t));
        t.check(t.exists(&t.name(b'a')));
    }),
    case("unshare:CLONE_FILES", |t| {
        let file = t.open(b".\0", RDONLY);
        leaves(t, || t.close(file));
        t.check(is_open(t, file));
    }),
];
