//! Plausible fakes: what a syscall returns when it only says that it succeeded. Written by hand,
//! each row with the page or file that says what a success looks like.

use loupe_common::syscalls::Syscall;

/// What a success returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plausible {
    Constant(i64),
    /// The value of this argument: all that was asked for was done.
    Argument(usize),
    /// The sum of the lengths in an array of `struct iovec`.
    Vector {
        array: usize,
        count: usize,
    },
    /// The bytes of the `struct msghdr` at this argument.
    Message(usize),
    /// A descriptor of something that nothing will ever happen to. `close_on_exec`: this flag
    /// in this argument asks for it.
    Descriptor {
        inert: Inert,
        close_on_exec: Option<(usize, i32)>,
    },
    /// The ids that the caller has anyway: another process's would be acted on.
    OwnPid,
    OwnTid,
    /// A structure is written at this argument (where it is not null), and 0 returned.
    Structure {
        at: usize,
        content: Content,
    },
    /// Fills as many bytes as were asked for, at this argument, and returns their number.
    Bytes {
        at: usize,
        length: usize,
    },
}

/// What a descriptor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inert {
    /// An empty file in memory.
    File,
    /// A socket without address or peer.
    Socket,
    Epoll,
    Event,
    Timer,
    Inotify,
}

/// What a structure is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// An empty regular file.
    Stat,
    Statx,
    /// The limit of the resource in argument 0.
    ResourceLimit {
        resource: usize,
    },
    /// A machine with 1 GiB of memory.
    SystemInfo,
    SystemName,
    /// Now.
    Timespec,
    Timeval,
    /// Nothing used.
    Usage,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    pub value: Plausible,
    /// The manual page that says what a success returns.
    pub source: &'static str,
}

/// What cannot be pretended.
struct Impossible {
    names: &'static [&'static str],
    why: &'static str,
}

/// Finds the row of a syscall, or tells why it has none.
pub fn of(syscall: Syscall) -> Result<Row, String> {
    let name = syscall.to_string();
    if let Some(row) = ROWS.iter().find(|row| row.name == name) {
        return Ok(*row);
    }
    if ZERO.contains(&name.as_str()) {
        return Ok(Row {
            name: "",
            value: Plausible::Constant(0),
            source: "section RETURN VALUE of its man page: zero on success",
        });
    }
    let of_it = |impossible: &&Impossible| impossible.names.contains(&name.as_str());
    Err(match IMPOSSIBLE.iter().find(of_it) {
        Some(impossible) => impossible.why.to_owned(),
        None => "the table of plausible values has no row for it".to_owned(),
    })
}

const fn row(name: &'static str, value: Plausible, source: &'static str) -> Row {
    Row {
        name,
        value,
        source,
    }
}

const fn descriptor(inert: Inert, flags: usize, flag: i32) -> Plausible {
    Plausible::Descriptor {
        inert,
        close_on_exec: Some((flags, flag)),
    }
}

const fn plain_descriptor(inert: Inert) -> Plausible {
    Plausible::Descriptor {
        inert,
        close_on_exec: None,
    }
}

const fn structure(at: usize, content: Content) -> Plausible {
    Plausible::Structure { at, content }
}

const VECTOR: Plausible = Plausible::Vector { array: 1, count: 2 };
const OPEN: i32 = libc::O_CLOEXEC;

