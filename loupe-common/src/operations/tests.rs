use super::meaning::ROWS;
use super::*;
use crate::feature::Feature;

/// What the project promises to know; a syscall that joins it needs a row.
const PROMISED: &str = "fcntl ioctl prctl arch_prctl futex madvise fadvise64 prlimit64 getrlimit \
    setrlimit socket setsockopt getsockopt clone clone3 unshare mmap mprotect mremap \
    rt_sigprocmask rt_sigaction clock_gettime clock_nanosleep timer_create timerfd_create \
    epoll_ctl lseek open openat openat2 accept4 pipe2 eventfd2 dup3 bpf keyctl ptrace seccomp \
    quotactl semctl shmctl msgctl io_uring_setup io_uring_enter io_uring_register";

fn operation(text: &str) -> Operation {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_vectored_syscall_has_a_row() {
    for name in PROMISED.split_whitespace() {
        let syscall = Syscall::from_name(name).expect("a syscall");
        assert!(Row::of(syscall).is_some(), "{name} has no row");
    }
}

#[test]
fn rows_are_of_syscalls_sorted_and_fit_a_selector() {
    assert!(ROWS.is_sorted_by(|a, b| a.syscall < b.syscall));
    for row in ROWS {
        assert!(Syscall::from_name(row.syscall).is_some(), "{}", row.syscall);
        let arguments = row.arguments();
        let wide = arguments
            .iter()
            .any(|(_, mask)| *mask > u64::from(u32::MAX));
        assert!(
            arguments.len() <= if wide { 1 } else { 2 },
            "{}",
            row.syscall
        );
        assert!(
            arguments.iter().all(|(argument, _)| *argument < 6),
            "{}",
            row.syscall
        );
        for (index, part) in row.parts.iter().enumerate() {
            let overlaps =
                |other: &Part| other.argument == part.argument && other.mask & part.mask != 0;
            assert!(!row.parts[..index].iter().any(overlaps), "{}", row.syscall);
        }
    }
}

#[test]
fn every_name_of_every_row_resolves_and_comes_back_from_its_value() {
    for row in ROWS {
        for part in row.parts {
            for set in part.sets {
                let dependent = set.ends_with('*');
                let names = Arch::NATIVE.set(set);
                assert!(
                    dependent || !names.is_empty(),
                    "{}: no set `{set}`",
                    row.syscall
                );
                for (value, name) in names.iter().filter(|(value, _)| value & !part.mask == 0) {
                    let found = part.value(Arch::NATIVE, "", name);
                    assert_eq!(found, Some(*value), "{}:{name}", row.syscall);
                    let canonical = part.name("", *value);
                    assert_eq!(part.value(Arch::NATIVE, "", &canonical), Some(*value));
                }
            }
        }
    }
}

#[test]
fn what_the_kernel_counted_gets_its_names() {
    let decoded = |syscall: &str, value: u64| {
        let syscall = Syscall::from_name(syscall).expect("a syscall");
        let decoded = decode(syscall, value).expect("a row");
        let all = decoded.operation.into_iter().chain(decoded.flags);
        all.map(|operation| operation.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(decoded("fcntl", 2), "fcntl:F_SETFD");
    assert_eq!(decoded("ioctl", 0x5401), "ioctl:TCGETS");
    assert_eq!(decoded("ioctl", 0xdead), "ioctl:0xdead");
    assert_eq!(
        decoded("socket", 2 | (1 | 0x80000) << 32),
        "socket:AF_INET/SOCK_STREAM socket:SOCK_CLOEXEC"
    );
    assert_eq!(
        decoded("setsockopt", 6 | 1 << 32),
        "setsockopt:SOL_TCP/TCP_NODELAY"
    );
    assert_eq!(
        decoded("setsockopt", 132 | 1 << 32),
        "setsockopt:SOL_SCTP/0x1"
    );
    assert_eq!(
        decoded("futex", 0x81),
        "futex:FUTEX_WAKE futex:FUTEX_PRIVATE_FLAG"
    );
    assert_eq!(
        decoded("mmap", 3 | (0x22 | 1 << 31) << 32),
        "mmap:PROT_READ mmap:PROT_WRITE mmap:MAP_PRIVATE mmap:MAP_ANONYMOUS mmap:bit31"
    );
    assert_eq!(
        decoded("openat", 0o2 | 0x101000),
        "openat:O_RDWR openat:O_SYNC"
    );
    assert_eq!(decoded("clone3", 1 << 33), "clone3:CLONE_INTO_CGROUP");
    assert_eq!(decoded("mprotect", 0), "");
}

#[test]
fn names_are_read_and_written_alike() {
    for text in [
        "fcntl:F_SETFD",
        "ioctl:0xdead",
        "socket:AF_INET/SOCK_STREAM",
        "setsockopt:SOL_SOCKET/SO_REUSEADDR",
        "setsockopt:SOL_SCTP/0x1",
        "mmap:MAP_POPULATE",
        "mmap:bit31",
        "openat:O_RDWR",
        "socket:SOCK_CLOEXEC",
    ] {
        assert_eq!(operation(text).to_string(), text);
        let feature: Feature = text.parse().expect("a feature");
        assert_eq!(feature.to_string(), text);
    }
    assert_eq!(operation("ioctl:0x5401"), operation("ioctl:TCGETS"));
    assert_eq!(operation("openat:O_NDELAY"), operation("openat:O_NONBLOCK"));
    assert_eq!(operation("mmap:bit15"), operation("mmap:MAP_POPULATE"));
    assert!(operation("mmap:MAP_POPULATE").is_flag());
    assert!(!operation("fcntl:F_SETFD").is_flag());
}

#[test]
fn what_is_not_the_name_of_an_operation_is_refused_with_a_hint() {
    let error = |text: &str| text.parse::<Operation>().expect_err(text).to_string();
    assert_eq!(
        error("fcntl:F_SETFDD"),
        "fcntl has no operation or flag `F_SETFDD` (did you mean F_SETFD, F_GETFD, F_SETFL?)"
    );
    assert_eq!(
        error("getpid:A"),
        "getpid is not a vectored syscall: it has no operations and no flags that Loupe knows"
    );
    assert!(error("setsockopt:SO_REUSEADDR").contains("`setsockopt:SOL_SOCKET/SO_"));
    assert!(error("ioctl:5413").contains("hexadecimal"));
    assert!(error("fcntl:0x100000000").contains("no operation"));
    assert!(error("fcntll:F_SETFD").contains("did you mean fcntl"));
    assert!(error("fcntl:").contains("no operation"));
}

#[test]
fn all_that_has_no_name_has_one_together() {
    let unnamed = operation("ioctl:*");
    assert_eq!(unnamed.to_string(), "ioctl:*");
    assert!(unnamed.is_unnamed() && !unnamed.is_flag() && !unnamed.has_no_name());
    assert_eq!(unnamed.tests(), Err(Unreachable::Unnamed));
    assert!(operation("ioctl:0xdead").has_no_name());
    assert!(!operation("ioctl:FIONREAD").has_no_name());
    for none in ["mmap:*", "clone3:*", "getpid:*"] {
        assert!(none.parse::<Operation>().is_err(), "{none}");
    }
}

#[test]
fn a_test_says_which_argument_has_which_value() {
    let test = |argument, mask, value| Test {
        argument,
        mask,
        value,
    };
    assert_eq!(
        operation("fcntl:F_SETFD").tests(),
        Ok(vec![test(1, 0xffff_ffff, 2)])
    );
    assert_eq!(
        operation("socket:AF_INET/SOCK_STREAM").tests(),
        Ok(vec![test(0, 0xffff_ffff, 2), test(1, 0xf, 1)])
    );
    assert_eq!(
        operation("mmap:MAP_POPULATE").tests(),
        Ok(vec![test(3, 0x8000, 0x8000)])
    );
    assert_eq!(operation("openat:O_RDWR").tests(), Ok(vec![test(2, 3, 2)]));
    assert_eq!(
        operation("clone3:CLONE_VM").tests(),
        Err(Unreachable::InMemory)
    );
    assert_eq!(
        operation("ptrace:PTRACE_ATTACH").tests(),
        Ok(vec![test(0, u64::MAX, 16)])
    );
}
