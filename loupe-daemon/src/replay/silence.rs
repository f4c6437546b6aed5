//! Telling silence from work: is an application waiting for clients, or can nothing go on?

use std::time::{Duration, Instant};

use loupe_common::replay::Failure;

use super::progress::Tasks;
use super::runner::ReplayFailure;
use crate::cgroup::ReplayCgroup;
use crate::tracer::OpenTrace;

/// Whether an application has been silent for long: no call finished, every task asleep.
pub struct Silence {
    calls: u64,
    since: Instant,
}

impl Silence {
    pub fn new() -> Silence {
        Silence {
            calls: 0,
            since: Instant::now(),
        }
    }

    pub fn lasts(&mut self, calls: u64, tasks: &Tasks, enough: Duration) -> bool {
        if calls != self.calls || !tasks.all_asleep() {
            self.calls = calls;
            self.since = Instant::now();
        }
        self.since.elapsed() >= enough
    }
}

/// Between two looks at a replay that takes longer than the baseline did.
const PROBE: Duration = Duration::from_millis(20);
/// Looks in a row that must find the same standstill.
const PROBES: u32 = 6;
/// Before a baseline is known nobody can say what is long.
const NO_PROBE: Duration = Duration::from_secs(3600);

/// Finds out that a replay hangs, before its time limit.
///
/// It looks only at replays that outlast the baseline's slowest. It is certain when, in
/// [`PROBES`] looks in a row, every task of the application and of the test sleeps in a call
/// without a timeout, and neither a call was finished nor CPU time used in between. Nothing
/// outside can wake them: the sandbox has no network and no terminal. A timer signal could
/// (`setitimer`); so a hang, like every failure, counts only when a second replay confirms it.
pub struct Hang {
    begin: Instant,
    usual: Option<Duration>,
    last: Option<(u64, u64)>,
    standstills: u32,
}

impl Hang {
    /// `usual`: how long the baseline's slowest replay took, if that is known.
    pub fn new(usual: Option<Duration>) -> Hang {
        Hang {
            begin: Instant::now(),
            usual,
            last: None,
            standstills: 0,
        }
    }

    /// How long to wait at most before [`Hang::is_certain`] is asked again.
    pub fn next_probe(&self) -> Duration {
        match self.usual {
            None => NO_PROBE,
            Some(usual) => usual.saturating_sub(self.begin.elapsed()).max(PROBE),
        }
    }

    pub fn is_certain(
        &mut self,
        cgroup: &ReplayCgroup,
        trace: &OpenTrace,
    ) -> Result<bool, ReplayFailure> {
        if self.usual.is_none_or(|usual| self.begin.elapsed() < usual) {
            return Ok(false);
        }
        let application = Tasks::of(&cgroup.target())?;
        let others = Tasks::of(&cgroup.launcher())?;
        let now = (trace.calls_so_far()?, cgroup.cpu_us()?);
        // The application may be gone, the launcher's side never is: the keeper is there.
        let application_stuck = application.total == 0 || application.none_can_go_on();
        let still = application_stuck && others.none_can_go_on() && self.last == Some(now);
        self.standstills = if still { self.standstills + 1 } else { 0 };
        self.last = Some(now);
        Ok(self.standstills >= PROBES)
    }

    pub fn failure(&self) -> Failure {
        Failure::Hung {
            after_ms: self.begin.elapsed().as_millis() as u64,
        }
    }
}
