//! What becomes of a replay that takes longer than the baseline ever did: it hangs, it gets
//! nowhere, it runs away, it waits, or it is just slow. Ends none by the clock; that is the time limits' part.

use std::time::{Duration, Instant};

use loupe_common::replay::Failure;

use super::circles::{Circles, Sight, Standing};
use super::progress::Tasks;
use super::runner::ReplayFailure;
use crate::cgroup::ReplayCgroup;
use crate::tracer::OpenTrace;

/// Between two looks at an overdue replay: one in so many parts of what it usually takes, within
/// these bounds.
const PROBE_PART: u32 = 4;
const SHORTEST_PROBE: Duration = Duration::from_millis(5);
const PROBE: Duration = Duration::from_millis(20);
/// Between two looks at one that is not.
const EARLY_PROBE: Duration = Duration::from_millis(30);
/// Looks in a row that must find the same standstill, and the time that it must last.
const STANDSTILLS: u32 = 6;
const STANDSTILL: Duration = Duration::from_millis(100);
/// Looks in a row that must find it idle.
const IDLE_LOOKS: u32 = 3;
/// An idle replay uses less than one part in so many of one CPU.
const IDLE_PART: u32 = 10;
/// A pause that is so many times all pauses of the baseline together is none of these.
const PAUSE_FACTOR: f64 = 1.25;
/// Before a baseline is known nobody can say what is long.
const NO_PROBE: Duration = Duration::from_secs(3600);
/// A runaway takes so many times as long as the baseline's slowest replay, at least.
const RUNAWAY_FACTOR: u32 = 2;

/// What a look at an overdue replay finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It may still come to its end.
    Working,
    /// It hardly computes: it waits for something, and others can use its CPU.
    Waiting,
    /// It has failed, whatever the time.
    Failed(Failure),
}

/// Looks at one phase of a replay.
///
/// A **hang** is certain when, in [`STANDSTILLS`] looks in a row and for [`STANDSTILL`], every task
/// of the application and of the test sleeps in a call without a timeout, and neither a call was
/// finished nor CPU time used in between. Nothing outside can wake them: the sandbox has no network
/// and no terminal. A timer signal could (`setitimer`); so a hang, like every failure, counts only when
/// a second replay confirms it. Before a replay is overdue, it must stand still for longer than
/// the baseline does in all of the phase ([`Pauses`]).
///
/// A **livelock** repeats itself without anything getting anywhere; see [`super::circles`].
///
/// A **runaway** takes over twice as long as the baseline's slowest replay and has used more CPU
/// time than its limit. CPU time does not grow when the host is busy with other things. So does
/// a test that computes far more than it ever does, while the application does next to nothing
/// ([`Idling`]): it tries again and again to reach something that is not there.
pub struct Overdue {
    begin: Instant,
    usual: Option<Duration>,
    cpu_limit: Option<Duration>,
    idling: Option<Idling>,
    pauses: Option<Pauses>,
    last: Option<Sight>,
    circles: Circles,
    /// Since when it stands still, and looks that found it so.
    still: (Instant, u32),
    idle_looks: u32,
}

/// The phase that is looked at.
pub struct Phase {
    /// How long it took in the baseline's slowest replay, if that is known.
    pub usual: Option<Duration>,
    /// CPU time from the replay's start that is too much for it.
    pub cpu_limit: Option<Duration>,
    pub idling: Option<Idling>,
    /// Syscall numbers that are injected.
    pub injected: Vec<usize>,
    /// The test runs.
    pub tested: bool,
    /// Known where the baseline computes during a good part of this phase.
    pub pauses: Option<Pauses>,
}

/// The time in all of a phase in which the baseline's slowest replay did not compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Nothing of it did.
    pub of_all: Duration,
    /// The test did not.
    pub of_test: Duration,
}

/// An application that does nothing for a test that does all the more. CPU times from the
/// replay's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idling {
    /// The application has used less than this …
    pub application: Duration,
    /// … and the test, with the sandbox around it, more than this.
    pub test: Duration,
}

impl Overdue {
    pub fn new(phase: Phase) -> Overdue {
        let Phase {
            usual,
            cpu_limit,
            idling,
            injected,
            tested,
            pauses,
        } = phase;
        let begin = Instant::now();
        let duration = usual.unwrap_or_default();
        let pause = pauses.map_or(duration / 2, |pauses| pauses.of_test.mul_f64(PAUSE_FACTOR));
        Overdue {
            begin,
            usual,
            cpu_limit,
            idling,
            pauses,
            last: None,
            circles: Circles::new(duration, pause, injected, tested),
            still: (begin, 0),
            idle_looks: 0,
        }
    }

