//! What a process says of itself to the kernel: `prctl`, `arch_prctl`, filters of its own syscalls,
//! rules on files.

use crate::attempt::{Arg, Try, new, raw, refuses, sys};
use crate::helpers::{PAGE, RDONLY, SIGUSR1, exit, exited};
use crate::list::{Case, case};
use crate::machine::{poke_word, word_at_fs, word_at_gs};
use crate::tables::{nr, val};

const UNTOUCHED: u32 = 0x7777;

/// Set by the operation, told by another one.
fn set_and_told(t: &Try<'_>, value: usize, told_by: usize) {
    t.alone();
    sys!(t, "prctl", t.value(0), value, 0, 0, 0);
    refuses!(t, "prctl", t.value(0), 0x7fff_fff0, 1, 1, 1);
    t.check(sys!(t, "prctl", told_by, 0, 0, 0, 0) == value);
}

/// Set by another operation, told by this one.
fn told_after(t: &Try<'_>, set_by: usize, value: usize) {
    t.alone();
    sys!(t, "prctl", set_by, value, 0, 0, 0);
    t.check(sys!(t, "prctl", t.value(0), 0, 0, 0, 0) == value);
}

/// Told through memory.
fn tells(t: &Try<'_>) {
    let mut found = [u64::from(UNTOUCHED); 2];
    sys!(t, "prctl", t.value(0), &mut found, 0, 0, 0);
    t.check(found[0] as u32 != UNTOUCHED);
}

