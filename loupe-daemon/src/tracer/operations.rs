//! Operations: what the in-kernel programs are told to look at, and names for what they counted.
//! Pure.

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::operations::decode;
use loupe_common::operations::meaning::ROWS;
use loupe_common::stats::{MAX_SYSCALL, OperationKey, Selector};
use loupe_common::syscalls::{Arch, Syscall};
use loupe_common::trace::CallCounts;

/// By native syscall number.
pub fn selectors() -> impl Iterator<Item = (u32, Selector)> {
    ROWS.iter().filter_map(|row| {
        let number = Syscall::from_name(row.syscall)?.number()?;
        ((number as usize) < MAX_SYSCALL).then(|| (number, row.selector()))
    })
}

/// As [`selectors`], and which argument is a path, for those who stream calls.
pub fn selectors_with_paths() -> impl Iterator<Item = (u32, Selector)> {
    let mut all: BTreeMap<u32, Selector> = selectors().collect();
    for (number, name) in Arch::NATIVE.table() {
        let path = Syscall::from_name(name).and_then(Syscall::path_argument);
        if let Some(path) = path.filter(|_| usize::from(*number) < MAX_SYSCALL) {
            all.entry(u32::from(*number)).or_default().path = path as u8 + 1;
        }
    }
    all.into_iter()
}

/// The calls of each operation and of each flag.
pub fn counts(counted: &[(OperationKey, u64)]) -> BTreeMap<Feature, CallCounts> {
    let mut all: BTreeMap<Feature, CallCounts> = BTreeMap::new();
    for (key, calls) in counted {
        let syscall = Syscall::from_number(u32::from(key.number));
        let Some(decoded) = decode(syscall, key.value) else {
            continue;
        };
        for operation in decoded.operation.into_iter().chain(decoded.flags) {
            let sum = all.entry(operation.into()).or_default();
            sum.calls += calls;
            if let Some(errno) = Errno::new(i64::from(key.errno)) {
                *sum.errors.entry(errno).or_default() += calls;
            }
        }
    }
    all.retain(|_, counts| counts.calls > 0);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(syscall: &str, value: u64, errno: u16) -> OperationKey {
        let syscall = Syscall::from_name(syscall).expect("a syscall");
        OperationKey {
            slot: 3,
            number: syscall.number().expect("native") as u16,
            errno,
            pad: 0,
            value,
        }
    }

    fn calls(counts: &BTreeMap<Feature, CallCounts>, name: &str) -> (u64, u64) {
        let feature = name.parse().expect("a feature");
        let counts = counts.get(&feature).cloned().unwrap_or_default();
        (counts.calls, counts.error_total())
    }

    #[test]
    fn calls_and_errors_are_summed_by_operation_and_by_flag() {
        let counts = counts(&[
            (key("fcntl", 2, 0), 5),
            (key("fcntl", 2, 9), 1),
            (key("fcntl", 3, 0), 2),
            (key("openat", 0x80000, 0), 4),
            (key("openat", 0x80041, 2), 3),
        ]);
        assert_eq!(calls(&counts, "fcntl:F_SETFD"), (6, 1));
        assert_eq!(calls(&counts, "fcntl:F_GETFL"), (2, 0));
        assert_eq!(calls(&counts, "openat:O_CLOEXEC"), (7, 3));
        assert_eq!(calls(&counts, "openat:O_CREAT"), (3, 3));
        assert_eq!(calls(&counts, "openat:O_RDONLY"), (4, 0));
        assert_eq!(calls(&counts, "openat:O_WRONLY"), (3, 3));
    }

    #[test]
    fn every_row_of_this_architecture_is_handed_to_the_kernel() {
        let selectors: BTreeMap<u32, Selector> = selectors().collect();
        let number = |name: &str| Syscall::from_name(name).and_then(Syscall::number);
        let of = |name: &str| number(name).and_then(|number| selectors.get(&number).copied());
        let socket = of("socket").expect("a row");
        assert_eq!((socket.first, socket.second), (0, 1));
        assert_eq!(socket.second_mask, 0xffff_ffff);
        assert_eq!(of("clone3").map(|clone| clone.kind), Some(Selector::MEMORY));
        assert_eq!(of("read"), None);
    }
}
