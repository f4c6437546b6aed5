//! The ground-truth victim: one program, many small behaviours, each making known syscalls and
//! reacting to their failure in a known way. `victim NAME RESULT-FILE|PORT [ARGUMENT…]`.
//!
//! It has no Rust runtime around `main`, so that nothing but the dynamic loader, the C
//! library's start-up and the behaviour itself makes syscalls. What verdicts must come out is
//! written in `loupe_tests::ground_truth`, not here.
#![no_main]

mod abi;
mod births;
mod calls;
mod costs;
mod effects;
mod loads;
mod operations;
mod plausible;
mod privileges;
mod pseudo;
mod reactions;
mod rings;
mod servers;
mod services;
mod starts;
mod threads;
mod trees;
mod waits;

use std::ffi::{CStr, c_char, c_int};

use calls::{say_error, write_result};

/// The words after the behaviour's name.
pub struct Arguments {
    words: Vec<&'static CStr>,
}

impl Arguments {
    /// The word at `index` (0 is the result file or the port), empty if absent.
    pub fn word(&self, index: usize) -> &'static CStr {
        self.words.get(index).copied().unwrap_or(c"")
    }

    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// The number at `index`, or `default` if it is absent or not one.
    pub fn number(&self, index: usize, default: usize) -> usize {
        self.word(index)
            .to_str()
            .ok()
            .and_then(|word| word.parse().ok())
            .unwrap_or(default)
    }
}

/// How a behaviour ended when it did not fail.
pub enum Ended {
    /// It works: `main` writes the result file.
    Works,
    /// Another process of the tree says whether it works, or nothing is to be said.
    Quietly,
    /// With this exit code.
    Code(c_int),
}

/// The error is the reason, for people.
pub type Behaviour = fn(&Arguments) -> Result<Ended, &'static str>;

fn behaviour(name: &CStr) -> Option<Behaviour> {
    let name = name.to_str().ok()?;
    [
        abi::BEHAVIOURS,
        births::BEHAVIOURS,
        costs::BEHAVIOURS,
        effects::BEHAVIOURS,
        loads::BEHAVIOURS,
        operations::BEHAVIOURS,
        plausible::BEHAVIOURS,
        privileges::BEHAVIOURS,
        pseudo::BEHAVIOURS,
        reactions::BEHAVIOURS,
        rings::BEHAVIOURS,
        servers::BEHAVIOURS,
        services::BEHAVIOURS,
        starts::BEHAVIOURS,
        threads::BEHAVIOURS,
        trees::BEHAVIOURS,
        waits::BEHAVIOURS,
    ]
    .into_iter()
    .flatten()
    .find(|(known, _)| *known == name)
    .map(|(_, behaviour)| *behaviour)
}

/// # Safety
/// Called by the C library's start-up code with the process's arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    let words: Vec<&'static CStr> = (0..usize::try_from(count).unwrap_or(0))
        // SAFETY: the kernel's argument vector has `count` strings and lives as long as we do.
        .map(|index| unsafe { CStr::from_ptr(*words.add(index)) })
        .collect();
    let Some(behaviour) = words.get(1).and_then(|name| behaviour(name)) else {
        say_error("victim: the first argument is not a known behaviour\n");
        return 2;
    };
    let arguments = Arguments {
        words: words.get(2..).unwrap_or(&[]).to_vec(),
    };
    match behaviour(&arguments) {
        Ok(Ended::Works) => write_result(arguments.word(0)),
        Ok(Ended::Quietly) => 0,
        Ok(Ended::Code(code)) => code,
        Err(reason) => {
            say_error(reason);
            say_error("\n");
            1
        }
    }
}
