//! What observation costs, by the kernel's own run-time statistics of programs. They make each call
//! dearer (`cargo xtask bench profile`: twice an empty pair of programs instead of once), so they are
//! on for a second each minute.

use std::time::Duration;

use crate::tracer::TracerError;
use crate::tracer::profiler::{CostMeter, Profiler, ProgramCost};

const MEASURE_FOR: Duration = Duration::from_secs(1);
const MEASURE_EVERY: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub run: Duration,
    pub runs: u64,
    /// Time of that for which programs were attached.
    pub attached: Duration,
}

/// See the module.
#[derive(Default)]
pub struct Meter {
    running: Option<Running>,
    next: Duration,
}

struct Running {
    _statistics: CostMeter,
    cost: ProgramCost,
    attached: Duration,
}

impl Meter {
    /// Begins or ends a measurement, if it is time: `attached` is the time for which programs were
    /// attached so far, and `is_attached` whether they are now.
    pub fn work(
        &mut self,
        profiler: &Profiler,
        (attached, is_attached): (Duration, bool),
        now: Duration,
    ) -> Result<Option<Measured>, TracerError> {
        if now < self.next || (self.running.is_none() && !is_attached) {
            return Ok(None);
        }
        // What fails is not tried again at each look.
        self.next = now + MEASURE_EVERY;
        match self.running.take() {
            None => {
                self.running = Some(Running {
                    _statistics: profiler.measure_cost()?,
                    cost: profiler.cost()?,
                    attached,
                });
                self.next = now + MEASURE_FOR;
                Ok(None)
            }
            Some(begin) => {
                let cost = profiler.cost()?;
                Ok(Some(Measured {
                    run: Duration::from_nanos(cost.run_ns.saturating_sub(begin.cost.run_ns)),
                    runs: cost.runs.saturating_sub(begin.cost.runs),
                    attached: attached.saturating_sub(begin.attached),
                }))
            }
        }
    }

    /// When the measurement that is on is to end.
    pub fn until(&self) -> Option<Duration> {
        self.running.as_ref().map(|_| self.next)
    }
}
