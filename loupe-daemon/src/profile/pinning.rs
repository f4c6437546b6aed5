//! What outlives this process: in-kernel objects that somebody keeps for the next one, and up to where
//! their counts are in the store. See `docs/design/profile.md`, "Over a restart".

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use loupe_common::profile::{ProfileLost, Subject};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::ProfileError;
use super::loaded::Loaded;
use super::owners::Told;
use crate::store::{Kept, ProfileBatch, Store};
use crate::tracer::profiler::{
    Pins, Profiler, ProfilerBounds, ProfilerEvent, SlotCounts, SlotOwner, TakenWindow,
};

/// What a process leaves for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The directory with the pinned in-kernel objects.
    Pins,
    /// What the store has refused; see [`super::unrecorded`].
    Unrecorded,
}

/// Keeps a descriptor for the process that comes after this one, and closes it when none comes.
pub trait Keeper: Send {
    fn keep(&self, what: Left, descriptor: BorrowedFd<'_>) -> io::Result<()>;
    /// Gives up what it keeps of this.
    fn release(&self, what: Left) -> io::Result<()>;
}

/// See the module.
#[derive(Default)]
pub struct Pinning {
    /// `None`: nobody would keep anything.
    pub keeper: Option<Box<dyn Keeper>>,
    /// The pins of the process before this one.
    pub found: Option<OwnedFd>,
    /// What that one could not record.
    unrecorded: Option<OwnedFd>,
    /// The keeper has it until it is recorded.
    inherits: bool,
}

/// What is known of a whole set of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// When it was read last, by `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// The same by the host's clock.
    pub until_ms: u64,
    /// What the kernel had lost by then.
    pub lost: ProfileLost,
}

/// What is known of a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptSlot {
    pub of: SlotOwner,
    pub subject: Subject,
    pub read: SlotCounts,
}

/// What is loaded, and what it goes on with.
pub struct Begun {
    pub loaded: Loaded,
    pub events: mpsc::Receiver<ProfilerEvent>,
    pub taken: Option<Taken>,
    /// Why a restart will leave a gap, though none is wanted; and why this one has left one.
    pub troubles: [Option<String>; 2],
}

/// What was taken over.
pub struct Taken {
    pub whole: Whole,
    /// Since it was read last.
    pub away: Duration,
    pub window: Option<TakenWindow>,
    /// What was told to the process before, and is not dealt with.
    pub heard: Vec<ProfilerEvent>,
}

impl Pinning {
    pub fn new(
        keeper: Option<Box<dyn Keeper>>,
        found: Option<OwnedFd>,
        unrecorded: Option<OwnedFd>,
    ) -> Pinning {
        Pinning {
            keeper,
            found,
            unrecorded,
            inherits: false,
        }
    }

    /// Loads what is needed, or takes it over.
    pub fn begin(
        &mut self,
        bounds: &ProfilerBounds,
        pin: bool,
        store: &Store,
        unsent: &[ProfileBatch],
    ) -> Result<Begun, ProfileError> {
        let found = self.found.take();
        if !pin {
            if found.is_some() {
                tracing::info!("what was pinned is given up: `pin` is not set any more");
                self.release();
            }
            return begin_anew(Profiler::load(bounds)?, bounds, [None, None]);
        }
        let mut refused = None;
        if let Some(found) = found {
            match take_over(found, bounds, store, unsent) {
                Ok(begun) => return Ok(begun),
                Err(error) => {
                    refused = Some(format!(
                        "the restart is a gap, counting begins anew: {error}"
                    ));
                }
            }
            // Nothing of it is held here any more; this ends it.
            self.release();
        }
        let Some(keeper) = &self.keeper else {
            let why = "`pin = true` has no effect: nobody keeps in-kernel objects while louped is \
                       away, for it was not started by systemd";
            return begin_anew(
                Profiler::load(bounds)?,
                bounds,
                [Some(why.to_owned()), refused],
            );
        };
        let set = format!("{:x}-{}", monotonic_ns(), std::process::id());
        store.forget_profile_kept(&set)?;
        let profiler = Profiler::load_pinned(bounds, Pins::new(&set)?)?;
        let whole = Whole {
            at_ns: monotonic_ns(),
            until_ms: crate::now_ms(),
            lost: ProfileLost::default(),
        };
        store.keep_profile(&Kept {
            set,
            whole: Some(encode(&whole)?),
            ..Kept::default()
        })?;
        let kept = match profiler.pinned()? {
            Some((top, _)) => keeper.keep(Left::Pins, top.as_fd()).err(),
            None => None,
        };
        let kept = kept.map(|error| format!("systemd does not keep what is pinned: {error}"));
        begin_anew(profiler, bounds, [kept, refused])
    }

    /// What the process before could not record, if anything, is in the store now.
    pub fn has_recorded(&mut self) {
        if std::mem::take(&mut self.inherits)
            && let Some(keeper) = &self.keeper
            && let Err(error) = keeper.release(Left::Unrecorded)
        {
            // Whoever finds it again hands it over in vain.
            tracing::warn!("what was left unrecorded is not given up: {error}");
        }
    }

    /// Takes what the process before has left unrecorded.
    pub fn take_unrecorded(&mut self) -> Option<OwnedFd> {
        let left = self.unrecorded.take();
        self.inherits = left.is_some();
        left
    }

    /// Nothing is to be kept for anybody.
    pub fn release(&mut self) {
        self.found = None;
        if let Some(keeper) = &self.keeper
            && let Err(error) = keeper.release(Left::Pins)
        {
            tracing::warn!("what is pinned is not given up: {error}");
        }
    }
}

