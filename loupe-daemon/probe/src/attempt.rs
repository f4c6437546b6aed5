//! One try of one feature, as its case sees it: calls that are told apart as the feature itself and
//! what helps to look at it, and ways to say how it went. Decides nothing about other features.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::handlers;
use crate::list::Feature;
use crate::machine;
use crate::tables::nr;
use crate::tools::Tools;

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

/// A value as the kernel gets it.
pub trait Arg {
    fn arg(self) -> usize;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(impl Arg for $type { fn arg(self) -> usize { self as usize } })* };
}

numbers!(usize isize u64 i64 u32 i32 u16 u8);

impl<T: ?Sized> Arg for &T {
    fn arg(self) -> usize {
        core::ptr::from_ref(self).cast::<u8>() as usize
    }
}

impl<T: ?Sized> Arg for &mut T {
    fn arg(self) -> usize {
        core::ptr::from_mut(self).cast::<u8>() as usize
    }
}

pub struct Try<'a> {
    pub features: &'a [Feature],
    /// What is tried.
    pub subject: usize,
    /// What is known not to work.
    pub avoid: &'a Bits,
    pub report: &'a Report,
    pub tools: &'a Tools,
}

/// A syscall that must succeed; else the try is over. What it returns.
macro_rules! sys {
    ($t:expr, $name:literal $(, $arg:expr)* $(,)?) => {
        $t.call($crate::tables::nr!($name), &[$($crate::attempt::Arg::arg($arg)),*])
    };
}

/// A syscall that returns a descriptor, a process or an address, which is never 0.
macro_rules! new {
    ($t:expr, $name:literal $(, $arg:expr)* $(,)?) => {
        $t.call_new($crate::tables::nr!($name), &[$($crate::attempt::Arg::arg($arg)),*])
    };
}

/// A syscall that may fail: what the kernel returns.
macro_rules! raw {
    ($t:expr, $name:literal $(, $arg:expr)* $(,)?) => {
        $t.raw($crate::tables::nr!($name), &[$($crate::attempt::Arg::arg($arg)),*])
    };
}

/// A wrong use, which has to be refused: how one knows a call whose effect cannot be seen from one
/// that is only said to work.
macro_rules! refuses {
    ($t:expr, $name:literal $(, $arg:expr)* $(,)?) => {
        $t.refused($crate::tables::nr!($name), &[$($crate::attempt::Arg::arg($arg)),*])
    };
}

/// Does the same by the first of several syscalls that is believed to work: an order of preference,
/// and what to do by each.
macro_rules! choose {
    ($t:expr, [$($order:literal),+], { $($name:literal => $do:expr),+ $(,)? }) => {{
        let picked = $t.pick(&[$($crate::tables::nr!($order)),+]);
        match picked {
            $(number if number == $crate::tables::nr!($name) => $do,)+
            number => $t.failed(number, &[], 38),
        }
    }};
}

pub(crate) use {choose, new, raw, refuses, sys};

fn six(arguments: &[usize]) -> [usize; 6] {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    all
}

