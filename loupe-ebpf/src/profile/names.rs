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

/// Which directory an absolute path is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Top {
    None,
    Process,
    System,
    Device,
}

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
        // fails.
        let copied =
            unsafe { bpf_probe_read_user_str((&raw mut head).cast(), 16, text as *const _) };
        if copied < 1 {
            return Head { low: 0, high: 0 };
        }
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

    /// The number at this place, and how many digits it has: 0, if the component is no number.
    #[inline(always)]
    fn number(&self, from: u32) -> (u32, u32) {
        let (mut value, mut digits) = (0u32, 0);
        let mut ended = false;
        let mut index = from;
        while index < 16 && index < from + 10 {
            let byte = self.byte(index);
            if !ended && byte.is_ascii_digit() {
                value = value.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
                digits += 1;
            } else if !ended {
                ended = true;
                if byte != 0 && byte != b'/' {
                    digits = 0;
                }
            }
            index += 1;
        }
        (value, digits)
    }
}

const PROC: (u64, u64) = letters(b"/proc");
const SYS: (u64, u64) = letters(b"/sys");
const DEV: (u64, u64) = letters(b"/dev");

/// Where an absolute path leads, by its first bytes.
#[inline(always)]
pub fn top(name: u64) -> Top {
    let head = Head::at(name);
    if head.is(PROC) && head.ends_at(5) {
        Top::Process
    } else if head.is(SYS) && head.ends_at(4) {
        Top::System
    } else if head.is(DEV) && head.ends_at(4) {
        Top::Device
    } else {
        Top::None
    }
}

/// Whether a path of [`Top::Device`] is one of shared memory.
#[inline(always)]
pub fn is_shared(name: u64) -> bool {
    Head::at(name).is(letters(b"/dev/shm"))
}

/// Puts the path at this address of the current process together; its length.
#[inline(never)]
pub fn put(scratch: &mut Scratch, top: Top, name: u64) -> u32 {
    let mut path = Path::new(scratch);
    match top {
        Top::Process => return put_process(&mut path, name + PROC.1.count_ones() as u64 / 8),
        Top::Device => {
            // The names of shared memory are the application's own.
            let head = Head::at(name + 4);
            if head.is(letters(b"/shm/")) {
                path.put(b"/dev/shm");
                return path.length;
            }
            if head.is(letters(b"/mqueue/")) {
                path.put(b"/dev/mqueue");
                return path.length;
            }
            if head.is(letters(b"/fd/")) {
                return LEADS_ELSEWHERE;
            }
            if head.is(letters(b"/pts/")) && head.number(5).1 != 0 {
                path.put(b"/dev/pts/<n>");
                return path.length;
            }
            path.put_user(name);
        }
        _ => path.put_user(name),
    }
    path.length
}

/// What comes after `/proc`.
#[inline(always)]
fn put_process(path: &mut Path, rest: u64) -> u32 {
    path.put(b"/proc");
    let head = Head::at(rest);
    let (number, digits) = head.number(1);
    let rest = if digits != 0 {
        if number == own_number() {
            path.put(b"/self");
        } else {
            path.put(b"/<pid>");
        }
        rest + 1 + u64::from(digits)
    } else if head.is(letters(b"/self")) && head.ends_at(5) {
        path.put(b"/self");
        rest + 5
    } else if head.is(letters(b"/thread-")) && head.high as u32 == u32::from_ne_bytes(*b"self") {
        path.put(b"/thread-self");
        rest + 12
    } else {
        path.put_user(rest);
        return path.length;
    };
    let head = Head::at(rest);
    if head.is(letters(b"/task/")) {
        let (_, digits) = head.number(6);
        if digits != 0 {
            path.put(b"/task/<tid>");
            return put_inside(path, rest + 6 + u64::from(digits));
        }
    }
    put_inside(path, rest)
}

/// What comes after a process or thread.
#[inline(always)]
fn put_inside(path: &mut Path, rest: u64) -> u32 {
    let head = Head::at(rest);
    if head.is(letters(b"/root/")) || head.is(letters(b"/cwd/")) {
        return LEADS_ELSEWHERE;
    }
    if head.is(letters(b"/fd/")) {
        let (_, digits) = head.number(4);
        if digits != 0 {
            // Where the descriptor is a directory, more may follow.
            if head.byte(4 + digits) == b'/' {
                return LEADS_ELSEWHERE;
            }
            path.put(b"/fd/<fd>");
            return path.length;
        }
    }
    if head.is(letters(b"/fdinfo/")) {
        path.put(b"/fdinfo/<fd>");
        return path.length;
    }
    if head.is(letters(b"/map_fil")) {
        path.put(b"/map_files/<range>");
        return path.length;
    }
    path.put_user(rest);
    path.length
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
