//! Files below `/proc`, `/sys` and `/dev` that programs look at: whether they are there, and have in
//! them what one expects.

use crate::attempt::{Try, choose, new, raw, sys};
use crate::helpers::{NONBLOCK, RDONLY, RDWR, find};
use crate::list::{Case, case};
use crate::tables::val;

/// Room for what is read of a file.
const MOST: usize = 16 * 1024;

/// The path of what is tried, with a zero at its end.
fn path(t: &Try<'_>) -> [u8; 64] {
    let mut path = [0_u8; 64];
    let name = t.features[t.subject].name.as_bytes();
    path[..name.len()].copy_from_slice(name);
    path
}

/// Opens it; what fails is the file's fault, whichever call it is.
fn open(t: &Try<'_>, flags: usize) -> usize {
    let path = path(t);
    let result = choose!(t, ["openat", "open"], {
        "open" => raw!(t, "open", &path, flags, 0),
        "openat" => raw!(t, "openat", crate::helpers::HERE, &path, flags, 0),
    });
    match result {
        1.. => result as usize,
        0 => t.finish(crate::attempt::Kind::Lies, 0, 0),
        errno => t.finish(crate::attempt::Kind::Errno, 0, errno.unsigned_abs()),
    }
}

/// Something is in it, and this among it.
fn has(t: &Try<'_>, wanted: &[u8]) {
    let (file, mut bytes, mut count) = (open(t, RDONLY), [0_u8; MOST], 0);
    while count < MOST {
        match t.read(file, &mut bytes[count..]) {
            0 => break,
            more => count += more,
        }
    }
    t.check(count > 0 && (wanted.is_empty() || find(&bytes[..count], wanted).is_some()));
}

fn is_directory(t: &Try<'_>) {
    let (directory, mut bytes) = (open(t, RDONLY), [0_u8; 1024]);
    t.check(raw!(t, "getdents64", directory, &mut bytes, 1024) > 0);
}

/// It leads somewhere.
fn is_link(t: &Try<'_>) {
    let mut bytes = [0_u8; 256];
    let result = choose!(t, ["readlinkat", "readlink"], {
        "readlink" => raw!(t, "readlink", &path(t), &mut bytes, 256),
        "readlinkat" => raw!(t, "readlinkat", crate::helpers::HERE, &path(t), &mut bytes, 256),
    });
    if result < 0 {
        t.finish(crate::attempt::Kind::Errno, 0, result.unsigned_abs());
    }
    t.check(result > 0);
}

/// Random bytes are not all the same.
fn is_random(t: &Try<'_>) {
    let (file, mut bytes) = (open(t, RDONLY), [0_u8; 32]);
    t.check(t.read(file, &mut bytes) == 32 && bytes.iter().any(|byte| *byte != bytes[0]));
}

