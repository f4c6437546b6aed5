//! What is loaded while anything is watched: the programs, the owners and slots that they count for,
//! and the reading of both. When to read, and what becomes of it, is the observer's.

use std::time::{Duration, Instant};

use loupe_common::profile::ProfileLost;
use tokio::sync::mpsc;

use super::difference::lost_since;
use super::meter::Meter;
use super::owners::Owners;
use super::pending::Ledger;
use super::{ProfileError, hierarchy};
use crate::tracer::profiler::{Profiler, ProfilerBounds, ProfilerEvent, Window};

/// See the module.
pub struct Loaded {
    pub profiler: Profiler,
    pub window: Option<(Window, Instant)>,
    pub meter: Meter,
    lost: ProfileLost,
    pub owners: Owners,
    pub ledger: Ledger,
    pub slots: u32,
}

impl Loaded {
    pub fn load(
        bounds: &ProfilerBounds,
    ) -> Result<(Loaded, mpsc::Receiver<ProfilerEvent>), ProfileError> {
        let profiler = Profiler::load(bounds)?;
        let events = profiler.events().ok_or(ProfileError::Taken)?;
        // After the programs that tell of new ones are attached: none is missed.
        let owners = Owners::of(hierarchy()?);
        let loaded = Loaded {
            window: None,
            meter: Meter::default(),
            lost: ProfileLost::default(),
            owners,
            ledger: Ledger::default(),
            slots: bounds.slots,
            profiler,
        };
        Ok((loaded, events))
    }

    /// Takes what was counted since the last reading, and closes the slots that are over.
    pub fn read(&mut self, attached: Duration, now: Duration) -> Result<(), ProfileError> {
        self.ledger.read(self.profiler.counts()?, attached, now);
        let gone = self.owners.forget_gone();
        let mut over = self.ledger.slots_of(&gone);
        if self.ledger.len() as u32 > self.slots / 2 {
            let living = self.profiler.processes()?;
            over.extend(self.ledger.without(&living));
        }
        over.sort_unstable();
        over.dedup();
        if !over.is_empty() {
            self.ledger.close(self.profiler.close_slots(&over)?);
        }
        let lost = self.profiler.lost()?;
        self.ledger.lost(lost_since(&self.lost, &lost));
        self.lost = lost;
        Ok(())
    }
}