/// A filter that lets everything pass but `getppid`, which gets EPERM: `struct sock_filter` and
/// `struct sock_fprog`.
fn with_filter(t: &Try<'_>, install: impl FnOnce(&[usize; 2])) {
    let give = |answer: u64| 6 | answer << 32;
    let program: [u64; 4] = [
        0x20,
        0x15 | 1 << 24 | (nr!("getppid") as u64) << 32,
        give(0x0005_0001),
        give(0x7fff_0000),
    ];
    let filter = [4, (&program).arg()];
    let child = t.in_child(|| {
        sys!(t, "prctl", val!("prctl", "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0);
        install(&filter);
        exit(if raw!(t, "getppid") == -1 { 1 } else { 2 });
    });
    t.check(t.wait(child) == exited(1));
}

/// A process that has left itself only reading, writing and ending is ended by anything else.
fn is_strict(t: &Try<'_>, enter: impl FnOnce()) {
    let child = t.in_child(|| {
        enter();
        raw!(t, "getppid");
        exit(3);
    });
    t.check(t.wait(child) & 0x7f == 9);
}

/// Rules for reading files (4), and what handles them.
fn ruleset(t: &Try<'_>) -> usize {
    new!(t, "landlock_create_ruleset", &[4_u64], 8, 0)
}

pub const CASES: &[Case] = &[
    case("prctl:PR_SET_NAME", |t| {
        t.alone();
        sys!(t, "prctl", t.value(0), c"probed", 0, 0, 0);
        let mut found = [0_u8; 16];
        sys!(
            t,
            "prctl",
            val!("prctl", "PR_GET_NAME"),
            &mut found,
            0,
            0,
            0
        );
        t.check(found.starts_with(b"probed\0"));
    }),
    case("prctl:PR_GET_NAME", |t| {
        let mut found = [0_u8; 16];
        sys!(t, "prctl", t.value(0), &mut found, 0, 0, 0);
        t.check(found[0] != 0);
    }),
    case("prctl:PR_SET_PDEATHSIG", |t| {
        t.alone();
        sys!(t, "prctl", t.value(0), SIGUSR1, 0, 0, 0);
        let mut found = 0_u32;
        sys!(
            t,
            "prctl",
            val!("prctl", "PR_GET_PDEATHSIG"),
            &mut found,
            0,
            0,
            0
        );
        t.check(found == SIGUSR1 as u32);
    }),
    case("prctl:PR_GET_PDEATHSIG", tells),
    case("prctl:PR_GET_CHILD_SUBREAPER", tells),
    case("prctl:PR_GET_TID_ADDRESS", tells),
    case("prctl:PR_GET_TSC", tells),
    case("prctl:PR_SET_DUMPABLE", |t| {
        set_and_told(t, 0, val!("prctl", "PR_GET_DUMPABLE"))
    }),
    case("prctl:PR_GET_DUMPABLE", |t| {
        told_after(t, val!("prctl", "PR_SET_DUMPABLE"), 1);
    }),
    case("prctl:PR_SET_KEEPCAPS", |t| {
        set_and_told(t, 1, val!("prctl", "PR_GET_KEEPCAPS"))
    }),
    case("prctl:PR_GET_KEEPCAPS", |t| {
        told_after(t, val!("prctl", "PR_SET_KEEPCAPS"), 1)
    }),
    case("prctl:PR_SET_NO_NEW_PRIVS", |t| {
        set_and_told(t, 1, val!("prctl", "PR_GET_NO_NEW_PRIVS"));
    }),
    case("prctl:PR_GET_NO_NEW_PRIVS", |t| {
        told_after(t, val!("prctl", "PR_SET_NO_NEW_PRIVS"), 1);
    }),
    case("prctl:PR_SET_TIMERSLACK", |t| {
        t.alone();
        sys!(t, "prctl", t.value(0), 7, 0, 0, 0);
        t.check(sys!(t, "prctl", val!("prctl", "PR_GET_TIMERSLACK"), 0, 0, 0, 0) == 7);
    }),
    case("prctl:PR_GET_TIMERSLACK", |t| {
        new!(t, "prctl", t.value(0), 0, 0, 0, 0);
    }),
    case("prctl:PR_SET_THP_DISABLE", |t| {
        set_and_told(t, 1, val!("prctl", "PR_GET_THP_DISABLE"));
    }),
    case("prctl:PR_GET_THP_DISABLE", |t| {
        told_after(t, val!("prctl", "PR_SET_THP_DISABLE"), 1)
    }),
    case("prctl:PR_SET_IO_FLUSHER", |t| {
        t.needs_root();
        set_and_told(t, 1, val!("prctl", "PR_GET_IO_FLUSHER"));
    }),
    case("prctl:PR_GET_IO_FLUSHER", |t| {
        t.needs_root();
        told_after(t, val!("prctl", "PR_SET_IO_FLUSHER"), 1);
    }),
    case("prctl:PR_SET_MEMORY_MERGE", |t| {
        t.needs_root();
        set_and_told(t, 1, val!("prctl", "PR_GET_MEMORY_MERGE"));
    }),
    case("prctl:PR_GET_MEMORY_MERGE", |t| {
        t.needs_root();
        told_after(t, val!("prctl", "PR_SET_MEMORY_MERGE"), 1);
    }),
    case("prctl:PR_SET_MDWE", |t| {
        set_and_told(t, 1, val!("prctl", "PR_GET_MDWE"))
    }),
    case("prctl:PR_GET_MDWE", |t| {
        told_after(t, val!("prctl", "PR_SET_MDWE"), 1)
    }),
    case("prctl:PR_SET_SECUREBITS", |t| {
        t.needs_root();
        set_and_told(t, 1 << 6, val!("prctl", "PR_GET_SECUREBITS"));
    }),
    case("prctl:PR_GET_SECUREBITS", |t| {
        t.needs_root();
        told_after(t, val!("prctl", "PR_SET_SECUREBITS"), 1 << 6);
    }),
    case("prctl:PR_SET_CHILD_SUBREAPER", |t| {
        t.alone();
        sys!(t, "prctl", t.value(0), 1, 0, 0, 0);
        let mut found = 0_u32;
        sys!(
            t,
            "prctl",
            val!("prctl", "PR_GET_CHILD_SUBREAPER"),
            &mut found,
            0,
            0,
            0
        );
        t.check(found == 1);
    }),
    case("prctl:PR_SET_TSC", |t| {
        // Reading the counter ends the process.
        t.check(t.dies(|| {
            sys!(t, "prctl", t.value(0), 2, 0, 0, 0);
            crate::machine::ticks();
        }));
    }),
    case("prctl:PR_CAPBSET_READ", |t| {
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        refuses!(t, "prctl", t.value(0), 999, 0, 0, 0);
    }),
    case("prctl:PR_CAPBSET_DROP", |t| {
        t.alone();
        t.needs_root();
        let reads = val!("prctl", "PR_CAPBSET_READ");
        new!(t, "prctl", reads, 0, 0, 0, 0);
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        t.check(sys!(t, "prctl", reads, 0, 0, 0, 0) == 0);
    }),
    case("prctl:PR_CAP_AMBIENT", |t| {
        t.alone();
        // Takes away all, and asks for one.
        sys!(t, "prctl", t.value(0), 4, 0, 0, 0);
        refuses!(t, "prctl", t.value(0), 1, 999, 0, 0);
    }),
    case("prctl:PR_GET_SECCOMP", |t| {
        // A process with a filter knows that it has one; one that is strict cannot ask.
        with_filter(t, |filter| {
            sys!(t, "prctl", val!("prctl", "PR_SET_SECCOMP"), 2, filter, 0, 0);
            if sys!(t, "prctl", t.value(0), 0, 0, 0, 0) != 2 {
                t.check(false);
            }
        });
    }),
    case("prctl:PR_SET_SECCOMP", |t| {
        with_filter(t, |filter| {
            sys!(t, "prctl", t.value(0), 2, filter, 0, 0);
        });
    }),
    case(
        "prctl:PR_TASK_PERF_EVENTS_DISABLE",
        takes_and_refuses_nothing,
    ),
    case(
        "prctl:PR_TASK_PERF_EVENTS_ENABLE",
        takes_and_refuses_nothing,
    ),
    case("prctl:PR_MCE_KILL", |t| {
        t.alone();
        // Early (1), of the process (1).
        sys!(t, "prctl", t.value(0), 1, 1, 0, 0);
        t.check(sys!(t, "prctl", val!("prctl", "PR_MCE_KILL_GET"), 0, 0, 0, 0) == 1);
    }),
    case("prctl:PR_MCE_KILL_GET", |t| {
        t.alone();
        sys!(t, "prctl", val!("prctl", "PR_MCE_KILL"), 1, 1, 0, 0);
        t.check(sys!(t, "prctl", t.value(0), 0, 0, 0, 0) == 1);
    }),
    case("prctl:PR_GET_SPECULATION_CTRL", |t| {
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        refuses!(t, "prctl", t.value(0), 999, 0, 0, 0);
    }),
    case("prctl:PR_GET_TIMING", |t| {
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        t.skip("its answer is 0, as that of a fake");
    }),
    case("prctl:PR_SET_TIMING", |t| {
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        refuses!(t, "prctl", t.value(0), 1, 0, 0, 0);
    }),
    case("prctl:PR_SET_VMA", |t| {
        let page = t.map(PAGE);
        sys!(t, "prctl", t.value(0), 0, page, PAGE, c"probed");
        refuses!(t, "prctl", t.value(0), 9, page, PAGE, c"probed");
    }),
    case("prctl:PR_GET_AUXV", |t| {
        let mut found = [0_u8; 512];
        new!(t, "prctl", t.value(0), &mut found, 512, 0, 0);
    }),
    case("prctl:PR_SET_MM", |t| {
        t.needs_root();
        refuses!(t, "prctl", t.value(0), 99, 0, 0, 0);
        // How large the structure is that says everything at once.
        let mut size = 0_u32;
        sys!(t, "prctl", t.value(0), 15, &mut size, 0, 0);
        t.check(size > 0);
    }),
    case("prctl:PR_SET_SYSCALL_USER_DISPATCH", |t| {
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        refuses!(t, "prctl", t.value(0), 9, 0, 0, 0);
    }),
    case("prctl:PR_SET_PTRACER", |t| {
        sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
        refuses!(t, "prctl", t.value(0), 0x3fff_fff0, 0, 0, 0);
    }),
    case("arch_prctl:ARCH_SET_FS", |t| {
        sets_base(t, val!("arch_prctl", "ARCH_GET_FS"), word_at_fs);
    }),
    case("arch_prctl:ARCH_SET_GS", |t| {
        sets_base(t, val!("arch_prctl", "ARCH_GET_GS"), word_at_gs);
    }),
    case("arch_prctl:ARCH_GET_FS", told_base),
    case("arch_prctl:ARCH_GET_GS", told_base),
    case("arch_prctl:ARCH_GET_CPUID", |t| {
        t.check(sys!(t, "arch_prctl", t.value(0), 0) == 1);
    }),
    case("arch_prctl:ARCH_GET_XCOMP_SUPP", told_number),
    case("arch_prctl:ARCH_GET_XCOMP_PERM", told_number),
    case("modify_ldt", |t| {
        // Nothing is in the table; one entry is put into it.
        let mut found = [0_u8; 64];
        sys!(t, "modify_ldt", 0, &mut found, 64);
        let entry = [0_u32, 0, 0xf_ffff, 0b101_0001];
        sys!(t, "modify_ldt", 1, &entry, 16);
        t.check(new!(t, "modify_ldt", 0, &mut found, 64) >= 8);
    }),
    case("seccomp:SECCOMP_SET_MODE_STRICT", |t| {
        is_strict(t, || {
            sys!(t, "seccomp", t.value(0), 0, 0);
        });
    }),
    case("seccomp:SECCOMP_SET_MODE_FILTER", |t| {
        with_filter(t, |filter| {
            sys!(t, "seccomp", t.value(0), 0, filter);
        });
    }),
    case("seccomp:SECCOMP_GET_ACTION_AVAIL", |t| {
        // To allow; and what does not exist.
        sys!(t, "seccomp", t.value(0), 0, &0x7fff_0000_u32);
        refuses!(t, "seccomp", t.value(0), 0, &0x1234_0000_u32);
    }),
    case("seccomp:SECCOMP_GET_NOTIF_SIZES", |t| {
        let mut found = [0_u16; 4];
        sys!(t, "seccomp", t.value(0), 0, &mut found);
        t.check(found[0] > 0 && found[1] > 0);
    }),
    case("landlock_create_ruleset", |t| {
        ruleset(t);
        // The version.
        t.check(new!(t, "landlock_create_ruleset", 0, 0, 1) >= 1);
    }),
    case("landlock_add_rule", |t| {
        let here = t.open(b".\0", RDONLY);
        let mut rule = [0_u64; 2];
        poke_word((&mut rule).arg(), 4);
        poke_word((&mut rule).arg() + 8, here);
        sys!(t, "landlock_add_rule", ruleset(t), 1, &rule, 0);
        refuses!(t, "landlock_add_rule", ruleset(t), 9, &rule, 0);
    }),
    case("landlock_restrict_self", |t| {
        t.file_with(b'a', b"abc");
        let name = t.name(b'a');
        let child = t.in_child(|| {
            sys!(t, "prctl", val!("prctl", "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0);
            sys!(t, "landlock_restrict_self", ruleset(t), 0);
            exit(usize::from(raw!(t, "open", &name, RDONLY, 0) < 0));
        });
        t.check(t.wait(child) == exited(1));
    }),
    case("lsm_list_modules", |t| {
        let (mut found, mut size) = ([0_u64; 16], 128_u32);
        new!(t, "lsm_list_modules", &mut found, &mut size, 0);
        t.check(found[0] != 0);
    }),
];

fn takes_and_refuses_nothing(t: &Try<'_>) {
    sys!(t, "prctl", t.value(0), 0, 0, 0, 0);
    t.skip("its effect cannot be seen, and it has no wrong use");
}

fn sets_base(t: &Try<'_>, get: usize, word_there: fn() -> usize) {
    t.alone();
    let word = 0x1234_usize;
    sys!(t, "arch_prctl", t.value(0), &word);
    // Told first: what is not set points nowhere.
    let mut found = 0_usize;
    sys!(t, "arch_prctl", get, &mut found);
    t.check(found == (&word).arg() && word_there() == word);
}

fn told_base(t: &Try<'_>) {
    let mut found = 77_usize;
    sys!(t, "arch_prctl", t.value(0), &mut found);
    t.check(found != 77);
}

fn told_number(t: &Try<'_>) {
    let mut found = 0_u64;
    sys!(t, "arch_prctl", t.value(0), &mut found);
    t.check(found != 0);
}
