//! The table of truth below the syscall: which verdict must come out for which operation of which
//! victim (`src/bin/victim/operations.rs`). Each victim has one vectored syscall that it cannot
//! do without.

use std::ffi::c_long;

use crate::ground_truth::{Mode, Need, Truth, Victim};
use crate::witness::Argument;

/// One operation or flag of a victim.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub feature: &'static str,
    /// What tells its calls from others, by the C library's headers.
    pub argument: Argument,
    pub truth: Truth,
}

#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub victim: Victim,
    /// The vectored syscall, which is required.
    pub syscall: &'static str,
    pub number: c_long,
    /// How deep one has to look.
    pub depth: &'static str,
    pub rows: &'static [Row],
}

const fn row(feature: &'static str, index: u32, value: u64, truth: Truth) -> Row {
    masked(feature, index, u32::MAX, value, truth)
}

const fn masked(feature: &'static str, index: u32, mask: u32, value: u64, truth: Truth) -> Row {
    Row {
        feature,
        argument: Argument {
            index,
            mask,
            value: value as u32,
        },
        truth,
    }
}

const fn parts(
    name: &'static str,
    (syscall, number): (&'static str, c_long),
    depth: &'static str,
    rows: &'static [Row],
) -> Parts {
    Parts {
        victim: Victim {
            name,
            mode: Mode::Batch,
            extra: &[],
            needs: Need::Nothing,
            rows: &[],
        },
        syscall,
        number,
        depth,
        rows,
    }
}

const FCNTL: (&str, c_long) = ("fcntl", libc::SYS_fcntl);

pub const VICTIMS: &[Parts] = &[
    parts(
        "parts-of-fcntl",
        FCNTL,
        "operation",
        &[
            row("fcntl:F_SETFL", 1, libc::F_SETFL as u64, Truth::Required),
            row("fcntl:F_GETFL", 1, libc::F_GETFL as u64, Truth::Required),
            row("fcntl:F_SETFD", 1, libc::F_SETFD as u64, Truth::Fake),
            row("fcntl:F_GETOWN", 1, libc::F_GETOWN as u64, Truth::Any),
        ],
    ),
    parts(
        "parts-of-ioctl",
        ("ioctl", libc::SYS_ioctl),
        "operation",
        &[
            row("ioctl:FIONREAD", 1, libc::FIONREAD, Truth::Required),
            row("ioctl:FIONBIO", 1, libc::FIONBIO, Truth::Fake),
            row("ioctl:0xdead", 1, 0xdead, Truth::Stub),
        ],
    ),
    parts(
        "parts-of-socket",
        ("socket", libc::SYS_socket),
        "operation",
        &[
            row(
                "socket:AF_UNIX/SOCK_STREAM",
                0,
                libc::AF_UNIX as u64,
                Truth::Required,
            ),
            row(
                "socket:AF_INET/SOCK_DGRAM",
                0,
                libc::AF_INET as u64,
                Truth::Any,
            ),
        ],
    ),
    parts(
        "parts-of-lseek",
        ("lseek", libc::SYS_lseek),
        "operation",
        &[
            row("lseek:SEEK_SET", 2, libc::SEEK_SET as u64, Truth::Required),
            row("lseek:SEEK_END", 2, libc::SEEK_END as u64, Truth::Fake),
        ],
    ),
    parts(
        "plan-b-of-fcntl",
        FCNTL,
        "operation",
        &[
            row(
                "fcntl:F_DUPFD_CLOEXEC",
                1,
                libc::F_DUPFD_CLOEXEC as u64,
                Truth::Stub,
            ),
            row("fcntl:F_DUPFD", 1, libc::F_DUPFD as u64, Truth::Absent),
        ],
    ),
    parts(
        "parts-that-conflict",
        ("madvise", libc::SYS_madvise),
        "operation",
        &[
            row(
                "madvise:MADV_SEQUENTIAL",
                2,
                libc::MADV_SEQUENTIAL as u64,
                Truth::Any,
            ),
            row(
                "madvise:MADV_RANDOM",
                2,
                libc::MADV_RANDOM as u64,
                Truth::Any,
            ),
            row(
                "madvise:MADV_DONTNEED",
                2,
                libc::MADV_DONTNEED as u64,
                Truth::Required,
            ),
        ],
    ),
    parts(
        "takes-refusals",
        ("ioctl", libc::SYS_ioctl),
        "operation",
        // Only ENOTTY will do (`tests/operations.rs`).
        &[row("ioctl:TCGETS", 1, libc::TCGETS, Truth::Required)],
    ),
    parts(
        "flags-of-mmap",
        ("mmap", libc::SYS_mmap),
        "flag",
        &[masked(
            "mmap:MAP_POPULATE",
            3,
            libc::MAP_POPULATE as u32,
            libc::MAP_POPULATE as u64,
            Truth::Stub,
        )],
    ),
];