fn begin_anew(
    profiler: Profiler,
    bounds: &ProfilerBounds,
    troubles: [Option<String>; 2],
) -> Result<Begun, ProfileError> {
    let (loaded, events) = Loaded::of(profiler, bounds)?;
    Ok(Begun {
        loaded,
        events,
        taken: None,
        troubles,
    })
}

fn take_over(
    found: OwnedFd,
    bounds: &ProfilerBounds,
    store: &Store,
    unsent: &[ProfileBatch],
) -> Result<Begun, ProfileError> {
    let (profiler, window) = Profiler::take_over(bounds, Pins::found(found)?)?;
    let (_, set) = profiler.pinned()?.ok_or(ProfileError::Unknown)?;
    let mut kept = store.profile_kept(&set)?;
    // The store is behind where it was full.
    let later = unsent.iter().filter_map(|batch| batch.kept.clone());
    for later in later.filter(|later| later.set == set) {
        kept.merge(later);
    }
    // Another database: what of it was counted where, nobody knows.
    let whole: Whole = decode(&kept.whole.ok_or(ProfileError::Unknown)?)?;
    let owners = kept
        .owners
        .map_or(Ok(BTreeMap::new()), |owners| decode(&owners))?;
    let rows = kept
        .slots
        .iter()
        .filter_map(|(slot, row)| Some((*slot, row.as_ref()?)))
        .map(|(slot, row)| Ok((slot, decode(row)?)))
        .collect::<Result<BTreeMap<u32, KeptSlot>, ProfileError>>()?;
    let heard = kept.heard.map_or(Ok(Vec::new()), |heard| decode(&heard))?;
    let told = Told::ask(&profiler)?;
    // In this order: what is counted is open first.
    let counted = profiler.counted_slots()?;
    let plan = plan(rows, &profiler.slots()?, &counted);
    profiler.free_slots(&plan.recorded)?;
    let (mut loaded, events) = Loaded::of(profiler, bounds)?;
    loaded.owners.resume(told, owners);
    loaded.resume(plan, whole.lost)?;
    let away = Duration::from_nanos(monotonic_ns().saturating_sub(whole.at_ns));
    tracing::info!(
        set,
        away_ms = away.as_millis() as u64,
        "takes over what went on counting"
    );
    Ok(Begun {
        loaded,
        events,
        taken: Some(Taken {
            whole,
            away,
            window,
            heard,
        }),
        troubles: [None, None],
    })
}

/// What becomes of the slots that an earlier process had.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// They go on.
    pub resumed: BTreeMap<u32, KeptSlot>,
    /// They had ended, and their last counts were not recorded.
    pub ended: BTreeMap<u32, KeptSlot>,
    /// They had ended and were recorded, and are to be freed.
    pub recorded: Vec<u32>,
    /// Their rows are to go: the slot is another one's.
    pub stale: Vec<u32>,
}

/// Rows are deleted together with the last counts of a slot, and only then is it freed. So what has
/// neither a row nor an owner is in the store wholly.
fn plan(
    rows: BTreeMap<u32, KeptSlot>,
    open: &BTreeMap<u32, SlotOwner>,
    counted: &BTreeSet<u32>,
) -> Plan {
    let unknown = |slot: &&u32| !open.contains_key(slot) && !rows.contains_key(slot);
    let mut plan = Plan {
        recorded: counted.iter().filter(unknown).copied().collect(),
        ..Plan::default()
    };
    for (slot, row) in rows {
        match open.get(&slot) {
            Some(of) if *of == row.of => {
                plan.resumed.insert(slot, row);
            }
            Some(_) => plan.stale.push(slot),
            None => {
                plan.ended.insert(slot, row);
            }
        }
    }
    plan
}

pub fn encode<T: Serialize>(record: &T) -> Result<String, ProfileError> {
    serde_json::to_string(record).map_err(ProfileError::Record)
}

fn decode<T: serde::de::DeserializeOwned>(record: &str) -> Result<T, ProfileError> {
    serde_json::from_str(record).map_err(ProfileError::Record)
}

/// The clock of the kernel that nobody sets.
pub fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| Duration::from(now).as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::pending::other;
    use super::*;
    use crate::tracer::profiler::ExecutableId;

    fn of(owner: u64) -> SlotOwner {
        SlotOwner {
            owner,
            executable: ExecutableId {
                device: 1,
                inode: 2,
            },
        }
    }

    fn row(owner: u64) -> KeptSlot {
        KeptSlot {
            of: of(owner),
            subject: other(),
            read: SlotCounts::default(),
        }
    }

    #[test]
    fn a_slot_is_counted_on_only_by_who_it_is_and_freed_only_when_it_is_recorded() {
        let rows = [(1, row(10)), (2, row(20)), (3, row(30))].into();
        let open = [(1, of(10)), (2, of(21)), (5, of(50))].into();
        let counted = [1, 2, 3, 4, 5].into();
        let plan = plan(rows, &open, &counted);
        assert_eq!(plan.resumed, [(1, row(10))].into());
        assert_eq!(plan.stale, [2]);
        assert_eq!(plan.ended, [(3, row(30))].into());
        // The fifth was opened while nobody was there, and is told of.
        assert_eq!(plan.recorded, [4]);
    }

    #[test]
    fn what_is_kept_is_read_again_as_it_was() {
        let mut slot = row(7);
        slot.read.starts = 3;
        slot.read.calls.insert(
            "openat".parse().expect("a feature"),
            loupe_common::trace::CallCounts {
                calls: 5,
                errors: [("ENOENT".parse().expect("an errno"), 2)].into(),
                latency: None,
            },
        );
        let text = encode(&slot).expect("a record");
        assert_eq!(decode::<KeptSlot>(&text).expect("the same"), slot);
    }
}
