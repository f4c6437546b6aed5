//! The table of truth: which verdict must come out for which syscall of which victim.
//!
//! The verdicts follow from the victims' source (`src/bin/victim/`), are checked without Loupe
//! by `tests/witness.rs`, and with Loupe by `tests/ground_truth.rs`. Only syscalls that the
//! behaviour itself makes are listed; what the loader and the C library do at start-up is not
//! ours to promise.

use std::ffi::c_long;

/// What must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Required,
    Stub,
    Fake,
    Any,
    /// It is called, and something else answers before an injection can: nothing may be claimed.
    Unknowable,
    /// Must not appear among the features.
    Absent,
}

impl Truth {
    /// Whether this verdict (its word in `--json`; `None` for a feature that is not there) is
    /// right.
    pub fn admits(self, verdict: Option<&str>) -> bool {
        match self {
            Truth::Required => verdict == Some("required"),
            Truth::Stub => verdict == Some("stub"),
            Truth::Fake => verdict == Some("fake"),
            Truth::Any => verdict == Some("any"),
            Truth::Unknowable => matches!(verdict, Some("not-exercised" | "undecided")),
            Truth::Absent => verdict.is_none(),
        }
    }

    /// Whether the workload works with the syscall stubbed, faked.
    pub fn works(self) -> (bool, bool) {
        match self {
            Truth::Required => (false, false),
            Truth::Stub => (true, false),
            Truth::Fake => (false, true),
            Truth::Any | Truth::Unknowable | Truth::Absent => (true, true),
        }
    }
}

/// How a victim runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its first argument is the result file.
    Batch,
    /// Its first argument is the port.
    Server,
}

/// One row: a syscall of a victim.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub syscall: &'static str,
    /// From the C library's headers, not from Loupe's tables.
    pub number: c_long,
    pub truth: Truth,
}

/// A behaviour of the victim program and what is true of it.
#[derive(Clone, Copy, Debug)]
pub struct Victim {
    pub name: &'static str,
    pub mode: Mode,
    /// Words after the result file or port.
    pub extra: &'static [&'static str],
    /// What this host must have for the victim to make sense.
    pub needs: Need,
    pub rows: &'static [Row],
}

/// What a victim needs of the host beyond x86-64 or aarch64 Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// i386 calls (`CONFIG_IA32_EMULATION`).
    I386,
}

macro_rules! rows {
    ($($syscall:ident $constant:ident $truth:ident),* $(,)?) => {
        &[$(Row {
            syscall: stringify!($syscall),
            number: libc::$constant,
            truth: Truth::$truth,
        }),*]
    };
}

const fn batch(name: &'static str, rows: &'static [Row]) -> Victim {
    Victim {
        name,
        mode: Mode::Batch,
        extra: &[],
        needs: Need::Nothing,
        rows,
    }
}

const fn server(name: &'static str, rows: &'static [Row]) -> Victim {
    Victim {
        mode: Mode::Server,
        ..batch(name, rows)
    }
}

