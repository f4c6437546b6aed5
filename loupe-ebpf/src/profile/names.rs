//! Paths of pseudo-files as they are passed. Numbers of processes, threads and descriptors are
//! written alike, and what leads out of the pseudo-files, through a link of a process, is left out.

use aya_ebpf::helpers::generated::bpf_probe_read_user_str;

use crate::{
    kernel::{offset, read_u32, read_u64},
    path::{Path, Scratch},
    task,
};

/// In place of a length: the path is none of a pseudo-file.
pub const LEADS_ELSEWHERE: u32 = u32::MAX - 1;
/// The place of a process in its thread group's ids (`PIDTYPE_TGID`).
const PROCESS_ID: u64 = 1;

/// Which directory an absolute path is in. Numbers, since they lie in the scratch room.
pub const NOWHERE: u32 = 0;
pub const PROCESS: u32 = 1;
pub const SYSTEM: u32 = 2;
pub const DEVICE: u32 = 3;

/// The beginning of a text, zeros behind its end.
#[derive(Clone, Copy)]
struct Head {
    low: u64,
    high: u64,
}

/// Letters as a number, and which of its bits they are.
const fn letters(text: &[u8]) -> (u64, u64) {
    let (mut value, mut mask) = (0, 0);
    let mut index = 0;
    while index < text.len() {
        value |= (text[index] as u64) << (8 * index);
        mask |= 0xff << (8 * index);
        index += 1;
    }
    (value, mask)
}

impl Head {
    #[inline(always)]
    fn at(text: u64) -> Head {
        let mut head = Head { low: 0, high: 0 };
        // SAFETY: the structure is of two words; the helper checks the other address and copies, or
        // writes zeros.
        unsafe { bpf_probe_read_user_str((&raw mut head).cast(), 16, text as *const _) };
        head
    }

    /// Whether it begins with these letters, up to eight.
    #[inline(always)]
    fn is(&self, (value, mask): (u64, u64)) -> bool {
        self.low & mask == value
    }

    #[inline(always)]
    fn byte(&self, index: u32) -> u8 {
        let (word, index) = match index {
            0..8 => (self.low, index),
            _ => (self.high, index - 8),
        };
        (word >> (8 * (index & 7))) as u8
    }

    /// Whether a component ends here.
    #[inline(always)]
    fn ends_at(&self, index: u32) -> bool {
        matches!(self.byte(index), 0 | b'/')
    }
}

/// Reads the number at a place of a head: `number`, and how many digits it has: `digits`, which is 0
/// if the component is no number.
#[inline(never)]
fn read_number(scratch: &mut Scratch, low: u64, high: u64, from: u32) {
    let head = Head { low, high };
    scratch.number.set(0);
    scratch.digits.set(0);
    scratch.flag.set(0);
    let mut index = from;
    while index < 16 && index < from + 10 {
        let byte = head.byte(index);
        if scratch.flag.get() != 0 {
            // It has ended.
        } else if byte.is_ascii_digit() {
            let number = scratch.number.get().wrapping_mul(10);
            let digit = u32::from(byte - b'0');
            scratch.number.set(number.wrapping_add(digit));
            let digits = scratch.digits.get();
            scratch.digits.set(digits.wrapping_add(1));
        } else {
            scratch.flag.set(1);
            if byte != 0 && byte != b'/' {
                scratch.digits.set(0);
            }
        }
        index += 1;
    }
}

const PROC: (u64, u64) = letters(b"/proc");
const SYS: (u64, u64) = letters(b"/sys");
const DEV: (u64, u64) = letters(b"/dev");

/// Finds out where the path that was passed leads, by its first bytes.
#[inline(never)]
pub fn find_top(scratch: &mut Scratch) {
    let head = Head::at(scratch.name.get());
    let top = if head.is(PROC) && head.ends_at(5) {
        PROCESS
    } else if head.is(SYS) && head.ends_at(4) {
        SYSTEM
    } else if head.is(DEV) && head.ends_at(4) {
        DEVICE
    } else {
        NOWHERE
    };
    scratch.top.set(top);
}

/// Whether a path of [`DEVICE`] is one of shared memory.
#[inline(always)]
pub fn is_shared(name: u64) -> bool {
    Head::at(name).is(letters(b"/dev/shm"))
}

