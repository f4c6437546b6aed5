//! A failure by time is none where the host stood still, or did not let the replay run: such a
//! replay is void, and says why.

use std::time::Duration;

use loupe_common::replay::{Failure, Outcome};

use super::Session;
use crate::replay::heartbeat::Watch;

/// A replay that was kept from running for so many of so many parts of its time was given none of
/// the time that its limits are meant for: they are stretched to four times at most.
const STARVED: (u32, u32) = (3, 4);

impl Session<'_> {
    /// The outcome, unless it is a failure that the host may be to blame for; and for how long the
    /// host then stood still.
    pub(super) fn unless_stalled(&self, outcome: Outcome, watch: &Watch<'_>) -> (Outcome, u64) {
        let Outcome::Failed(failure) = &outcome else {
            return (outcome, 0);
        };
        if !failure.is_by_time() {
            return (outcome, 0);
        }
        let starved = self.run.cgroup().stalled().unwrap_or_default();
        match void(failure, watch.stood_still(), starved, watch.elapsed()) {
            Some((why, still)) => (Outcome::Invalid { why }, still.as_millis() as u64),
            None => (outcome, 0),
        }
    }
}

/// Why a failure by time proves nothing, and the time that the host is to blame for.
fn void(
    failure: &Failure,
    stood_still: Option<Duration>,
    starved: Duration,
    all: Duration,
) -> Option<(String, Duration)> {
    let (parts, of) = STARVED;
    let (time, what) = match stood_still {
        Some(still) => (still, "stood still"),
        None if is_limit(failure) && !all.is_zero() && starved * of >= all * parts => {
            (starved, "did not let the replay run")
        }
        None => return None,
    };
    let why = format!(
        "the host {what} for {} of {} ms, so it proves nothing that {failure}",
        time.as_millis(),
        all.as_millis()
    );
    Some((why, time))
}

/// Whether a time limit ended the replay. What hangs does not want to run, and a runaway has had its
/// CPU time, however long it waited for that.
fn is_limit(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::StartTimeout { .. } | Failure::RunTimeout { .. } | Failure::TestTimeout { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_void_where_the_host_stood_still_or_starved_the_replay() {
        let ms = Duration::from_millis;
        let mut failure = Failure::TestTimeout { limit_ms: 900 };
        let why = |failure: &Failure, still: Option<u64>, starved| {
            let void = void(failure, still.map(ms), ms(starved), ms(1000));
            void.map(|(why, time)| (why.contains("stood still"), time))
        };
        assert_eq!(why(&failure, None, 0), None);
        assert_eq!(why(&failure, None, 700), None);
        assert_eq!(why(&failure, None, 750), Some((false, ms(750))));
        assert_eq!(why(&failure, Some(200), 0), Some((true, ms(200))));
        failure = Failure::Hung { after_ms: 150 };
        assert_eq!(why(&failure, None, 900), None);
        let (why, _) = void(&failure, Some(ms(200)), ms(0), ms(1000)).expect("void");
        assert!(
            why.contains("200 of 1000 ms") && why.contains("hung"),
            "{why}"
        );
    }
}
