//! What the arguments of vectored syscalls mean: which one selects, which bits of it, and where
//! its names are. Written by hand, one row a syscall; `docs/add-a-syscall.md` says how.
//!
//! Nothing here needs `std`: the probe, which has none, is compiled with this file too.
//!
//! Source: the manual page of each syscall, section 2, and its `SYSCALL_DEFINE` in the kernel.

/// What the kernel makes of one syscall's arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub syscall: &'static str,
    pub place: Place,
    /// At most two different arguments, and those 32 bits wide; or one of 64.
    pub parts: &'static [Part],
}

/// Where the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Registers,
    /// In a structure that the parts' argument points to: a word of 64 bits so many bytes behind
    /// its start.
    Memory {
        offset: u8,
    },
}

/// Some bits of one argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub argument: u8,
    pub mask: u64,
    pub meaning: Meaning,
    /// Names of its values. A `*` at the end stands for the name of the part before it.
    pub sets: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Its value is the operation, or a half of it.
    Selects,
    /// Each value is a flag, and a call has exactly one of them (`O_RDWR`).
    Field,
    /// Each bit is a flag.
    Flags,
}

use Meaning::{Field, Flags, Selects};

/// An `int`.
const INT: u64 = 0xffff_ffff;

/// The bits of a protection that any architecture defines.
const PROTECTION: u64 = 0x0300_003f;

const fn part(argument: u8, mask: u64, meaning: Meaning, sets: &'static [&'static str]) -> Part {
    Part {
        argument,
        mask,
        meaning,
        sets,
    }
}

const fn row(syscall: &'static str, parts: &'static [Part]) -> Row {
    Row {
        syscall,
        place: Place::Registers,
        parts,
    }
}

const fn in_memory(syscall: &'static str, offset: u8, parts: &'static [Part]) -> Row {
    Row {
        syscall,
        place: Place::Memory { offset },
        parts,
    }
}

