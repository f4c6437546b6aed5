//! io_uring: operations that are no syscalls, and another way where there is no ring.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::calls::{address_mut, call, close, open};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[("rings", rings)];

/// Layouts: `include/uapi/linux/io_uring.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Offsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    other: [u32; 6],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Parameters {
    entries: [u32; 2],
    flags: u32,
    other: [u32; 7],
    submission: Offsets,
    completion: Offsets,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Submission {
    opcode: u8,
    flags: u8,
    priority: u16,
    descriptor: i32,
    offset: u64,
    address: u64,
    length: u32,
    other: [u32; 9],
}

const NOP: u8 = 0;
const READ: u8 = 22;
const NOPS: usize = 3;

const SUBMISSIONS: usize = 0;
const ENTRIES: usize = 0x1000_0000;
const GET_EVENTS: usize = 1;

fn map(ring: usize, length: usize, offset: usize) -> Result<usize, i32> {
    let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let shared = (libc::MAP_SHARED | libc::MAP_POPULATE) as usize;
    call(libc::SYS_mmap, &[0, length, access, shared, ring, offset])
}

/// Three no-ops and a read of `/proc/version`, by a ring or, where there is none, by a syscall.
fn rings(_: &Arguments) -> Result<Ended, &'static str> {
    let Ok(file) = open(c"/proc/version", libc::O_RDONLY) else {
        return Err("nothing to read");
    };
    let mut buffer = [0u8; 16];
    let mut parameters = Parameters::default();
    let made = call(libc::SYS_io_uring_setup, &[8, address_mut(&mut parameters)]);
    match made {
        Ok(ring) => by_ring(ring, &parameters, file, &mut buffer)?,
        Err(libc::ENOSYS) => {
            let read = [file, address_mut(&mut buffer), buffer.len(), 0];
            if call(libc::SYS_pread64, &read) != Ok(buffer.len()) {
                return Err("a short read");
            }
        }
        Err(_) => return Err("an unexpected error"),
    }
    close(file);
    match buffer.starts_with(b"Linux") {
        true => Ok(Ended::Works),
        false => Err("nothing was read"),
    }
}

fn by_ring(
    ring: usize,
    parameters: &Parameters,
    file: usize,
    buffer: &mut [u8; 16],
) -> Result<(), &'static str> {
    let offsets = parameters.submission;
    // The array of indices is the last of the ring.
    let array = offsets.other[2] as usize;
    let length = array + 4 * parameters.entries[0] as usize;
    let (Ok(base), Ok(entries)) = (map(ring, length, SUBMISSIONS), map(ring, 4096, ENTRIES)) else {
        return Err("the ring cannot be mapped");
    };
    let read = Submission {
        opcode: READ,
        descriptor: file as i32,
        address: address_mut(buffer) as u64,
        length: buffer.len() as u32,
        ..Submission::default()
    };
    let nop = Submission {
        opcode: NOP,
        ..Submission::default()
    };
    for index in 0..=NOPS {
        let entry = if index == NOPS { read } else { nop };
        // SAFETY: the ring has eight entries and as many indices, at these offsets of the two
        // mappings, which live to the end; the kernel reads them only when told to, below.
        unsafe {
            *(entries as *mut Submission).add(index) = entry;
            *((base + array) as *mut u32).add(index) = index as u32;
        }
    }
    // SAFETY: the kernel says that the tail, an aligned word, is at this offset of the mapping.
    let tail = unsafe { &*((base + offsets.tail as usize) as *const AtomicU32) };
    tail.store(NOPS as u32 + 1, Ordering::Release);
    let all = NOPS + 1;
    let enter = [ring, all, all, GET_EVENTS, 0, 0];
    match call(libc::SYS_io_uring_enter, &enter) {
        Ok(submitted) if submitted == all => Ok(()),
        _ => Err("not all was submitted"),
    }
}

const _: () = assert!(size_of::<Submission>() == 64);