/// Every victim, in the order of its source.
pub const VICTIMS: &[Victim] = &[
    // reactions
    batch(
        "needs-result",
        rows![uname SYS_uname Required, times SYS_times Required],
    ),
    batch(
        "ignores-errors",
        rows![
            personality SYS_personality Any,
            umask SYS_umask Any,
            sched_yield SYS_sched_yield Any,
            getitimer SYS_getitimer Any,
        ],
    ),
    batch("accepts-enosys", rows![getpriority SYS_getpriority Stub]),
    batch("accepts-eperm", rows![sysinfo SYS_sysinfo Required]),
    batch("accepts-eperm-or-zero", rows![getpgid SYS_getpgid Fake]),
    batch("accepts-zero-only", rows![alarm SYS_alarm Fake]),
    batch("must-fail", rows![setns SYS_setns Stub]),
    batch(
        "falls-back",
        rows![eventfd2 SYS_eventfd2 Stub, pipe2 SYS_pipe2 Absent],
    ),
    batch(
        "falls-back-twice",
        // The two lie on different file systems, so the first call fails by itself. Once it is
        // faked, nothing is copied.
        rows![
            copy_file_range SYS_copy_file_range Stub,
            sendfile SYS_sendfile Stub,
            pwrite64 SYS_pwrite64 Absent,
            memfd_create SYS_memfd_create Required,
        ],
    ),
    // What it asks instead are files (`tests/pseudo_files.rs`).
    batch(
        "turns-to-files",
        rows![
            getrandom SYS_getrandom Any,
            sched_getaffinity SYS_sched_getaffinity Any,
            sysinfo SYS_sysinfo Any,
        ],
    ),
    batch("segfaults-on-error", rows![getitimer SYS_getitimer Fake]),
    batch("aborts-on-error", rows![getresuid SYS_getresuid Required]),
    batch(
        "pauses-on-error",
        rows![sched_getparam SYS_sched_getparam Fake],
    ),
    batch(
        "spins-on-error",
        rows![sched_getscheduler SYS_sched_getscheduler Fake],
    ),
    batch("naps-on-error", rows![getsid SYS_getsid Fake]),
    batch(
        "waits-on-futex",
        rows![sched_get_priority_max SYS_sched_get_priority_max Required],
    ),
    batch("retries-for-ever", rows![flock SYS_flock Fake]),
    batch("at-exit", rows![getrusage SYS_getrusage Required]),
    batch("other-path", rows![acct SYS_acct Absent]),
    // effects
    batch(
        "effect-unchecked",
        rows![
            pwrite64 SYS_pwrite64 Required,
            ftruncate SYS_ftruncate Required,
            lseek SYS_lseek Required,
        ],
    ),
    batch(
        "effect-checked",
        rows![linkat SYS_linkat Required, unlink SYS_unlink Any],
    ),
    batch(
        "effect-or-plan-b",
        rows![mkdir SYS_mkdir Stub, rmdir SYS_rmdir Any, stat SYS_stat Fake],
    ),
    batch(
        "effect-unnoticed",
        rows![fsync SYS_fsync Fake, fdatasync SYS_fdatasync Fake],
    ),
    // trees
    batch(
        "child-calls",
        rows![getresgid SYS_getresgid Required, sync SYS_sync Any, wait4 SYS_wait4 Fake],
    ),
    batch(
        "child-kills-parent",
        rows![getresgid SYS_getresgid Required],
    ),
    batch("late-grandchild", rows![uname SYS_uname Required]),
    batch("shell-child", rows![uname SYS_uname Required]),
    batch(
        "exec-again",
        rows![uname SYS_uname Required, execve SYS_execve Required],
    ),
    // threads
    batch("threads-call", rows![getpriority SYS_getpriority Stub]),
    batch(
        "thread-never-answers",
        rows![getresuid SYS_getresuid Required],
    ),
    batch("exec-from-thread", rows![uname SYS_uname Required]),
    batch(
        "main-thread-leaves",
        rows![getpriority SYS_getpriority Required],
    ),
    // abi
    Victim {
        needs: Need::I386,
        ..batch(
            "i386-calls",
            rows![
                writev SYS_writev Any,
                getppid SYS_getppid Any,
                getpid SYS_getpid Absent,
                mkdir SYS_mkdir Absent,
            ],
        )
    },
    batch("x32-call", rows![getppid SYS_getppid Absent]),
    batch("unknown-number", rows![]),
    batch("io-uring", rows![io_uring_setup SYS_io_uring_setup Stub]),
    batch(
        "own-filter",
        // Of two filters that answer with an error, the one that was installed last has the word.
        rows![
            seccomp SYS_seccomp Required,
            personality SYS_personality Unknowable,
            prctl SYS_prctl Fake,
        ],
    ),
    batch("traces-child", rows![ptrace SYS_ptrace Required]),
    // loads
    batch(
        "identity",
        rows![getuid SYS_getuid Fake, getgid SYS_getgid Fake],
    ),
    // servers
    server(
        "serve",
        rows![
            socket SYS_socket Required,
            bind SYS_bind Required,
            listen SYS_listen Required,
            accept4 SYS_accept4 Required,
            recvfrom SYS_recvfrom Required,
            sendto SYS_sendto Required,
            setsockopt SYS_setsockopt Any,
        ],
    ),
    server(
        "serve-falling-back",
        rows![accept4 SYS_accept4 Stub, accept SYS_accept Absent],
    ),
    server(
        "serve-polling",
        rows![
            epoll_create1 SYS_epoll_create1 Stub,
            epoll_ctl SYS_epoll_ctl Required,
            epoll_wait SYS_epoll_wait Required,
            poll SYS_poll Absent,
        ],
    ),
    server(
        "serve-as-daemon",
        rows![
            setsid SYS_setsid Any,
            chdir SYS_chdir Any,
            umask SYS_umask Any,
            listen SYS_listen Required,
        ],
    ),
    server(
        "serve-with-workers",
        rows![getrusage SYS_getrusage Required, bind SYS_bind Required],
    ),
    server(
        "serve-with-threads",
        rows![getpriority SYS_getpriority Required, listen SYS_listen Required],
    ),
    server("serve-crashing", rows![uname SYS_uname Required]),
    server("serve-hanging", rows![sysinfo SYS_sysinfo Fake]),
    server("serve-choosy", rows![getpriority SYS_getpriority Stub]),
    Victim {
        extra: &["100"],
        ..server(
            "serve-stubborn",
            rows![personality SYS_personality Any, setsid SYS_setsid Any],
        )
    },
    // costs
    server(
        "serve-at-a-cost",
        // The loader gives up where it cannot close a library's file.
        rows![
            close SYS_close Fake,
            munmap SYS_munmap Any,
            getpriority SYS_getpriority Any,
            getitimer SYS_getitimer Any,
            umask SYS_umask Any,
            shutdown SYS_shutdown Fake,
        ],
    ),
    server("serve-call-at-stop", rows![listen SYS_listen Required]),
];

/// The victim of this name.
pub fn victim(name: &str) -> &'static Victim {
    VICTIMS
        .iter()
        .find(|victim| victim.name == name)
        .unwrap_or_else(|| panic!("the table has no victim {name}"))
}
