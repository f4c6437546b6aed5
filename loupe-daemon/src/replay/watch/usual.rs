//! What the baseline says of a phase: what later replays are compared with. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What keeps a CPU busy for one part in so many of its time computes. Below it, eight replays for
/// each CPU (the most that are tried) still leave some of it free.
const COMPUTING_PART: u32 = 6;

/// Whether something that used this much CPU time in that time computes, rather than waits.
pub fn computes(cpu: Duration, time: Duration) -> bool {
    cpu * COMPUTING_PART > time
}

/// A phase as it usually goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// How long it took in the baseline's slowest replay; `None` before that is known.
    pub duration: Option<Duration>,
    /// CPU time from the replay's start that is too much for it.
    pub cpu_limit: Option<Duration>,
    pub idling: Option<Idling>,
    /// Known where the baseline computes during a good part of this phase.
    pub pauses: Option<Pauses>,
    /// Syscall numbers that are injected.
    pub injected: Vec<u32>,
    /// The most calls that the baseline's application makes in all; `None` before that is known.
    #[serde(default)]
    pub calls: Option<u64>,
    /// The test runs, so that its doing nothing is a witness.
    pub tested: bool,
}

/// The time in all of a phase in which the baseline's slowest replay did not compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    /// Nothing of it did.
    pub of_all: Duration,
    /// The test did not.
    pub of_test: Duration,
}

/// An application that does nothing for a test that does all the more. CPU times from the
/// replay's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idling {
    /// The application has used less than this …
    pub application: Duration,
    /// … and the test, with the sandbox around it, more than this.
    pub test: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uses_more_than_a_sixth_of_a_cpu_computes() {
        let ms = Duration::from_millis;
        assert!(!computes(ms(10), ms(60)));
        assert!(computes(ms(11), ms(60)));
        assert!(!computes(ms(0), ms(0)));
    }
}
