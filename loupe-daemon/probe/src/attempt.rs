//! One try of one feature, as its case sees it: calls that are told apart as the feature itself and
//! what helps to look at it, and ways to say how it went. Decides nothing about other features.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::handlers;
use crate::list::Feature;
use crate::machine;
pub use crate::report::{Bits, KINDS, Kind, Report, WORDS};
use crate::tables::nr;
use crate::tools::Tools;

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
    /// What is not known to work.
    pub doubt: &'a Bits,
    /// How often it was tried before: what an earlier try has left behind is not in the way.
    pub round: usize,
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
    /// An operation that is not tried itself is its syscall's.
    fn feature_of(&self, number: usize, arguments: &[usize; 6]) -> Option<usize> {
        let is_it = |feature: &Feature| feature.is(number, arguments);
        let is_tried = |feature: &Feature| feature.count == 0 || feature.run.is_some();
        let exact = |feature: &Feature| !feature.derived && is_tried(feature) && is_it(feature);
        let operations = || {
            self.features
                .iter()
                .enumerate()
                .filter(|(_, one)| !one.is_flag)
        };
        let found = operations().find(|(_, feature)| exact(feature));
        let found = found.or_else(|| operations().find(|(_, feature)| is_it(feature)));
        found.map(|(index, _)| index)
    }

    pub fn raw(&self, number: usize, arguments: &[usize]) -> isize {
        let arguments = six(arguments);
        self.raw_by(number, &arguments, || machine::syscall(number, arguments))
    }

    /// A call that is made in a way of its own.
    pub fn raw_by(
        &self,
        number: usize,
        arguments: &[usize; 6],
        call: impl FnOnce() -> isize,
    ) -> isize {
        if self.note(number, arguments).is_some() {
            return call();
        }
        self.report.within.fetch_add(1, Ordering::SeqCst);
        let result = call();
        self.report.within.fetch_sub(1, Ordering::SeqCst);
        if !(-4095..0).contains(&result) {
            self.report.claimed.store(1, Ordering::SeqCst);
        }
        result
    }

    /// Notes what is called. `None`: the subject.
    fn note(&self, number: usize, arguments: &[usize; 6]) -> Option<usize> {
        for (index, feature) in self.features.iter().enumerate() {
            let is_tried = feature.is_flag && feature.run.is_some();
            if is_tried && index != self.subject && feature.is(number, arguments) {
                self.uses(index);
            }
        }
        let subject = &self.features[self.subject];
        let found = self.feature_of(number, arguments);
        if subject.is(number, arguments) {
            // A flag's call is one of an operation, too.
            let operation = found.filter(|index| self.features[*index].count > 0);
            if let Some(index) = operation.filter(|_| subject.is_flag) {
                self.uses(index);
            }
            return None;
        }
        if let Some(index) = found {
            self.uses(index);
        }
        Some(found.unwrap_or(self.subject))
    }

    /// A syscall's place in the list.
    pub fn place_of(&self, number: usize) -> usize {
        self.feature_of(number, &[0; 6]).unwrap_or(self.subject)
    }

    /// Makes a call without which it goes as well.
    pub fn quietly(&self, number: usize, arguments: &[usize]) -> isize {
        machine::syscall(number, six(arguments))
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
        let is_refused = self.raw(number, arguments) < 0;
        if self.features[self.subject].is(number, &six(arguments)) {
            let word = match is_refused {
                true => &self.report.vouched,
                false => &self.report.caught,
            };
            word.store(1, Ordering::SeqCst);
        }
        self.check(is_refused);
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

    /// Whether an operation is not known to work, or is what is tried.
    pub fn is_doubted(&self, number: usize, arguments: &[usize]) -> bool {
        let arguments = six(arguments);
        if self.features[self.subject].is(number, &arguments) {
            return true;
        }
        let found = self.feature_of(number, &arguments);
        found.is_some_and(|index| self.doubt.has(index))
    }

    /// The first of these syscalls that is known to work, or else may, and is not what is tried.
    pub fn pick(&self, numbers: &[usize]) -> usize {
        let is_free = |number: &&usize| !self.is_avoided(**number);
        let whole = |index: usize, number: usize| {
            self.features[index].number == Some(number) && self.features[index].count == 0
        };
        let is_sure = |number: &&usize| {
            let mut all = 0..self.features.len();
            all.find(|index| whole(*index, **number))
                .is_some_and(|index| !self.doubt.has(index))
        };
        let mut free = numbers.iter().filter(is_free);
        let first = free.clone().next();
        *free.find(is_sure).or(first).unwrap_or(&numbers[0])
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
        path[0] += self.round as u8;
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
