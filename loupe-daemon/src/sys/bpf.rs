//! Calls on in-kernel maps that aya does not make, and what has to be waited for.
#![expect(unsafe_code, reason = "calls that have no wrapper")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use nix::errno::Errno;

/// `BPF_MAP_LOOKUP_BATCH`, since Linux 5.6 (`include/uapi/linux/bpf.h`).
const LOOKUP_BATCH: libc::c_long = 24;
/// Entries that are asked for at first.
const BATCH: u32 = 4096;

/// The argument of a batch (`union bpf_attr`, `batch`).
#[repr(C)]
struct Batch {
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    entry_flags: u64,
    flags: u64,
}

/// Keys and values of a map, one behind the other.
#[derive(Default)]
pub struct Entries {
    pub keys: Vec<u8>,
    pub values: Vec<u8>,
}

/// Reads a whole hash map or array, whose keys and values have these sizes; those of maps by CPU
/// have a value of eight bytes or a multiple for each possible CPU. Entries that come and go
/// meanwhile may be missing; all others are there once.
pub fn entries(map: impl AsFd, key_bytes: usize, value_bytes: usize) -> io::Result<Entries> {
    let mut all = Entries::default();
    let mut capacity = BATCH;
    let mut position: Option<u64> = None;
    loop {
        let mut keys = vec![0; capacity as usize * key_bytes];
        let mut values = vec![0; capacity as usize * value_bytes];
        // The kernel writes a place in the map, of at most eight bytes.
        let mut next = 0u64;
        let mut batch = Batch {
            from: position.as_ref().map_or(0, address_of),
            next: &raw mut next as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: capacity,
            map: map.as_fd().as_raw_fd() as u32,
            entry_flags: 0,
            flags: 0,
        };
        // SAFETY: the kernel writes at most `count` keys and values, whose sizes the caller knows
        // (a map's never change), into vectors that are as long, and eight bytes into `next`. All
        // of these outlive the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                LOOKUP_BATCH,
                &raw mut batch,
                size_of::<Batch>(),
            )
        };
        let error = Errno::result(result).err();
        match error {
            // Behind the last entry.
            None | Some(Errno::ENOENT) => {}
            // A bucket of a hash map is read whole.
            Some(Errno::ENOSPC) => {
                capacity *= 2;
                continue;
            }
            Some(Errno::EINTR) => continue,
            Some(error) => return Err(error.into()),
        }
        let count = batch.count as usize;
        all.keys.extend(&keys[..count * key_bytes]);
        all.values.extend(&values[..count * value_bytes]);
        if error.is_some() {
            return Ok(all);
        }
        position = Some(next);
    }
}

fn address_of(word: &u64) -> u64 {
    &raw const *word as u64
}

/// Returns when no in-kernel program runs any more that ran when it was called.
pub fn wait_for_programs() -> io::Result<()> {
    let command = libc::MEMBARRIER_CMD_GLOBAL;
    // SAFETY: the call takes three numbers, and waits.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}
