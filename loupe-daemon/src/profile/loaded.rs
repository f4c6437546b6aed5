//! What is loaded while anything is watched: the programs, the owners and slots that they count for,
//! and the reading of both. When to read, and what becomes of it, is the observer's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use loupe_common::profile::ProfileLost;
use tokio::sync::mpsc;

use super::difference::lost_since;
use super::meter::Meter;
use super::owners::Owners;
use super::pending::{Ledger, Slot};
use super::pinning::{self, KeptSlot, Plan, Whole};
use super::{ProfileError, hierarchy};
use crate::now_ms;
use crate::store::Kept;
use crate::tracer::profiler::{Profiler, ProfilerBounds, ProfilerEvent, SlotCounts, Window};

/// See the module.
pub struct Loaded {
    pub profiler: Profiler,
    pub window: Option<(Window, Instant)>,
    pub meter: Meter,
    /// In the kernel, and in this process.
    lost: ProfileLost,
    dropped: u64,
    pub owners: Owners,
    pub ledger: Ledger,
    pub slots: u32,
    pinned: Option<Pinned>,
    /// Owners may have gone while nobody was told.
    is_resumed: bool,
}

/// What is to be known of what outlives this process.
struct Pinned {
    set: String,
    /// When it was read last.
    read_ns: u64,
    /// Slots that have ended and are read, but not freed: their counts are not in the store.
    ended: Vec<u32>,
    /// Slots of which the store knows what is not so.
    stale: Vec<u32>,
    /// Slots that were opened since the store was told.
    opened: Vec<u32>,
    /// The store has events that are to be dealt with.
    has_heard: bool,
}

impl Loaded {
    /// What these programs count, which may have counted before.
    pub fn of(
        profiler: Profiler,
        bounds: &ProfilerBounds,
    ) -> Result<(Loaded, mpsc::Receiver<ProfilerEvent>), ProfileError> {
        let events = profiler.events().ok_or(ProfileError::Taken)?;
        let pinned = profiler.pinned()?.map(|(_, set)| Pinned {
            set,
            read_ns: pinning::monotonic_ns(),
            ended: Vec::new(),
            stale: Vec::new(),
            opened: Vec::new(),
            has_heard: false,
        });
        // After the programs that tell of new ones are attached: none is missed.
        let owners = Owners::of(hierarchy()?);
        let loaded = Loaded {
            window: None,
            meter: Meter::default(),
            lost: ProfileLost::default(),
            dropped: 0,
            owners,
            ledger: Ledger::default(),
            slots: bounds.slots,
            profiler,
            pinned,
            is_resumed: false,
        };
        Ok((loaded, events))
    }

    /// Goes on with the slots of an earlier process.
    pub fn resume(&mut self, plan: Plan, lost: ProfileLost) -> Result<(), ProfileError> {
        self.lost = lost;
        let ended: Vec<u32> = plan.ended.keys().copied().collect();
        for (slot, row) in plan.resumed.into_iter().chain(plan.ended) {
            self.ledger
                .resume(slot, row.of.owner, row.subject, row.read);
        }
        if !ended.is_empty() {
            self.ledger.close(self.profiler.end_slots(&ended)?);
        }
        if let Some(pinned) = &mut self.pinned {
            pinned.ended = ended;
            pinned.stale = plan.stale;
        }
        self.is_resumed = true;
        Ok(())
    }

    pub fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// A slot was opened, of which the next process is to know whatever becomes of this one.
    pub fn opened(&mut self, slot: u32) {
        if let Some(pinned) = &mut self.pinned {
            pinned.opened.push(slot);
        }
    }

    /// Takes what was counted since the last reading, and ends the slots that are over.
    pub fn read(&mut self, attached: Duration, now: Duration) -> Result<(), ProfileError> {
        let read_ns = pinning::monotonic_ns();
        self.ledger.read(self.profiler.counts()?, attached, now);
        let gone = self.owners.forget_gone();
        let mut over = self.ledger.slots_of(&gone);
        if std::mem::take(&mut self.is_resumed) {
            let owners = &self.owners;
            over.extend(
                self.ledger
                    .without_owner(|owner| owners.get(owner).is_some()),
            );
        }
        if self.ledger.len() as u32 > self.slots / 2 {
            let living = self.profiler.processes()?;
            over.extend(self.ledger.without(&living));
        }
        over.sort_unstable();
        over.dedup();
        if !over.is_empty() {
            self.close(&over)?;
        }
        let lost = self.profiler.lost()?;
        self.ledger.lost(lost_since(&self.lost, &lost));
        self.lost = lost;
        let dropped = self.profiler.dropped();
        self.ledger.lost(ProfileLost {
            events: dropped.saturating_sub(self.dropped),
            ..ProfileLost::default()
        });
        self.dropped = dropped;
        if let Some(pinned) = &mut self.pinned {
            pinned.read_ns = read_ns;
        }
        Ok(())
    }

