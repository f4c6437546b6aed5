//! A failure by time is none where the host stood still, or did not let the replay run: such a
//! replay is void, and says why. Pure.

use std::time::Duration;

use loupe_common::replay::Failure;

/// A replay that was kept from running for this part of its time (three quarters) was given none of
/// the time that its limits are meant for: they are stretched to four times at most.
const STARVED: (u32, u32) = (3, 4);

/// What the host did during a replay.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// How long the replay has taken so far.
    pub all: Duration,
    /// For how long it stood still, if that was long enough to matter.
    pub stood_still: Option<Duration>,
    /// For how long it did not let the replay run.
    pub starved: Duration,
}

/// Why a failure by time proves nothing, and the time that the host is to blame for.
pub fn void(failure: &Failure, host: Host) -> Option<(String, Duration)> {
    if !failure.is_by_time() {
        return None;
    }
    let Host {
        all,
        stood_still,
        starved,
    } = host;
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
    use loupe_common::replay::ExitStatus;

    use super::*;

    #[test]
    fn a_failure_is_void_where_the_host_stood_still_or_starved_the_replay() {
        let ms = Duration::from_millis;
        let host = |still: Option<u64>, starved| Host {
            all: ms(1000),
            stood_still: still.map(ms),
            starved: ms(starved),
        };
        let mut failure = Failure::TestTimeout { limit_ms: 900 };
        let why = |failure: &Failure, still: Option<u64>, starved| {
            let void = void(failure, host(still, starved));
            void.map(|(why, time)| (why.contains("stood still"), time))
        };
        assert_eq!(why(&failure, None, 0), None);
        assert_eq!(why(&failure, None, 700), None);
        assert_eq!(why(&failure, None, 750), Some((false, ms(750))));
        assert_eq!(why(&failure, Some(200), 0), Some((true, ms(200))));
        failure = Failure::Hung { after_ms: 150 };
        assert_eq!(why(&failure, None, 900), None);
        let own = Failure::Test {
            status: ExitStatus::Code(1),
        };
        assert_eq!(why(&own, Some(200), 900), None);
        let (why, _) = void(&failure, host(Some(200), 0)).expect("void");
        assert!(
            why.contains("200 of 1000 ms") && why.contains("hung"),
            "{why}"
        );
    }
}
