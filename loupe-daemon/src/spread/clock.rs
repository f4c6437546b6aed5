//! The time that claims and their extension go by: the real one, or a test's.

use std::time::{Duration, Instant};

/// Tells the time, and waits.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Since some moment in the past.
    fn now(&self) -> Duration;

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// That of the host.
#[derive(Clone, Copy, Debug)]
pub struct RealClock(Instant);

impl Default for RealClock {
    fn default() -> RealClock {
        RealClock(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}
