//! What was counted of a subject in one step of time, and how it is packed. Knows no words, only
//! their numbers.
//!
//! Packed are numbers of seven bits a byte (LEB128): a feature that is called some thousand times
//! a minute and does not fail takes four bytes. Features follow each other by their numbers, as
//! differences.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use loupe_common::profile::ProfileLost;

/// The first byte of what is packed.
const FORMAT: u64 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The first and the last moment that was covered.
    pub from_ms: u64,
    pub until_ms: u64,
    pub observed_ms: u64,
    pub starts: u64,
    pub lost: ProfileLost,
    /// By the numbers of their words.
    pub uses: BTreeMap<u32, Use>,
}

/// One feature's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub calls: u64,
    /// Failed calls by errno.
    pub errors: BTreeMap<u32, u64>,
    pub minutes: u64,
    pub last_ms: u64,
}

/// What is not packed as it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("counts of a profile that are not whole")]
pub(super) struct Broken;

impl Counts {
    /// Adds what was counted in another time.
    pub fn add(&mut self, other: Counts) {
        self.merge(other, u64::saturating_add);
    }

    /// Adds what was counted in the same minute: it stays one.
    pub fn add_of_the_same_minute(&mut self, other: Counts) {
        self.merge(other, u64::max);
    }

    fn merge(&mut self, other: Counts, minutes: impl Fn(u64, u64) -> u64) {
        if other.until_ms > other.from_ms {
            let empty = self.until_ms <= self.from_ms;
            self.from_ms = if empty {
                other.from_ms
            } else {
                self.from_ms.min(other.from_ms)
            };
            self.until_ms = self.until_ms.max(other.until_ms);
        }
        self.observed_ms = self.observed_ms.saturating_add(other.observed_ms);
        self.starts = self.starts.saturating_add(other.starts);
        self.lost += other.lost;
        for (word, more) in other.uses {
            match self.uses.entry(word) {
                Entry::Vacant(entry) => {
                    entry.insert(more);
                }
                Entry::Occupied(mut entry) => {
                    let counts = entry.get_mut();
                    counts.calls = counts.calls.saturating_add(more.calls);
                    counts.minutes = minutes(counts.minutes, more.minutes);
                    counts.last_ms = counts.last_ms.max(more.last_ms);
                    for (errno, calls) in more.errors {
                        let known = counts.errors.entry(errno).or_default();
                        *known = known.saturating_add(calls);
                    }
                }
            }
        }
    }

    pub fn pack(&self) -> Vec<u8> {
        let mut packed = Vec::with_capacity(16 + self.uses.len() * 6);
        let mut put = |number| put(&mut packed, number);
        let lost = self.lost.kinds().map(|(_, count)| count);
        let flags = u64::from(self.starts > 0) | u64::from(self.lost.total() > 0) << 1;
        put(FORMAT << 2 | flags);
        put(self.until_ms);
        put(self.until_ms.saturating_sub(self.from_ms));
        put(self.observed_ms);
        if self.starts > 0 {
            put(self.starts);
        }
        if self.lost.total() > 0 {
            lost.into_iter().for_each(&mut put);
        }
        let mut before = 0;
        for (word, counts) in &self.uses {
            // Most features are used in the last minute of a step too, once in the minute that is
            // its step, and without errors.
            let flags = u64::from(counts.last_ms != self.until_ms)
                | u64::from(counts.minutes != 1) << 1
                | u64::from(!counts.errors.is_empty()) << 2;
            put(u64::from(word - before) << 3 | flags);
            before = *word;
            put(counts.calls);
            if counts.last_ms != self.until_ms {
                put(self.until_ms.saturating_sub(counts.last_ms));
            }
            if counts.minutes != 1 {
                put(counts.minutes);
            }
            if !counts.errors.is_empty() {
                put(counts.errors.len() as u64);
                for (errno, calls) in &counts.errors {
                    put(u64::from(*errno));
                    put(*calls);
                }
            }
        }
        packed
    }

