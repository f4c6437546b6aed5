//! What a try reports: in memory that its process shares with the probe's. Judges nothing.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Words of bits, one a feature.
pub const WORDS: usize = crate::list::MOST / 64;

/// A set of features.
pub struct Bits(pub [u64; WORDS]);

impl Bits {
    pub fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    pub fn add(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }
}

/// How a try ended, as the process says that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Nothing was said.
    None = 0,
    Works = 1,
    /// The call itself failed.
    Errno = 2,
    /// It said that it succeeded, and had no effect.
    Lies = 3,
    /// Something else that the case needs failed; or, with no errno, lied.
    Blocked = 4,
    /// The case says why it cannot be.
    Skipped = 5,
    Crashes = 6,
    Hangs = 7,
}

pub const KINDS: [Kind; 8] = [
    Kind::None,
    Kind::Works,
    Kind::Errno,
    Kind::Lies,
    Kind::Blocked,
    Kind::Skipped,
    Kind::Crashes,
    Kind::Hangs,
];

/// What a try reports: in memory that its process shares with the probe's.
#[repr(C)]
pub struct Report {
    taken: AtomicU32,
    /// The feature was used, and said that it succeeded.
    pub claimed: AtomicU32,
    /// The feature has refused a wrong use, so it is no mere fake.
    pub vouched: AtomicU32,
    /// The feature has taken a wrong use, so nothing else is at fault.
    pub caught: AtomicU32,
    /// Uses of the feature that have not come back.
    pub within: AtomicU32,
    pub kind: AtomicU32,
    pub errno: AtomicU32,
    /// What was in the way, by its place in the list.
    pub other: AtomicU32,
    pub reason: AtomicUsize,
    pub reason_length: AtomicUsize,
    /// Everything that was called beside the feature itself.
    pub used: [AtomicU64; WORDS],
    /// For the case's own processes.
    pub words: [AtomicU64; 64],
}

impl Report {
    pub const fn new() -> Report {
        Report {
            taken: AtomicU32::new(0),
            claimed: AtomicU32::new(0),
            vouched: AtomicU32::new(0),
            caught: AtomicU32::new(0),
            within: AtomicU32::new(0),
            kind: AtomicU32::new(0),
            errno: AtomicU32::new(0),
            other: AtomicU32::new(0),
            reason: AtomicUsize::new(0),
            reason_length: AtomicUsize::new(0),
            used: [const { AtomicU64::new(0) }; WORDS],
            words: [const { AtomicU64::new(0) }; 64],
        }
    }

    pub fn clear(&self) {
        for word in [
            &self.taken,
            &self.claimed,
            &self.vouched,
            &self.caught,
            &self.within,
            &self.kind,
            &self.errno,
            &self.other,
        ] {
            word.store(0, Ordering::SeqCst);
        }
        for word in self.used.iter().chain(&self.words) {
            word.store(0, Ordering::SeqCst);
        }
    }

    /// Only the first word counts.
    pub fn say(&self, kind: Kind, other: usize, errno: usize) {
        if self.taken.swap(1, Ordering::SeqCst) == 0 {
            self.errno.store(errno as u32, Ordering::SeqCst);
            self.other.store(other as u32, Ordering::SeqCst);
            self.kind.store(kind as u32, Ordering::SeqCst);
        }
    }
}