/// Sorted by name.
const ROWS: [Row; 51] = [
    row(
        "clock_gettime",
        structure(1, Content::Timespec),
        "clock_gettime(2)",
    ),
    row(
        "copy_file_range",
        Plausible::Argument(4),
        "copy_file_range(2)",
    ),
    row("creat", plain_descriptor(Inert::File), "open(2)"),
    row("dup", plain_descriptor(Inert::File), "dup(2)"),
    row("dup2", Plausible::Argument(1), "dup(2)"),
    row("dup3", Plausible::Argument(1), "dup(2)"),
    row(
        "epoll_create",
        plain_descriptor(Inert::Epoll),
        "epoll_create(2)",
    ),
    row(
        "epoll_create1",
        descriptor(Inert::Epoll, 0, libc::EPOLL_CLOEXEC),
        "epoll_create(2)",
    ),
    row("eventfd", plain_descriptor(Inert::Event), "eventfd(2)"),
    row(
        "eventfd2",
        descriptor(Inert::Event, 1, libc::EFD_CLOEXEC),
        "eventfd(2)",
    ),
    row("fstat", structure(1, Content::Stat), "stat(2)"),
    row("getpid", Plausible::OwnPid, "getpid(2)"),
    row(
        "getrandom",
        Plausible::Bytes { at: 0, length: 1 },
        "getrandom(2)",
    ),
    row(
        "getrlimit",
        structure(1, Content::ResourceLimit { resource: 0 }),
        "getrlimit(2)",
    ),
    row("getrusage", structure(1, Content::Usage), "getrusage(2)"),
    row("gettid", Plausible::OwnTid, "gettid(2)"),
    row(
        "gettimeofday",
        structure(0, Content::Timeval),
        "gettimeofday(2)",
    ),
    row(
        "inotify_add_watch",
        Plausible::Constant(1),
        "inotify_add_watch(2)",
    ),
    row(
        "inotify_init",
        plain_descriptor(Inert::Inotify),
        "inotify_init(2)",
    ),
    row(
        "inotify_init1",
        descriptor(Inert::Inotify, 0, libc::IN_CLOEXEC),
        "inotify_init(2)",
    ),
    row("lseek", Plausible::Argument(1), "lseek(2)"),
    row("lstat", structure(1, Content::Stat), "stat(2)"),
    row(
        "memfd_create",
        descriptor(Inert::File, 1, libc::MFD_CLOEXEC as i32),
        "memfd_create(2)",
    ),
    row("newfstatat", structure(2, Content::Stat), "stat(2)"),
    row("open", descriptor(Inert::File, 1, OPEN), "open(2)"),
    row("openat", descriptor(Inert::File, 2, OPEN), "open(2)"),
    row(
        "prlimit64",
        structure(3, Content::ResourceLimit { resource: 1 }),
        "getrlimit(2)",
    ),
    row("pwrite64", Plausible::Argument(2), "pwrite(2)"),
    row("pwritev", VECTOR, "readv(2)"),
    row("pwritev2", VECTOR, "readv(2)"),
    row("sendfile", Plausible::Argument(3), "sendfile(2)"),
    row("sendmsg", Plausible::Message(1), "send(2)"),
    row("sendto", Plausible::Argument(2), "send(2)"),
    row("set_tid_address", Plausible::OwnTid, "set_tid_address(2)"),
    row("setfsgid", Plausible::Constant(0), "setfsgid(2)"),
    row("setfsuid", Plausible::Constant(0), "setfsuid(2)"),
    row(
        "socket",
        descriptor(Inert::Socket, 1, libc::SOCK_CLOEXEC),
        "socket(2)",
    ),
    row("splice", Plausible::Argument(4), "splice(2)"),
    row("stat", structure(1, Content::Stat), "stat(2)"),
    row("statx", structure(4, Content::Statx), "statx(2)"),
    row("sysinfo", structure(0, Content::SystemInfo), "sysinfo(2)"),
    row("tee", Plausible::Argument(2), "tee(2)"),
    row(
        "timerfd_create",
        descriptor(Inert::Timer, 1, libc::TFD_CLOEXEC),
        "timerfd_create(2)",
    ),
    row("umask", Plausible::Constant(0o022), "umask(2)"),
    row("uname", structure(0, Content::SystemName), "uname(2)"),
    row("vmsplice", VECTOR, "vmsplice(2)"),
    row("write", Plausible::Argument(2), "write(2)"),
    row("writev", VECTOR, "readv(2)"),
    // The end of what there is to read; the parent is in another namespace.
    row("getdents64", Plausible::Constant(0), "getdents(2)"),
    row("getppid", Plausible::Constant(0), "pid_namespaces(7)"),
    row("read", Plausible::Constant(0), "read(2)"),
];

/// A success returns zero and writes nothing: as the paper's fake does. Sorted.
const ZERO: [&str; 47] = [
    "access",
    "arch_prctl",
    "bind",
    "chdir",
    "chmod",
    "chown",
    "close",
    "connect",
    "epoll_ctl",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fdatasync",
    "flock",
    "fsync",
    "ftruncate",
    "getegid",
    "geteuid",
    "getgid",
    "getuid",
    "listen",
    "madvise",
    "mkdir",
    "mkdirat",
    "mlock",
    "mprotect",
    "msync",
    "munmap",
    "rename",
    "rmdir",
    "sched_yield",
    "setgid",
    "setgroups",
    "setpriority",
    "setrlimit",
    "setsid",
    "setsockopt",
    "setuid",
    "shutdown",
    "truncate",
    "unlink",
    "unlinkat",
];

const IMPOSSIBLE: [Impossible; 4] = [
    Impossible {
        names: &["brk", "mmap", "mremap", "shmat"],
        why: "memory that is not there cannot be pretended: its first use would fault",
    },
    Impossible {
        names: &[
            "clone", "clone3", "execve", "execveat", "fork", "vfork", "wait4", "waitid",
        ],
        why: "a process that is not there cannot be pretended",
    },
    Impossible {
        names: &["exit", "exit_group", "rt_sigreturn"],
        why: "it does not return when it succeeds",
    },
    Impossible {
        names: &["pipe", "pipe2", "socketpair"],
        why: "its two descriptors belong together: what is written to one is read from the other",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_syscall_with_a_source() {
        let names = ROWS.iter().map(|row| row.name);
        for name in names.chain(ZERO) {
            assert!(Syscall::from_name(name).is_some(), "{name}");
        }
        assert!(ROWS.iter().all(|row| row.source.contains('(')));
        assert!(ZERO.is_sorted());
        let impossible = IMPOSSIBLE.iter().flat_map(|row| row.names);
        for name in impossible {
            let syscall = Syscall::from_name(name).expect("a syscall");
            assert!(of(syscall).is_err(), "{name}");
        }
    }

    #[test]
    fn no_syscall_has_two_rows() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).chain(ZERO).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