pub const CASES: &[Case] = &[
    case("/proc/self/status", |t| has(t, b"Name:")),
    case("/proc/self/maps", |t| has(t, b"-")),
    case("/proc/self/smaps", |t| has(t, b"Size:")),
    case("/proc/self/smaps_rollup", |t| has(t, b"Rss:")),
    case("/proc/self/cmdline", |t| has(t, b"probe")),
    case("/proc/self/comm", |t| has(t, b"\n")),
    case("/proc/self/limits", |t| has(t, b"Max")),
    case("/proc/self/mounts", |t| has(t, b" ")),
    case("/proc/self/mountinfo", |t| has(t, b" ")),
    case("/proc/self/cgroup", |t| has(t, b":")),
    case("/proc/self/io", |t| has(t, b"rchar")),
    case("/proc/self/oom_score", |t| has(t, b"\n")),
    case("/proc/self/oom_score_adj", |t| has(t, b"\n")),
    case("/proc/self/uid_map", |t| has(t, b" ")),
    case("/proc/self/gid_map", |t| has(t, b" ")),
    case("/proc/self/setgroups", |t| has(t, b"\n")),
    case("/proc/self/sched", |t| has(t, b"se.")),
    case("/proc/self/schedstat", |t| has(t, b" ")),
    case("/proc/self/coredump_filter", |t| has(t, b"\n")),
    case("/proc/self/timerslack_ns", |t| has(t, b"\n")),
    case("/proc/self/personality", |t| has(t, b"\n")),
    case("/proc/self/net/dev", |t| has(t, b"lo:")),
    case("/proc/self/net/route", |t| has(t, b"Iface")),
    case("/proc/self/net/tcp", |t| has(t, b"local_address")),
    case("/proc/self/net/unix", |t| has(t, b"Num")),
    case("/proc/cpuinfo", |t| has(t, b"processor")),
    case("/proc/meminfo", |t| has(t, b"MemTotal")),
    case("/proc/stat", |t| has(t, b"cpu")),
    case("/proc/uptime", |t| has(t, b".")),
    case("/proc/loadavg", |t| has(t, b".")),
    case("/proc/version", |t| has(t, b"Linux")),
    case("/proc/filesystems", |t| has(t, b"nodev")),
    case("/proc/cmdline", |t| has(t, b"\n")),
    case("/proc/devices", |t| has(t, b"devices")),
    case("/proc/interrupts", |t| has(t, b"CPU")),
    case("/proc/partitions", |t| has(t, b"major")),
    case("/proc/swaps", |t| has(t, b"Filename")),
    case("/proc/vmstat", |t| has(t, b"nr_")),
    case("/proc/zoneinfo", |t| has(t, b"Node")),
    case("/proc/buddyinfo", |t| has(t, b"Node")),
    case("/proc/self/net/udp", |t| has(t, b"local_address")),
    case("/proc/self/net/snmp", |t| has(t, b"Ip:")),
    case("/proc/self/net/sockstat", |t| has(t, b"sockets")),
    case("/proc/self/net/if_inet6", |t| has(t, b"lo")),
    case("/proc/sys/kernel/pid_max", |t| has(t, b"")),
    case("/proc/sys/kernel/osrelease", |t| has(t, b".")),
    case("/proc/sys/kernel/ostype", |t| has(t, b"")),
    case("/proc/sys/kernel/hostname", |t| has(t, b"")),
    case("/proc/sys/kernel/version", |t| has(t, b"")),
    case("/proc/sys/kernel/random/uuid", |t| has(t, b"-")),
    case("/proc/sys/kernel/random/boot_id", |t| has(t, b"-")),
    case("/proc/sys/kernel/random/entropy_avail", |t| has(t, b"")),
    case("/proc/sys/kernel/cap_last_cap", |t| has(t, b"")),
    case("/proc/sys/kernel/ngroups_max", |t| has(t, b"")),
    case("/proc/sys/kernel/threads-max", |t| has(t, b"")),
    case("/proc/sys/kernel/shmmax", |t| has(t, b"")),
    case("/proc/sys/kernel/sem", |t| has(t, b"")),
    case("/proc/sys/kernel/core_pattern", |t| has(t, b"")),
    case("/proc/sys/kernel/randomize_va_space", |t| has(t, b"")),
    case("/proc/sys/vm/overcommit_memory", |t| has(t, b"")),
    case("/proc/sys/vm/max_map_count", |t| has(t, b"")),
    case("/proc/sys/vm/swappiness", |t| has(t, b"")),
    case("/proc/sys/vm/mmap_min_addr", |t| has(t, b"")),
    case("/proc/sys/fs/file-max", |t| has(t, b"")),
    case("/proc/sys/fs/nr_open", |t| has(t, b"")),
    case("/proc/sys/fs/pipe-max-size", |t| has(t, b"")),
    case("/proc/sys/fs/aio-max-nr", |t| has(t, b"")),
    case("/proc/sys/fs/inotify/max_user_watches", |t| has(t, b"")),
    case("/proc/sys/net/core/somaxconn", |t| has(t, b"")),
    case("/proc/sys/net/ipv4/ip_local_port_range", |t| has(t, b"")),
    case("/proc/sys/net/ipv4/tcp_fin_timeout", |t| has(t, b"")),
    case("/sys/devices/system/cpu/online", |t| has(t, b"\n")),
    case("/sys/devices/system/cpu/possible", |t| has(t, b"\n")),
    case("/sys/devices/system/cpu/present", |t| has(t, b"\n")),
    case("/sys/devices/system/node/online", |t| has(t, b"\n")),
    case("/sys/kernel/mm/transparent_hugepage/enabled", |t| {
        has(t, b"[")
    }),
    case("/proc/self/stat", |t| has(t, b"")),
    case("/proc/self/statm", |t| has(t, b"")),
    case("/proc/self/auxv", |t| has(t, b"")),
    case("/proc/diskstats", |t| has(t, b"")),
    case("/sys/kernel/mm/hugepages", is_directory),
    case("/sys/fs/cgroup", is_directory),
    case("/sys/class/net", is_directory),
    case("/sys/block", is_directory),
    case("/proc/self/fd", is_directory),
    case("/proc/self/task", is_directory),
    case("/proc", is_directory),
    case("/sys", is_directory),
    case("/dev", is_directory),
    case("/dev/shm", is_directory),
    case("/dev/pts", is_directory),
    case("/proc/self/exe", is_link),
    case("/proc/self/cwd", is_link),
    case("/proc/self/root", is_link),
    case("/proc/self/ns/mnt", is_link),
    case("/proc/self/ns/net", is_link),
    case("/proc/self/ns/uts", is_link),
    case("/dev/urandom", is_random),
    case("/dev/random", is_random),
    case("/dev/null", |t| {
        let null = open(t, RDWR);
        t.write(null, b"gone");
        // A file would have kept it.
        t.check(t.has(null, 0, b""));
    }),
    case("/dev/zero", |t| {
        let (zero, mut bytes) = (open(t, RDONLY), [7_u8; 4]);
        t.check(t.read(zero, &mut bytes) == 4 && bytes == [0; 4]);
    }),
    case("/dev/full", |t| {
        let full = open(t, RDWR);
        // ENOSPC
        t.check(raw!(t, "write", full, b"x", 1) == -28);
    }),
    case("/dev/ptmx", |t| {
        let master = open(t, RDWR | val!("open flags", "O_NOCTTY") | NONBLOCK);
        let mut number = u32::MAX;
        sys!(t, "ioctl", master, val!("ioctl", "TIOCGPTN"), &mut number);
        t.check(number != u32::MAX);
        new!(t, "dup", master);
    }),
];
