//! Among many features, those that break what they are left out of.
//!
//! The first few are replayed alone. By how many of these break it, the others are left out in parts of
//! a size of which about every second one passes; a part that fails is halved, down to single features.
//! What is known by then makes the parts of the next, larger, block. So the number of replays grows
//! with the number of features that break it, and hardly with that of those that do not.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::Way;
use crate::explore::ledger::{Stop, both};

/// Features that are replayed alone before anything is known; to share would hardly spare any of fewer.
const FIRST_BLOCK: usize = 32;
/// A part of more features than this says too little when it fails.
const MOST_IN_PART: usize = 64;

impl Way<'_, '_, '_> {
    /// Replays these, alone or in parts, until each has passed or has failed alone.
    pub(super) fn find_broken(&mut self, mut suspects: Vec<Feature>) -> Result<(), Stop> {
        let (mut seen, mut broken, mut block) = (0, 0, FIRST_BLOCK);
        while !suspects.is_empty() {
            let rest = suspects.split_off(block.min(suspects.len()));
            let size = match seen {
                0 => 1,
                _ => part_size(seen, broken),
            };
            self.split(suspects.chunks(size).map(<[Feature]>::to_vec).collect())?;
            let breaks = |feature: &&Feature| !self.evidence.may_work(feature);
            broken += suspects.iter().filter(breaks).count();
            seen += suspects.len();
            block *= 2;
            suspects = rest;
        }
        Ok(())
    }

    /// Replays parts, and the halves of those that fail. All of a size are asked for at once.
    fn split(&mut self, mut parts: Vec<Vec<Feature>>) -> Result<(), Stop> {
        while !parts.is_empty() {
            let (single, shared): (Vec<_>, Vec<_>) =
                parts.into_iter().partition(|part| part.len() == 1);
            let sets: BTreeSet<BTreeSet<Feature>> = shared
                .iter()
                .map(|part| part.iter().cloned().collect())
                .collect();
            let alone = self.alone(single.into_iter().flatten().collect());
            let tried = self.try_groups(sets);
            both(alone, tried)?;
            let fails = |feature: &Feature| !self.evidence.passed_with_others(feature);
            let failing = shared.into_iter().map(|part| {
                let left: Vec<Feature> = part.into_iter().filter(fails).collect();
                left
            });
            parts = failing.flat_map(halves).collect();
        }
        Ok(())
    }
}

pub(super) fn halves(mut part: Vec<Feature>) -> impl Iterator<Item = Vec<Feature>> {
    let right = part.split_off(part.len() / 2);
    [part, right].into_iter().filter(|half| !half.is_empty())
}

/// The size of a part that passes about every second time, if of so many features so many break what
/// they are left out of. Below three, halves are not worth asking for.
fn part_size(seen: usize, broken: usize) -> usize {
    let size = 7 * (seen + 2) / (10 * (broken + 1));
    match size {
        0..3 => 1,
        size => size.min(MOST_IN_PART),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_break_it_the_larger_the_parts() {
        let sizes = [
            (32, 32),
            (32, 8),
            (32, 7),
            (32, 2),
            (32, 0),
            (96, 0),
            (992, 0),
        ];
        let sizes = sizes.map(|(seen, broken)| part_size(seen, broken));
        assert_eq!(sizes, [1, 1, 1, 7, 23, 64, 64]);
    }
}
