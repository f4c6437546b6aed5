//! The last calls that failed in a trace, `strace`'s or gVisor's: what a run that was to pass may have
//! stumbled over. Says nothing of what the OS has: a call that fails is an answer, too.

use loupe_common::errno::Errno;
use loupe_common::syscalls::Syscall;

use super::{strace, syscall};

/// Distinct calls that are told.
const MOST: usize = 8;

/// Before a call that came back, in gVisor's log: `[   3:   3] cat X openat(…) = 0 (0x0) errno=2 (…)`.
const GVISOR_EXIT: &str = " X ";
const GVISOR_ERRNO: &str = " errno=";

/// What the kernel (`include/linux/errno.h`), and gVisor after it, keep for calls that a signal interrupts and
/// that are made again: no program ever sees them.
const RESTARTS: std::ops::RangeInclusive<i64> = 512..=516;

/// In the order of their last failure, the latest last.
pub fn failing(text: &str) -> Vec<(Syscall, Errno)> {
    let mut last: Vec<(Syscall, Errno)> = Vec::new();
    for line in text.lines().rev() {
        let Some(found) = in_gvisor(line).or_else(|| in_strace(line)) else {
            continue;
        };
        if !last.contains(&found) {
            last.push(found);
        }
        if last.len() == MOST {
            break;
        }
    }
    last.reverse();
    last
}

fn in_strace(line: &str) -> Option<(Syscall, Errno)> {
    match strace::call(line)? {
        (name, strace::Came::Failed(errno)) => Some((syscall(name)?, errno)),
        (_, strace::Came::Well) => None,
    }
}

fn in_gvisor(line: &str) -> Option<(Syscall, Errno)> {
    let (_, call) = line.split_once("] ")?.1.split_once(GVISOR_EXIT)?;
    let name = call.split_once('(')?.0;
    let number = call.rsplit_once(GVISOR_ERRNO)?.1.split(' ').next()?;
    let number = number.parse().ok()?;
    if RESTARTS.contains(&number) {
        return None;
    }
    Some((syscall(name)?, Errno::new(number)?))
}

#[cfg(test)]
mod tests {
    use loupe_common::feature::Feature;

    use super::*;

    fn told(text: &str) -> Vec<String> {
        let all = failing(text).into_iter();
        all.map(|(syscall, errno)| format!("{} {errno}", Feature::from(syscall)))
            .collect()
    }

    #[test]
    fn a_trace_of_either_kind_tells_its_last_failures_once() {
        let strace = "12 openat(AT_FDCWD, \"/a\", O_RDONLY) = -1 ENOENT (No such file or directory)\n\
                      12 uname({sysname=\" X y(\"}) = -1 ENOSYS (Function not implemented)\n\
                      12 read(3, \"\", 1) = 0\n\
                      13 openat(AT_FDCWD, \"/b\", O_RDONLY) = -1 ENOENT (No such file or directory)\n";
        assert_eq!(told(strace), ["uname ENOSYS", "openat ENOENT"]);
        let gvisor = "I1129 15:17:22.9 1 strace.go:608] [   3:   3] cat X openat(AT_FDCWD /tmp, 0x7f3 /none, \
                      O_RDONLY|0x0, 0o0) = 0 (0x0) errno=2 (no such file or directory) (101.473µs)\n\
                      I1129 15:17:22.9 1 strace.go:608] [   1:   1] sh X wait4(0xff, 0x7f, 0x0, 0x0) = 0 (0x0) \
                      errno=512 (to be restarted if SA_RESTART is set) (29.8ms)\n\
                      I1129 15:17:22.9 1 strace.go:570] [   1:   1] sh E wait4(0xff, 0x7f, 0x0, 0x0)\n";
        assert_eq!(told(gvisor), ["openat ENOENT"]);
        assert_eq!(told("no trace\n"), Vec::<String>::new());
    }

    #[test]
    fn only_the_last_ones_are_told() {
        let names = [
            "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap",
        ];
        let text: String = names
            .iter()
            .map(|name| format!("{name}(1) = -1 EPERM (Operation not permitted)\n"))
            .collect();
        let told = told(&text);
        assert_eq!(told.len(), MOST);
        assert_eq!(told.last().map(String::as_str), Some("mmap EPERM"));
    }
}