/// Puts the path that was passed together. Its length is [`LEADS_ELSEWHERE`] if it is none of a
/// pseudo-file.
#[inline(never)]
pub fn put(scratch: &mut Scratch) {
    let mut path = Path::new(scratch);
    match path.scratch.top.get() {
        PROCESS => {
            let rest = path.scratch.name.get() + PROC.1.count_ones() as u64 / 8;
            path.scratch.name.set(rest);
            path.put(b"/proc");
            put_process(path.scratch);
        }
        DEVICE => put_device(path.scratch),
        _ => path.put_user(path.scratch.name.get()),
    }
}

/// What is in `/dev`.
#[inline(never)]
fn put_device(scratch: &mut Scratch) {
    let mut path = Path::of(scratch);
    let name = path.scratch.name.get();
    let head = Head::at(name + 4);
    // The names of shared memory are the application's own.
    if head.is(letters(b"/shm/")) {
        return path.put(b"/dev/shm");
    }
    if head.is(letters(b"/mqueue/")) {
        return path.put(b"/dev/mqueue");
    }
    if head.is(letters(b"/fd/")) {
        return path.scratch.length.set(LEADS_ELSEWHERE);
    }
    if head.is(letters(b"/pts/")) {
        read_number(path.scratch, head.low, head.high, 5);
        if path.scratch.digits.get() != 0 {
            return path.put(b"/dev/pts/<n>");
        }
    }
    path.put_user(name);
}

/// What comes after `/proc`.
#[inline(never)]
fn put_process(scratch: &mut Scratch) {
    let mut path = Path::of(scratch);
    let rest = path.scratch.name.get();
    let head = Head::at(rest);
    read_number(path.scratch, head.low, head.high, 1);
    let digits = path.scratch.digits.get();
    let length = if digits != 0 {
        if path.scratch.number.get() == own_number() {
            path.put(b"/self");
        } else {
            path.put(b"/<pid>");
        }
        1 + digits
    } else if head.is(letters(b"/self")) && head.ends_at(5) {
        path.put(b"/self");
        5
    } else if head.is(letters(b"/thread-")) && head.high as u32 == u32::from_ne_bytes(*b"self") {
        path.put(b"/thread-self");
        12
    } else {
        return path.put_user(rest);
    };
    path.scratch.name.set(rest + u64::from(length));
    put_thread(path.scratch);
    put_inside(path.scratch);
}

/// A thread, if what comes is one.
#[inline(never)]
fn put_thread(scratch: &mut Scratch) {
    let rest = scratch.name.get();
    let head = Head::at(rest);
    if !head.is(letters(b"/task/")) {
        return;
    }
    read_number(scratch, head.low, head.high, 6);
    let digits = scratch.digits.get();
    if digits != 0 {
        scratch.name.set(rest + 6 + u64::from(digits));
        Path::of(scratch).put(b"/task/<tid>");
    }
}

/// What comes after a process or thread.
#[inline(never)]
fn put_inside(scratch: &mut Scratch) {
    let mut path = Path::of(scratch);
    let rest = path.scratch.name.get();
    let head = Head::at(rest);
    if head.is(letters(b"/root/")) || head.is(letters(b"/cwd/")) {
        return path.scratch.length.set(LEADS_ELSEWHERE);
    }
    if head.is(letters(b"/fd/")) {
        read_number(path.scratch, head.low, head.high, 4);
        let digits = path.scratch.digits.get();
        if digits != 0 {
            // Where the descriptor is a directory, more may follow.
            if head.byte(4 + digits) == b'/' {
                return path.scratch.length.set(LEADS_ELSEWHERE);
            }
            return path.put(b"/fd/<fd>");
        }
    }
    if head.is(letters(b"/fdinfo/")) {
        return path.put(b"/fdinfo/<fd>");
    }
    if head.is(letters(b"/map_fil")) {
        return path.put(b"/map_files/<range>");
    }
    path.put_user(rest);
}

/// The kernel's record of the current process's id.
#[inline(always)]
pub fn own_process() -> u64 {
    let signal = read_u64(task::current() as u64, offset!(task_signal));
    read_u64(
        signal,
        offset!(signal_pids) + PROCESS_ID * size_of::<u64>() as u64,
    )
}

/// The id of the current process as it sees it itself. A path that leads into the procfs of another
/// namespace has another number: such a process is not told from others.
#[inline(always)]
fn own_number() -> u32 {
    let process = own_process();
    let level = u64::from(read_u32(process, offset!(pid_level)));
    let number = offset!(pid_numbers) + level * offset!(upid_size) + offset!(upid_nr);
    read_u32(process, number)
}