impl Try<'_> {
    fn feature_of(&self, number: usize, arguments: &[usize; 6]) -> Option<usize> {
        let fits = |feature: &Feature| !feature.derived && feature.is(number, arguments);
        self.features.iter().position(fits)
    }

    pub fn raw(&self, number: usize, arguments: &[usize]) -> isize {
        let arguments = six(arguments);
        let is_subject = self.note(number, &arguments).is_none();
        let result = machine::syscall(number, arguments);
        if is_subject && !(-4095..0).contains(&result) {
            self.report.claimed.store(1, Ordering::SeqCst);
        }
        result
    }

    /// Notes what is called. `None`: the subject.
    fn note(&self, number: usize, arguments: &[usize; 6]) -> Option<usize> {
        if self.features[self.subject].is(number, arguments) {
            return None;
        }
        let found = self.feature_of(number, arguments);
        if let Some(index) = found {
            self.uses(index);
        }
        // An operation that the tables do not name helps as well.
        Some(found.unwrap_or(self.subject))
    }

    /// Notes a call that is made elsewhere.
    pub fn uses_call(&self, number: usize) {
        self.note(number, &[0; 6]);
    }

    pub fn uses(&self, index: usize) {
        self.report.used[index / 64].fetch_or(1 << (index % 64), Ordering::SeqCst);
    }

    pub fn call(&self, number: usize, arguments: &[usize]) -> usize {
        let result = self.raw(number, arguments);
        if (-4095..0).contains(&result) {
            self.failed(number, arguments, result.unsigned_abs());
        }
        result as usize
    }

    pub fn call_new(&self, number: usize, arguments: &[usize]) -> usize {
        match self.call(number, arguments) {
            0 => self.failed(number, arguments, 0),
            new => new,
        }
    }

    /// The try is over: a call failed, or (without errno) returned what it cannot.
    pub fn failed(&self, number: usize, arguments: &[usize], errno: usize) -> ! {
        match (self.note(number, &six(arguments)), errno) {
            (None, 0) => self.finish(Kind::Lies, 0, 0),
            (None, errno) => self.finish(Kind::Errno, 0, errno),
            (Some(other), errno) => self.finish(Kind::Blocked, other, errno),
        }
    }

    /// Makes a call that has to be refused.
    pub fn refused(&self, number: usize, arguments: &[usize]) {
        self.check(self.raw(number, arguments) < 0);
        if self.features[self.subject].is(number, &six(arguments)) {
            self.report.vouched.store(1, Ordering::SeqCst);
        }
    }

    /// Makes a call that speaks for the feature where it is refused, and not against it where it is
    /// taken: its effect is looked at, too.
    pub fn may_refuse(&self, number: usize, arguments: &[usize]) {
        if self.raw(number, arguments) < 0 {
            self.report.vouched.store(1, Ordering::SeqCst);
        }
    }

    pub fn check(&self, holds: bool) {
        if !holds {
            self.finish(Kind::Lies, 0, 0);
        }
    }

    pub fn skip(&self, reason: &'static str) -> ! {
        self.report
            .reason
            .store(reason.as_ptr() as usize, Ordering::SeqCst);
        self.report
            .reason_length
            .store(reason.len(), Ordering::SeqCst);
        self.finish(Kind::Skipped, 0, 0)
    }

    /// The case is over.
    pub fn finish(&self, kind: Kind, other: usize, errno: usize) -> ! {
        self.report.say(kind, other, errno);
        if !self.tools.isolated {
            machine::leave(handlers::KEPT.load(Ordering::SeqCst));
        }
        end(kind, errno)
    }

    /// Words that the case's processes share.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        if !self.tools.shares && self.tools.isolated {
            self.skip("needs shared memory");
        }
        &self.report.words[index]
    }

    /// The number of the syscall that is tried.
    pub fn number(&self) -> usize {
        self.features[self.subject].number.unwrap_or(0)
    }

    /// A value that selects the operation that is tried.
    pub fn value(&self, index: usize) -> usize {
        self.features[self.subject].tests[index].value as usize
    }

    /// Whether a syscall is known not to work as a whole, or is what is tried.
    pub fn is_avoided(&self, number: usize) -> bool {
        if self.number() == number && self.features[self.subject].number.is_some() {
            return true;
        }
        let whole = |feature: &Feature| feature.number == Some(number) && feature.count == 0;
        let found = self.features.iter().position(whole);
        found.is_none_or(|index| self.avoid.has(index))
    }

    /// The first of these syscalls that is believed to work and is not what is tried.
    pub fn pick(&self, numbers: &[usize]) -> usize {
        let good = numbers.iter().find(|number| !self.is_avoided(**number));
        *good.unwrap_or(&numbers[0])
    }

    /// What the case changes of its process is not to stay.
    pub fn alone(&self) {
        if !self.tools.isolated {
            self.skip("needs a process of its own");
        }
    }

    /// Whether the case's own process has all rights.
    pub fn needs_root(&self) {
        if machine::syscall(nr!("geteuid"), [0; 6]) > 0 {
            self.skip("needs root");
        }
    }

    /// A name in the probe's directory that no other case has.
    pub fn name(&self, letter: u8) -> Path {
        let mut path = *b"p0000a\0\0";
        let mut rest = self.subject;
        for digit in path[1..5].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        path[5] = letter;
        path
    }
}

/// A name that [`Try::name`] made.
pub type Path = [u8; 8];

/// Statuses of a process that cannot say more; below them are errnos.
const STATUS_WORKS: usize = 200;

/// What a process says by its status alone, where nothing is shared.
pub fn kind_of_status(status: usize) -> (Kind, usize) {
    match status {
        200..=207 => (KINDS[status - STATUS_WORKS], 0),
        1..=199 => (Kind::Errno, status),
        _ => (Kind::Crashes, 0),
    }
}

/// Ends the process, by whatever works.
pub fn end(kind: Kind, errno: usize) -> ! {
    let status = match kind {
        Kind::Errno if errno < STATUS_WORKS => errno,
        kind => STATUS_WORKS + kind as usize,
    };
    machine::syscall(nr!("exit_group"), [status, 0, 0, 0, 0, 0]);
    machine::syscall(nr!("exit"), [status, 0, 0, 0, 0, 0]);
    machine::die()
}
