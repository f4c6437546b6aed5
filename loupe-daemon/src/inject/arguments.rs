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

/// The first case that fits answers, or else `otherwise`.
pub fn decide(cases: &[Case], otherwise: u32) -> Vec<sock_filter> {
    let mut code: Vec<sock_filter> = cases.iter().flat_map(case).collect();
    code.push(give(otherwise));
    code
}

/// A 32-bit word, some bits of which are compared.
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

/// Answers, or goes on behind its end.
fn case(case: &Case) -> Vec<sock_filter> {
    let words: Vec<Word> = case.tests.iter().flat_map(words).collect();
    let mut code = Vec::new();
    // From the last to the first, so that each knows how far the end is.
    code.push(give(case.answer));
    for word in words.iter().rev() {
        // At most two arguments are compared, so the end is near.
        let to_the_end = code.len() as u8;
        let mut test = vec![load(word.offset)];
        if word.mask != u32::MAX {
            let and = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
            test.push(instruction(and, word.mask, 0, 0));
        }
        test.push(jump(libc::BPF_JEQ, word.value, 0, to_the_end));
        code.splice(0..0, test);
    }
    code
}

#[cfg(test)]
mod tests;
