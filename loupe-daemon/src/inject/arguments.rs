//! The part of a filter that looks at a call's arguments. It stands on the path of one syscall
//! number, so that every other call is still decided by its number alone.

use libc::sock_filter;
use loupe_common::operations::Test;

use super::filter::{give, instruction, jump, load};

/// Offset of the arguments in `struct seccomp_data`; each has 8 bytes, the lower half first.
const OFFSET_ARGUMENTS: u32 = 16;

/// What calls get that pass all these tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub tests: Vec<Test>,
    pub answer: u32,
}

/// Values that one look at a word is compared with, at most: conditional jumps reach 255 instructions,
/// and the first comparison jumps over all others.
const MOST_VALUES: usize = 240;

/// The first case that fits answers, or else `otherwise`.
pub fn decide(cases: &[Case], otherwise: u32) -> Vec<sock_filter> {
    let cases: Vec<(Vec<Word>, u32)> = cases
        .iter()
        .map(|case| (case.tests.iter().flat_map(words).collect(), case.answer))
        .collect();
    let mut code = Vec::new();
    let mut rest = cases.as_slice();
    while let Some(first) = rest.first() {
        let alike = rest.iter().take_while(|other| are_alike(first, other));
        let (group, others) = rest.split_at(alike.count().clamp(1, MOST_VALUES));
        code.extend(answer(group));
        rest = others;
    }
    code.push(give(otherwise));
    code
}

/// A 32-bit word, some bits of which are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word {
    offset: u32,
    mask: u32,
    value: u32,
}

fn words(test: &Test) -> impl Iterator<Item = Word> {
    let offset = OFFSET_ARGUMENTS + 8 * u32::from(test.argument);
    let half = move |shift: u32, mask: u64, value: u64| Word {
        offset: offset + shift / 8,
        mask: (mask >> shift) as u32,
        value: (value >> shift) as u32,
    };
    let halves = [
        half(0, test.mask, test.value),
        half(32, test.mask, test.value),
    ];
    halves.into_iter().filter(|word| word.mask != 0)
}

/// Cases with one answer that differ in the value of their last word only share all looks.
fn are_alike((a, answer): &(Vec<Word>, u32), (b, other): &(Vec<Word>, u32)) -> bool {
    let (Some((last_a, before_a)), Some((last_b, before_b))) = (a.split_last(), b.split_last())
    else {
        return false;
    };
    answer == other
        && before_a == before_b
        && (last_a.offset, last_a.mask) == (last_b.offset, last_b.mask)
}

/// Answers if one of these alike cases fits, or goes on behind its end.
fn answer(group: &[(Vec<Word>, u32)]) -> Vec<sock_filter> {
    let Some((words, answer)) = group.first() else {
        return Vec::new();
    };
    let mut code = vec![give(*answer)];
    let Some((last, before)) = words.split_last() else {
        return code;
    };
    let values = group.iter().filter_map(|(words, _)| words.last());
    for (behind, word) in values.rev().enumerate() {
        // The last comparison alone jumps over the answer.
        let missed = u8::from(behind == 0);
        let jump = jump(libc::BPF_JEQ, word.value, behind as u8, missed);
        code.insert(0, jump);
    }
    code.splice(0..0, look(*last));
    // From the last to the first, so that each knows how far the end is.
    for word in before.iter().rev() {
        // At most two arguments are compared, so the end is near.
        let to_the_end = code.len() as u8;
        let mut test = look(*word);
        test.push(jump(libc::BPF_JEQ, word.value, 0, to_the_end));
        code.splice(0..0, test);
    }
    code
}

/// Loads the bits that are compared.
fn look(word: Word) -> Vec<sock_filter> {
    let mut code = vec![load(word.offset)];
    if word.mask != u32::MAX {
        let and = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
        code.push(instruction(and, word.mask, 0, 0));
    }
    code
}

#[cfg(test)]
mod tests;
