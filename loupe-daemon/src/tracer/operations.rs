//! Operations: what the in-kernel programs are told to look at, and names for what they counted.
//! Pure.

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::operations::decode;
use loupe_common::operations::meaning::ROWS;
use loupe_common::stats::{MAX_SYSCALL, OperationKey, RETURNED_ZERO, Selector};
use loupe_common::syscalls::Syscall;
use loupe_common::trace::CallCounts;

/// By native syscall number.
pub fn selectors() -> impl Iterator<Item = (u32, Selector)> {
    ROWS.iter().filter_map(|row| {
        let number = Syscall::from_name(row.syscall)?.number()?;
        ((number as usize) < MAX_SYSCALL).then(|| (number, row.selector()))
    })
}

/// Calls of one combination of arguments.
#[derive(Clone, Debug, Default)]
struct Combination {
    /// Came back with something else than an error.
    successes: u64,
    /// Of a call that returns twice: returned 0.
    zeros: u64,
    errors: BTreeMap<Errno, u64>,
}

impl Combination {
    fn counts(self) -> CallCounts {
        // Each child's 0 stands beside its parent's return. What the filter answers has no child
        // and is all zeros: it decides by the same arguments, so it answers all or none of these.
        let without_child = self.zeros.saturating_sub(self.successes);
        let failures: u64 = self.errors.values().sum();
        CallCounts {
            calls: self.successes + without_child + failures,
            errors: self.errors,
            latency: None,
        }
    }
}

/// The calls of each operation and of each flag.
pub fn counts(counted: &[(OperationKey, u64)]) -> BTreeMap<Feature, CallCounts> {
    let mut combinations: BTreeMap<(u16, u64), Combination> = BTreeMap::new();
    for (key, calls) in counted {
        let combination = combinations.entry((key.number, key.value)).or_default();
        match key.errno {
            RETURNED_ZERO => combination.zeros += calls,
            errno => match Errno::new(i64::from(errno)) {
                Some(errno) => *combination.errors.entry(errno).or_default() += calls,
                None => combination.successes += calls,
            },
        }
    }
    let mut all: BTreeMap<Feature, CallCounts> = BTreeMap::new();
    for ((number, value), combination) in combinations {
        let counts = combination.counts();
        let Some(decoded) = decode(Syscall::from_number(u32::from(number)), value) else {
            continue;
        };
        for operation in decoded.operation.into_iter().chain(decoded.flags) {
            let sum = all.entry(operation.into()).or_default();
            sum.calls += counts.calls;
            for (errno, calls) in &counts.errors {
                *sum.errors.entry(*errno).or_default() += calls;
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
    fn a_child_is_no_call_and_a_faked_clone_is_one() {
        let vm = 0x100;
        let real = counts(&[
            (key("clone", vm, 0), 4),
            (key("clone", vm, RETURNED_ZERO), 4),
        ]);
        assert_eq!(calls(&real, "clone:CLONE_VM"), (4, 0));
        let faked = counts(&[(key("clone", vm, RETURNED_ZERO), 4)]);
        assert_eq!(calls(&faked, "clone:CLONE_VM"), (4, 0));
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
