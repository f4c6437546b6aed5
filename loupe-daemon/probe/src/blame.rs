//! Whose fault a failure is: a feature's own, or that of something it was tried with. Tries nothing.

use crate::attempt::{Kind, WORDS};
use crate::list::{Feature, MOST};

const ENOSYS: u32 = 38;

/// How a feature does.
#[derive(Clone, Copy)]
pub struct Outcome {
    pub kind: Kind,
    pub errno: u32,
    /// What was in the way.
    pub other: usize,
    pub reason: &'static str,
    pub used: [u64; WORDS],
    /// It said that it succeeded.
    pub claimed: bool,
    /// It refused a wrong use, at least.
    pub vouched: bool,
    /// It took a wrong use.
    pub caught: bool,
    /// Nothing else can be at fault.
    pub settled: bool,
}

impl Outcome {
    pub const NONE: Outcome = Outcome {
        kind: Kind::None,
        errno: 0,
        other: 0,
        reason: "",
        used: [0; WORDS],
        claimed: false,
        vouched: false,
        caught: false,
        settled: false,
    };

    /// The call is not there, whatever else works. What is no call has other reasons for this errno.
    pub fn is_absent(&self, feature: &Feature) -> bool {
        self.kind == Kind::Errno && self.errno == ENOSYS && feature.number.is_some()
    }

    /// Nothing speaks against it but what was looked at by others: it is neither missing nor a fake.
    fn is_trusted(&self) -> bool {
        !self.settled && self.kind == Kind::Lies && self.claimed && self.vouched
    }

    /// It was tried, and does not work.
    pub fn is_bad(&self) -> bool {
        !matches!(self.kind, Kind::None | Kind::Works | Kind::Skipped)
    }
}

pub struct Outcomes(pub [Outcome; MOST]);

/// A failure is a feature's own where everything that it was tried with works, and where the call
/// is not there at all.
pub fn settle(features: &[Feature], outcomes: &mut Outcomes) {
    for index in 0..features.len() {
        let outcome = outcomes.0[index];
        let alone = suspect(features, outcomes, index).is_none();
        let settled = match outcome.kind {
            // What works for everybody else fails after this one has said that it did something.
            Kind::Blocked => alone && outcome.claimed,
            Kind::Lies if outcome.caught => true,
            _ => {
                alone
                    || (outcome.is_absent(&features[index])
                        && !is_by_part(features, outcomes, index))
            }
        };
        outcomes.0[index].settled = settled;
    }
}

/// Whether anything of a syscall works.
fn has_anything(features: &[Feature], outcomes: &Outcomes, number: Option<usize>) -> bool {
    let mut both = features.iter().zip(&outcomes.0);
    both.any(|(feature, outcome)| feature.number == number && outcome.kind == Kind::Works)
}

/// Whether it may be a flag that is not there, or of a flag the operation that it was tried with, and
/// not what is tried.
fn is_by_part(features: &[Feature], outcomes: &Outcomes, index: usize) -> bool {
    let used = &outcomes.0[index].used;
    let own = features[index];
    let mut all = (0..features.len()).filter(|other| used[other / 64] >> (other % 64) & 1 == 1);
    let is_bad = |other: usize| {
        let part = features[other];
        let may_be = part.is_flag || (own.is_flag && part.count > 0);
        may_be && part.number == own.number && outcomes.0[other].is_bad()
    };
    all.any(is_bad) && has_anything(features, outcomes, own.number)
}

/// Something that a feature was tried with and that does not work itself; the surest first.
fn suspect(features: &[Feature], outcomes: &Outcomes, index: usize) -> Option<usize> {
    let used = &outcomes.0[index].used;
    let is_used = |other: &usize| used[other / 64] >> (other % 64) & 1 == 1 && *other != index;
    let bad = |other: &usize| outcomes.0[*other].is_bad() && !outcomes.0[*other].is_trusted();
    // Where nothing of a syscall works, its flags are not to blame.
    let number = features[index].number;
    let is_gone = number.is_some() && !has_anything(features, outcomes, number);
    let own = |other: &usize| features[*other].is_flag && features[*other].number == number;
    let mut all = (0..features.len())
        .filter(is_used)
        .filter(bad)
        .filter(|other| !(is_gone && own(other)));
    let first = all.clone().next();
    all.find(|other| outcomes.0[*other].settled).or(first)
}

/// What failed with the help of something that fails itself is not known. Of two that are looked at
/// by each other neither is: that one of them is at fault does not tell which.
pub fn blame(features: &[Feature], outcomes: &mut Outcomes) {
    for index in 0..features.len() {
        let outcome = outcomes.0[index];
        if !outcome.is_bad() {
            continue;
        }
        if outcome.settled {
            if outcome.kind == Kind::Blocked {
                outcomes.0[index].kind = Kind::Lies;
            }
        } else if let Some(other) = suspect(features, outcomes, index) {
            outcomes.0[index].kind = Kind::Blocked;
            outcomes.0[index].other = other;
        }
    }
}

/// A syscall of which only operations are tried works if one of them does; else it does what all
/// of them do.
pub fn derive(features: &[Feature], outcomes: &mut Outcomes) {
    for index in 0..features.len() {
        let whole = features[index];
        if !whole.derived || whole.run.is_some() {
            continue;
        }
        let mut found = Outcome::NONE;
        for (place, part) in features.iter().enumerate() {
            if part.number != whole.number || part.count == 0 || part.is_flag {
                continue;
            }
            let outcome = outcomes.0[place];
            let better = match (found.kind, outcome.kind) {
                (_, Kind::None) => false,
                (Kind::Works, _) => false,
                (_, Kind::Works) => true,
                (Kind::None | Kind::Skipped | Kind::Blocked, _) => true,
                _ => false,
            };
            if better {
                found = outcome;
            }
        }
        found.settled = true;
        if found.kind == Kind::Blocked {
            found.settled = false;
        }
        outcomes.0[index] = found;
    }
}