    pub fn unpack(packed: &[u8]) -> Result<Counts, Broken> {
        let mut rest = packed;
        let mut take = || take(&mut rest);
        let head = take()?;
        if head >> 2 != FORMAT {
            return Err(Broken);
        }
        let until_ms = take()?;
        let mut counts = Counts {
            from_ms: until_ms.checked_sub(take()?).ok_or(Broken)?,
            until_ms,
            observed_ms: take()?,
            ..Counts::default()
        };
        if head & 1 != 0 {
            counts.starts = take()?;
        }
        if head & 2 != 0 {
            counts.lost = ProfileLost {
                events: take()?,
                calls: take()?,
                errors: take()?,
                operations: take()?,
                foreign: take()?,
                pseudo_files: take()?,
                executables: take()?,
            };
        }
        let mut word = 0_u64;
        while !rest.is_empty() {
            let mut take = || self::take(&mut rest);
            let head = take()?;
            word = word.saturating_add(head >> 3);
            let mut one = Use {
                calls: take()?,
                ..Use::default()
            };
            one.last_ms = match head & 1 {
                0 => until_ms,
                _ => until_ms.checked_sub(take()?).ok_or(Broken)?,
            };
            one.minutes = if head & 2 == 0 { 1 } else { take()? };
            if head & 4 != 0 {
                for _ in 0..take()? {
                    let errno = u32::try_from(take()?).map_err(|_| Broken)?;
                    one.errors.insert(errno, take()?);
                }
            }
            counts
                .uses
                .insert(u32::try_from(word).map_err(|_| Broken)?, one);
        }
        Ok(counts)
    }
}

fn put(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push(number as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64, Broken> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Broken)?;
        *rest = after;
        // The tenth byte has one bit of the number.
        if shift == 63 && *byte > 1 {
            return Err(Broken);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Broken)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..300, 0_u64..1 << 50]
    }

    fn lost() -> impl Strategy<Value = ProfileLost> {
        prop::option::of([0_u64..3, 0..1000, 0..2, 0..2, 0..2, 0..2, 0..1 << 40]).prop_map(|lost| {
            let Some(
                [
                    events,
                    calls,
                    errors,
                    operations,
                    foreign,
                    pseudo_files,
                    executables,
                ],
            ) = lost
            else {
                return ProfileLost::default();
            };
            ProfileLost {
                events,
                calls,
                errors,
                operations,
                foreign,
                pseudo_files,
                executables,
            }
        })
    }

    pub fn any_counts() -> impl Strategy<Value = Counts> {
        let one = (
            number(),
            prop::collection::btree_map(1_u32..140, number(), 0..4),
            0_u64..70,
            0_u64..90_000,
        );
        let uses = prop::collection::btree_map(1_u32..3000, one, 0..40);
        (
            1_u64..1 << 42,
            0_u64..120_000,
            number(),
            0_u64..3,
            lost(),
            uses,
        )
            .prop_map(
                |(until_ms, length_ms, observed_ms, starts, lost, uses)| Counts {
                    from_ms: until_ms.saturating_sub(length_ms),
                    until_ms,
                    observed_ms,
                    starts,
                    lost,
                    uses: uses
                        .into_iter()
                        .map(|(word, (calls, errors, minutes, before_ms))| {
                            let last_ms = until_ms.saturating_sub(before_ms / 2 * (before_ms % 2));
                            let one = Use {
                                calls,
                                errors,
                                minutes,
                                last_ms,
                            };
                            (word, one)
                        })
                        .collect(),
                },
            )
    }

    proptest! {
        #[test]
        fn counts_come_out_as_they_were_packed(counts in any_counts()) {
            prop_assert_eq!(Counts::unpack(&counts.pack()), Ok(counts));
        }

        #[test]
        fn counts_that_are_cut_or_changed_are_refused_or_others(counts in any_counts(), cut in 0_usize..100, byte: u8) {
            let mut packed = counts.pack();
            let at = cut % packed.len();
            packed[at] ^= byte;
            // It must end, without a panic.
            let _ = Counts::unpack(&packed).is_ok();
            let _ = Counts::unpack(&packed[..at]).is_ok();
            prop_assert_eq!(Counts::unpack(&[]), Err(Broken));
        }

        #[test]
        fn it_does_not_matter_in_which_order_counts_are_added(one in any_counts(), two in any_counts(), three in any_counts()) {
            let sum = |parts: [&Counts; 3]| {
                let mut sum = Counts::default();
                for part in parts {
                    sum.add(part.clone());
                }
                sum
            };
            prop_assert_eq!(sum([&one, &two, &three]), sum([&three, &one, &two]));
        }
    }

    #[test]
    fn a_usual_feature_of_a_minute_takes_four_bytes() {
        let mut counts = Counts {
            from_ms: 1_800_000_000_000,
            until_ms: 1_800_000_060_000,
            observed_ms: 60_000,
            ..Counts::default()
        };
        let bare = counts.pack().len();
        for word in 0..100 {
            let one = Use {
                calls: 20_000,
                minutes: 1,
                last_ms: counts.until_ms,
                ..Use::default()
            };
            counts.uses.insert(word * 3, one);
        }
        assert_eq!(counts.pack().len() - bare, 400);
        assert!(bare < 16, "{bare}");
    }
}