    fn close(&mut self, over: &[u32]) -> Result<(), ProfileError> {
        let counts = match &mut self.pinned {
            None => self.profiler.close_slots(over)?,
            // They are freed when their counts are in the store, lest a process after this one
            // takes what comes later for theirs.
            Some(pinned) => {
                let counts = self.profiler.end_slots(over)?;
                pinned.ended.extend(over);
                counts
            }
        };
        self.ledger.close(counts);
        Ok(())
    }

    /// Whether so much has ended that it should be freed soon.
    pub fn is_short(&self) -> bool {
        let ended = self.pinned.as_ref().map_or(0, |pinned| pinned.ended.len());
        ended as u32 > self.slots / 4
    }

    /// What is to be recorded together with all that was read.
    pub fn kept(&mut self) -> Result<Option<Kept>, ProfileError> {
        let Some(pinned) = &mut self.pinned else {
            return Ok(None);
        };
        let open = self.profiler.slots()?;
        let whole = Whole {
            at_ns: pinned.read_ns,
            until_ms: now_ms(),
            lost: self.lost,
        };
        let gone = pinned.ended.iter().chain(&pinned.stale);
        let mut slots: BTreeMap<u32, Option<String>> = gone.map(|slot| (*slot, None)).collect();
        for (slot, known) in self.ledger.take_changed() {
            if let Some(of) = open.get(&slot) {
                let row = row(&known, *of, known.counted().clone());
                slots.insert(slot, Some(pinning::encode(&row)?));
            }
        }
        pinned.stale.clear();
        pinned.opened.clear();
        let owners = self.owners.take_changed().map(pinning::encode);
        Ok(Some(Kept {
            set: pinned.set.clone(),
            whole: Some(pinning::encode(&whole)?),
            owners: owners.transpose()?,
            heard: None,
            slots,
        }))
    }

    /// Events that are about to be dealt with, which takes a while; the kernel has them no more.
    pub fn kept_heard(&mut self, events: &[ProfilerEvent]) -> Result<Option<Kept>, ProfileError> {
        let is_first_use = |event: &ProfilerEvent| matches!(event, ProfilerEvent::FirstSeen { .. });
        let heard: Vec<_> = events.iter().filter(|event| !is_first_use(event)).collect();
        let Some(pinned) = self.pinned.as_mut().filter(|_| !heard.is_empty()) else {
            return Ok(None);
        };
        pinned.has_heard = true;
        Ok(Some(Kept {
            set: pinned.set.clone(),
            heard: Some(pinning::encode(&heard)?),
            ..Kept::default()
        }))
    }

    /// The store has these of the process before, until they are dealt with.
    pub fn goes_on_with(&mut self, heard: &[ProfilerEvent]) {
        if let Some(pinned) = &mut self.pinned {
            pinned.has_heard = !heard.is_empty();
        }
    }

    /// What is to be known of owners and slots that are new; nothing of these was read as yet.
    pub fn kept_new(&mut self) -> Result<Option<Kept>, ProfileError> {
        let Some(pinned) = &mut self.pinned else {
            return Ok(None);
        };
        let opened = std::mem::take(&mut pinned.opened);
        let owners = self.owners.take_changed().map(pinning::encode);
        let had_heard = std::mem::take(&mut pinned.has_heard);
        if opened.is_empty() && owners.is_none() && !had_heard {
            return Ok(None);
        }
        let open = self.profiler.slots()?;
        let mut slots = BTreeMap::new();
        for slot in opened {
            if let (Some(known), Some(of)) = (self.ledger.slot(slot), open.get(&slot)) {
                let row = row(known, *of, SlotCounts::default());
                slots.insert(slot, Some(pinning::encode(&row)?));
            }
        }
        Ok(Some(Kept {
            set: pinned.set.clone(),
            whole: None,
            owners: owners.transpose()?,
            heard: had_heard.then(|| "[]".to_owned()),
            slots,
        }))
    }

    /// The store has everything: slots that have ended are free again.
    pub fn recorded(&mut self) -> Result<(), ProfileError> {
        if let Some(pinned) = &mut self.pinned
            && !pinned.ended.is_empty()
        {
            self.profiler.free_slots(&pinned.ended)?;
            pinned.ended.clear();
        }
        Ok(())
    }
}

fn row(slot: &Slot, of: crate::tracer::profiler::SlotOwner, read: SlotCounts) -> KeptSlot {
    KeptSlot {
        of,
        subject: slot.subject.clone(),
        read,
    }
}
