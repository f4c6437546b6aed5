//! What a running analysis tells the ones who watch it.

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::replay::Outcome;

/// One step of a running analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "progress")]
pub enum Progress {
    /// A new part of the analysis begins ("baseline", "single features", …).
    Phase {
        name: String,
        /// Which of its parts that is, from 1; 0: not known.
        #[serde(default, skip_serializing_if = "is_zero")]
        number: u32,
        /// How many parts it has; 0: not known.
        #[serde(default, skip_serializing_if = "is_zero")]
        of: u32,
    },
    /// How far it is. `left` is an estimate that may grow.
    Counts { done: u64, running: u64, left: u64 },
    /// A replay has ended and is in the database.
    Replayed {
        id: i64,
        /// Why it was run, in a few words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        purpose: String,
        policy: Policy,
        outcome: Outcome,
        wall_us: u64,
        /// CPU time of everything in the sandbox.
        #[serde(default)]
        cpu_us: u64,
        /// It was already in the database.
        reused: bool,
    },
    /// A server was started without its test, which told enough; it is not kept.
    Begun {
        purpose: String,
        policy: Policy,
        wall_us: u64,
        cpu_us: u64,
    },
    /// Something that the user should know at once.
    Notice { text: String },
}

impl Progress {
    /// A part of which nobody has said which of how many it is.
    pub fn phase(name: impl Into<String>) -> Progress {
        Progress::Phase {
            name: name.into(),
            number: 0,
            of: 0,
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
