//! The cgroups that a run is in: made before it, removed after it.

use std::time::{Duration, Instant};

use crate::cgroup::{CgroupError, ReplayCgroup};

/// For a task that has ended to be gone from its cgroup.
const EXIT_LIMIT: Duration = Duration::from_secs(1);
/// The keeper ends a run without being told to; only what it leaves after this time is killed.
const CLEAR_PATIENCE: Duration = Duration::from_millis(100);
/// For killed processes to be gone. What takes longer is cleared away later.
const CLEAR_LIMIT: Duration = Duration::from_secs(10);

/// The cgroups of a run, which are removed with it, and what may still be in them is ended.
pub struct Place(pub ReplayCgroup);

impl Place {
    pub fn make() -> Result<Place, CgroupError> {
        Ok(Place(ReplayCgroup::create()?))
    }

    /// Whether the last task of the target is gone within a moment: one that has ended for its parent
    /// may still be on its way out, and is told of at its end.
    pub fn is_left_soon(&self) -> Result<bool, CgroupError> {
        let target = ReplayCgroup::of(self.0.target());
        let deadline = Instant::now() + EXIT_LIMIT;
        while target.is_populated()? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(true)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The keeper has ended everything and is about to leave itself; only if something went
        // wrong is there anything to kill.
        let begin = Instant::now();
        let mut killed = false;
        loop {
            match self.0.remove() {
                Ok(()) => return,
                Err(error) if begin.elapsed() > CLEAR_LIMIT => {
                    tracing::warn!("the cgroup of a run stays behind for now: {error}");
                    return self.0.remove_later();
                }
                Err(_) => {}
            }
            if !killed && begin.elapsed() > CLEAR_PATIENCE {
                killed = true;
                if let Err(error) = self.0.kill() {
                    tracing::warn!("{error}");
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