    /// How long to wait at most before the next look.
    pub fn next_look(&self) -> Duration {
        match self.usual {
            None => NO_PROBE,
            Some(usual) => {
                let probe = (usual / PROBE_PART).clamp(SHORTEST_PROBE, PROBE);
                let early = usual.saturating_sub(self.begin.elapsed());
                let seldom = match self.pauses {
                    Some(_) if self.idle_looks > 0 => probe,
                    Some(_) => EARLY_PROBE,
                    None => early,
                };
                early.min(seldom).max(probe)
            }
        }
    }

    pub fn look(
        &mut self,
        cgroup: &ReplayCgroup,
        trace: &OpenTrace,
    ) -> Result<Look, ReplayFailure> {
        let elapsed = self.begin.elapsed();
        let Some(usual) = self.usual else {
            return Ok(Look::Working);
        };
        let is_early = elapsed < usual;
        if is_early && self.pauses.is_none() {
            return Ok(Look::Working);
        }
        let application = Tasks::of(&cgroup.target())?;
        let others = Tasks::of(&cgroup.launcher())?;
        // The application may be gone, the launcher's side never is: the keeper is there.
        let stuck = application.total == 0 || application.none_can_go_on();
        let now = Sight {
            at: Instant::now(),
            calls: trace.counts_so_far()?,
            cpu: Duration::from_micros(cgroup.cpu_us()?),
            others_cpu: Duration::from_micros(cgroup.launcher_cpu_us()?),
            // A kernel that does not account for it leaves all time as it is.
            stalled: cgroup.stalled().unwrap_or_default(),
            stuck,
        };
        let before = self.last.replace(now.clone());
        let unchanged = before.as_ref().is_some_and(|before| before.is_like(&now));
        let still = unchanged && stuck && others.none_can_go_on();
        if self.is_hung(still, is_early) {
            let after_ms = elapsed.as_millis() as u64;
            return Ok(Look::Failed(Failure::Hung { after_ms }));
        }
        let idle = before.is_some_and(|before| is_idle(&before, &now));
        let (cpu, others_cpu) = (now.cpu, now.others_cpu);
        match self.circles.note(now) {
            Some(Standing::Livelock) => {
                let after_ms = elapsed.as_millis() as u64;
                return Ok(Look::Failed(Failure::Livelock { after_ms }));
            }
            Some(Standing::Stalemate) => {
                let after_ms = elapsed.as_millis() as u64;
                return Ok(Look::Failed(Failure::Hung { after_ms }));
            }
            None => (),
        }
        if let Some(limit) = self.cpu_limit
            && cpu > limit
            && elapsed > usual * RUNAWAY_FACTOR
        {
            return Ok(Look::Failed(Failure::Runaway {
                cpu_ms: cpu.as_millis() as u64,
                limit_ms: limit.as_millis() as u64,
            }));
        }
        if let Some(idling) = self.idling
            && others_cpu > idling.test
            && cpu.saturating_sub(others_cpu) < idling.application
        {
            return Ok(Look::Failed(Failure::Runaway {
                cpu_ms: others_cpu.as_millis() as u64,
                limit_ms: idling.test.as_millis() as u64,
            }));
        }
        Ok(self.waits(idle))
    }

    /// Takes note of another look.
    fn is_hung(&mut self, still: bool, is_early: bool) -> bool {
        let (since, looks) = self.still;
        self.still = match still {
            true => (since, looks + 1),
            false => (Instant::now(), 0),
        };
        let usual_pause = match (is_early, self.pauses) {
            (true, Some(pauses)) => pauses.of_all.mul_f64(PAUSE_FACTOR),
            _ => Duration::ZERO,
        };
        self.still.1 >= STANDSTILLS && since.elapsed() >= usual_pause.max(STANDSTILL)
    }

    fn waits(&mut self, idle: bool) -> Look {
        self.idle_looks = if idle { self.idle_looks + 1 } else { 0 };
        match self.idle_looks >= IDLE_LOOKS {
            true => Look::Waiting,
            false => Look::Working,
        }
    }
}

/// Between two looks.
fn is_idle(before: &Sight, now: &Sight) -> bool {
    now.cpu.saturating_sub(before.cpu) * IDLE_PART < now.since(before)
}

impl Sight {
    fn is_like(&self, later: &Sight) -> bool {
        self.calls == later.calls && self.cpu == later.cpu
    }
}