pub const ROWS: &[Row] = &[
    row("accept4", &[part(3, INT, Flags, &["socket flags"])]),
    row("arch_prctl", &[part(0, INT, Selects, &["arch_prctl"])]),
    row("bpf", &[part(0, INT, Selects, &["bpf"])]),
    row("clock_adjtime", &[part(0, INT, Selects, &["clock"])]),
    row("clock_getres", &[part(0, INT, Selects, &["clock"])]),
    row("clock_gettime", &[part(0, INT, Selects, &["clock"])]),
    row("clock_nanosleep", &[part(0, INT, Selects, &["clock"])]),
    row("clock_settime", &[part(0, INT, Selects, &["clock"])]),
    // The low byte is the signal to send at the end.
    row("clone", &[part(0, 0xffff_ff00, Flags, &["clone flags"])]),
    in_memory("clone3", 0, &[part(0, u64::MAX, Flags, &["clone flags"])]),
    row("dup3", &[part(2, INT, Flags, &["open flags"])]),
    row(
        "epoll_create1",
        &[part(0, INT, Flags, &["epoll_create flags"])],
    ),
    row("epoll_ctl", &[part(1, INT, Selects, &["epoll_ctl"])]),
    row("eventfd2", &[part(1, INT, Flags, &["eventfd flags"])]),
    row("fadvise64", &[part(3, INT, Selects, &["fadvise"])]),
    row("fcntl", &[part(1, INT, Selects, &["fcntl"])]),
    row(
        "futex",
        &[
            part(1, 0x7f, Selects, &["futex"]),
            part(1, 0xffff_ff80, Flags, &["futex flags"]),
        ],
    ),
    row("getrlimit", &[part(0, INT, Selects, &["resource"])]),
    row(
        "getsockopt",
        &[
            part(1, INT, Selects, &["sockopt level"]),
            part(2, INT, Selects, &["sockopt *"]),
        ],
    ),
    row("inotify_init1", &[part(0, INT, Flags, &["inotify flags"])]),
    row(
        "io_uring_enter",
        &[part(3, INT, Flags, &["io_uring_enter flags"])],
    ),
    // The upper bit says how the descriptor is meant.
    row(
        "io_uring_register",
        &[part(1, 0x7fff_ffff, Selects, &["io_uring_register"])],
    ),
    in_memory(
        "io_uring_setup",
        8,
        &[part(1, INT, Flags, &["io_uring_setup flags"])],
    ),
    row("ioctl", &[part(1, INT, Selects, &["ioctl"])]),
    row("keyctl", &[part(0, INT, Selects, &["keyctl"])]),
    row("lseek", &[part(2, INT, Selects, &["seek"])]),
    row("madvise", &[part(2, INT, Selects, &["madvise"])]),
    row(
        "mmap",
        &[
            part(2, PROTECTION, Flags, &["protection"]),
            part(3, 0xf, Field, &["map type"]),
            part(3, 0xffff_fff0, Flags, &["map flags"]),
        ],
    ),
    row("mprotect", &[part(2, PROTECTION, Flags, &["protection"])]),
    row("mremap", &[part(3, INT, Flags, &["mremap flags"])]),
    row("msgctl", &[part(1, INT, Selects, &["ipc", "msgctl"])]),
    row(
        "open",
        &[
            part(1, 0x3, Field, &["open access"]),
            part(1, 0xffff_fffc, Flags, &["open flags"]),
        ],
    ),
    row(
        "openat",
        &[
            part(2, 0x3, Field, &["open access"]),
            part(2, 0xffff_fffc, Flags, &["open flags"]),
        ],
    ),
    in_memory(
        "openat2",
        0,
        &[
            part(2, 0x3, Field, &["open access"]),
            part(2, !0x3, Flags, &["open flags"]),
        ],
    ),
    row("pipe2", &[part(1, INT, Flags, &["open flags"])]),
    row(
        "pkey_mprotect",
        &[part(2, PROTECTION, Flags, &["protection"])],
    ),
    row("prctl", &[part(0, INT, Selects, &["prctl"])]),
    row("prlimit64", &[part(1, INT, Selects, &["resource"])]),
    row("process_madvise", &[part(3, INT, Selects, &["madvise"])]),
    // A `long`, all of which is compared.
    row("ptrace", &[part(0, u64::MAX, Selects, &["ptrace"])]),
    // The low byte is the kind of quota.
    row("quotactl", &[part(0, 0xffff_ff00, Selects, &["quotactl"])]),
    row(
        "quotactl_fd",
        &[part(1, 0xffff_ff00, Selects, &["quotactl"])],
    ),
    row("rt_sigaction", &[part(0, INT, Selects, &["signal"])]),
    row("rt_sigprocmask", &[part(0, INT, Selects, &["sigprocmask"])]),
    row("seccomp", &[part(0, INT, Selects, &["seccomp"])]),
    row("semctl", &[part(2, INT, Selects, &["ipc", "semctl"])]),
    row("setrlimit", &[part(0, INT, Selects, &["resource"])]),
    row(
        "setsockopt",
        &[
            part(1, INT, Selects, &["sockopt level"]),
            part(2, INT, Selects, &["sockopt *"]),
        ],
    ),
    row("shmctl", &[part(1, INT, Selects, &["ipc", "shmctl"])]),
    row("signalfd4", &[part(3, INT, Flags, &["signalfd flags"])]),
    row(
        "socket",
        &[
            part(0, INT, Selects, &["family"]),
            part(1, 0xf, Selects, &["socket type"]),
            part(1, 0xffff_fff0, Flags, &["socket flags"]),
        ],
    ),
    row(
        "socketpair",
        &[
            part(0, INT, Selects, &["family"]),
            part(1, 0xf, Selects, &["socket type"]),
            part(1, 0xffff_fff0, Flags, &["socket flags"]),
        ],
    ),
    row("timer_create", &[part(0, INT, Selects, &["clock"])]),
    row(
        "timerfd_create",
        &[
            part(0, INT, Selects, &["clock"]),
            part(1, INT, Flags, &["timerfd flags"]),
        ],
    ),
    row("unshare", &[part(0, INT, Flags, &["clone flags"])]),
];

impl Row {
    /// Whether calls are of exactly one operation each, beside what flags they have.
    pub fn selects(&self) -> bool {
        self.parts.iter().any(|part| part.meaning == Selects)
    }
}
