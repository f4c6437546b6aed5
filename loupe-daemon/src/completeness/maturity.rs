//! Learning or stable: whether a long time of observation and a restart have brought nothing new.

/// Observed time without anything new that makes a profile stable: six hours.
const QUIET_MS: u64 = 6 * 3_600_000;

/// Observed time after a restart that has to bring nothing new either, beyond what was counted
/// together with the restart itself: a minute. Where counts are handed over in the middle of a
/// start, its second half is still to come.
const SETTLED_MS: u64 = 60_000;

/// How far a profile is on its way to be stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learning {
    /// Observed since something new came.
    pub quiet_ms: u64,
    /// Observed since the first restart after that; none: there was none.
    pub restarted_ms: Option<u64>,
}

impl Learning {
    /// Goes on by what was observed, and tells whether the profile is stable now.
    pub fn goes_on(&mut self, anything_new: bool, observed_ms: u64, starts: u64) -> bool {
        if anything_new {
            *self = Learning::default();
            return false;
        }
        self.quiet_ms = self.quiet_ms.saturating_add(observed_ms);
        self.restarted_ms = match self.restarted_ms {
            Some(before_ms) => Some(before_ms.saturating_add(observed_ms)),
            None if starts > 0 => Some(0),
            None => None,
        };
        self.quiet_ms >= QUIET_MS && self.restarted_ms.is_some_and(|ms| ms >= SETTLED_MS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn six_hours_and_a_restart_make_it_stable_in_either_order() {
        let mut learning = Learning::default();
        assert!(!learning.goes_on(true, HOUR_MS, 1), "that start is old");
        for _ in 0..9 {
            assert!(!learning.goes_on(false, HOUR_MS, 0), "no restart yet");
        }
        assert!(!learning.goes_on(false, 60_000, 1), "it has only begun");
        assert!(learning.goes_on(false, 60_000, 0));

        let mut learning = Learning::default();
        assert!(!learning.goes_on(false, 60_000, 1));
        for _ in 0..5 {
            assert!(!learning.goes_on(false, HOUR_MS, 0));
        }
        assert!(learning.goes_on(false, HOUR_MS, 0));
    }

    #[test]
    fn what_a_restart_brings_begins_the_wait_anew() {
        let mut learning = Learning::default();
        assert!(!learning.goes_on(false, 7 * HOUR_MS, 0));
        assert!(!learning.goes_on(false, 1_000, 1));
        assert!(!learning.goes_on(true, 60_000, 0));
        assert_eq!(learning, Learning::default());
    }

    proptest! {
        /// Against the sentence itself, looked up in the whole history.
        #[test]
        fn it_is_stable_only_after_six_quiet_hours_with_a_restart(
            history in prop::collection::vec((prop::bool::weighted(0.05), 0_u64..3 * HOUR_MS, 0_u64..2), 1..60)
        ) {
            let mut learning = Learning::default();
            let mut stable = false;
            for (now, (new, observed_ms, starts)) in history.iter().enumerate() {
                stable = learning.goes_on(*new, *observed_ms, *starts);
                let quiet_from = history[..=now].iter().rposition(|step| step.0).map_or(0, |at| at + 1);
                let quiet = &history[quiet_from..=now];
                let observed: u64 = quiet.iter().map(|step| step.1).sum();
                let restart = quiet.iter().position(|step| step.2 > 0);
                let after: u64 = restart.map_or(0, |at| quiet[at + 1..].iter().map(|step| step.1).sum());
                prop_assert_eq!(stable, observed >= 6 * HOUR_MS && after >= 60_000);
            }
            let _ = stable;
        }
    }
}
