//! From raw counts to what each slot has counted: numbers to names, combinations of arguments to
//! operations, strings to pseudo-files.

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::io_uring::IoUringOp;
use loupe_common::profile::ProfileLost;
use loupe_common::profile_abi::{FileKey, IO_URING, LossCounts};
use loupe_common::pseudo_file::PseudoFile;
use loupe_common::stats::OperationKey;
use loupe_common::syscalls::Syscall;
use loupe_common::trace::{CallCounts, ForeignCall};

use super::SlotCounts;
use super::maps::Maps;
use crate::tracer::{TracerError, abi_name, operations};

/// What every slot that is somebody's has counted.
pub fn read(maps: &Maps) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
    let slots = maps.slots()?;
    read_slots(maps, slots.into_iter().map(|(_, slot)| slot))
}

/// What these slots have counted.
pub fn read_slots(
    maps: &Maps,
    slots: impl Iterator<Item = u32>,
) -> Result<BTreeMap<u32, SlotCounts>, TracerError> {
    let mut all: BTreeMap<u32, SlotCounts> = BTreeMap::new();
    for slot in slots {
        let notes = maps.notes(slot)?;
        let counts = SlotCounts {
            starts: notes.starts,
            lost: losses(&notes.lost),
            ..SlotCounts::default()
        };
        all.insert(slot, counts);
    }
    for (key, calls) in maps.calls.all()? {
        // A slot that is opened meanwhile is read next time.
        if let Some(counts) = all.get_mut(&key.slot) {
            counts.calls.entry(feature(key.number)).or_default().calls += calls;
        }
    }
    for (key, calls) in maps.errors.all()? {
        if let Some(counts) = all.get_mut(&u32::from(key.slot)) {
            let of = counts.calls.entry(feature(u32::from(key.number)));
            add_error(of.or_default(), key.errno, calls);
        }
    }
    for (key, calls) in maps.files.all()? {
        let Some(counts) = all.get_mut(&key.slot) else {
            continue;
        };
        match pseudo_file(&key) {
            Some(file) => {
                let of = counts.calls.entry(Feature::PseudoFile(file)).or_default();
                of.calls += calls;
                add_error(of, key.errno, calls);
            }
            None => counts.lost.pseudo_files += calls,
        }
    }
    for (key, calls) in maps.foreign.all()? {
        if let Some(counts) = all.get_mut(&key.slot) {
            counts.foreign.push(ForeignCall {
                abi: abi_name(key.abi).to_owned(),
                number: key.number,
                calls,
            });
        }
    }
    let mut by_slot: BTreeMap<u32, Vec<(OperationKey, u64)>> = BTreeMap::new();
    for (key, calls) in maps.operations.all()? {
        let of = by_slot.entry(u32::from(key.slot)).or_default();
        of.push((key, calls));
    }
    for (slot, counts) in &mut all {
        if let Some(counted) = by_slot.get(slot) {
            counts.operations = operations::counts(counted);
        }
        counts
            .foreign
            .sort_by(|a, b| (&a.abi, a.number).cmp(&(&b.abi, b.number)));
    }
    Ok(all)
}

fn add_error(counts: &mut CallCounts, errno: u16, calls: u64) {
    if let Some(errno) = Errno::new(i64::from(errno)) {
        *counts.errors.entry(errno).or_default() += calls;
    }
}

/// By the number of a call's key.
pub fn feature(number: u32) -> Feature {
    match number.checked_sub(IO_URING) {
        // The in-kernel programs have it from a byte.
        Some(operation) => Feature::IoUring(IoUringOp::from_number(operation as u8)),
        None => Feature::Syscall(Syscall::from_number(number)),
    }
}

pub fn losses(lost: &LossCounts) -> ProfileLost {
    ProfileLost {
        events: lost.events,
        calls: lost.calls,
        errors: lost.errors,
        operations: lost.operations,
        foreign: lost.foreign,
        pseudo_files: lost.pseudo_files,
        executables: lost.executables,
    }
}

/// `None`: a path that may lead anywhere (`..`), of which nothing is kept.
fn pseudo_file(key: &FileKey) -> Option<PseudoFile> {
    let bytes = key.path.get(..usize::from(key.length))?;
    let path = str::from_utf8(bytes).ok()?;
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let clean: String = parts.flat_map(|part| ["/", part]).collect();
    PseudoFile::new(&clean, None)
}

#[cfg(test)]
mod tests {
    use loupe_common::profile_abi::FILE_PATH_BYTES;

    use super::*;

    fn named(path: &str) -> Option<String> {
        let mut key = FileKey {
            slot: 0,
            errno: 0,
            length: path.len() as u16,
            path: [0; FILE_PATH_BYTES],
        };
        key.path[..path.len()].copy_from_slice(path.as_bytes());
        pseudo_file(&key).map(|file| file.to_string())
    }

    #[test]
    fn paths_are_cleaned_and_what_may_lead_out_is_not_kept() {
        assert_eq!(named("/proc/self/maps").as_deref(), Some("/proc/self/maps"));
        assert_eq!(
            named("/sys//class/./net/").as_deref(),
            Some("/sys/class/net")
        );
        assert_eq!(
            named("/proc/<pid>/stat").as_deref(),
            Some("/proc/<pid>/stat")
        );
        assert_eq!(named("/dev/../etc/shadow"), None);
    }

    #[test]
    fn numbers_are_syscalls_or_operations_of_io_uring() {
        assert_eq!(
            feature(IO_URING + 1).to_string(),
            "io_uring:IORING_OP_READV"
        );
        assert_eq!(feature(39).kind(), "syscall");
    }
}
