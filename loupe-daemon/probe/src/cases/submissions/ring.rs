//! A ring of io_uring, as a program without a library uses it: entries go into one queue, results come
//! out of another, both in memory that is shared with the kernel. Knows no operations.

use core::sync::atomic::{Ordering, fence};

use crate::attempt::{Kind, Try, new, sys};
use crate::helpers::PAGE;
use crate::machine::{peek_word, poke_word};
use crate::tables::{nr, val};

/// Entries of a ring.
const ENTRIES: usize = 8;
const ENTRY_BYTES: usize = 64;
const RESULT_BYTES: usize = 16;
/// Where `mmap` has the two queues, and the entries.
const SUBMISSIONS: usize = 0;
const COMPLETIONS: usize = 0x800_0000;
const PLACES: usize = 0x1000_0000;
/// The number of a request that has been given none.
const USUAL: u64 = 1;
/// The next request waits for this one.
const LINKED: u64 = 1 << 2;

/// The number of an operation, as a constant.
macro_rules! op {
    ($name:literal) => {
        const { $crate::tables::ring_operation($name) }
    };
}

pub(super) use op;

/// `struct io_uring_sqe`, in words of 64 bits.
#[derive(Clone, Copy)]
pub struct Entry([u64; 8]);

impl Entry {
    pub fn of(operation: u8) -> Entry {
        Entry([u64::from(operation), 0, 0, 0, USUAL, 0, 0, 0])
    }

    pub fn file(self, file: usize) -> Entry {
        self.at_place(file as i32)
    }

    /// Where others have a file: a directory, a family, a count.
    pub fn at_place(mut self, number: i32) -> Entry {
        self.0[0] = self.0[0] & 0xffff_ffff | u64::from(number as u32) << 32;
        self
    }

    /// The offset, or a second address.
    pub fn place(mut self, place: u64) -> Entry {
        self.0[1] = place;
        self
    }

    pub fn buffer(mut self, address: u64, length: usize) -> Entry {
        self.0[2] = address;
        self.length(length as u32)
    }

    pub fn length(mut self, length: u32) -> Entry {
        self.0[3] = self.0[3] & !0xffff_ffff | u64::from(length);
        self
    }

    /// Its own flags.
    pub fn how(mut self, flags: u32) -> Entry {
        self.0[3] = self.0[3] & 0xffff_ffff | u64::from(flags) << 32;
        self
    }

    /// A second file.
    pub fn from(mut self, file: usize) -> Entry {
        self.0[5] = (file as u64) << 32;
        self
    }

    /// A third address.
    pub fn third(mut self, address: u64) -> Entry {
        self.0[6] = address;
        self
    }

    /// A futex of 32 bits, any bits of a waiter, and a value.
    pub fn lock(self, word: usize, value: u64) -> Entry {
        const FUTEX2_SIZE_U32: i32 = 2;
        let with = self.buffer(word as u64, 0).place(value);
        with.at_place(FUTEX2_SIZE_U32).third(0xffff_ffff)
    }

    pub fn number(mut self, number: u64) -> Entry {
        self.0[4] = number;
        self
    }

    pub fn linked(mut self) -> Entry {
        self.0[0] |= LINKED << 8;
        self
    }
}

pub struct Ring {
    pub file: usize,
    queue: usize,
    results: usize,
    places: usize,
    /// `struct io_uring_params`.
    parameters: [u32; 30],
}

impl Ring {
    pub fn new(t: &Try<'_>) -> Ring {
        let mut parameters = [0_u32; 30];
        let file = new!(t, "io_uring_setup", ENTRIES, &mut parameters);
        let flags = val!("map type", "MAP_SHARED");
        let map = |at: usize| new!(t, "mmap", 0, PAGE, 3, flags, file, at);
        let (queue, results, places) = (map(SUBMISSIONS), map(COMPLETIONS), map(PLACES));
        Ring {
            file,
            queue,
            results,
            places,
            parameters,
        }
    }

    /// Puts an entry at the end of the queue.
    pub fn push(&self, entry: Entry) {
        let tail_at = self.queue + self.parameters[11] as usize;
        let tail = peek_word(tail_at) as u32;
        let place = tail as usize % ENTRIES;
        for (index, word) in entry.0.iter().enumerate() {
            poke_word(
                self.places + place * ENTRY_BYTES + index * 8,
                *word as usize,
            );
        }
        put_half(
            self.queue + self.parameters[16] as usize + place * 4,
            place as u32,
        );
        fence(Ordering::SeqCst);
        put_half(tail_at, tail.wrapping_add(1));
        fence(Ordering::SeqCst);
    }

    /// Has the kernel take so many entries, and wait for so many results.
    pub fn enter(&self, t: &Try<'_>, count: usize, results: usize) {
        let get = val!("io_uring_enter flags", "IORING_ENTER_GETEVENTS");
        let taken = sys!(t, "io_uring_enter", self.file, count, results, get, 0, 0);
        if taken != count {
            let arguments = [self.file, count, results, get];
            t.failed(nr!("io_uring_enter"), &arguments, 0);
        }
    }

    pub fn submit(&self, t: &Try<'_>, entry: Entry, results: usize) {
        self.push(entry);
        self.enter(t, 1, results);
    }

    /// The result of a request, wherever in the queue it is; there it is soon.
    pub fn result_of(&self, t: &Try<'_>, number: u64) -> i32 {
        let mut found = None;
        let is_there = || {
            fence(Ordering::SeqCst);
            self.find(number).is_some()
        };
        if t.soon(is_there) {
            found = self.find(number);
        }
        match found {
            Some(result) => result,
            None => t.failed(nr!("io_uring_enter"), &[self.file, 1, 1, 1], 0),
        }
    }

    /// Among all results that ever came: no case has more of them than fit.
    pub fn find(&self, number: u64) -> Option<i32> {
        let tail = peek_word(self.results + self.parameters[21] as usize) as u32;
        let start = self.results + self.parameters[25] as usize;
        let mut all = (0..tail as usize).map(|index| start + index * RESULT_BYTES);
        let found = all.find(|at| peek_word(*at) as u64 == number)?;
        Some(peek_word(found + 8) as i32)
    }

    /// Submits one and waits for it: its result, good or bad.
    pub fn tries(&self, t: &Try<'_>, entry: Entry) -> i32 {
        // Each has a number of its own, so that the results of those before are not taken for it.
        let tail = peek_word(self.queue + self.parameters[11] as usize) as u32;
        let number = 1_000 + u64::from(tail);
        self.submit(t, entry.number(number), 1);
        self.result_of(t, number)
    }

    /// What is tried, which has to succeed.
    pub fn does(&self, t: &Try<'_>, entry: Entry) -> usize {
        let result = self.tries(t, entry);
        if result < 0 {
            self.ends(t, result);
        }
        self.claims(t);
        result as usize
    }

    /// The operation has said that it did something.
    pub fn claims(&self, t: &Try<'_>) {
        t.report.claimed.store(1, Ordering::SeqCst);
    }

    /// The operation that is tried has failed, or has returned what it cannot.
    pub fn ends(&self, t: &Try<'_>, result: i32) -> ! {
        match result {
            ..0 => t.finish(Kind::Errno, 0, result.unsigned_abs() as usize),
            _ => t.finish(Kind::Lies, 0, 0),
        }
    }
}

/// Half a word, and not what is beside it.
fn put_half(at: usize, value: u32) {
    let word = peek_word(at);
    poke_word(at, word & !0xffff_ffff | value as usize);
}
